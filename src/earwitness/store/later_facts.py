"""What became known of a conversation after its time line was stored: attributes and wrap-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from earwitness.domain.conversation.timeline import Timeline
from earwitness.store import after_call_work, conversations, search
from earwitness.store.tables import AfterCallWork, Conversation


def timeline_of(session: Session, row: Conversation) -> Timeline:
    """The time line of a conversation that was found through ``store.conversations``, with what came later."""
    timeline = Timeline.from_document(row.timeline)
    for stored in conversations.participants(session, row):
        if (item := timeline.participant(stored.id)) is not None and stored.attributes is not None:
            item.attributes = {name: str(value) for name, value in stored.attributes.items()}
    add_work(session, timeline)
    return timeline


def timelines_of(session: Session, rows: Sequence[Conversation]) -> list[Timeline]:
    """The same of several conversations, in their order, by two statements in all."""
    people = search.people(session, rows)
    work = after_call_work.of_conversations(session, [row.id for row in rows])
    found = []
    for row in rows:
        timeline = Timeline.from_document(row.timeline)
        for stored in people[row.id]:
            if (item := timeline.participant(stored.id)) is not None and stored.attributes is not None:
                item.attributes = {name: str(value) for name, value in stored.attributes.items()}
        for one in work[row.id]:
            _note(timeline, one)
        found.append(timeline)
    return found


def add_work(session: Session, timeline: Timeline) -> None:
    """Notes on the time line what agents said of the call after it."""
    for work in after_call_work.of_conversation(session, timeline.conversation_id):
        _note(timeline, work)


def _note(timeline: Timeline, work: AfterCallWork) -> None:
    item = timeline.participant(work.participant_id)
    if item is None:
        return
    if item.acw is None:
        item.acw = {
            "at": work.started_at,
            "user_id": work.user_id,
            "queue_id": work.queue_id,
            "prompt": work.prompt,
            "timeout_s": (work.deadline_at - work.started_at) / 1e6,
        }
    if work.given_at is not None:
        item.wrapup = {
            "at": work.given_at,
            "code": work.code_id or work.code_name,
            "name": work.code_name,
            "notes": work.notes,
            "tags": list(work.tags),
            "by": work.given_by,
            "skipped": work.code_id is None and work.code_name is None,
        }


def set_attributes(
    session: Session, row: Conversation, participant_id: str, attributes: Mapping[str, str | None]
) -> dict[str, str] | None:
    """Changes attributes of a participant of a stored conversation (None removes one); gives them all, None: nobody.

    The row is locked until the transaction ends, so that of two changes at once both stay.
    """
    stored = next((item for item in conversations.participants(session, row) if item.id == participant_id), None)
    item = Timeline.from_document(row.timeline).participant(participant_id)
    if stored is None or item is None:
        return None
    session.refresh(stored, with_for_update=True)
    known = stored.attributes if stored.attributes is not None else item.attributes
    both = {**known, **attributes}
    stored.attributes = {name: str(value) for name, value in both.items() if value is not None}
    session.flush()
    return dict(stored.attributes)
