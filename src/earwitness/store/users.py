"""People, the organisation and its divisions."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import Division, Organization, User


def organization(session: Session) -> Organization | None:
    """The organisation; None before ``earwitness init``."""
    return session.scalars(select(Organization)).first()


def home_division(session: Session) -> Division | None:
    """The division of whatever has none of its own."""
    return session.scalars(select(Division).where(Division.home)).first()


def division(session: Session, division_id: str) -> Division | None:
    """The division of that id."""
    return session.get(Division, division_id)


def divisions(
    session: Session, *, within: Divisions = ALL_DIVISIONS, name: str | None = None, number: int = 1, size: int = 25
) -> Page[Division]:
    """A page of divisions, by name."""
    statement = select(Division)
    if not within.every:
        statement = statement.where(Division.id.in_(within.ids))
    if name:
        statement = statement.where(name_matches(Division.name, name))
    return page_of(session, statement.order_by(Division.name, Division.id), number, size)


def get(session: Session, user_id: str, *, deleted: bool = False) -> User | None:
    """The user of that id; a deleted one only if asked for."""
    user = session.get(User, user_id)
    return user if user is not None and (deleted or user.state != "deleted") else None


def by_email(session: Session, email: str) -> User | None:
    """The user who signs in with that address, in whatever case; deleted ones included."""
    return session.scalars(select(User).where(User.email == email.strip().lower())).first()


def by_ids(session: Session, user_ids: list[str]) -> list[User]:
    """Users of those ids, deleted ones too, by name; unknown ids are left out."""
    return list(session.scalars(select(User).where(User.id.in_(user_ids)).order_by(User.name, User.id)))


def listing(
    session: Session,
    *,
    within: Divisions = ALL_DIVISIONS,
    ids: list[str] | None = None,
    state: str | None = "active",
    text: str | None = None,
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[User]:
    """A page of users, by name.

    ``state`` None: all but deleted; ``any``: all. ``text`` is looked for in name and email. ``down``: from Z to A.
    """
    statement = select(User)
    if state is None:
        statement = statement.where(User.state != "deleted")
    elif state != "any":
        statement = statement.where(User.state == state)
    if not within.every:
        statement = statement.where(User.division_id.in_(within.ids))
    if ids is not None:
        statement = statement.where(User.id.in_(ids))
    if text:
        statement = statement.where(name_matches(User.name, text) | name_matches(User.email, text))
    order = (User.name.desc(), User.id.desc()) if down else (User.name, User.id)
    return page_of(session, statement.order_by(*order), number, size)


def touch(user: User, at: int, by: str | None) -> None:
    """Notes a change: who and when, one version on."""
    user.version = (user.version or 0) + 1
    user.modified_at = at
    user.modified_by = by
