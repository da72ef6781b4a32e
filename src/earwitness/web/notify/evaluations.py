"""Events of evaluations: what has changed since the last look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from earwitness.store import evaluation_visibility, users
from earwitness.store import evaluations as evaluation_store
from earwitness.store.tables import Evaluation
from earwitness.web.kernel.documents import date_text
from earwitness.web.kernel.services import Services
from earwitness.web.notify import frames, topics
from earwitness.web.notify.connection import Connection

SETTLED_US = 5_000_000
"""So long after its time a change is sure to be visible."""
STATUSES = {
    "PENDING": "Pending",
    "INPROGRESS": "InProgress",
    "FINISHED": "Finished",
    "INREVIEW": "InReview",
    "RETRACTED": "Retracted",
}
"""As events write them."""


@dataclass(slots=True)
class Evaluations:
    """What was told already."""

    _since: int | None = None
    _told: dict[str, int] = field(default_factory=dict)

    def deliver(self, parts: Services, session: Session, listeners: list[Connection], now_us: int) -> None:
        """Tells whoever wants to know and may see it of each evaluation that was made or has changed."""
        wanting = [(item, wanted) for item in listeners if (wanted := item.wants(topics.EVALUATIONS))]
        if not wanting:
            self._since, self._told = None, {}
            return
        if self._since is None:
            self._since = now_us
        rows = evaluation_store.changed_since(session, self._since)
        for row in rows:
            if self._told.get(row.id) == row.changed_at:
                continue
            self._told[row.id] = row.changed_at
            for listener, wanted in wanting:
                if evaluation_store.get(session, listener.access, row.id, deleted=True) is not None:
                    body = frames.body(_body(session, row))
                    for topic in wanted:
                        listener.put(frames.event(topic.name, body))
        self._since = max(self._since, now_us - SETTLED_US)
        self._told = {key: at for key, at in self._told.items() if at >= self._since}


def _body(session: Session, row: Evaluation) -> dict[str, Any]:
    """``EvaluationQualityV2TopicEvaluationV2``."""
    form = evaluation_store.form_of(session, row)
    people = {user.id: user.name for user in users.by_ids(session, [row.agent_user_id, row.evaluator_user_id or ""])}
    scores = {"totalScore": row.total_score, "totalCriticalScore": row.total_critical_score}
    found = {
        "id": row.id,
        "conversationId": row.conversation_id,
        "agent": {"id": row.agent_user_id, "displayName": people.get(row.agent_user_id, "")},
        "evaluator": (
            {"id": row.evaluator_user_id, "displayName": people.get(row.evaluator_user_id, "")}
            if row.evaluator_user_id
            else None
        ),
        "eventTime": date_text(row.changed_at),
        "evaluationFormId": row.form_id,
        "formName": form.name,
        "scoringSet": {name: round(value) for name, value in scores.items() if value is not None},
        "contextId": row.form_context_id,
        "status": STATUSES[row.status],
        "agentHasRead": row.agent_has_read,
        "releaseDate": None if row.release_date is None else date_text(row.release_date),
        "assignedDate": date_text(row.assigned_at),
        "changedDate": date_text(row.changed_at),
        "eventType": "DELETE"
        if row.deleted_at is not None
        else "CREATE"
        if row.changed_at == row.created_at
        else "UPDATE",
        "divisionIds": evaluation_visibility.division_ids(session, [row.conversation_id]).get(row.conversation_id, []),
        "rescore": row.rescore,
        "conversationDate": date_text(row.conversation_at),
        "mediaType": ["CALL"],
        "calibration": None if row.calibration_id is None else {"id": row.calibration_id},
        "evaluationSource": {"id": row.source_id, "type": row.source_type},
        "assigneeUserId": row.assignee_user_id,
        "assigneeApplicable": row.assignee_applicable,
        "evaluationContextId": row.context_id,
        "disputeCount": row.dispute_count,
        "version": row.version,
        "declinedReview": row.declined_review,
        "retractedEvaluation": None if row.retracted_id is None else {"id": row.retracted_id},
    }
    return {name: value for name, value in found.items() if value is not None}
