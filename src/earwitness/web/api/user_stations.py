"""Which station a user sits at."""

from __future__ import annotations

from sqlalchemy.orm import Session

from earwitness.store import telephony, users
from earwitness.store.tables import Station
from earwitness.web.kernel.documents import Document, Moment


class StationUser(Document):
    """A user, where a station mentions one."""

    id: str
    name: str | None = None
    self_uri: str


class UserStation(Document):
    """A station, as its user sees it."""

    id: str
    name: str
    type: str
    associated_user: StationUser | None = None
    associated_date: Moment | None = None
    default_user: StationUser | None = None
    provider_info: dict[str, str]


class UserStations(Document):
    """The stations of a user."""

    associated_station: UserStation | None = None
    effective_station: UserStation | None = None
    default_station: UserStation | None = None


def user_stations(session: Session, user_id: str) -> UserStations:
    """Where the user sits now, the default station, and the one that rings: the first of both that there is."""
    rows = telephony.stations(session, user_id=user_id, size=100).items
    associated = next((row for row in rows if row.user_id == user_id), None)
    default = next((row for row in rows if row.default_user_id == user_id), None)
    effective = associated or (default if default is not None and default.user_id is None else None)
    return UserStations(
        associated_station=_document(session, associated),
        effective_station=_document(session, effective),
        default_station=_document(session, default),
    )


def _document(session: Session, row: Station | None) -> UserStation | None:
    if row is None:
        return None
    return UserStation(
        id=row.id,
        name=row.name,
        type="inin_sip_phone",
        associated_user=_user(session, row.user_id),
        associated_date=row.modified_at if row.user_id else None,
        default_user=_user(session, row.default_user_id),
        provider_info={"username": row.username},
    )


def _user(session: Session, user_id: str | None) -> StationUser | None:
    if user_id is None:
        return None
    user = users.get(session, user_id, deleted=True)
    return StationUser(id=user_id, name=user.name if user else None, self_uri=f"/api/v2/users/{user_id}")
