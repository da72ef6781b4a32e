"""Drives the tapes of one conversation: every event goes past the recording rules, and what they say is carried out.

``Recorder.observe`` takes an event that is about to be written and gives the events that follow from it (tape opened,
closed, withheld), to be written in the same batch. The media engine has its command by then. Nothing else in the edge
opens or closes a tape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwitness.domain.configuration import Trunk
from earwitness.domain.conversation.events import Event
from earwitness.domain.recording.rules import (
    CloseTape,
    DestroyTape,
    OpenTape,
    RecordingRules,
    TapeCommand,
    WithholdTape,
)
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.media.engine.interface import MediaEngine

NewEvent = tuple[str, dict[str, Any]]
"""Type and data of an event that has no number yet."""

NO_ROOM = {"row": "spool", "why": "the disk for recordings is full"}


@dataclass(slots=True)
class _Tape:
    tape_id: str
    leg_id: str
    openings: int = 0
    open: bool = False
    opened_at: int = 0
    """UTC us, of the last opening."""
    closing: bool = False
    """Closed by us; the engine has not said yet that its files are complete."""


class Recorder:
    """The tapes of one conversation."""

    def __init__(
        self,
        engine: MediaEngine,
        folder: Path,
        trunks: Mapping[str, Trunk],
        new_id: Callable[[], str],
        spool_full: Callable[[], bool],
    ) -> None:
        """:param folder: the conversation's spool folder.
        :param trunks: by id, as they were when the conversation began.
        :param spool_full: asked before a tape is opened: whether its disk has no room for it.
        """
        self._engine = engine
        self._folder = folder
        self._settings = {trunk_id: trunk.recording for trunk_id, trunk in trunks.items()}
        self._rules = RecordingRules(self._settings)
        self._new_id = new_id
        self._spool_full = spool_full
        self._tapes: dict[tuple[str, str], _Tape] = {}
        self._doomed: set[str] = set()

    def heard_at(self, at: int | None) -> bool:
        """Whether what was said at that time (UTC us; None: now) is recorded: some tape was open then, and none was
        closed or withheld. A digit may be told late, and the tape be open again by then.
        """
        if not self._tapes or not all(tape.open for tape in self._tapes.values()):
            return False
        return at is None or at >= max(tape.opened_at for tape in self._tapes.values())

    @property
    def settled(self) -> bool:
        """No tape is open, and the files of every tape are complete."""
        return not any(tape.open or tape.closing for tape in self._tapes.values())

    def incomplete(self) -> list[tuple[str, int]]:
        """Tapes (id and opening) that the engine has been told to close and has not completed."""
        return [(tape.tape_id, tape.openings - 1) for tape in self._tapes.values() if tape.open or tape.closing]

    def observe(self, event: Event) -> list[NewEvent]:
        """Carries out what follows from an event; gives the events to write behind it."""
        return [made for command in self._rules.observe(event) for made in self._carry_out(command, event.at)]

    def tape_closed(self, tape_id: str, opening: int) -> None:
        """The engine says that the files of an opening are complete."""
        for tape in self._tapes.values():
            if tape.tape_id == tape_id and not tape.open and opening == tape.openings - 1:
                tape.closing = False
        if tape_id in self._doomed:
            self._destroy(tape_id)

    def _carry_out(self, command: TapeCommand, at: int) -> list[NewEvent]:
        key = (command.leg_id, command.kind)
        tape = self._tapes.get(key)
        if tape is None:
            tape = self._tapes[key] = _Tape(self._new_id(), command.leg_id)
        reasons = [reason.to_document() for reason in command.reasons]
        match command:
            case OpenTape() if self._spool_full():
                values = {"tape_id": tape.tape_id, "leg_id": tape.leg_id, "kind": command.kind, "reasons": [NO_ROOM]}
                return [("tape.withheld", values)]
            case OpenTape():
                return [self._open(tape, command.kind, reasons, at)]
            case CloseTape():
                if not tape.open:
                    return []
                tape.open, tape.closing = False, True
                self._engine.close_tape(tape.tape_id, at=at)
                return [
                    ("tape.closed", {"tape_id": tape.tape_id, "opening": tape.openings - 1, "reasons": reasons}),
                ]
            case WithholdTape():
                values = {"tape_id": tape.tape_id, "leg_id": tape.leg_id, "kind": command.kind, "reasons": reasons}
                return [("tape.withheld", values)]
            case DestroyTape():
                self._doomed.add(tape.tape_id)
                if not tape.closing:
                    self._destroy(tape.tape_id)
                return []

    def _open(self, tape: _Tape, kind: str, reasons: list[dict[str, str]], at: int) -> NewEvent:
        leg = self._rules.facts.legs.get(tape.leg_id)
        settings = self._settings.get((leg.trunk_id if leg is not None else None) or "", TrunkRecording())
        opening = tape.openings
        self._engine.open_tape(tape.tape_id, opening, tape.leg_id, self._folder, at=at)
        tape.openings += 1
        tape.open, tape.closing, tape.opened_at = True, False, at
        values = {
            "tape_id": tape.tape_id,
            "opening": opening,
            "leg_id": tape.leg_id,
            "kind": kind,
            "dual_channel": settings.dual_channel,
            "audio_format": settings.audio_format,
            "reasons": reasons,
        }
        return ("tape.opened", values)

    def _destroy(self, tape_id: str) -> None:
        for path in self._folder.glob(f"{tape_id}.*.rtpdump"):
            path.unlink(missing_ok=True)
