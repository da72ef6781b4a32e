"""Applying policies to a conversation that is complete: once, in one transaction (F1-F16). On nobody's behalf.

Recordings get their dates and the reason, evaluations are assigned, exports begun, and what was decided is written down
(``policy_decisions``). Inbox items are nobody's business here (E8). A date that somebody has set by hand before stays.
Destroying is the affair of ``store.retention``; a recording to be deleted at once that is to be exported before has a
day for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from earwitness.domain.policy import DELETE, DELETE_AFTER, Decision, Facts, Policy, evaluate, says
from earwitness.store import audit, completion, internal, policies, policy_facts, retention
from earwitness.store.policies import Compiled
from earwitness.store.policy_actions import Carrier
from earwitness.store.tables import Conversation, PolicyDecision, Recording
from earwitness.store.tables.base import Document
from earwitness.store.visibility import ADHOC

DAY_US = 86_400_000_000
MOST_TOLD = 200
"""Policies that a decision names; the winner is always among them."""
NOT_APPLIED = "NOT_APPLIED"
SYSTEM = "system"
BY_HAND = "set by hand before the policies were applied"


def apply(session: Session, conversation_id: str, now: int, known: Compiled | None = None) -> Compiled | None:
    """Applies policies to a conversation, unless somebody else does or did; gives the policies as they are now.

    :param now: UTC microseconds.
    :param known: the policies of the last time, to save reading them again.
    """
    row = completion.claim(session, conversation_id)
    if row is None:
        return known
    current = policies.compiled(session, known)
    facts = policy_facts.facts(session, [row])[row.id]
    decision = evaluate(current.index, facts, policies.rules(session))
    recordings = [item for item in internal.recordings_of(session, row.id) if item.role != ADHOC]
    carrier = Carrier(session, row.id, [item for item in recordings if item.file_state != retention.DELETED], now)
    actions = [carrier.carry_out(planned) for planned in decision.planned]
    _stamp(session, recordings, decision, now, exported=carrier.exported)
    written = _write(session, row, decision, actions, now)
    row.completed_at = now
    session.flush()
    if decision.matched or not decision.applied:
        _tell(session, facts, written, now)
    return current


def _stamp(session: Session, recordings: Sequence[Recording], decision: Decision, now: int, *, exported: bool) -> None:
    """Sets the dates that follow from the verdict (F9, F11)."""
    verdict = decision.verdict
    if verdict.policy is None:
        return
    at_once = []
    for row in recordings:
        if row.file_state == retention.DELETED or not _date(row, verdict_document(decision), now):
            continue
        if verdict.action == DELETE:
            row.delete_date = now + (DAY_US if exported else 0)
            at_once += [] if exported else [row.id]
    session.flush()
    if at_once:
        retention.ask_to_delete(session, at_once, SYSTEM, f'policy "{verdict.policy.name}": {verdict.why}', now)


def _date(row: Recording, verdict: Document, now: int) -> bool:
    """Sets the dates of a recording, unless somebody else has; gives whether it did."""
    if row.delete_date is not None or row.archive_date is not None:
        row.retention_why = {**verdict, "byHand": BY_HAND}
        return False
    row.retention_policy_id, row.retention_why = verdict.get("policyId"), verdict
    row.modified_at, row.version = now, row.version + 1
    if verdict.get("archiveDays"):
        row.archive_date = row.created_at + int(verdict["archiveDays"]) * DAY_US
        row.archive_medium = retention.ARCHIVE_MEDIUM
    if verdict["action"] == DELETE_AFTER:
        row.delete_date = row.created_at + int(verdict["days"]) * DAY_US
    elif verdict["action"] == DELETE:
        row.delete_date = now
    return True


def late(session: Session, row: Recording, now: int) -> bool:
    """Gives a recording that came to its conversation after the policies the dates that theirs got; whether it did.

    For orphans that are attached, and for uploads. Nothing else is done again, and dates that it has stay.
    """
    decision = completion.decision(session, row.conversation_id)
    if decision is None or decision.policy_id is None or row.role == ADHOC:
        return False
    verdict = {key: value for key, value in decision.verdict.items() if key != "matched"}
    dated = _date(row, verdict, now)
    session.flush()
    return dated


def verdict_document(decision: Decision) -> Document:
    """The verdict as it is kept."""
    verdict = decision.verdict
    document: Document = {
        "action": verdict.action,
        "policyId": verdict.policy.id if verdict.policy is not None else None,
        "policyName": verdict.policy.name if verdict.policy is not None else None,
        "says": says(verdict.policy.actions.retention) if verdict.policy is not None else None,
        "days": verdict.days,
        "archiveDays": verdict.archive_days,
        "why": verdict.why,
    }
    return {name: value for name, value in document.items() if value is not None}


def words(decision: Decision) -> list[dict[str, Any]]:
    """What each policy that matched said, and what became of it; the winner first if there are very many."""
    told = [
        {
            "id": word.policy.id,
            "name": word.policy.name,
            "order": word.policy.order,
            "says": says(word.policy.actions.retention),
            "won": word.won,
            "why": word.why,
            **({"crossPlatform": True} if word.policy.cross_platform else {}),
        }
        for word in decision.verdict.words
    ]
    if len(told) <= MOST_TOLD:
        return told
    return [*(item for item in told if item["won"]), *(item for item in told if not item["won"])][:MOST_TOLD]


def missed(found: Sequence[Policy]) -> list[dict[str, Any]]:
    """Policies that came too late (F1)."""
    return [{"id": policy.id, "name": policy.name, "enabledAt": policy.enabled_at} for policy in found[:MOST_TOLD]]


def _write(
    session: Session, row: Conversation, decision: Decision, actions: list[dict[str, Any]], now: int
) -> PolicyDecision:
    verdict = decision.verdict
    written = PolicyDecision(
        conversation_id=row.id,
        at=now,
        outcome=verdict.action if decision.applied else NOT_APPLIED,
        policy_id=verdict.policy.id if verdict.policy is not None else None,
        matched=words(decision),
        missed=missed(decision.missed),
        verdict={**verdict_document(decision), "matched": len(decision.matched)},
        actions=actions,
    )
    session.add(written)
    session.flush()
    return written


def _tell(session: Session, facts: Facts, written: PolicyDecision, now: int) -> None:
    audit.add(
        session,
        at=now,
        subject=audit.SYSTEM,
        action="policies.apply",
        entity_type="conversation",
        entity_id=facts.conversation_id,
        conversation_id=facts.conversation_id,
        detail={
            "outcome": written.outcome,
            "verdict": written.verdict,
            "policies": [item["id"] for item in written.matched],
            "actions": [
                {key: value for key, value in item.items() if key in ("action", "policyId", "done", "evaluationId")}
                for item in written.actions
            ],
        },
    )
