"""What the edge knows of its media processes: seats, and the legs, tapes and plays that live in them.

A seat says at any time what a process that takes it must be told (``Seat.everything``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from earwitness.media.engine import wire
from earwitness.media.engine.interface import Remote
from earwitness.media.engine.link import Link
from earwitness.media.rtp.ports import Pair

Message = tuple[list[Any], tuple[int, ...]]
"""A command and the file descriptors that go with it."""


@dataclass(slots=True)
class Tape:
    """An opening of a tape, until its process has confirmed that it is complete."""

    tape_id: str
    opening: int
    slot: int
    generation: int
    directory: str
    at: int
    until: int | None = None
    """When it was closed, us."""

    def message(self, leg_slot: int) -> list[Any]:
        """The command that opens it."""
        return ["tape", self.slot, self.generation, self.tape_id, self.opening, leg_slot, self.directory, self.at]


@dataclass(slots=True)
class Play:
    """What is being played to a leg."""

    play_id: str
    fd: int
    loop: bool
    at: int


@dataclass(slots=True)
class Leg:
    """A leg, until its process has confirmed that it is closed."""

    leg_id: str
    group: str
    seat: Seat
    slot: int
    generation: int
    pair: Pair
    remote: Remote | None = None
    peer: Leg | None = None
    tapes: dict[str, Tape] = field(default_factory=dict)
    """Open ones, by tape id."""
    play: Play | None = None
    closed_at: int | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def message(self) -> Message:
        """The command that opens it."""
        remote = wire.remote_to_wire(self.remote) if self.remote is not None else None
        command = ["leg", self.slot, self.leg_id, self.pair.host, self.pair.port, remote, self.generation]
        return command, (self.pair.rtp.fileno(), self.pair.rtcp.fileno())


@dataclass(slots=True)
class Seat:
    """The place of one media process."""

    number: int
    fd: int
    """Its arena."""
    free_legs: list[int]
    free_tapes: list[int]
    legs: dict[int, Leg] = field(default_factory=dict)
    """By slot."""
    tapes: dict[int, tuple[Leg, Tape]] = field(default_factory=dict)
    """By tape slot: all that are not confirmed complete."""
    link: Link | None = None
    pid: int = 0
    lost_at: float | None = None
    heard_at: float = 0
    """When its process last said something; as ``lost_at`` by CLOCK_MONOTONIC, seconds."""

    def everything(self) -> Iterator[Message]:
        """All that a process that takes this seat must be told, in order."""
        for leg in self.legs.values():
            yield leg.message()
        for leg in self.legs.values():
            if leg.peer is not None and leg.slot < leg.peer.slot:
                yield ["connect", leg.slot, leg.peer.slot], ()
        for leg, tape in self.tapes.values():
            yield tape.message(leg.slot), ()
            if tape.until is not None:
                yield ["untape", tape.slot, tape.until], ()
        for leg in self.legs.values():
            if leg.play is not None:
                play = leg.play
                yield ["play", leg.slot, play.play_id, play.loop, play.at], (play.fd,)
            if leg.closed_at is not None:
                yield ["close", leg.slot, leg.closed_at], ()
        yield ["take over"], ()
