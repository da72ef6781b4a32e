"""Why the recordings of a conversation are kept or gone: which policies matched, which one won, what else was done."""

from __future__ import annotations

from typing import Any

from pydantic.alias_generators import to_camel
from sqlalchemy.orm import Session

from earwitness.domain.policy.telling import Kept, tell
from earwitness.store import after_call_work, completion, protection, retention
from earwitness.store import conversations as conversation_store
from earwitness.store import recordings as recording_store
from earwitness.store.policy_applying import NOT_APPLIED
from earwitness.store.tables import PolicyDecision, Recording
from earwitness.store.visibility import ADHOC
from earwitness.web.api.policies.documents import path_of
from earwitness.web.api.policies.operations import VIEW
from earwitness.web.api.seen import find
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.services import Parts

family = Family("Why recordings are kept")
LATE = "it was enabled, or changed, after the conversation had begun"


class MatchedPolicy(Document):
    """A policy whose conditions the conversation met."""

    id: str
    name: str
    order: int | None = None
    says: str | None = None
    won: bool
    why: str
    self_uri: str


class PolicyVerdict(Document):
    """What all policies together say about the recordings."""

    action: str
    """``KEEP``, ``DELETE_AFTER`` or ``DELETE``."""
    policy_id: str | None = None
    policy_name: str | None = None
    delete_after_days: int | None = None
    archive_after_days: int | None = None
    why: str


class PolicyAction(Document):
    """Something that a policy was to do beside."""

    policy_id: str
    policy_name: str
    action: str
    done: bool
    why: str
    evaluation_id: str | None = None
    calibration_id: str | None = None
    evaluator_id: str | None = None
    agent_id: str | None = None
    integration_id: str | None = None


class RecordingFate(Document):
    """What becomes of a recording, or became of it."""

    id: str
    file_state: str
    delete_date: Moment | None = None
    archive_date: Moment | None = None
    export_date: Moment | None = None
    deleted_date: Moment | None = None
    protected: bool
    sentence: str


class ConversationPolicies(Document):
    """What policies have to do with a conversation."""

    conversation_id: str
    state: str
    """``IN_PROGRESS``, ``AFTER_CALL_WORK``, ``COMPLETE`` (about to be judged), ``APPLIED`` or ``NOT_APPLIED``."""
    sentence: str
    completed_date: Moment | None = None
    verdict: PolicyVerdict | None = None
    matched: list[MatchedPolicy] | None = None
    matched_count: int | None = None
    missed: list[MatchedPolicy] | None = None
    actions: list[PolicyAction] | None = None
    recordings: list[RecordingFate]


@family.operation(
    "GET",
    "/api/v2/earwitness/conversations/{conversationId}/policies",
    "get_earwitness_conversation_policies",
    SIGNED_IN,
    returns=ConversationPolicies,
)
def explain(caller: Signed, parts: Parts, conversationId: str) -> ConversationPolicies:
    """Which policies matched a conversation, which verdict won and why, and what becomes of each recording.

    Everybody who sees the conversation hears the verdict, in a sentence, about the recordings that they may hear. Which
    policies matched, and what was assigned, hears who may view policies (``recording:retentionPolicy:view``).
    """
    now = parts.clock.now_us()
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
        if seen.pending is not None:
            state, sentence = _pending(session, seen.id, in_progress=seen.in_progress)
            return ConversationPolicies(conversation_id=seen.id, state=state, sentence=sentence, recordings=[])
        row = conversation_store.get(session, caller.access, seen.id)
        decision = completion.decision(session, seen.id)
        completed_at = row.completed_at if row is not None else None
        recordings = [
            item
            for item in recording_store.of_conversation(session, caller.access, seen.id, deleted=True)
            if item.role != ADHOC
        ]
        fates = _fates(session, seen.id, recordings, decision, now)
        if decision is None:
            state, sentence = _undecided(session, seen.id, completed_at)
            return ConversationPolicies(
                conversation_id=seen.id,
                state=state,
                sentence=sentence,
                completed_date=completed_at,
                recordings=fates,
            )
        found = ConversationPolicies(
            conversation_id=seen.id,
            state="NOT_APPLIED" if decision.outcome == NOT_APPLIED else "APPLIED",
            sentence=_sentence(decision, fates),
            completed_date=completed_at,
            verdict=_verdict(decision),
            recordings=fates,
        )
    return _with_policies(found, decision) if caller.access.allows(VIEW) else found


def _pending(session: Session, conversation_id: str, *, in_progress: bool) -> tuple[str, str]:
    if in_progress:
        return "IN_PROGRESS", "The conversation is still up; policies are applied when it is complete."
    return _undecided(session, conversation_id, None)


def _undecided(session: Session, conversation_id: str, completed_at: int | None) -> tuple[str, str]:
    if completed_at is not None:
        return "NOT_APPLIED", "The conversation was complete before there were policies; they are never retroactive."
    waiting = [work for work in after_call_work.of_conversation(session, conversation_id) if work.given_at is None]
    if waiting:
        return "AFTER_CALL_WORK", "Policies wait for the after-call work, or for the end of its time."
    return "COMPLETE", "The conversation is complete; policies are about to be applied."


def _sentence(decision: PolicyDecision, fates: list[RecordingFate]) -> str:
    if decision.outcome == NOT_APPLIED:
        why = str(decision.verdict.get("why", ""))
        return f"{why[:1].upper()}{why[1:]}."
    if len(fates) == 1:
        return fates[0].sentence
    action = {
        "KEEP": "Recordings are kept without end",
        "DELETE": "Recordings are deleted at once",
        "DELETE_AFTER": f"Recordings are deleted after {decision.verdict.get('days')} days",
    }[decision.outcome]
    name = decision.verdict.get("policyName")
    return (
        f'{action}: policy "{name}" says so, and {decision.verdict["why"]}.'
        if name
        else f"{action}: no policy matched."
    )


def _verdict(decision: PolicyDecision) -> PolicyVerdict:
    told = decision.verdict
    return PolicyVerdict(
        action="KEEP" if decision.outcome == NOT_APPLIED else decision.outcome,
        policy_id=told.get("policyId"),
        policy_name=told.get("policyName"),
        delete_after_days=told.get("days"),
        archive_after_days=told.get("archiveDays"),
        why=str(told.get("why", "")),
    )


def _with_policies(found: ConversationPolicies, decision: PolicyDecision) -> ConversationPolicies:
    known = {to_camel(name) for name in PolicyAction.model_fields}
    return found.model_copy(
        update={
            "matched": [matched(item) for item in decision.matched],
            "matched_count": int(decision.verdict.get("matched") or len(decision.matched)),
            "missed": [matched({**item, "won": False, "why": LATE}) for item in decision.missed],
            "actions": [
                PolicyAction(**{key: value for key, value in told.items() if key in known}) for told in decision.actions
            ],
        }
    )


def matched(told: dict[str, Any]) -> MatchedPolicy:
    """A policy that matched, as a document."""
    return MatchedPolicy(
        id=told["id"],
        name=told["name"],
        order=told.get("order"),
        says=told.get("says"),
        won=told["won"],
        why=told["why"],
        self_uri=f"{path_of(bool(told.get('crossPlatform')))}/{told['id']}",
    )


def _fates(
    session: Session, conversation_id: str, rows: list[Recording], decision: PolicyDecision | None, now: int
) -> list[RecordingFate]:
    protected = bool(protection.protected_among(session, [conversation_id]))
    maximum = retention.maximum_days(session)
    verdict = decision.verdict if decision is not None and decision.outcome != NOT_APPLIED else None
    told = decision.matched if decision is not None else []
    return [
        RecordingFate(
            id=row.id,
            file_state=row.file_state,
            delete_date=row.delete_date,
            archive_date=row.archive_date,
            export_date=row.export_date,
            deleted_date=row.deleted_at,
            protected=protected,
            sentence=tell(_kept(row, verdict, protected=protected, maximum_days=maximum), verdict, told, now),
        )
        for row in rows
    ]


def _kept(row: Recording, verdict: dict[str, Any] | None, *, protected: bool, maximum_days: int | None) -> Kept:
    return Kept(
        created_at=row.created_at,
        delete_date=row.delete_date,
        archive_date=row.archive_date,
        deleted_at=row.deleted_at,
        deleted=row.file_state == "DELETED",
        protected=protected,
        by_hand=_by_hand(row, verdict),
        maximum_days=maximum_days,
    )


def _by_hand(row: Recording, verdict: dict[str, Any] | None) -> bool:
    """Whether its delete date is another than the verdict's: a person has set it, before or after."""
    if row.retention_why is not None and "byHand" in row.retention_why:
        return True
    if verdict is None or verdict.get("policyId") is None:
        return row.delete_date is not None
    days = verdict.get("days")
    if verdict["action"] == "DELETE_AFTER":
        return row.delete_date != row.created_at + int(days or 0) * 86_400_000_000
    return (row.delete_date is None) is not (verdict["action"] == "KEEP")
