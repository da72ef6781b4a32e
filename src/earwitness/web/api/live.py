"""Conversations that the database does not have yet: in progress at the edge, or ended and on their way to the vault.

Who may see them follows the same rules as ``store.visibility``, asked of the time line instead of the tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.access.call import Call, reaches
from earwitness.domain.conversation.events import EventError, parse_lines
from earwitness.domain.conversation.timeline import Timeline, fold
from earwitness.store import teams as team_store
from earwitness.store import touched_divisions
from earwitness.web.kernel.errors import ApiError
from earwitness.web.kernel.services import Services

log = structlog.get_logger()

AGENTS = ("user", "agent")


@dataclass(frozen=True, slots=True)
class Pending:
    """A conversation that is not in the database yet."""

    timeline: Timeline
    divisions: frozenset[str]
    teams: frozenset[str] = frozenset()
    """Of its users (J13)."""

    @property
    def ended(self) -> bool:
        """It is over, and being worked on."""
        return self.timeline.end is not None


def find(parts: Services, session: Session, conversation_id: str) -> Pending | None:
    """The conversation, from the edge or else from the spool; None: neither knows it.

    :raises ApiError: 503, the edge does not answer and the spool does not know it either.
    """
    away: ApiError | None = None
    timeline = None
    try:
        document = parts.edge.conversation(conversation_id)
        timeline = timeline_of(document) if document is not None else None
    except ApiError as error:
        away = error
    if timeline is None:
        timeline = _from_spool(parts, conversation_id)
    if timeline is None:
        if away is not None:
            raise away
        return None
    return pending_of(session, timeline)


def in_progress(parts: Services, session: Session) -> list[Pending]:
    """Every conversation that the edge has up, oldest first.

    :raises ApiError: 503, the edge does not answer.
    """
    found = [timeline for document in parts.edge.conversations() if (timeline := timeline_of(document)) is not None]
    found.sort(key=lambda timeline: (timeline.start, timeline.conversation_id))
    return [pending_of(session, timeline) for timeline in found if timeline.end is None]


def pending_of(session: Session, timeline: Timeline) -> Pending:
    """A conversation that is in no table, with what decides who may see it."""
    people = team_store.teams_of(session, _people(timeline))
    return Pending(timeline, _divisions(session, timeline), frozenset(people.values()))


def visible(pending: Pending, access: Access, permission: str) -> bool:
    """Whether the permission reaches the conversation."""
    call = Call(pending.divisions, _people(pending.timeline), _queues(pending.timeline), pending.teams)
    return reaches(access, permission, call)


def took_part(pending: Pending, access: Access) -> bool:
    """Whether the subject is, or was, on the call."""
    return access.subject.user_id is not None and access.subject.user_id in _people(pending.timeline)


def _people(timeline: Timeline) -> frozenset[str]:
    people = (item for item in timeline.participants if item.purpose in AGENTS)
    return frozenset(item.user_id for item in people if item.user_id is not None)


def _queues(timeline: Timeline) -> frozenset[str]:
    segments = (segment for item in timeline.participants for segment in item.segments)
    of_segments = {segment.queue_id for segment in segments if segment.queue_id is not None}
    return frozenset(of_segments | {item.queue_id for item in timeline.participants if item.queue_id is not None})


def _flows(timeline: Timeline) -> set[str]:
    segments = (segment for item in timeline.participants for segment in item.segments)
    of_segments = {segment.flow_id for segment in segments if segment.flow_id is not None}
    return of_segments | {item.flow_id for item in timeline.participants if item.flow_id is not None}


def parties(timeline: Timeline) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Ids of the users, queues and flows of a conversation."""
    everybody = {item.user_id for item in timeline.participants if item.user_id is not None}
    return frozenset(everybody), frozenset(_queues(timeline)), frozenset(_flows(timeline))


def _divisions(session: Session, timeline: Timeline) -> frozenset[str]:
    return touched_divisions.of(session, *parties(timeline))


def timeline_of(document: dict[str, Any]) -> Timeline | None:
    """What the edge says of a conversation; None: unreadable."""
    try:
        events = document.get("events")
        if isinstance(events, list):
            return fold(parse_lines(_lines(events)))
        return Timeline.from_document(document["timeline"])
    except (EventError, KeyError, TypeError, AttributeError, ValueError) as error:
        log.error("web.edge_conversation_unreadable", error=str(error))
        return None


def _lines(events: Iterable[Any]) -> Iterable[bytes]:
    return (json.dumps(event).encode() for event in events)


def _from_spool(parts: Services, conversation_id: str) -> Timeline | None:
    spool = parts.arguments.spool_dir
    if spool is None or not all(char.isalnum() or char in "-_" for char in conversation_id):
        return None
    try:
        with (spool / conversation_id / "events.jsonl").open("rb") as file:
            timeline = fold(parse_lines(file))
    except OSError:
        return None
    except EventError as error:
        log.error("web.spool_unreadable", conversation_id=conversation_id, error=str(error))
        return None
    return timeline if timeline.conversation_id == conversation_id else None
