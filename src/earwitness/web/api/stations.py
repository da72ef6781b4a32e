"""Stations: who sits where, and the SIP credentials of a phone."""

from __future__ import annotations

import json
import re
import secrets
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import audit, telephony, users
from earwitness.store.named import touch
from earwitness.store.secrets import REALM
from earwitness.store.tables import Station
from earwitness.web.api import divisions, named
from earwitness.web.api.named import ADMINISTERS_TELEPHONY
from earwitness.web.api.user_stations import UserStations, user_stations
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Stations")
UNSEAT = "telephony:station:disassociate"
SEAT = "telephony:otherStationAssociation:edit"
ASSIGN = (ADMINISTERS_TELEPHONY, "telephony:phone:assign")
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class StationDocument(Document):
    """A station."""

    id: str
    name: str
    description: str | None = None
    status: str
    user_id: str | None = None
    type: str
    line_appearance_id: str | None = None
    self_uri: str


class CredentialsInput(RequestBody):
    """What the new credentials shall be; all of it may be left to us."""

    username: str | None = Field(default=None, max_length=63)


class Credentials(Document):
    """What a phone needs to register. The password is shown here and nowhere else."""

    station_id: str
    username: str
    password: str
    realm: str
    registrar: str


def _document(row: Station) -> StationDocument:
    return StationDocument(
        id=row.id,
        name=row.name,
        description=row.description,
        status="ASSOCIATED" if row.user_id else "AVAILABLE",
        user_id=row.user_id or row.default_user_id,
        type="inin_sip_phone",
        line_appearance_id=row.line_id,
        self_uri=f"/api/v2/stations/{row.id}",
    )


@family.operation("GET", "/api/v2/stations", "get_stations", SIGNED_IN, returns=Listing[StationDocument])
def list_stations(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    line_id: Annotated[str | None, Query(alias="lineAppearanceId")] = None,
) -> Listing[StationDocument]:
    """Stations, by name."""
    with parts.database.reading() as session:
        if ids is not None:
            rows = [row for row in telephony.stations(session, name=name, size=10_000).items if row.id in ids]
            return page.envelope([_document(row) for row in page.cut(rows)], len(rows))
        found = telephony.stations(session, name=name, line_id=line_id, number=page.number, size=page.size)
        return page.envelope([_document(row) for row in found.items], found.total)


@family.operation("GET", "/api/v2/stations/{stationId}", "get_station", SIGNED_IN, returns=StationDocument)
def one_station(caller: Signed, parts: Parts, stationId: str) -> StationDocument:
    """A station."""
    with parts.database.reading() as session:
        return _document(named.find(session, Station, stationId, "station"))


@family.operation(
    "DELETE",
    "/api/v2/stations/{stationId}/associateduser",
    "delete_station_associateduser",
    any_of(UNSEAT),
    status=204,
)
def unseat(caller: Signed, parts: Parts, stationId: str) -> None:
    """Nobody sits at the station any more."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_change(session, caller, Station, stationId, "station", UNSEAT)
        telephony.associate(session, row, None, parts.clock.now_us(), caller.subject.id)


@family.operation(
    "POST",
    "/api/v2/earwitness/stations/{stationId}/credentials",
    "post_earwitness_station_credentials",
    any_of(ADMINISTERS_TELEPHONY),
    returns=Credentials,
)
def make_credentials(
    request: Request, caller: Signed, parts: Parts, stationId: str, body: CredentialsInput | None = None
) -> Credentials:
    """Makes new SIP credentials; the phone must register again with them. Only hashes of the password are kept."""
    password, now = secrets.token_urlsafe(18), parts.clock.now_us()
    with parts.database.transaction() as session:
        row = named.find_for_change(session, caller, Station, stationId, "station")
        username = (body.username if body is not None else None) or row.username
        if not _USERNAME.fullmatch(username):
            raise bad_request("username: letters, digits, dots, hyphens and underscores.", "username", "invalid.value")
        owner = telephony.station_by_username(session, username)
        if owner is not None and owner.id != row.id:
            raise conflict(f"The SIP user name {username} is taken by station {owner.name}.")
        telephony.set_credentials(row, username, password, now, caller.subject.id)
        audit.add(
            session,
            at=now,
            subject=caller.subject,
            action="newCredentials",
            entity_type="station",
            entity_id=row.id,
            remote_address=caller.remote_address,
        )
    return Credentials(
        station_id=stationId,
        username=username,
        password=password,
        realm=REALM,
        registrar=_registrar(request, parts),
    )


def _registrar(request: Request, parts: Services) -> str:
    """Where phones register: where the edge listens, as seen by this client."""
    own = request.url.hostname or "127.0.0.1"
    try:
        told = json.loads((parts.arguments.run_dir / "edge.json").read_text(encoding="utf-8"))
        host, port = str(told.get("sip_advertised") or told["sip_host"]), int(told["sip_port"])
    except (OSError, ValueError, KeyError, TypeError):
        return own
    return f"{own if host in ('0.0.0.0', '::', '') else host}:{port}"  # noqa: S104 (compared, not bound)


@family.operation(
    "GET",
    "/api/v2/users/stations/me",
    "get_users_stations_me",
    any_of("telephony:selfStationAssociation:view"),
    returns=UserStations,
)
def my_stations(caller: Signed, parts: Parts) -> UserStations:
    """Where the caller sits."""
    with parts.database.reading() as session:
        return user_stations(session, _self(caller))


@family.operation(
    "PUT",
    "/api/v2/users/stations/me/associatedstation/{stationId}",
    "put_users_stations_me_associatedstation_station_id",
    any_of("telephony:selfStationAssociation:edit"),
    status=204,
)
def take_a_seat(caller: Signed, parts: Parts, stationId: str) -> None:
    """The caller sits down at a station that is free."""
    user_id = _self(caller)
    with changes.changing(parts, caller) as session:
        row = named.find(session, Station, stationId, "station")
        if row.user_id not in (None, user_id):
            raise conflict("Somebody else sits there.")
        telephony.associate(session, row, user_id, parts.clock.now_us(), caller.subject.id)


@family.operation(
    "DELETE",
    "/api/v2/users/stations/me/associatedstation",
    "delete_users_stations_me_associatedstation",
    any_of("telephony:station:disassociateSelf"),
    status=204,
)
def stand_up(caller: Signed, parts: Parts) -> None:
    """The caller leaves the station."""
    with changes.changing(parts, caller) as session:
        _unseat_user(session, caller, _self(caller), parts.clock.now_us())


@family.operation(
    "GET",
    "/api/v2/users/{userId}/station",
    "get_user_station",
    any_of("telephony:otherStationAssociation:view"),
    returns=UserStations,
)
def stations_of(caller: Signed, parts: Parts, userId: str) -> UserStations:
    """Where a user sits."""
    with parts.database.reading() as session:
        _must_exist(session, userId)
        return user_stations(session, userId)


@family.operation(
    "PUT",
    "/api/v2/users/{userId}/station/associatedstation/{stationId}",
    "put_user_station_associatedstation_station_id",
    any_of(SEAT),
    status=204,
)
def seat(caller: Signed, parts: Parts, userId: str, stationId: str) -> None:
    """Seats a user at a station, whoever sat there before."""
    with changes.changing(parts, caller) as session:
        _must_exist(session, userId)
        row = named.find_for_change(session, caller, Station, stationId, "station", SEAT)
        telephony.associate(session, row, userId, parts.clock.now_us(), caller.subject.id)


@family.operation(
    "DELETE",
    "/api/v2/users/{userId}/station/associatedstation",
    "delete_user_station_associatedstation",
    any_of(UNSEAT),
    status=204,
)
def unseat_user(caller: Signed, parts: Parts, userId: str) -> None:
    """A user leaves the station."""
    with changes.changing(parts, caller) as session:
        _must_exist(session, userId)
        _unseat_user(session, caller, userId, parts.clock.now_us(), UNSEAT)


@family.operation(
    "PUT",
    "/api/v2/users/{userId}/station/defaultstation/{stationId}",
    "put_user_station_defaultstation_station_id",
    any_of(*ASSIGN),
    status=204,
)
def set_default(caller: Signed, parts: Parts, userId: str, stationId: str) -> None:
    """Makes a station the default of a user."""
    with changes.changing(parts, caller) as session:
        _must_exist(session, userId)
        row = named.find_for_change(session, caller, Station, stationId, "station", *ASSIGN)
        telephony.set_default_user(session, row, userId, parts.clock.now_us(), caller.subject.id)


@family.operation(
    "DELETE",
    "/api/v2/users/{userId}/station/defaultstation",
    "delete_user_station_defaultstation",
    any_of(*ASSIGN),
    status=204,
)
def clear_default(caller: Signed, parts: Parts, userId: str) -> None:
    """A user has no default station any more."""
    with changes.changing(parts, caller) as session:
        _must_exist(session, userId)
        for row in telephony.stations(session, user_id=userId, size=100).items:
            if row.default_user_id == userId:
                divisions.check(caller, row.division_id, *ASSIGN)
                row.default_user_id = None
                touch(row, parts.clock.now_us(), caller.subject.id)


def _unseat_user(session: Session, caller: Caller, user_id: str, now: int, permission: str | None = None) -> None:
    for row in telephony.stations(session, user_id=user_id, size=100).items:
        if row.user_id == user_id:
            if permission is not None:
                divisions.check(caller, row.division_id, permission)
            telephony.associate(session, row, None, now, caller.subject.id)


def _self(caller: Caller) -> str:
    if caller.user_id is None:
        raise bad_request("Programs sit nowhere.")
    return caller.user_id


def _must_exist(session: Session, user_id: str) -> None:
    if users.get(session, user_id) is None:
        raise not_found("user", user_id)
