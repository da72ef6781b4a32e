"""What a policy would have done in a past interval: a dry run (W1). It changes nothing."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.policy import (
    DELETE,
    DELETE_AFTER,
    AssignMetered,
    Decision,
    Planned,
    Policy,
    PolicyIndex,
    Unsupported,
    evaluate,
    read_policy,
)
from earwitness.domain.policy.choice import choose
from earwitness.domain.policy.metering import since
from earwitness.domain.policy.telling import Kept, tell
from earwitness.store import policies as policy_store
from earwitness.store import policy_references, retention
from earwitness.store.policy_actions import name_of
from earwitness.store.policy_applying import verdict_document, words
from earwitness.store.policy_references import Problem
from earwitness.store.policy_simulation import Past, past
from earwitness.web.api.policies.documents import PolicyErrors, PolicyInput, errors, given_parts, merged
from earwitness.web.api.policies.explaining import MatchedPolicy, matched
from earwitness.web.api.policies.operations import ADD, EDIT, VIEW, find
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody, parse_date
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Policy simulation")
DRAFT = "draft"
DEFAULT_LOOKED, MOST_LOOKED = 2000, 20_000
DAY_US = 86_400_000_000
PATIENCE_S = 20.0
"""How long a simulation may look; then it says that it was cut."""


class SimulationInput(RequestBody):
    """A policy that is a draft, and an interval of the past."""

    policy: PolicyInput | None = None
    policy_id: str | None = None
    """A stored policy; with ``policy``, what that says takes its place."""
    interval: str | None = None
    """``start/end``, ISO 8601: when conversations began."""
    alone: bool | None = None
    """Without the other policies that are enabled now."""
    limit: Annotated[int, Field(ge=1, le=MOST_LOOKED)] | None = None
    """Conversations to look at, the newest first."""
    page_size: Annotated[int, Field(ge=1, le=500)] | None = None
    page_number: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class SimulatedRecordings(Document):
    """What would have become of recordings."""

    kept: int = 0
    deleted_at_once: int = 0
    deleted_after_days: int = 0
    gone_by_now: int = 0
    """Of those, the ones whose time would be over."""
    archived: int = 0


class SimulatedAction(Document):
    """How often something would have been done beside."""

    action: str
    done: int
    not_done: int
    why_not: dict[str, int]


class SimulatedConversation(Document):
    """A conversation that the policy would have matched."""

    id: str
    start_time: Moment
    direction: str
    won: bool
    """Its word would have counted; else another policy's."""
    action: str
    sentence: str
    recordings: int
    matched: list[MatchedPolicy]
    actions: list[str]
    self_uri: str


class SimulationDocument(Document):
    """What a policy would have done."""

    interval: str
    looked: int
    """Conversations of the interval that were looked at, of those that the caller may see."""
    cut: bool
    """There were more: the limit, or the time that a simulation may take, was reached; the oldest were left out."""
    matched: int
    without_consent: int
    """Of those looked at: policies do not run on them (C1, C5)."""
    won: int
    lost: int
    """Conversations in which another policy's word would have counted."""
    conversations_kept: int
    conversations_deleted_at_once: int
    conversations_deleted_after_days: int
    recordings: SimulatedRecordings
    actions: list[SimulatedAction]
    policy_errors: PolicyErrors | None = None
    entities: list[SimulatedConversation]
    page_size: int
    page_number: int
    total: int
    page_count: int


@dataclass(slots=True)
class _Hit:
    """A matched conversation, in few words, so that thousands fit."""

    past: Past
    decision: Decision
    actions: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Meter:
    """Evaluations that the draft would have assigned: when, to whom, of whom (F16)."""

    given: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    refused: dict[str, Counter[str]] = field(default_factory=dict)

    def take(self, hit: _Hit, planned: Planned, gone: set[tuple[str, str]]) -> None:
        """Counts one planned action of a conversation; conversations come in order of time."""
        name = name_of(planned)
        why = self._why_not(hit, planned, gone)
        if why is None:
            self.done[name] += 1
            hit.actions.append(name)
        else:
            self.refused.setdefault(name, Counter())[why] += 1

    def _why_not(self, hit: _Hit, planned: Planned, gone: set[tuple[str, str]]) -> str | None:
        action = planned.action
        if isinstance(action, Unsupported):
            return action.why
        if not hit.past.recordings:
            return "nothing was recorded"
        mentioned = policy_references.mentioned_by(action)
        if any(item in gone for item in mentioned if item[0] != "user"):
            return "what it mentions is not there"
        if name_of(planned) == "integrationExport":
            return None
        if planned.agent_id is None:
            return "no agent took part"
        if not isinstance(action, AssignMetered):
            people = [item for item in mentioned if item[0] == "user"]
            return "the evaluators are gone" if all(item in gone for item in people) else None
        start = hit.past.facts.start
        first = since(action.interval, start, action.zone)
        given = self.given.setdefault(action.meter, [])
        counted = [entry for entry in given if first <= entry[0] <= start]
        had = Counter(evaluator for _, evaluator, _ in counted)
        of_agent = sum(agent == planned.agent_id for _, _, agent in counted)
        evaluators = [user for user in action.evaluator_ids if ("user", user) not in gone]
        chosen = choose(action, evaluators, lambda user: had[user], of_agent)
        if chosen is None:
            return "there would have been enough already" if evaluators else "the evaluators are gone"
        given.append((start, chosen, planned.agent_id))
        return None


@family.operation(
    "POST",
    "/api/v2/earwitness/policies/simulate",
    "post_earwitness_policies_simulate",
    any_of(VIEW, ADD, EDIT),
    returns=SimulationDocument,
    reads=True,
)
def simulate(caller: Signed, parts: Parts, body: SimulationInput) -> SimulationDocument:
    """What a policy would have matched, kept, deleted and assigned, had it been enabled in an interval of the past.

    The other policies are taken as they are enabled now, unless ``alone``. Only conversations count that the caller may
    see, and of these the newest up to ``limit``; ``cut`` says that there were more. Nothing is changed.
    """
    now = parts.clock.now_us()
    first, last, interval = _interval(body.interval)
    limit = body.limit or DEFAULT_LOOKED
    size, number = body.page_size or 25, body.page_number or 1
    with parts.database.reading() as session:
        draft_id, draft = _draft(session, body)
        others: list[Policy] = []
        if not body.alone:
            stored = policy_store.compiled(session).index.policies
            others = [policy for policy in stored if policy.id != draft_id]
        alone = PolicyIndex([draft])
        index = PolicyIndex([draft, *(_always(policy) for policy in others)])
        rules = policy_store.rules(session)
        mentioned = policy_references.mentions(draft)
        gone = policy_references.missing(session, mentioned)
        maximum = retention.maximum_days(session)
        shown = range((number - 1) * size, number * size)
        until_s = time.monotonic() + PATIENCE_S
        hits: list[_Hit] = []
        looked = refused = 0
        cut = False
        for one in past(session, caller.access, since=first, until=last, most=limit + 1):
            if looked == limit or time.monotonic() > until_s:
                cut = True
                break
            looked += 1
            if not one.facts.recordable:
                refused += 1
            elif alone.matching(one.facts):
                decision = evaluate(index, one.facts, rules)
                hits.append(_Hit(one, decision if len(hits) in shown else _short(decision, draft)))
    meter = _Meter()
    for hit in sorted(hits, key=lambda item: item.past.facts.start):
        for planned in hit.decision.planned:
            if planned.policy is draft:
                meter.take(hit, planned, gone)
    won = sum(hit.decision.verdict.policy is draft for hit in hits)
    ends = Counter(hit.decision.verdict.action for hit in hits)
    page = hits[shown.start : shown.stop]
    return SimulationDocument(
        interval=interval,
        looked=looked,
        cut=cut,
        matched=len(hits),
        without_consent=refused,
        won=won,
        lost=sum(hit.decision.verdict.policy not in (draft, None) for hit in hits),
        conversations_kept=len(hits) - ends[DELETE] - ends[DELETE_AFTER],
        conversations_deleted_at_once=ends[DELETE],
        conversations_deleted_after_days=ends[DELETE_AFTER],
        recordings=_recordings(hits, now),
        actions=[
            SimulatedAction(
                action=name,
                done=meter.done[name],
                not_done=sum(meter.refused.get(name, Counter()).values()),
                why_not=dict(meter.refused.get(name, {})),
            )
            for name in sorted({*meter.done, *meter.refused})
        ],
        policy_errors=_errors(draft, gone, now),
        entities=[_conversation(hit, draft, maximum, now) for hit in page],
        page_size=size,
        page_number=number,
        total=len(hits),
        page_count=-(-len(hits) // size),
    )


def _interval(text: str | None) -> tuple[int, int, str]:
    start, slash, end = (text or "").partition("/")
    try:
        first, last = parse_date(start), parse_date(end)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"interval is start/end: {error}", "interval", "invalid.date") from error
    if not slash or last <= first:
        raise bad_request("interval is start/end, the start before the end.", "interval", "invalid.date")
    return first, last, f"{start}/{end}"


def _draft(session: Session, body: SimulationInput) -> tuple[str, Policy]:
    """The policy to try. It is enabled since ever, and stands in for the stored one."""
    if body.policy is None and body.policy_id is None:
        raise bad_request("policy is required, or policyId.", "policy")
    row = find(session, body.policy_id) if body.policy_id is not None else None
    given = body.policy or PolicyInput()
    document = merged(row.document if row is not None else {}, given_parts(given))
    name = (given.name or (row.name if row is not None else "") or "Draft").strip()
    order = (
        given.order if given.order is not None else row.order if row is not None else policy_store.next_order(session)
    )
    draft_id = row.id if row is not None else DRAFT
    return draft_id, read_policy(draft_id, name, order, 0, document)


def _short(decision: Decision, draft: Policy) -> Decision:
    """What counts need of a decision: hundreds of policies may have matched each of thousands of conversations."""
    planned = tuple(item for item in decision.planned if item.policy is draft)
    return replace(decision, matched=(), missed=(), planned=planned, verdict=replace(decision.verdict, words=()))


def _always(policy: Policy) -> Policy:
    return replace(policy, enabled_at=0)


def _errors(draft: Policy, gone: set[tuple[str, str]], now: int) -> PolicyErrors | None:
    wrong = [
        Problem(policy_references.BROKEN, f"There is no {kind} {key}.", {"type": kind, "id": key})
        for kind, key in sorted(gone)
    ]
    wrong += [
        Problem(policy_references.UNSUPPORTED, f"{action.name} is not carried out: {action.why}.", {})
        for action in draft.actions.others
        if isinstance(action, Unsupported)
    ]
    return errors(wrong, now) if wrong else None


def _recordings(hits: list[_Hit], now: int) -> SimulatedRecordings:
    found = SimulatedRecordings()
    for hit in hits:
        verdict, count = hit.decision.verdict, hit.past.recordings
        created_at = hit.past.created_at or 0
        if verdict.action == DELETE:
            found.deleted_at_once += count
            found.gone_by_now += count
        elif verdict.action == DELETE_AFTER:
            found.deleted_after_days += count
            found.gone_by_now += count if created_at + (verdict.days or 0) * DAY_US <= now else 0
        else:
            found.kept += count
        found.archived += count if verdict.archive_days is not None else 0
    return found


def _conversation(hit: _Hit, draft: Policy, maximum: int | None, now: int) -> SimulatedConversation:
    facts, verdict = hit.past.facts, hit.decision.verdict
    told = words(hit.decision)
    document = {**verdict_document(hit.decision), "matched": len(hit.decision.matched)}
    if hit.past.created_at is None:
        sentence = "Nothing of it is recorded."
    else:
        created_at = hit.past.created_at
        days = {DELETE: 0, DELETE_AFTER: verdict.days}.get(verdict.action)
        kept = Kept(
            created_at=created_at,
            delete_date=None if days is None else created_at + days * DAY_US,
            archive_date=None if verdict.archive_days is None else created_at + verdict.archive_days * DAY_US,
            maximum_days=maximum,
        )
        sentence = tell(kept, document, told, now)
    return SimulatedConversation(
        id=facts.conversation_id,
        start_time=facts.start,
        direction=facts.direction,
        won=verdict.policy is draft,
        action=verdict.action,
        sentence=sentence,
        recordings=hit.past.recordings,
        matched=[matched(item) for item in told],
        actions=hit.actions,
        self_uri=f"/api/v2/conversations/{facts.conversation_id}",
    )
