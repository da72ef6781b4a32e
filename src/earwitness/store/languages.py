"""Languages and skills: lists of names. Routing looks at neither."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import Language, Skill


def language(session: Session, language_id: str, *, deleted: bool = False) -> Language | None:
    """The language of that id; a deleted one only if asked for."""
    row = session.get(Language, language_id)
    return row if row is not None and (deleted or row.state != "deleted") else None


def language_by_name(session: Session, name: str) -> Language | None:
    """The language of exactly that name, unless deleted."""
    return session.scalars(select(Language).where(Language.name == name, Language.state != "deleted")).first()


def languages(
    session: Session,
    *,
    ids: Collection[str] | None = None,
    name: str | None = None,
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[Language]:
    """A page of languages, by name; ``down``: from Z to A."""
    statement = select(Language).where(Language.state != "deleted")
    if ids is not None:
        statement = statement.where(Language.id.in_(ids))
    if name:
        statement = statement.where(name_matches(Language.name, name))
    first = Language.name.desc() if down else Language.name
    return page_of(session, statement.order_by(first, Language.id), number, size)


def skill_by_name(session: Session, name: str) -> Skill | None:
    """The skill of exactly that name, unless deleted."""
    return session.scalars(select(Skill).where(Skill.name == name, Skill.state != "deleted")).first()


def skills(
    session: Session,
    *,
    within: Divisions = ALL_DIVISIONS,
    ids: Collection[str] | None = None,
    name: str | None = None,
    number: int = 1,
    size: int = 25,
) -> Page[Skill]:
    """A page of skills, by name."""
    statement = select(Skill).where(Skill.state != "deleted")
    if not within.every:
        statement = statement.where(Skill.division_id.in_(within.ids))
    if ids is not None:
        statement = statement.where(Skill.id.in_(ids))
    if name:
        statement = statement.where(name_matches(Skill.name, name))
    return page_of(session, statement.order_by(Skill.name, Skill.id), number, size)
