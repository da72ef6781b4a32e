"""Divisions that were deleted, and can be made again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from earwitness.store.paging import Page, page_of
from earwitness.store.tables import DeletedDivision, Division


def note(session: Session, row: Division, at: int) -> None:
    """Remembers a division that is about to be deleted."""
    session.merge(DeletedDivision(id=row.id, name=row.name, description=row.description, deleted_at=at))


def get(session: Session, division_id: str) -> DeletedDivision | None:
    """The deleted division of that id."""
    return session.get(DeletedDivision, division_id)


def listing(session: Session, *, number: int = 1, size: int = 25) -> Page[DeletedDivision]:
    """Deleted divisions, by name."""
    statement = select(DeletedDivision).order_by(DeletedDivision.name, DeletedDivision.id)
    return page_of(session, statement, number, size)


def count(session: Session) -> int:
    """How many divisions there are."""
    return session.scalar(select(func.count()).select_from(Division)) or 0


def between(
    session: Session, *, after: str | None, before: str | None, size: int, ids: Sequence[str] | None, name: str | None
) -> list[Division]:
    """Divisions by id, those that follow one or come before one; one more than ``size`` if there are more."""
    statement = select(Division)
    if ids is not None:
        statement = statement.where(Division.id.in_(ids))
    if name:
        statement = statement.where(func.lower(Division.name).contains(name.lower(), autoescape=True))
    if before is not None:
        rows = session.scalars(statement.where(Division.id < before).order_by(Division.id.desc()).limit(size + 1))
        return list(rows)[::-1]
    if after is not None:
        statement = statement.where(Division.id > after)
    return list(session.scalars(statement.order_by(Division.id).limit(size + 1)))
