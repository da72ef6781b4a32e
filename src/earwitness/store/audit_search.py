"""Questions to the audit log: by time, kind of object, who, what; page by page, and kept for who asks in two steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Access, Subject
from earwitness.store import visibility
from earwitness.store.tables import AuditEntry, AuditQuery
from earwitness.store.tables.base import Document


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Times are UTC microseconds, the end is outside."""

    since: int
    until: int
    entity_types: tuple[str, ...] | None = None
    """None: any."""
    other_than: tuple[str, ...] = ()
    """Kinds of objects to leave out."""
    subject_ids: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    entity_ids: tuple[str, ...] = ()
    conversation_ids: tuple[str, ...] = ()
    client_ids: tuple[str, ...] = ()
    upwards: bool = False
    """Oldest first."""
    last_entry: int | None = None
    """Entries with a greater number came after the question."""


def newest(session: Session) -> int:
    """Number of the newest entry; 0: there is none."""
    return int(session.scalar(select(func.max(AuditEntry.id))) or 0)


def entries(
    session: Session,
    question: Question,
    *,
    access: Access | None = None,
    after: tuple[int, int] | None = None,
    offset: int = 0,
    limit: int,
) -> Sequence[AuditEntry]:
    """Entries in the order asked for.

    :param access: only of calls that the subject's right to details of interactions reaches, and nothing of other
        people's inboxes; None: all.
    :param after: (at, id) of the last entry of the page before.
    """
    statement = _matching(question, access)
    at, number = AuditEntry.at, AuditEntry.id
    if after is not None:
        beyond = at > after[0] if question.upwards else at < after[0]
        same = number > after[1] if question.upwards else number < after[1]
        statement = statement.where(or_(beyond, and_(at == after[0], same)))
    order = (at, number) if question.upwards else (at.desc(), number.desc())
    return session.scalars(statement.order_by(*order).offset(offset).limit(limit)).all()


def count(session: Session, question: Question, *, access: Access | None = None) -> int:
    """How many entries there are."""
    return int(session.scalar(select(func.count()).select_from(_matching(question, access).subquery())) or 0)


def related(session: Session, entry_id: int) -> Sequence[AuditEntry] | None:
    """Entries of what the same subject did at the same moment, the entry itself first; None: there is no such entry."""
    entry = session.get(AuditEntry, entry_id)
    if entry is None:
        return None
    same = select(AuditEntry).where(
        AuditEntry.at == entry.at,
        AuditEntry.subject_type == entry.subject_type,
        AuditEntry.subject_id == entry.subject_id,
        AuditEntry.id != entry.id,
    )
    return [entry, *session.scalars(same.order_by(AuditEntry.id).limit(500))]


def kinds(session: Session, latest: int = 100_000) -> dict[str, set[str]]:
    """Kind of object -> actions, of the latest entries."""
    floor = newest(session) - latest
    found: dict[str, set[str]] = {}
    statement = select(AuditEntry.entity_type, AuditEntry.action).where(AuditEntry.id > floor).distinct()
    for entity_type, action in session.execute(statement):
        found.setdefault(entity_type, set()).add(action)
    return found


def keep(session: Session, query_id: str, kind: str, subject: Subject, document: Document, at: int) -> AuditQuery:
    """Notes a question whose answer is fetched later. It is answered as of now."""
    row = AuditQuery(
        id=query_id,
        kind=kind,
        subject_type=subject.type,
        subject_id=subject.id,
        asked_at=at,
        query=document,
        last_entry=newest(session),
    )
    session.add(row)
    session.flush()
    return row


def kept(session: Session, query_id: str, kind: str, subject: Subject) -> AuditQuery | None:
    """A question of that kind that the subject asked."""
    row = session.get(AuditQuery, query_id)
    ours = row is not None and (row.kind, row.subject_type, row.subject_id) == (kind, subject.type, subject.id)
    return row if ours else None


def _matching(question: Question, access: Access | None) -> Select[AuditEntry]:
    statement = select(AuditEntry).where(AuditEntry.at >= question.since, AuditEntry.at < question.until)
    wanted: list[tuple[object, Collection[str]]] = [
        (AuditEntry.subject_id, question.subject_ids),
        (AuditEntry.action, question.actions),
        (AuditEntry.entity_id, question.entity_ids),
        (AuditEntry.conversation_id, question.conversation_ids),
    ]
    for column, values in wanted:
        if values:
            statement = statement.where(column.in_(sorted(values)))  # type: ignore[attr-defined]
    if question.client_ids:
        statement = statement.where(
            AuditEntry.subject_type == "client", AuditEntry.subject_id.in_(sorted(question.client_ids))
        )
    if question.entity_types is not None:
        statement = statement.where(AuditEntry.entity_type.in_(sorted(question.entity_types)))
    if question.other_than:
        statement = statement.where(AuditEntry.entity_type.not_in(sorted(question.other_than)))
    if question.last_entry is not None:
        statement = statement.where(AuditEntry.id <= question.last_entry)
    if access is not None:
        statement = statement.where(
            AuditEntry.conversation_id.is_not(None),
            visibility.conversation_reached(access, visibility.VIEW_AUDITS, AuditEntry.conversation_id),
            visibility.nobody_elses(access, AuditEntry.entity_id),
        )
    return statement
