"""Who can hear a recording, and by what: asked of every user and program with a grant, one grant at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.access import Access, Divisions, Subject, covers, resolve
from earwitness.domain.access import Grant as RuleGrant
from earwitness.domain.access.call import Call, evaluates, reached, reviews
from earwitness.domain.access.parts import Cut, cut_of
from earwitness.store import access as access_store
from earwitness.store import visibility
from earwitness.store.tables import (
    ConversationDivision,
    ConversationPart,
    ConversationQueue,
    ConversationTeam,
    Evaluation,
    Grant,
    OauthClient,
    Participant,
    Recording,
    Role,
    User,
)


@dataclass(frozen=True, slots=True)
class Way:
    """One reason why somebody hears a recording."""

    kind: str
    """``owner``, ``grant`` or ``evaluation``."""
    permission: str | None = None
    grant: Grant | None = None
    role: Role | None = None
    divisions: Divisions = field(default_factory=Divisions)
    """Of a right to segments: those whose parts are heard by this way."""
    evaluation_id: str | None = None
    part: str | None = None
    """In the evaluation: ``evaluator`` or ``agent``."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Somebody who hears a recording."""

    subject: Subject
    name: str
    cut: Cut | None
    """What of it; None: all."""
    ways: tuple[Way, ...]


def listeners(session: Session, recording: Recording) -> list[Listener]:
    """Everybody active who hears any of a recording that was found through ``store.recordings``, by name."""
    if recording.role == visibility.ADHOC:
        owner = session.get(User, recording.owner_user_id or "")
        if owner is None or owner.state != "active":
            return []
        return [Listener(Subject("user", owner.id), owner.name, None, (Way("owner"),))]
    call, evaluations = _call(session, recording)
    found = []
    for subject, name, held in _subjects(session):
        ways = tuple(_ways(subject, held, call, evaluations))
        cut = _cut(session, recording, call, ways)
        if ways and (cut is None or cut.stretches):
            found.append(Listener(subject, name, cut, ways))
    return sorted(found, key=lambda item: (item.name, item.subject.id))


def _call(session: Session, recording: Recording) -> tuple[Call, Sequence[Evaluation]]:
    key = recording.conversation_id
    evaluations = session.scalars(
        select(Evaluation)
        .where(Evaluation.conversation_id == key, Evaluation.deleted_at.is_(None))
        .order_by(Evaluation.created_at, Evaluation.id)
    ).all()
    doing = [row for row in evaluations if row.status != visibility.RETRACTED]
    people = select(Participant.user_id).where(
        Participant.conversation_id == key, Participant.purpose.in_(visibility.AGENTS), Participant.user_id.is_not(None)
    )
    return (
        Call(
            divisions=_ids(session, ConversationDivision.division_id, ConversationDivision.conversation_id == key),
            users=frozenset(user_id for user_id in session.scalars(people) if user_id is not None),
            queues=_ids(session, ConversationQueue.queue_id, ConversationQueue.conversation_id == key),
            teams=_ids(session, ConversationTeam.team_id, ConversationTeam.conversation_id == key),
            evaluators=frozenset(
                user_id for row in doing for user_id in (row.evaluator_user_id, row.assignee_user_id) if user_id
            ),
            reviewed=frozenset(row.agent_user_id for row in evaluations if _released(row)),
        ),
        evaluations,
    )


def _ids(session: Session, column: object, where: object) -> frozenset[str]:
    return frozenset(session.scalars(select(column).where(where)))  # type: ignore[call-overload]


def _released(row: Evaluation) -> bool:
    return row.released_at is not None and not row.never_release and row.status in visibility.RELEASED


def _subjects(session: Session) -> Iterator[tuple[Subject, str, list[tuple[Grant, Role]]]]:
    """Everybody active who holds a grant."""
    held: dict[tuple[str, str], list[tuple[Grant, Role]]] = {}
    statement = select(Grant, Role).join(Role, Role.id == Grant.role_id).order_by(Grant.granted_at, Grant.id)
    for grant, role in session.execute(statement):
        held.setdefault((grant.subject_type, grant.subject_id), []).append((grant, role))
    names = {("user", row.id): row.name for row in session.scalars(select(User).where(User.state == "active"))}
    clients = select(OauthClient).where(OauthClient.state == "active")
    names |= {("client", row.id): row.name for row in session.scalars(clients)}
    for key, pairs in held.items():
        if key in names:
            yield Subject(*key), names[key], pairs


def _access(subject: Subject, held: Sequence[tuple[Grant, Role]]) -> Access:
    return resolve(
        subject, (RuleGrant(access_store.as_role(role), grant.division_id, grant.condition) for grant, role in held)
    )


def _ways(
    subject: Subject, held: Sequence[tuple[Grant, Role]], call: Call, evaluations: Sequence[Evaluation]
) -> Iterator[Way]:
    for grant, role in held:
        for entitlement in _access(subject, [(grant, role)]).entitlements:
            if not reached(entitlement.scope, call, subject.user_id):
                continue
            if covers(entitlement.pattern, visibility.VIEW_RECORDINGS):
                yield Way("grant", visibility.VIEW_RECORDINGS, grant, role)
            elif covers(entitlement.pattern, visibility.VIEW_SEGMENTS):
                yield Way("grant", visibility.VIEW_SEGMENTS, grant, role, entitlement.scope.divisions)
    access = _access(subject, held)
    for row in evaluations:
        theirs = subject.user_id in (row.evaluator_user_id, row.assignee_user_id)
        if evaluates(access) and theirs and row.status != visibility.RETRACTED:
            yield Way("evaluation", evaluation_id=row.id, part="evaluator")
        if reviews(access) and row.agent_user_id == subject.user_id and _released(row):
            yield Way("evaluation", evaluation_id=row.id, part="agent")


def _cut(session: Session, recording: Recording, call: Call, ways: Sequence[Way]) -> Cut | None:
    if any(way.permission != visibility.VIEW_SEGMENTS for way in ways):
        return None
    divisions = Divisions()
    for way in ways:
        divisions = divisions | way.divisions
    if divisions and all(division_id in divisions for division_id in call.divisions):
        return None
    parts = select(ConversationPart.started_at, ConversationPart.ended_at).where(
        ConversationPart.conversation_id == recording.conversation_id,
        ConversationPart.division_id.in_(sorted(divisions.ids)),
    )
    spans = [(row.started_at, row.ended_at) for row in session.execute(parts)]
    return cut_of(spans, recording.openings, recording.started_at, recording.duration_ms)
