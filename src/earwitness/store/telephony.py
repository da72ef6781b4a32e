"""Phones, stations, numbers and where they lead. Plain get, list, delete: ``store.named``."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from earwitness.store.named import touch
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.secrets import ha1
from earwitness.store.tables import CallRoute, Did, DidPool, Site, Station


def default_site(session: Session) -> Site | None:
    """The oldest site."""
    return session.scalars(select(Site).where(Site.state != "deleted").order_by(Site.created_at, Site.id)).first()


def station_by_username(session: Session, username: str) -> Station | None:
    """The station with that SIP user name, unless deleted."""
    return session.scalars(select(Station).where(Station.username == username, Station.state != "deleted")).first()


def stations_of_phone(session: Session, phone_id: str) -> Sequence[Station]:
    """The stations that are lines of a phone, deleted ones not."""
    statement = select(Station).where(Station.phone_id == phone_id, Station.state != "deleted")
    return session.scalars(statement.order_by(Station.name, Station.id)).all()


def stations(
    session: Session,
    *,
    name: str | None = None,
    user_id: str | None = None,
    line_id: str | None = None,
    number: int = 1,
    size: int = 25,
) -> Page[Station]:
    """A page of stations, by name; ``user_id`` finds those it sits at and those that are its default."""
    statement = select(Station).where(Station.state != "deleted")
    if name:
        statement = statement.where(name_matches(Station.name, name))
    if user_id is not None:
        statement = statement.where(or_(Station.user_id == user_id, Station.default_user_id == user_id))
    if line_id is not None:
        statement = statement.where(Station.line_id == line_id)
    return page_of(session, statement.order_by(Station.name, Station.id), number, size)


def associate(session: Session, station: Station, user_id: str | None, at: int, by: str | None) -> None:
    """Seats a user at a station (None: nobody).

    A user sits at one station; the former one falls back to its default user.
    """
    if user_id is not None:
        for other in session.scalars(select(Station).where(Station.user_id == user_id, Station.id != station.id)):
            other.user_id = None
            touch(other, at, by)
    if station.user_id != user_id:
        station.user_id = user_id
        touch(station, at, by)
    session.flush()


def set_default_user(session: Session, station: Station, user_id: str | None, at: int, by: str | None) -> None:
    """Makes a station a user's default (None: nobody's). A user has one default station."""
    if user_id is not None:
        for other in session.scalars(
            select(Station).where(Station.default_user_id == user_id, Station.id != station.id)
        ):
            other.default_user_id = None
            touch(other, at, by)
    if station.default_user_id != user_id:
        station.default_user_id = user_id
        touch(station, at, by)
    session.flush()


def set_credentials(station: Station, username: str, password: str, at: int, by: str | None) -> None:
    """New SIP credentials; of the password only its hashes are kept."""
    station.username = username
    station.ha1_md5, station.ha1_sha256 = ha1(username, password)
    touch(station, at, by)


def did(session: Session, did_id: str) -> Did | None:
    """The number of that id."""
    return session.get(Did, did_id)


def did_by_number(session: Session, number: str) -> Did | None:
    """The row of that number, E.164."""
    return session.scalars(select(Did).where(Did.number == number)).first()


def dids(
    session: Session,
    *,
    owner_id: str | None = None,
    phone_number: str | None = None,
    number: int = 1,
    size: int = 25,
) -> Page[Did]:
    """A page of numbers, ascending; ``phone_number`` finds a part of it."""
    statement = select(Did)
    if owner_id is not None:
        statement = statement.where(Did.owner_id == owner_id)
    if phone_number:
        statement = statement.where(name_matches(Did.number, phone_number))
    return page_of(session, statement.order_by(Did.number, Did.id), number, size)


def did_pools(session: Session, *, number: int = 1, size: int = 25) -> Page[DidPool]:
    """A page of number ranges, ascending."""
    statement = select(DidPool).where(DidPool.state != "deleted")
    return page_of(session, statement.order_by(DidPool.start_number, DidPool.id), number, size)


def route_for(session: Session, dialled: str) -> CallRoute | None:
    """The active call route that has the number; of several the first by name."""
    routes = session.scalars(
        select(CallRoute).where(CallRoute.state == "active").order_by(CallRoute.name, CallRoute.id)
    )
    return next((route for route in routes if dialled in route.dnis), None)
