"""Reading files of the spool while they grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from earwitness.archive.render.packets import Packets, join, of_tape, read_headers
from earwitness.domain.conversation.events import Event, parse
from earwitness.media.tape import reader
from earwitness.media.tape.format import TapeError

LONGEST_HEAD = 512
"""Bytes within which the head of a tape file ends."""


class GrowingTape:
    """A tape file. ``read`` looks for new packets, ``take`` hands them out once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.payload_types: set[int] = set()
        """Of every RTP packet read."""
        self.last_us: int | None = None
        """Arrival of the last RTP packet read, UTC microseconds."""
        self.damaged = False
        """Not a tape file; nothing more is read."""
        self._head = b""
        self._position = 0
        self._waiting = Packets.empty()

    @property
    def vanished(self) -> bool:
        """Whether there was a file and there is none any more: what was captured has been destroyed."""
        return self._position > 0 and not self.path.exists()

    def read(self) -> None:
        """Reads whole records that are new; a file that is not there yet has none.

        :raises OSError: it cannot be read.
        """
        if self.damaged:
            return
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                fresh = file.read()
        except FileNotFoundError:
            return
        if not fresh:
            return
        try:
            tape = reader.parse(np.frombuffer(self._head + fresh, np.uint8))
        except TapeError:
            self.damaged = bool(self._head) or len(fresh) > LONGEST_HEAD
            return
        self._position += tape.good_bytes - len(self._head)
        self._head = self._head or fresh[: tape.header.size]
        packets = of_tape(tape)
        media, _ = packets.divided()
        if len(media):
            self.last_us = int(media.arrival_us[-1])
            self.payload_types.update(np.unique(read_headers(media).payload_type).tolist())
        self._waiting = join(self._waiting, packets)

    def take(self) -> Packets:
        """Packets that were read and not taken yet, in the order of the file."""
        packets, self._waiting = self._waiting, Packets.empty()
        return packets


class GrowingLog:
    """An event log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        """Every event read so far."""
        self._position = 0

    def read(self) -> bool:
        """Reads whole lines that are new; whether there were any.

        :raises EventError: a broken line. :raises OSError: it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                fresh = file.read()
        except FileNotFoundError:
            return False
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._position += len(whole)
        events = [parse(line) for line in whole.splitlines() if line.strip()]
        self.events += events
        return bool(events)
