"""Closing what a dead edge left open in the spool (design §7).

A folder without ``conversation.ended`` belongs to an edge that died. Its open tapes, segments, legs and participants
are ended with cause ``crash`` at the time of the last thing known: the last event or the last packet on a tape,
whichever is later. After that the conversation goes down the ordinary road.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from earwitness.domain.conversation.events import Event, EventError, parse_lines
from earwitness.media.tape import reader
from earwitness.media.tape.format import TapeError
from earwitness.media.tape.spool import EVENTS, conversations, tape_files

log = structlog.get_logger()

CAUSE = "crash"
REASON = {"row": "leg", "why": "the process that ran the call died"}


@dataclass(slots=True)
class _Open:
    """What has begun and not ended."""

    tapes: dict[str, int] = field(default_factory=dict)
    segments: dict[str, None] = field(default_factory=dict)
    legs: dict[str, None] = field(default_factory=dict)
    participants: dict[str, None] = field(default_factory=dict)
    ended: bool = False

    def apply(self, event: Event) -> None:
        """One event."""
        data = event.data
        match event.type:
            case "tape.opened":
                self.tapes[data["tape_id"]] = data["opening"]
            case "tape.closed":
                self.tapes.pop(data["tape_id"], None)
            case "segment.started":
                self.segments[data["segment_id"]] = None
            case "segment.ended":
                self.segments.pop(data["segment_id"], None)
            case "leg.offered":
                self.legs[data["leg_id"]] = None
            case "leg.ended":
                self.legs.pop(data["leg_id"], None)
            case "participant.joined":
                self.participants[data["participant_id"]] = None
            case "participant.left":
                self.participants.pop(data["participant_id"], None)
            case "conversation.ended":
                self.ended = True

    def closing(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of the events that end all of it."""
        return [
            *(
                ("tape.closed", {"tape_id": tape, "opening": opening, "reasons": [REASON]})
                for tape, opening in self.tapes.items()
            ),
            *(("segment.ended", {"segment_id": segment, "cause": CAUSE}) for segment in self.segments),
            *(("leg.ended", {"leg_id": leg, "cause": CAUSE}) for leg in self.legs),
            *(("participant.left", {"participant_id": each, "cause": CAUSE}) for each in self.participants),
            ("conversation.ended", {"cause": CAUSE}),
        ]


def recover_spool(spool: Path) -> list[str]:
    """Closes every conversation that is open; to be called by an edge before its first call.

    Safe to repeat, also after being killed half way. A folder that cannot be read is logged and left alone.

    :returns: the ids of the conversations that were closed
    """
    closed = []
    for folder in conversations(spool):
        try:
            if recover(folder):
                closed.append(folder.name)
        except (OSError, EventError) as error:
            log.error("a conversation in the spool cannot be recovered", folder=str(folder), error=str(error))
    if closed:
        log.warning("closed conversations that a dead edge had left open", count=len(closed))
    return closed


def recover(folder: Path) -> bool:
    """Closes one conversation; False when it is closed already.

    :raises OSError: a file cannot be read or written. :raises EventError: the events are damaged other than at the end.
    """
    path = folder / EVENTS
    data = path.read_bytes()
    events = list(parse_lines(data[: data.rfind(b"\n") + 1].splitlines()))
    state = _Open()
    for event in events:
        state.apply(event)
    if state.ended or not events:
        return False
    at = max(events[-1].at, last_packet_us(folder) or 0)
    lines = []
    for seq, (kind, fields) in enumerate(state.closing(), events[-1].seq + 1):
        lines.append(Event(seq, at, kind, fields).to_json().encode() + b"\n")
    # What follows the last whole event (a line that was cut short) goes.
    good = sum(len(line) for line in _event_lines(data, len(events)))
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, good)
        os.pwrite(fd, b"".join(lines), good)
        os.fsync(fd)
    finally:
        os.close(fd)
    return True


def _event_lines(data: bytes, events: int) -> Iterator[bytes]:
    """The lines, with their line feeds, up to the one that holds the last of so many events."""
    for line in data.splitlines(keepends=True):
        if not events:
            return
        events -= bool(line.strip())
        yield line


def last_packet_us(folder: Path) -> int | None:
    """When the last packet on any tape of a conversation arrived, UTC us; None without packets."""
    latest: int | None = None
    for file in tape_files(folder):
        try:
            tape = reader.read(file.path)
        except TapeError:
            continue
        if len(tape):
            last = int(tape.arrival_us.max())
            latest = last if latest is None else max(latest, last)
    return latest
