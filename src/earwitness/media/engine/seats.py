"""What the edge knows of its media processes: seats, and the legs, tapes and plays that live in them.

A seat says at any time what a process that takes it must be told (``Seat.everything``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from earwitness.media.engine import wire
from earwitness.media.engine.interface import Beep, Remote
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

    def message(self, slot: int) -> Message:
        """The command that begins it."""
        return ["play", slot, self.play_id, self.loop, self.at], (self.fd,)


@dataclass(slots=True)
class Mix:
    """Legs that hear each other."""

    mix_id: str
    members: list[Leg]

    def message(self) -> list[Any]:
        """The command that makes it what it is."""
        return ["mix", self.mix_id, [leg.slot for leg in self.members]]


@dataclass(slots=True)
class Dialling:
    """Digits that are being sent to a leg."""

    number: int
    digits: str
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
    mix: Mix | None = None
    muted: bool = False
    beep: tuple[Beep, int] | None = None
    """With when it began, us."""
    tones: bool = False
    codes: tuple[str, ...] = ()
    dialling: list[Dialling] = field(default_factory=list)
    """Not yet confirmed sent."""
    waiting: bool = False
    """Its former process still has the sockets; the present one is not to read them."""
    state: list[Any] | None = None
    """What its former process knew of it, until the present one has been told."""
    heir: Leg | None = None
    """The leg that this one has become in another seat."""
    released_at: int | None = None
    """When it moved there, us."""
    closed_at: int | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def message(self) -> Message:
        """The command that opens it."""
        remote = wire.remote_to_wire(self.remote) if self.remote is not None else None
        command = ["leg", self.slot, self.leg_id, self.pair.host, self.pair.port, remote, self.generation, self.waiting]
        return command, (self.pair.rtp.fileno(), self.pair.rtcp.fileno())

    def settings(self) -> Iterator[list[Any]]:
        """The commands that make it what it is, beside its connections, tapes and plays."""
        if self.muted:
            yield ["mute", self.slot, True]
        if self.beep is not None:
            yield ["beep", self.slot, wire.beep_to_wire(self.beep[0]), self.beep[1]]
        if self.tones:
            yield ["tones", self.slot, True]
        if self.codes:
            yield ["codes", self.slot, list(self.codes)]
        for each in self.dialling:
            yield ["digits", self.slot, each.number, each.digits, each.at]


@dataclass(slots=True)
class Seat:
    """The place of one media process."""

    number: int
    fd: int
    """Its arena."""
    free_legs: list[int]
    free_tapes: list[int]
    legs: dict[int, Leg] = field(default_factory=dict)
    """By slot; those that have moved away too, until their process has released them."""
    tapes: dict[int, tuple[Leg, Tape]] = field(default_factory=dict)
    """By tape slot: all that are not confirmed complete."""
    mixes: dict[str, Mix] = field(default_factory=dict)
    link: Link | None = None
    pid: int = 0
    lost_at: float | None = None
    heard_at: float = 0
    """When its process last said something; as ``lost_at`` by CLOCK_MONOTONIC, seconds."""

    def everything(self) -> Iterator[Message]:
        """All that a process that takes this seat must be told, in order."""
        for leg in self.legs.values():
            yield leg.message()
            if leg.state is not None and not leg.waiting:
                yield ["attach", leg.slot, leg.state], ()
        for leg in self.legs.values():
            if leg.peer is not None and leg.slot < leg.peer.slot:
                yield ["connect", leg.slot, leg.peer.slot], ()
        for mix in self.mixes.values():
            yield mix.message(), ()
        for leg in self.legs.values():
            for message in leg.settings():
                yield message, ()
        for leg, tape in self.tapes.values():
            yield tape.message(leg.slot), ()
            if tape.until is not None:
                yield ["untape", tape.slot, tape.until], ()
        for leg in self.legs.values():
            if leg.play is not None:
                yield leg.play.message(leg.slot)
            if leg.closed_at is not None:
                yield ["close", leg.slot, leg.closed_at], ()
            if leg.released_at is not None:
                yield ["release", leg.slot, leg.released_at], ()
        yield ["take over"], ()
