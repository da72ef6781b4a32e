"""Evaluations to search and to sum up, as records of ``domain.quality.search``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.quality import evaluation as life
from earwitness.domain.quality.search import Criterion, Item, Record, Value, narrowed
from earwitness.store.evaluation_visibility import VIEW, division_ids, visible_to
from earwitness.store.tables import Evaluation

COLUMNS: dict[str, Any] = {
    "evaluationId": Evaluation.id,
    "conversationId": Evaluation.conversation_id,
    "contextId": Evaluation.form_context_id,
    "formId": Evaluation.form_id,
    "evaluationStatus": Evaluation.status,
    "queueId": Evaluation.queue_id,
    "agentTeamId": Evaluation.agent_team_id,
    "agentId": Evaluation.agent_user_id,
    "evaluatorId": Evaluation.evaluator_user_id,
    "assigneeId": Evaluation.assignee_user_id,
    "conversationDate": Evaluation.conversation_at,
    "createdDate": Evaluation.created_at,
    "submittedDate": Evaluation.submitted_at,
    "releaseDate": Evaluation.release_date,
}
"""Fields that the database looks through itself."""
SUM_UP = "analytics:evaluationAggregate:view"
MOST = 50_000
"""Evaluations that one search may look at."""
TOGETHER = 500


class TooManyError(ValueError):
    """More evaluations than one search may look at."""


@dataclass(frozen=True, slots=True)
class Found:
    """An evaluation that fits."""

    id: str
    record: Record


def search(session: Session, access: Access, criteria: Sequence[Criterion], *permissions: str) -> list[Found]:
    """Evaluations that exist for who holds one of ``permissions`` and fit every criterion; calibrations are left out.

    :raises TooManyError: there are more to look at than ``MOST``.
    """
    wanted = [
        visible_to(access, *permissions),
        Evaluation.calibration_id.is_(None),
        *map(_where, filter(_pushed, criteria)),
    ]
    found: list[Found] = []
    for row, divisions in _rows(session, wanted):
        record = narrowed(record_of(row, divisions), criteria)
        if record is not None:
            found.append(Found(row.id, record))
    return found


def within(
    session: Session, access: Access | None, column: str, since: int, until: int, agent_id: str | None = None
) -> Iterator[tuple[Evaluation, list[str]]]:
    """Evaluations, deleted ones too, by a time: their rows and divisions.

    :param access: None: those that are released to the agent, whom ``agent_id`` names.
    :param column: name of a time of ``Evaluation``; ``since`` inclusive, ``until`` exclusive, UTC microseconds.
    """
    moment = getattr(Evaluation, column)
    wanted = [moment >= since, moment < until, Evaluation.calibration_id.is_(None)]
    if access is not None:
        wanted.append(visible_to(access, VIEW, SUM_UP, deleted=True))
    else:
        wanted += [
            Evaluation.agent_user_id == agent_id,
            Evaluation.released_at.is_not(None),
            Evaluation.deleted_at.is_(None),
        ]
    yield from _rows(session, wanted)


def _rows(session: Session, wanted: Collection[ColumnElement[bool]]) -> Iterator[tuple[Evaluation, list[str]]]:
    last = ""
    count = 0
    while True:
        statement = select(Evaluation).where(*wanted, Evaluation.id > last).order_by(Evaluation.id).limit(TOGETHER)
        rows = session.scalars(statement).all()
        count += len(rows)
        if count > MOST:
            raise TooManyError(f"more than {MOST} evaluations fit; ask for less time")
        divisions = division_ids(session, {row.conversation_id for row in rows})
        for row in rows:
            yield row, divisions.get(row.conversation_id, [])
        if len(rows) < TOGETHER:
            return
        last = rows[-1].id


def _pushed(item: Criterion) -> bool:
    return item.field in COLUMNS and not item.negated and item.kind in ("EXACT", "DATE_RANGE")


def _where(item: Criterion) -> ColumnElement[bool]:
    column: Any = COLUMNS[item.field]
    if item.kind == "EXACT":
        values = [value.upper() if item.field == "evaluationStatus" else value for value in item.values]
        found: ColumnElement[bool] = column.in_(values)
        return found
    between: ColumnElement[bool] = column.between(item.low, item.high)
    return between


def record_of(row: Evaluation, divisions: Sequence[str]) -> Record:
    """An evaluation as a record."""
    released = row.released_at is not None
    own: dict[str, list[Value | None]] = {
        "evaluationId": [row.id],
        "conversationId": [row.conversation_id],
        "contextId": [row.form_context_id],
        "formId": [row.form_id],
        "formIdReleased": [row.form_id if released else None],
        "evaluationStatus": [row.status],
        "queueId": [row.queue_id],
        "agentTeamId": [row.agent_team_id],
        "divisionId": list(divisions),
        "agentId": [row.agent_user_id],
        "evaluatorId": [row.evaluator_user_id],
        "assigneeId": [row.assignee_user_id],
        "released": [released],
        "mediaType": ["CALL"],
        "disputeCount": [row.dispute_count],
        "rescoreCount": [int(row.rescore)],
        "totalScore": [row.total_score if row.status in life.SEEN_BY_AGENT else None],
        "totalCriticalScore": [row.total_critical_score if row.status in life.SEEN_BY_AGENT else None],
        "conversationDate": [row.conversation_at],
        "createdDate": [row.created_at],
        "submittedDate": [row.submitted_at],
        "releaseDate": [row.release_date],
    }
    known = {name: [value for value in values if value is not None] for name, values in own.items()}
    groups = row.answers.get("questionGroupScores", [])
    return Record(
        known,
        [_question(group, item) for group in groups for item in group["questionScores"]],
        list(map(_group, groups)),
    )


def _question(group: dict[str, Any], item: dict[str, Any]) -> Item:
    found = {
        "questionGroupId": group["questionGroupId"],
        "questionId": item["questionId"],
        "questionAnswerId": item.get("answerId"),
        "questionScore": item.get("score"),
        "questionMarkedNA": item["markedNA"],
        "failedKillQuestion": item["failedKillQuestion"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _group(group: dict[str, Any]) -> Item:
    def share(kind: str) -> float | None:
        most = group[f"maxTotal{kind}ScoreUnweighted"]
        return 100 * group[f"total{kind}ScoreUnweighted"] / most if most else None

    found = {
        "questionGroupId": group["questionGroupId"],
        "questionGroupMarkedNA": group["markedNA"],
        "questionGroupScore": group["totalScore"],
        "criticalQuestionGroupScore": group["totalCriticalScore"],
        "questionGroupScorePercentage": share(""),
        "criticalQuestionGroupScorePercentage": share("Critical"),
    }
    return {name: value for name, value in found.items() if value is not None}
