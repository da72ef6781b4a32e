"""Pages of a list, the same way for every table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of many."""

    items: Sequence[T]
    total: int
    """Rows in all pages."""
    number: int
    """From 1."""
    size: int

    @property
    def count(self) -> int:
        """How many pages there are."""
        return -(-self.total // self.size)


def page_of(session: Session, statement: Select[T], number: int = 1, size: int = 25) -> Page[T]:
    """One page of an ordered statement.

    :raises ValueError: number or size below 1.
    """
    if number < 1 or size < 1:
        raise ValueError("page number and page size start at 1")
    total = session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    offset = (number - 1) * size
    items = session.scalars(statement.limit(size).offset(offset)).all() if offset < total else []
    return Page(items, total, number, size)


def name_matches(column: InstrumentedAttribute[str], pattern: str) -> ColumnElement[bool]:
    """Names that contain ``pattern``, whatever the case; ``*`` stands for anything, and then the whole name counts."""
    escaped = pattern.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    like = escaped.replace("*", "%") if "*" in escaped else f"%{escaped}%"
    return func.lower(column).like(like, escape="\\")
