"""What all named objects of the configuration have in common: get, list, change, delete."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import (
    CallRoute,
    DidPool,
    EvaluationForm,
    ExternalContact,
    Flow,
    Phone,
    PhoneBase,
    Prompt,
    Queue,
    Site,
    Skill,
    Station,
    SurveyForm,
    Trunk,
    TrunkBase,
    WorkTeam,
    WrapupCode,
)

N = TypeVar(
    "N",
    Site,
    TrunkBase,
    Trunk,
    PhoneBase,
    Phone,
    Station,
    DidPool,
    CallRoute,
    Queue,
    WrapupCode,
    Skill,
    Flow,
    Prompt,
    WorkTeam,
    EvaluationForm,
    SurveyForm,
    ExternalContact,
)


def get(session: Session, table: type[N], object_id: str, *, deleted: bool = False) -> N | None:
    """The object of that id; a deleted one only if asked for."""
    row = session.get(table, object_id)
    return row if row is not None and (deleted or row.state != "deleted") else None


def listing(
    session: Session,
    table: type[N],
    *,
    divisions: Divisions = ALL_DIVISIONS,
    name: str | None = None,
    state: str | None = None,
    number: int = 1,
    size: int = 25,
) -> Page[N]:
    """A page of objects that are not deleted, by name."""
    statement = select(table).where(table.state == state if state is not None else table.state != "deleted")
    if not divisions.every:
        statement = statement.where(table.division_id.in_(divisions.ids))
    if name:
        statement = statement.where(name_matches(table.name, name))
    return page_of(session, statement.order_by(table.name, table.id), number, size)


def touch(row: N, at: int, by: str | None) -> None:
    """Notes a change: who and when, one version on."""
    row.version = (row.version or 0) + 1  # None on a row that has not been flushed yet
    row.modified_at = at
    row.modified_by = by


def delete(row: N, at: int, by: str | None) -> None:
    """Marks the object deleted; deleting twice is deleting once."""
    if row.state != "deleted":
        row.state = "deleted"
        touch(row, at, by)
