"""Drives the tapes of one conversation: every event goes past the recording rules, and what they say is carried out.

``Recorder.note`` takes an event that is about to be written, ``settle`` comes before a batch of them is written; both
give the events that follow (tape opened, closed, withheld, destroyed), to be written in the same batch. The media
engine has its command by then. Nothing else in the edge opens or closes a tape. While a trunk's or station's tape is
open its party hears the beep.
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
from earwitness.media.engine.interface import Beep, MediaEngine

NewEvent = tuple[str, dict[str, Any]]
"""Type and data of an event that has no number yet."""

NO_ROOM = {"row": "spool", "why": "the disk for recordings is full"}


@dataclass(slots=True)
class _Tape:
    tape_id: str
    leg_id: str
    kind: str
    openings: int = 0
    withheld: bool = False
    """It was closed while its leg was up: what was said then must not come on it late."""
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
        *,
        stop_when_only_external: bool = True,
        stations: Mapping[str, TrunkRecording] | None = None,
        register_tape: Callable[[str], None] = lambda tape_id: None,
        lag_us: Callable[[str], int] = lambda leg_id: 0,
    ) -> None:
        """:param folder: the conversation's spool folder.
        :param trunks: by id, as they were when the conversation began.
        :param spool_full: asked before a tape is opened: whether its disk has no room for it.
        :param stop_when_only_external: the organisation's setting for conferences (D3).
        :param stations: by id, of the stations that record (A7), as they were when the conversation began.
        :param register_tape: told the id of each tape that is opened for the first time.
        :param lag_us: how much later a leg is sent what was said to it. A tape that was closed or withheld begins so
            much later: what was said meanwhile is not on it.
        """
        self._engine = engine
        self._folder = folder
        self._settings = {trunk_id: trunk.recording for trunk_id, trunk in trunks.items()}
        self._stations = stations or {}
        self._rules = RecordingRules(self._settings, stop_when_only_external, self._stations)
        self._register_tape = register_tape
        self._lag_us = lag_us
        self._new_id = new_id
        self._spool_full = spool_full
        self._tapes: dict[tuple[str, str, int], _Tape] = {}
        """By leg, kind and take."""
        self._wanting: dict[tuple[str, str, int], list[dict[str, str]]] = {}
        """Tapes that would be open if their disk had room, and why."""
        self._beeping: set[str] = set()
        self._doomed: set[str] = set()

    def heard_at(self, at: int | None) -> bool:
        """Whether what was said at that time (UTC us; None: now) is recorded: some tape was open then, and none was
        closed or withheld, but for those of legs that are gone. A digit may be told late, and the tape be open again
        by then.
        """
        tapes = [tape for tape in self._tapes.values() if tape.leg_id in self._rules.facts.legs]
        if not tapes or not all(tape.open for tape in tapes):
            return False
        return at is None or at >= max(tape.opened_at for tape in tapes)

    @property
    def settled(self) -> bool:
        """No tape is open, and the files of every tape are complete."""
        return not any(tape.open or tape.closing for tape in self._tapes.values())

    def incomplete(self) -> list[tuple[str, int]]:
        """Tapes (id and opening) that the engine has been told to close and has not completed."""
        return [(tape.tape_id, tape.openings - 1) for tape in self._tapes.values() if tape.open or tape.closing]

    def learn(self, trunk: Trunk) -> None:
        """A leg of this trunk comes to the call; one that the conversation did not begin with counts as it is now."""
        self._settings.setdefault(trunk.id, trunk.recording)

    def tape_ids(self) -> list[str]:
        """Of every tape that was ever spoken of."""
        return [tape.tape_id for tape in self._tapes.values()]

    def refuses_user_recording(self) -> list[dict[str, str]]:
        """Why a user recording may not start on this call; empty when it may."""
        reason = self._rules.refuses_user_recording()
        return [] if reason is None else [reason.to_document()]

    @property
    def consent_refused(self) -> bool:
        """Whether the caller does not agree to be recorded."""
        return self._rules.facts.consent == "refused"

    def consent_of(self, leg_id: str) -> str:
        """What the party of a leg has said so far: ``unset``, ``granted`` or ``refused``."""
        facts = self._rules.facts
        leg = facts.legs.get(leg_id)
        if facts.consent == "refused" or leg is None:
            return facts.consent
        return leg.consent or facts.consent

    def records(self, leg_id: str) -> bool:
        """Whether the user of this leg has asked for a recording."""
        return leg_id in self._rules.facts.recording_legs

    def note(self, event: Event) -> list[NewEvent]:
        """Carries out what follows from an event alone; gives the events to write behind it."""
        return [made for command in self._rules.note(event) for made in self._carry_out(command, event.at)]

    def settle(self, at: int) -> list[NewEvent]:
        """Carries out what follows from all events noted since the last time; gives the events to write behind them."""
        return [made for command in self._rules.settle() for made in self._carry_out(command, at)]

    def room(self, at: int) -> list[NewEvent]:
        """The disk has room again: opens the tapes that only wanted for it; gives the events to write."""
        wanting, self._wanting = self._wanting, {}
        return [self._open(self._tapes[key], reasons, at) for key, reasons in wanting.items()]

    def tape_closed(self, tape_id: str, opening: int) -> None:
        """The engine says that the files of an opening are complete."""
        for tape in self._tapes.values():
            if tape.tape_id == tape_id and not tape.open and opening == tape.openings - 1:
                tape.closing = False
        if tape_id in self._doomed:
            self._destroy(tape_id)

    def _carry_out(self, command: TapeCommand, at: int) -> list[NewEvent]:
        key = (command.leg_id, command.kind, command.take)
        tape = self._tapes.get(key)
        if tape is None:
            tape = self._tapes[key] = _Tape(self._new_id(), command.leg_id, command.kind)
            self._register_tape(tape.tape_id)
        reasons = [reason.to_document() for reason in command.reasons]
        about = {"tape_id": tape.tape_id, "leg_id": tape.leg_id, "kind": tape.kind}
        match command:
            case OpenTape() if self._spool_full():
                self._wanting[key] = reasons
                return [("tape.withheld", {**about, "reasons": [NO_ROOM]})]
            case OpenTape():
                return [self._open(tape, reasons, at)]
            case CloseTape() if self._wanting.pop(key, None) is not None:
                tape.withheld = True
                return [("tape.withheld", {**about, "reasons": reasons})]
            case CloseTape():
                if not tape.open:
                    return []
                self._close(tape, at)
                return [("tape.closed", {"tape_id": tape.tape_id, "opening": tape.openings - 1, "reasons": reasons})]
            case WithholdTape():
                tape.withheld = True
                return [("tape.withheld", {**about, "reasons": reasons})]
            case DestroyTape():
                self._wanting.pop(key, None)
                self._doomed.add(tape.tape_id)
                if tape.open:
                    self._close(tape, at)
                if not tape.closing:
                    self._destroy(tape.tape_id)
                return [("tape.destroyed", {**about, "reasons": reasons})]

    def _settings_of(self, leg_id: str) -> TrunkRecording:
        leg = self._rules.facts.legs.get(leg_id)
        if leg is None:
            return TrunkRecording()
        found = self._settings.get(leg.trunk_id or "") or self._stations.get(leg.station_id or "")
        return found or TrunkRecording()

    def _open(self, tape: _Tape, reasons: list[dict[str, str]], at: int) -> NewEvent:
        settings = self._settings_of(tape.leg_id) if tape.kind != "user" else TrunkRecording()  # E3
        opening = tape.openings
        start = at + self._lag_us(tape.leg_id) if opening or tape.withheld else at
        self._engine.open_tape(tape.tape_id, opening, tape.leg_id, self._folder, at=start)
        tape.openings += 1
        tape.open, tape.closing, tape.opened_at = True, False, at
        self._beep(tape.leg_id)
        values = {
            "tape_id": tape.tape_id,
            "opening": opening,
            "leg_id": tape.leg_id,
            "kind": tape.kind,
            "dual_channel": settings.dual_channel,
            "audio_format": settings.audio_format,
            "reasons": reasons,
        }
        if settings.level_control:
            values["level_control"] = True
        return ("tape.opened", values)

    def _close(self, tape: _Tape, at: int) -> None:
        tape.open, tape.closing = False, True
        self._engine.close_tape(tape.tape_id, at=at)
        self._beep(tape.leg_id)

    def _beep(self, leg_id: str) -> None:
        """The party of a leg hears the beep exactly while its trunk, station or consult tape is open."""
        beep = self._settings_of(leg_id).beep
        recorded = any(t.open and t.leg_id == leg_id and t.kind != "user" for t in self._tapes.values())
        if recorded and beep.enabled and leg_id not in self._beeping:
            self._beeping.add(leg_id)
            tone = Beep(
                beep.amplitude_db,
                beep.duration_ms,
                beep.frequency_hz,
                beep.interval_ms,
                beep.tone2_amplitude_db,
                beep.tone2_frequency_hz,
            )
            self._engine.beep(leg_id, tone)
        elif not recorded and leg_id in self._beeping:
            self._beeping.discard(leg_id)
            self._engine.beep(leg_id, None)

    def _destroy(self, tape_id: str) -> None:
        for path in self._folder.glob(f"{tape_id}.*.rtpdump"):
            path.unlink(missing_ok=True)
