"""After-call work: what agents have still to say about a call, from the events of the call to its end (W3).

A conversation is complete when it has ended and none of its after-call work is open. Finalising it opens the work that
the edge told of; work that nobody ends in time is ended here, so that a forgotten wrap-up strands no recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.orm import Session

from earwitness.domain.conversation.timeline import Timeline
from earwitness.store import after_call_work, audit
from earwitness.store.database import Database
from earwitness.worker.rows import storable

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Work:
    """After-call work that a call asks of one of its participants. Times UTC microseconds."""

    participant_id: str
    user_id: str
    queue_id: str
    prompt: str
    started_at: int
    deadline_at: int
    wrapup: dict[str, Any] | None
    """What was said while the call was still up: ``at``, ``code``, perhaps ``name``, ``notes``, ``tags``, ``by``."""


def work_of(timeline: Timeline) -> list[Work]:
    """The after-call work of an ended conversation, that which is done already too."""
    return [
        Work(
            participant_id=person.participant_id,
            user_id=str(person.acw["user_id"]),
            queue_id=str(person.acw["queue_id"]),
            prompt=str(person.acw["prompt"]),
            started_at=person.acw["at"],
            deadline_at=person.acw["at"] + round(float(person.acw["timeout_s"]) * 1e6),
            wrapup=person.wrapup,
        )
        for person in timeline.participants
        if person.acw is not None
    ]


def store_work(session: Session, timeline: Timeline) -> None:
    """Opens the after-call work of a conversation, or notes that it is done; what is there already stays."""
    for work in work_of(timeline):
        row = after_call_work.add(
            session,
            conversation_id=timeline.conversation_id,
            participant_id=work.participant_id,
            user_id=work.user_id,
            queue_id=work.queue_id,
            prompt=work.prompt,
            started_at=work.started_at,
            deadline_at=work.deadline_at,
        )
        said = work.wrapup
        if said is not None and row.given_at is None:
            after_call_work.give(
                session,
                row,
                at=said["at"],
                code_id=said["code"],
                code_name=storable(str(said["name"])) if said.get("name") is not None else None,
                notes=storable(str(said["notes"])) if said.get("notes") is not None else None,
                tags=[storable(str(tag)) for tag in said.get("tags") or ()],
                by=said.get("by"),
            )


def close_overdue(database: Database, now: int) -> int:
    """Ends the work whose time is over, each with an entry in the audit log; gives how much. ``now`` UTC microseconds.

    Safe on several workers at once.
    """
    with database.transaction() as session:
        closed = after_call_work.close_overdue(session, now)
        for row in closed:
            audit.add(
                session,
                at=now,
                subject=audit.SYSTEM,
                action="wrapup.timeout",
                entity_type="conversation",
                entity_id=row.conversation_id,
                conversation_id=row.conversation_id,
                detail={"participant": row.participant_id, "user": row.user_id, "queue": row.queue_id},
            )
        count = len(closed)
    if count:
        log.info("after-call work is over without a wrap-up", count=count)
    return count
