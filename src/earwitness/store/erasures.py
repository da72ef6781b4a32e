"""Find and erase one person: every call in which a telephone number took part, in whatever spelling.

A *preview* lists the conversations. Once it is confirmed, the worker takes one after the other: all of its recordings
are destroyed, those in inboxes too, and a pseudonym takes the place of the number wherever the conversation, its
participants, its events and its notes have it. What is protected from deletion is left as it is, and says so. At the
end the number is forgotten here as well; who asked for what, and when, stays in the audit log.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import SQLColumnExpression, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, undefer

from earwitness.domain.ids import new_id
from earwitness.domain.numbers import PhoneNumber
from earwitness.store import after_call_work, protection, retention, search_index
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import Conversation, Erasure, ErasureItem, Participant, Recording
from earwitness.store.tables.base import Document
from earwitness.store.visibility import ADHOC

PREVIEW, CONFIRMED, DONE, CANCELLED = "PREVIEW", "CONFIRMED", "DONE", "CANCELLED"
FOUND, HELD, ERASED = "FOUND", "HELD", "ERASED"
CALLER, CALLED, PARTICIPANT = "caller", "called", "participant"
FORGET_US = 30 * 86_400_000_000
"""A preview that nobody confirms is dropped after so long, for it has a number in it."""
_BLANKS = (" ", "-", "/", "(", ")", ".", "\u00a0", "\u2011")


@dataclass(frozen=True, slots=True)
class Count:
    """How much an erasure has found."""

    conversations: int
    recordings: int
    """That are not deleted, those in inboxes left out."""
    user_recordings: int
    held: int
    """Conversations that are protected now, or were when their turn came."""
    erased: int
    """Conversations that are done."""


def create(session: Session, *, number: PhoneNumber, at: int, by: str, reason: str) -> Erasure:
    """Finds a person and keeps the list as a preview. Nothing is changed."""
    row = Erasure(
        id=new_id(),
        state=PREVIEW,
        created_at=at,
        created_by=by,
        reason=reason,
        number=number.international,
        country_code=number.country_code,
        pseudonym=f"erased-{secrets.token_hex(6)}",
    )
    session.add(row)
    session.flush()
    session.add_all(
        ErasureItem(erasure_id=row.id, conversation_id=conversation_id, found_as=sorted(found), recording_ids=[])
        for conversation_id, found in find(session, number).items()
    )
    session.flush()
    return row


def find(session: Session, number: PhoneNumber) -> dict[str, set[str]]:
    """Conversation -> as what the number is in it. Goes through all conversations."""
    found: dict[str, set[str]] = {}
    calls = select(Conversation.id, Conversation.ani, Conversation.dnis).where(
        or_(_has(Conversation.ani, number), _has(Conversation.dnis, number))
    )
    for call in session.execute(calls.execution_options(yield_per=1000)):
        for text, role in ((call.ani, CALLER), (call.dnis, CALLED)):
            if number.is_in(text):
                found.setdefault(call.id, set()).add(role)
    people = select(Participant.conversation_id, Participant.address, Participant.name).where(
        or_(_has(Participant.address, number), _has(Participant.name, number))
    )
    for person in session.execute(people.execution_options(yield_per=1000)):
        if any(number.is_in(text) for text in (person.address, person.name) if text):
            found.setdefault(person.conversation_id, set()).add(PARTICIPANT)
    return found


def _has(
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None], number: PhoneNumber
) -> SQLColumnExpression[bool]:
    """A rough condition: the digits are in the column, blanks apart."""
    bare: SQLColumnExpression[str | None] = column
    for blank in _BLANKS:
        bare = func.replace(bare, blank, "")
    return bare.contains(number.core)


def get(session: Session, erasure_id: str, *, lock: bool = False) -> Erasure | None:
    """The erasure of that id."""
    return session.get(Erasure, erasure_id, with_for_update=lock or None)


def listing(session: Session, number: int = 1, size: int = 25) -> Page[Erasure]:
    """A page of erasures, newest first."""
    return page_of(session, select(Erasure).order_by(Erasure.created_at.desc(), Erasure.id), number, size)


def items(session: Session, erasure_id: str, number: int = 1, size: int = 25) -> Page[ErasureItem]:
    """A page of the conversations of an erasure."""
    statement = select(ErasureItem).where(ErasureItem.erasure_id == erasure_id)
    return page_of(session, statement.order_by(ErasureItem.conversation_id), number, size)


def calls(session: Session, conversation_ids: Sequence[str]) -> dict[str, Conversation]:
    """Conversations of items, by id."""
    statement = select(Conversation).where(Conversation.id.in_(conversation_ids))
    return {row.id: row for row in session.scalars(statement)}


def recordings(session: Session, conversation_ids: Sequence[str]) -> dict[str, list[Recording]]:
    """Recordings of conversations of items, those in inboxes too, by conversation."""
    statement = select(Recording).where(Recording.conversation_id.in_(conversation_ids))
    found: dict[str, list[Recording]] = {}
    for row in session.scalars(statement.order_by(Recording.started_at, Recording.id)):
        found.setdefault(row.conversation_id, []).append(row)
    return found


def counted(session: Session, row: Erasure) -> Count:
    """How much it is."""
    of_this = ErasureItem.erasure_id == row.id
    grouped = select(ErasureItem.state, func.count()).where(of_this).group_by(ErasureItem.state)
    states: dict[str, int] = {state: number for state, number in session.execute(grouped)}  # noqa: C416
    there = (
        select(Recording.role, func.count())
        .join(ErasureItem, ErasureItem.conversation_id == Recording.conversation_id)
        .where(of_this, Recording.file_state != retention.DELETED)
        .group_by(Recording.role)
    )
    by_role: dict[str, int] = {role: number for role, number in session.execute(there)}  # noqa: C416
    inbox = by_role.pop(ADHOC, 0)
    waiting = select(func.count()).where(
        of_this, ErasureItem.state == FOUND, protection.is_protected(ErasureItem.conversation_id)
    )
    held = states.get(HELD, 0) + int(session.scalar(waiting) or 0)
    return Count(sum(states.values()), sum(by_role.values()), inbox, held, states.get(ERASED, 0))


def confirm(session: Session, row: Erasure, *, at: int, by: str) -> bool:
    """Lets the worker carry out what the preview shows; False where it was confirmed before.

    :raises ValueError: it was cancelled.
    """
    if row.state in (CONFIRMED, DONE):
        return False
    if row.state != PREVIEW:
        raise ValueError("the erasure was cancelled")
    row.state, row.confirmed_at, row.confirmed_by = CONFIRMED, at, by
    session.flush()
    return True


def cancel(session: Session, row: Erasure) -> bool:
    """Drops a preview and the number in it; False where it is confirmed already."""
    if row.state == PREVIEW:
        row.state, row.number = CANCELLED, None
    return row.state == CANCELLED


def stale(session: Session, now: int) -> list[str]:
    """Previews that nobody has confirmed for long."""
    return list(
        session.scalars(select(Erasure.id).where(Erasure.state == PREVIEW, Erasure.created_at < now - FORGET_US))
    )


def at_work(session: Session) -> list[str]:
    """Erasures that are confirmed and not done, the oldest first."""
    statement = select(Erasure.id).where(Erasure.state == CONFIRMED)
    return list(session.scalars(statement.order_by(Erasure.confirmed_at, Erasure.id)))


def locked(session: Session, erasure_id: str) -> Erasure | None:
    """A confirmed erasure to go on with; None: somebody else does, or it is done."""
    statement = select(Erasure).where(Erasure.id == erasure_id, Erasure.state == CONFIRMED)
    return session.scalars(statement.with_for_update(skip_locked=True)).first()


def erase_more(session: Session, row: Erasure, now: int, limit: int) -> list[str]:
    """Erases the person in some more conversations; gives their ids, none: there are no more."""
    waiting = select(ErasureItem).where(ErasureItem.erasure_id == row.id, ErasureItem.state == FOUND)
    done = []
    for item in session.scalars(waiting.order_by(ErasureItem.conversation_id).limit(limit)).all():
        _erase(session, row, item, now)
        done.append(item.conversation_id)
    return done


def _erase(session: Session, row: Erasure, item: ErasureItem, now: int) -> None:
    statement = select(Recording.id).where(
        Recording.conversation_id == item.conversation_id, Recording.file_state != retention.DELETED
    )
    ids = list(session.scalars(statement.order_by(Recording.id).with_for_update()))
    if protection.protected_among(session, [item.conversation_id]):
        item.state = HELD
        return
    by, reason = row.confirmed_by or retention.SYSTEM, f"erasure {row.id}"
    item.recording_ids = retention.ask_to_delete(session, ids, by, reason, now, inbox=True)
    pseudonymise(session, item.conversation_id, PhoneNumber.parse(row.number or ""), row.pseudonym)
    item.state = ERASED
    session.flush()


def pseudonymise(session: Session, conversation_id: str, number: PhoneNumber, pseudonym: str) -> None:
    """Puts a pseudonym in the place of a number, wherever what is stored of a conversation has it."""
    statement = select(Conversation).where(Conversation.id == conversation_id).options(undefer(Conversation.events))
    call = session.scalars(statement.with_for_update()).first()
    if call is None:
        return
    search_index.forget(session, conversation_id)
    people = select(Participant).where(Participant.conversation_id == conversation_id)
    rows: Iterable[tuple[object, tuple[str, ...]]] = (
        (call, ("ani", "dnis", "external_tag", "timeline", "events", "why")),
        *((person, ("name", "address", "attributes")) for person in session.scalars(people)),
        *((work, ("notes", "tags")) for work in after_call_work.of_conversation(session, conversation_id)),
    )
    for stored, columns in rows:
        for column in columns:
            before = getattr(stored, column)
            after = number.erased(before, pseudonym)
            if after != before:
                setattr(stored, column, after)
    session.flush()
    search_index.write(session, conversation_id)


def being_destroyed(session: Session, row: Erasure) -> int:
    """How many of its recordings are not destroyed yet."""
    ids = _recording_ids(session, row)
    left = 0
    for start in range(0, len(ids), 500):
        statement = select(func.count()).where(Recording.id.in_(ids[start : start + 500]), Recording.receipt.is_(None))
        left += int(session.scalar(statement) or 0)
    return left


def outcome(session: Session, row: Erasure, now: int) -> Document:
    """What the receipt of an erasure says."""
    states = select(ErasureItem.conversation_id, ErasureItem.state).where(ErasureItem.erasure_id == row.id)
    found: dict[str, str] = {key: state for key, state in session.execute(states)}  # noqa: C416
    return {
        "format": "earwitness/erasure/1",
        "erasure_id": row.id,
        "created_at_us": row.created_at,
        "created_by": row.created_by,
        "confirmed_at_us": row.confirmed_at,
        "confirmed_by": row.confirmed_by,
        "finished_at_us": now,
        "conversations": sorted(key for key, state in found.items() if state == ERASED),
        "held": sorted(key for key, state in found.items() if state == HELD),
        "recordings": _recording_ids(session, row),
    }


def finish(session: Session, row: Erasure, receipt: Document, now: int) -> None:
    """Notes that it is done, and forgets the number."""
    number = PhoneNumber.parse(row.number or "")
    row.reason = number.replaced(row.reason, row.pseudonym)
    row.state, row.number, row.finished_at, row.receipt = DONE, None, now, receipt
    session.flush()


def _recording_ids(session: Session, row: Erasure) -> list[str]:
    lists = session.scalars(select(ErasureItem.recording_ids).where(ErasureItem.erasure_id == row.id))
    return sorted(recording_id for ids in lists for recording_id in ids)
