"""Forms of evaluations and of surveys: drafts and the versions published of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import EvaluationForm, SurveyForm

F = TypeVar("F", EvaluationForm, SurveyForm)


def published(session: Session, form_id: str) -> EvaluationForm | None:
    """The published version of that id, unless it was deleted: what new evaluations may use."""
    row = session.get(EvaluationForm, form_id)
    return row if row is not None and row.published_at is not None and row.state != "deleted" else None


def latest_published(session: Session, context_id: str) -> EvaluationForm | None:
    """The version of an evaluation form that was published last."""
    return latest(session, EvaluationForm, context_id)


def latest(session: Session, table: type[F], context_id: str) -> F | None:
    """The version of a form that was published last."""
    return session.scalars(
        _there(table, ALL_DIVISIONS)
        .where(table.context_id == context_id, table.published_at.is_not(None))
        .order_by(table.published_at.desc(), table.id)
        .limit(1)
    ).first()


def latest_names(session: Session, table: type[F], context_ids: Collection[str]) -> dict[str, str]:
    """Context id -> name of the version that was published last."""
    rows = session.scalars(
        _there(table, ALL_DIVISIONS)
        .where(table.context_id.in_(sorted(set(context_ids))), table.published_at.is_not(None))
        .order_by(table.published_at, table.id)
    )
    return {row.context_id: row.name for row in rows}


def listing(
    session: Session,
    table: type[F],
    *,
    within: Divisions = ALL_DIVISIONS,
    ids: Collection[str] | None = None,
    name: str | None = None,
    division_id: str | None = None,
    drafts: bool | None = None,
    latest_per_context: bool = False,
    enabled: bool | None = None,
    by: str = "name",
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[F]:
    """A page of forms.

    :param drafts: True: drafts alone; False: published versions alone.
    :param latest_per_context: of the published versions, the last one of each form.
    :param enabled: of survey forms, those that are not disabled.
    :param by: ``name`` or ``modified_at``.
    """
    statement = _there(table, within)
    if drafts is not None:
        statement = statement.where(table.published_at.is_(None) == drafts)
    if enabled is not None:
        statement = statement.where(SurveyForm.disabled != enabled)
    if ids is not None:
        statement = statement.where(table.id.in_(ids))
    if division_id is not None:
        statement = statement.where(table.division_id == division_id)
    if name:
        statement = statement.where(name_matches(table.name, name))
    if latest_per_context:
        latest = (
            select(table.context_id, func.max(table.published_at).label("at"))
            .where(table.state != "deleted")
            .group_by(table.context_id)
            .subquery()
        )
        statement = statement.join(
            latest,
            (latest.c.context_id == table.context_id) & (latest.c.at == table.published_at),
        )
    column = table.modified_at if by == "modified_at" else table.name
    order = (column.desc(), table.id.desc()) if down else (column, table.id)
    return page_of(session, statement.order_by(*order), number, size)


def versions(
    session: Session,
    table: type[F],
    context_ids: Collection[str],
    *,
    within: Divisions = ALL_DIVISIONS,
    drafts: bool = False,
    down: bool = True,
) -> Sequence[F]:
    """What was published of forms, newest first; with ``drafts`` their drafts before that."""
    statement = _there(table, within).where(table.context_id.in_(sorted(set(context_ids))))
    if not drafts:
        statement = statement.where(table.published_at.is_not(None))
    rows = session.scalars(statement).all()
    return sorted(rows, key=lambda row: (row.published_at is None, row.published_at or 0, row.id), reverse=down)


def next_publication(session: Session, table: type[F], context_id: str, at: int) -> int:
    """A time of publication that no version of the form has: ``at``, or later by as little as it takes."""
    last = session.scalar(select(func.max(table.published_at)).where(table.context_id == context_id))
    return at if last is None or at > last else last + 1


def _there(table: type[F], within: Divisions) -> Select[F]:
    statement = select(table).where(table.state != "deleted")
    return statement if within.every else statement.where(table.division_id.in_(within.ids))
