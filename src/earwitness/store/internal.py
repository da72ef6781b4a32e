"""What workflows do with conversations and recordings, on nobody's behalf.

The only selects of these tables that are not scoped to a subject. Never import this from ``web``; a test sees to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.access import parts
from earwitness.domain.conversation.timeline import Timeline
from earwitness.store import search_index, teams
from earwitness.store.tables import (
    Conversation,
    ConversationDivision,
    ConversationPart,
    ConversationQueue,
    Division,
    Flow,
    Participant,
    Queue,
    Recording,
    RecordingObject,
    User,
)


@dataclass(frozen=True, slots=True)
class FinishedConversation:
    """Every row that finishing a conversation makes."""

    conversation: Conversation
    participants: Sequence[Participant] = ()
    recordings: Sequence[Recording] = ()
    objects: Sequence[RecordingObject] = ()
    division_ids: Sequence[str] = ()
    queue_ids: Sequence[str] = ()
    """Queues that it was in, beside those of the participants."""


def is_stored(session: Session, conversation_id: str) -> bool:
    """Whether the conversation was finished before."""
    return session.scalar(select(Conversation.id).where(Conversation.id == conversation_id)) is not None


def store_finished(session: Session, finished: FinishedConversation) -> bool:
    """Adds all rows of a conversation; nothing if it is there already, so finishing twice is finishing once.

    Gives whether rows were added.
    """
    conversation_id = finished.conversation.id
    if is_stored(session, conversation_id):
        return False
    session.add(finished.conversation)
    session.flush()
    divisions = dict.fromkeys(finished.division_ids)
    session.add_all(
        ConversationDivision(conversation_id=conversation_id, division_id=division_id) for division_id in divisions
    )
    queues = dict.fromkeys([*finished.queue_ids, *(row.queue_id for row in finished.participants if row.queue_id)])
    session.add_all(ConversationQueue(conversation_id=conversation_id, queue_id=queue_id) for queue_id in queues)
    session.add_all(teams.at_the_time(session, finished.participants, finished.conversation.ended_at))
    session.add_all(_parts(session, finished))
    session.add_all([*finished.participants, *finished.recordings])
    session.flush()
    session.add_all(finished.objects)
    session.flush()
    search_index.write(session, conversation_id)
    return True


def conversation(session: Session, conversation_id: str) -> Conversation | None:
    """The finished conversation of that id."""
    return session.get(Conversation, conversation_id)


def participants(session: Session, conversation_id: str) -> Sequence[Participant]:
    """Who took part in a conversation, in order of joining."""
    statement = select(Participant).where(Participant.conversation_id == conversation_id)
    return session.scalars(statement.order_by(Participant.joined_at, Participant.id)).all()


def _parts(session: Session, finished: FinishedConversation) -> list[ConversationPart]:
    """Which part of the conversation is in which division (J12)."""
    if not finished.conversation.timeline:
        return []
    timeline = Timeline.from_document(finished.conversation.timeline)
    people = timeline.participants
    segments = [segment for person in people for segment in person.segments]
    queue_ids = {stage.queue_id for stage in segments} | {person.queue_id for person in people}
    flow_ids = {stage.flow_id for stage in segments} | {person.flow_id for person in people}
    at_the_time = {row.user_id: row.division_id for row in finished.participants if row.user_id and row.division_id}
    found = parts.parts_of(
        timeline,
        finished.conversation.ended_at,
        of_users={
            **divisions_of_users(session, (person.user_id for person in people if person.user_id)),
            **at_the_time,
        },
        of_queues=divisions_of_queues(session, (key for key in queue_ids if key)),
        of_flows=divisions_of_flows(session, (key for key in flow_ids if key)),
    )
    return [
        ConversationPart(
            conversation_id=finished.conversation.id,
            division_id=part.division_id,
            started_at=part.start,
            ended_at=part.end,
        )
        for part in found
    ]


def recordings_of(session: Session, conversation_id: str) -> Sequence[Recording]:
    """Every recording of a conversation, whoever it belongs to."""
    statement = select(Recording).where(Recording.conversation_id == conversation_id)
    return session.scalars(statement.order_by(Recording.started_at, Recording.id)).all()


def recording(session: Session, recording_id: str) -> Recording | None:
    """The recording of that id, whoever it belongs to."""
    return session.get(Recording, recording_id)


def divisions_of_users(session: Session, user_ids: Iterable[str]) -> dict[str, str]:
    """User id -> division, for the users that there are."""
    statement = select(User.id, User.division_id).where(User.id.in_(sorted(set(user_ids))))
    return {row.id: row.division_id for row in session.execute(statement)}


def divisions_of_queues(session: Session, queue_ids: Iterable[str]) -> dict[str, str]:
    """Queue id -> division, for the queues that there are, deleted ones too."""
    statement = select(Queue.id, Queue.division_id).where(Queue.id.in_(sorted(set(queue_ids))))
    return {row.id: row.division_id for row in session.execute(statement)}


def divisions_of_flows(session: Session, flow_ids: Iterable[str]) -> dict[str, str]:
    """Flow id -> division, for the flows that there are, deleted ones too."""
    statement = select(Flow.id, Flow.division_id).where(Flow.id.in_(sorted(set(flow_ids))))
    return {row.id: row.division_id for row in session.execute(statement)}


def home_division_id(session: Session) -> str | None:
    """The division of what has none of its own."""
    return session.scalars(select(Division.id).where(Division.home)).first()
