"""Evaluation forms: drafts and the versions published of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import EvaluationForm


def published(session: Session, form_id: str) -> EvaluationForm | None:
    """The published version of that id, unless it was deleted: what new evaluations may use."""
    row = session.get(EvaluationForm, form_id)
    return row if row is not None and row.published_at is not None and row.state != "deleted" else None


def latest_published(session: Session, context_id: str) -> EvaluationForm | None:
    """The version of a form that was published last."""
    return session.scalars(
        _there(ALL_DIVISIONS)
        .where(EvaluationForm.context_id == context_id, EvaluationForm.published_at.is_not(None))
        .order_by(EvaluationForm.published_at.desc(), EvaluationForm.id)
        .limit(1)
    ).first()


def latest_names(session: Session, context_ids: Collection[str]) -> dict[str, str]:
    """Context id -> name of the version that was published last."""
    rows = session.scalars(
        _there(ALL_DIVISIONS)
        .where(EvaluationForm.context_id.in_(sorted(set(context_ids))), EvaluationForm.published_at.is_not(None))
        .order_by(EvaluationForm.published_at, EvaluationForm.id)
    )
    return {row.context_id: row.name for row in rows}


def listing(
    session: Session,
    *,
    within: Divisions = ALL_DIVISIONS,
    ids: Collection[str] | None = None,
    name: str | None = None,
    division_id: str | None = None,
    drafts: bool | None = None,
    latest_per_context: bool = False,
    by: str = "name",
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[EvaluationForm]:
    """A page of forms.

    :param drafts: True: drafts alone; False: published versions alone.
    :param latest_per_context: of the published versions, the last one of each form.
    :param by: ``name`` or ``modified_at``.
    """
    statement = _there(within)
    if drafts is not None:
        statement = statement.where(EvaluationForm.published_at.is_(None) == drafts)
    if ids is not None:
        statement = statement.where(EvaluationForm.id.in_(ids))
    if division_id is not None:
        statement = statement.where(EvaluationForm.division_id == division_id)
    if name:
        statement = statement.where(name_matches(EvaluationForm.name, name))
    if latest_per_context:
        latest = (
            select(EvaluationForm.context_id, func.max(EvaluationForm.published_at).label("at"))
            .where(EvaluationForm.state != "deleted")
            .group_by(EvaluationForm.context_id)
            .subquery()
        )
        statement = statement.join(
            latest,
            (latest.c.context_id == EvaluationForm.context_id) & (latest.c.at == EvaluationForm.published_at),
        )
    column = EvaluationForm.modified_at if by == "modified_at" else EvaluationForm.name
    order = (column.desc(), EvaluationForm.id.desc()) if down else (column, EvaluationForm.id)
    return page_of(session, statement.order_by(*order), number, size)


def versions(
    session: Session,
    context_ids: Collection[str],
    *,
    within: Divisions = ALL_DIVISIONS,
    drafts: bool = False,
    down: bool = True,
) -> Sequence[EvaluationForm]:
    """What was published of forms, newest first; with ``drafts`` their drafts before that."""
    statement = _there(within).where(EvaluationForm.context_id.in_(sorted(set(context_ids))))
    if not drafts:
        statement = statement.where(EvaluationForm.published_at.is_not(None))
    rows = session.scalars(statement).all()
    return sorted(rows, key=lambda row: (row.published_at is None, row.published_at or 0, row.id), reverse=down)


def next_publication(session: Session, context_id: str, at: int) -> int:
    """A time of publication that no version of the form has: ``at``, or later by as little as it takes."""
    last = session.scalar(select(func.max(EvaluationForm.published_at)).where(EvaluationForm.context_id == context_id))
    return at if last is None or at > last else last + 1


def _there(within: Divisions) -> Select[EvaluationForm]:
    statement = select(EvaluationForm).where(EvaluationForm.state != "deleted")
    return statement if within.every else statement.where(EvaluationForm.division_id.in_(within.ids))
