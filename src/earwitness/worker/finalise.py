"""The workflow ``finalise``: from a spool folder whose call has ended to recordings in the vault and rows in the store.

Steps: *plan* (which tapes become recordings), *render* (each tape rendered, sealed, its facts left beside it), *store*
(all rows in one transaction), *clear* (the spool folder goes). Each is safe to repeat: a tape that was rendered is
found rendered, a recording is sealed once under the id of its tape, rows that are there are left alone. So a crash
anywhere, and a second run from the start, give exactly one recording. The engine notes them as one: every note costs a
write between hang-up and playback, and what it saves after a crash the spool folder tells as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.orm import Session

from earwitness.archive.render.plan import TapePlan, plan_tapes, read_events
from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import Timeline, fold
from earwitness.store import audit, internal
from earwitness.store.database import Database
from earwitness.worker import rendered
from earwitness.worker.after_call import store_work
from earwitness.worker.pool import RenderPool
from earwitness.worker.rows import Divisions, flows_of, queues_of, rows_of, users_of
from earwitness.worker.spool import remove_folder

log = structlog.get_logger()

RENDER_TIMEOUT_S = 4 * 3600.0
"""Longer than any tape takes; a render process that hangs must not hold its conversation for ever."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a spool folder tells of its conversation."""

    events: list[Event]
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class Finaliser:
    """The steps."""

    database: Database
    pool: RenderPool
    spool: Path
    keep_s: float = 0.0
    """How long a spool folder stays after the last event."""
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000

    def folder(self, conversation_id: str) -> Path:
        """The spool folder of a conversation."""
        return self.spool / conversation_id

    def finish(self, conversation_id: str) -> float:
        """All steps; gives the seconds that the spool folder is to stay yet.

        :raises EventError, ValueError: a damaged event log, or another conversation's.
        :raises RenderError: it failed; what was done stays done.
        """
        told = self._read(conversation_id)
        if told is not None:
            self.store(conversation_id, self.render(conversation_id, self._tape_ids(told)), told)
        return self.clear(conversation_id)

    def plan(self, conversation_id: str) -> list[str] | None:
        """Ids of the tapes that become recordings; None if the conversation is stored already, or gone.

        :raises EventError, ValueError: a damaged event log, or another conversation's.
        """
        told = self._read(conversation_id)
        return None if told is None else self._tape_ids(told)

    def _read(self, conversation_id: str) -> _Told | None:
        with self.database.reading() as session:
            if internal.is_stored(session, conversation_id):
                return None
        try:
            events = read_events(self.folder(conversation_id))
        except FileNotFoundError:
            return None
        timeline = fold(events)
        if timeline.conversation_id != conversation_id:
            raise ValueError(f"the event log is that of conversation {timeline.conversation_id!r}")
        return _Told(events, timeline)

    def _tape_ids(self, told: _Told) -> list[str]:
        folder = self.folder(told.timeline.conversation_id)
        return [plan.tape_id for plan in tapes_to_keep(told.events, told.timeline, folder)]

    def render(self, conversation_id: str, tape_ids: list[str]) -> list[str]:
        """Renders and seals the tapes; gives the ids of those that have something on them.

        :raises RenderError: it failed; what was done stays done.
        """
        return self.pool.render(conversation_id, tape_ids).result(RENDER_TIMEOUT_S) if tape_ids else []

    def store(self, conversation_id: str, tape_ids: list[str], told: _Told | None = None) -> bool:
        """Adds the rows of the conversation and of these tapes; whether there were none before.

        :param told: what the spool folder tells, if it was read already.
        """
        told = told or self._read(conversation_id)
        if told is None:
            return False
        events, timeline = told.events, told.timeline
        folder = self.folder(conversation_id)
        tapes = []
        for tape_id in tape_ids:
            tape = rendered.read(folder, tape_id)
            if tape is None:
                raise LookupError(f"tape {tape_id} was rendered but its facts are not in the spool")
            tapes.append(tape)
        now = self.now_us()
        with self.database.transaction() as session:
            divisions = Divisions(
                internal.divisions_of_users(session, users_of(timeline)),
                internal.divisions_of_queues(session, queues_of(timeline)),
                internal.divisions_of_flows(session, flows_of(timeline)),
            )
            added = internal.store_finished(
                session,
                rows_of(
                    events,
                    timeline,
                    tapes,
                    divisions=divisions,
                    home_division_id=internal.home_division_id(session),
                    now=now,
                ),
            )
            if added:
                store_work(session, timeline)
                for tape in tapes:
                    detail = {"kind": tape.kind, "durationMs": tape.duration_ms}
                    _tell(session, now, "recording.created", conversation_id, tape.tape_id, detail)
                for destroyed in (tape for tape in timeline.tapes if tape.destroyed is not None and tape.openings):
                    detail = {"kind": destroyed.kind, "reason": "consent refused"}
                    _tell(session, now, "recording.destroyed", conversation_id, destroyed.tape_id, detail)
        return added

    def clear(self, conversation_id: str) -> float:
        """Removes the spool folder, or gives the seconds that it is to stay yet."""
        folder = self.folder(conversation_id)
        if self.keep_s:
            try:
                age_s = self.now_us() / 1e6 - (folder / "events.jsonl").stat().st_mtime
            except FileNotFoundError:
                age_s = self.keep_s
            if age_s < self.keep_s:
                return self.keep_s - age_s
        remove_folder(folder)
        return 0.0


def tapes_to_keep(events: Sequence[Event], timeline: Timeline, folder: Path) -> list[TapePlan]:
    """The tapes that become recordings.

    Consent refused: none. What had been captured before the answer goes with the spool folder, and what remains is the
    conversation with its reason (C1, C10). Nor do tapes that were destroyed, or that were open for no time at all.
    """
    if timeline.consent == "refused":
        return []
    destroyed = {tape.tape_id for tape in timeline.tapes if tape.destroyed is not None}
    return [plan for plan in plan_tapes(events, folder) if plan.length_us > 0 and plan.tape_id not in destroyed]


def _tell(
    session: Session, at: int, action: str, conversation_id: str, recording_id: str, detail: dict[str, Any]
) -> None:
    audit.add(
        session,
        at=at,
        subject=audit.SYSTEM,
        action=action,
        entity_type="recording",
        entity_id=recording_id,
        conversation_id=conversation_id,
        detail=detail,
    )
