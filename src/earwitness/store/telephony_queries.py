"""Finding phones and stations by what belongs to them, beside ``store.telephony``."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import CallRoute, Phone, Station


def phones(
    session: Session,
    *,
    name: str | None = None,
    site_id: str | None = None,
    phone_base_id: str | None = None,
    station_id: str | None = None,
    user_id: str | None = None,
    default_user_id: str | None = None,
    number: int = 1,
    size: int = 25,
) -> Page[Phone]:
    """A page of phones, by name; the last three look at their lines."""
    statement = select(Phone).where(Phone.state != "deleted")
    if name:
        statement = statement.where(name_matches(Phone.name, name))
    if site_id is not None:
        statement = statement.where(Phone.site_id == site_id)
    if phone_base_id is not None:
        statement = statement.where(Phone.phone_base_id == phone_base_id)
    for column, value in (
        (Station.id, station_id),
        (Station.user_id, user_id),
        (Station.default_user_id, default_user_id),
    ):
        if value is not None:
            line = select(1).where(Station.phone_id == Phone.id, Station.state != "deleted", column == value)
            statement = statement.where(exists(line))
    return page_of(session, statement.order_by(Phone.name, Phone.id), number, size)


def station_by_extension(session: Session, extension: str) -> Station | None:
    """The station with that extension, unless deleted."""
    statement = select(Station).where(Station.extension == extension, Station.state != "deleted")
    return session.scalars(statement).first()


def routes(session: Session) -> list[CallRoute]:
    """Every call route that is not deleted, by name."""
    statement = select(CallRoute).where(CallRoute.state != "deleted").order_by(CallRoute.name, CallRoute.id)
    return list(session.scalars(statement))
