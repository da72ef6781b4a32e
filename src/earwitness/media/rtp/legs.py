"""What a media process knows of its legs: arrays indexed by leg slot, so that a batch of packets is looked up at once.

Every array has one entry more than there are legs; the last one, which index -1 reaches, stands for "no leg".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import numpy as np

from earwitness.media.rtp.arena import Arena, Bool, Int32, Int64, UInt8, UInt32, UInt64
from earwitness.media.rtp.changes import Changes
from earwitness.media.rtp.codes import Codes
from earwitness.media.rtp.dtmf import Digits, Passing
from earwitness.media.rtp.packets import parse_sockaddr, sockaddr

Address = tuple[str, int]
Format = tuple[str, int, int]
"""Codec name in small letters, RTP clock rate, channels."""
Listener = Callable[[int, bytes, int], None]
"""Gets packets as (payload type, packet, arrival in us)."""
DROP_PT = 255
MALFORMED, STRANGER, NOT_RECEIVING = range(3)
DROP_REASONS = ("malformed", "stranger", "not receiving")
MOST_TAPS = 32
"""Openings that one leg can have at a time: those that are open, and those that have ended and wait for a tick."""


def numeric(address: Address | None) -> Address | None:
    """An address as the kernel writes it; None when nothing can be sent there (hold, a name, no port)."""
    if address is None or not 0 < address[1] <= 65535:
        return None
    try:
        host = ip_address(address[0])
    except ValueError:
        return None
    return None if host.is_unspecified else (str(host), address[1])


@dataclass(slots=True)
class Leg:
    """The part of a leg that is not looked at for each packet."""

    slot: int
    leg_id: str
    host: str
    port: int
    fds: tuple[int, int]
    attached: bool = False
    waiting: bool = False
    """Another process still reads its sockets."""
    leaving: bool = False
    """Another process is going to."""
    remote: Address | None = None
    remote_rtcp: Address | None = None
    mux: bool = False
    """RTCP goes and comes on the RTP port."""
    sources: tuple[str, ...] = ()
    codecs: dict[int, Format] = field(default_factory=dict)
    """Payload types that it is sent."""
    expected: dict[int, Format] = field(default_factory=dict)
    """Payload types that it was told to send, where they are others."""
    event_pt: int | None = None
    """Payload type of telephone events that it is sent."""
    latched: Address | None = None
    latched_rtcp: Address | None = None
    sending: bool = True
    playing: bool = False
    dialling: bool = False
    codes: Codes | None = None
    """Feature codes that are watched for."""
    passing: Passing = field(default_factory=Passing)
    """Digits that were kept and are passed on late."""
    listeners: dict[str, Listener] = field(default_factory=dict)
    """Who gets a copy of what the party says."""
    relatch_until: int = 0
    """Until when (us) another plausible source may take over although the present one is not silent."""
    peer: Leg | None = None
    digits: Digits = field(default_factory=Digits)
    changes: Changes = field(default_factory=Changes)
    closing_at: int | None = None

    @property
    def hears(self) -> dict[int, Format]:
        """Payload types that its packets may have: ours, and the peer's own where we gave none (RFC 3264 §6.1)."""
        return {**self.codecs, **self.expected} if self.expected else self.codecs

    def audio(self) -> list[Format]:
        """What it can be sent, in order, without telephone events and comfort noise."""
        return [codec for codec in self.codecs.values() if codec[0] not in ("telephone-event", "cn")]

    def expects(self, host: str) -> bool:
        """Whether what comes from a host may plausibly be the peer's."""
        return (self.remote is not None and host == self.remote[0]) or host in self.sources


class Legs:
    """The look-up arrays. Those that a replacement of this process needs lie in the arena."""

    def __init__(self, arena: Arena) -> None:
        size = arena.layout.legs + 1
        self._generation: Int64 = arena.leg_generation
        self._all_words: Int64 = arena.leg_words
        self._words: Int64 = arena.leg_words[9:].T
        self.by_slot: dict[int, Leg] = {}
        self.by_id: dict[str, Leg] = {}
        self.source: UInt64 = arena.source
        """Key of the latched source (``packets.source_keys``); 0: none."""
        self.receiving: Bool = np.zeros(size, np.bool_)
        self.can_send: Bool = np.zeros(size, np.bool_)
        """Direction allows it, the destination is known and nothing is played."""
        self.can_play: Bool = np.zeros(size, np.bool_)
        """Direction allows it, the destination is known and no digits are being sent."""
        self.peer: Int64 = np.full(size, -1, np.int64)
        self.pt_map: UInt8 = np.tile(np.arange(128, dtype=np.uint8), (size, 1))
        """[from leg, payload type] -> payload type on the connected leg, or DROP_PT."""
        self.rewrites: Bool = np.zeros(size, np.bool_)
        """Whether the leg's row of ``pt_map`` changes anything."""
        self.events: Bool = np.zeros((size, 128), np.bool_)
        """[leg, payload type] -> whether its packets of that type are telephone events."""
        self.coded: Bool = np.zeros(size, np.bool_)
        """Whether feature codes are watched for."""
        self.muted: Bool = np.zeros(size, np.bool_)
        self.heard: Bool = np.zeros(size, np.bool_)
        """Whether the leg has listeners."""
        self.last_ssrc: UInt32 = arena.last_ssrc
        self.last_pt: Int32 = arena.last_pt
        self.last_at: Int64 = arena.last_at
        """Arrival (us) of the last valid packet, or when the leg began to listen."""
        self.started: Bool = arena.started.view(np.bool_)
        self.silent: Bool = arena.silent.view(np.bool_)
        self.attached: Bool = np.zeros(size, np.bool_)
        self.negotiated: Bool = np.zeros(size, np.bool_)
        self.names: UInt8 = arena.names
        """sockaddr that socket ``2 * leg`` (RTP) or ``2 * leg + 1`` (RTCP) sends to."""
        self.name_lengths: Int64 = arena.name_lengths
        self.dropped: Int64 = np.zeros((size, len(DROP_REASONS)), np.int64)
        self.overflows: UInt32 = arena.overflows
        """SO_RXQ_OVFL counter of each socket as last seen."""
        self._taps: Int64 = np.full((2, size), -1, np.int64)
        self.taps: Int64 = self._taps[:0]
        """[tap, leg] -> tape slot or -1; as many taps as the leg with the most has."""

    def add(self, leg: Leg, generation: int) -> bool:
        """A new leg, or (True) one that a predecessor of this process had: the slot is marked as this leg's."""
        slot = leg.slot
        self.by_slot[slot] = leg
        self.by_id[leg.leg_id] = leg
        if self._generation[slot] != generation:
            self._generation[slot] = 0
            self._blank(slot)
            self._generation[slot] = generation
            return False
        if self.source[slot]:
            leg.latched = parse_sockaddr(self.names[2 * slot])
        return True

    def remove(self, leg: Leg) -> None:
        """Forget a leg."""
        self.connect(leg, None)
        self._blank(leg.slot)
        del self.by_slot[leg.slot]
        del self.by_id[leg.leg_id]

    def state(self, leg: Leg) -> list[Any]:
        """What the next process must know of a leg that moves there, as JSON."""
        return [leg.latched, leg.latched_rtcp, self._all_words[:, leg.slot].tolist()]

    def adopt(self, leg: Leg, state: list[Any]) -> None:
        """Goes on with a leg where another process was."""
        latched, latched_rtcp, words = state
        generation = int(self._generation[leg.slot])
        self._all_words[:, leg.slot] = words
        self._generation[leg.slot] = generation
        leg.latched = tuple(latched) if latched else None
        leg.latched_rtcp = tuple(latched_rtcp) if latched_rtcp else None

    def _blank(self, slot: int) -> None:
        for array, value in (
            (self.source, 0),
            (self.receiving, False),
            (self.can_send, False),
            (self.can_play, False),
            (self.peer, -1),
            (self.rewrites, False),
            (self.events, False),
            (self.coded, False),
            (self.muted, False),
            (self.heard, False),
            (self._words, 0),
            (self.last_ssrc, 0),
            (self.last_pt, -1),
            (self.last_at, 0),
            (self.started, False),
            (self.silent, False),
            (self.attached, False),
            (self.negotiated, False),
        ):
            array[slot] = value
        self.pt_map[slot] = np.arange(128, dtype=np.uint8)
        self.names[2 * slot : 2 * slot + 2] = 0
        self.name_lengths[2 * slot : 2 * slot + 2] = 0
        self.overflows[2 * slot : 2 * slot + 2] = 0
        self.dropped[slot] = 0
        self._taps[:, slot] = -1

    def connect(self, leg: Leg, other: Leg | None) -> None:
        """Relay between two legs, or (None) not at all; what either was connected to is left alone."""
        for each in (leg, other):
            if each is not None and each.peer is not None:
                former = each.peer
                former.peer, self.peer[former.slot] = None, -1
                each.peer, self.peer[each.slot] = None, -1
        if other is not None and other is not leg:
            leg.peer, other.peer = other, leg
            self.couple(leg, other)

    def couple(self, leg: Leg, other: Leg) -> None:
        """What connected legs say is relayed as it is."""
        self.peer[leg.slot], self.peer[other.slot] = other.slot, leg.slot
        self.map_payload_types(leg, other)
        self.map_payload_types(other, leg)

    def uncouple(self, leg: Leg) -> None:
        """What a leg says is not relayed although it is connected (but mixed)."""
        self.peer[leg.slot] = -1

    def listen(self, leg: Leg, name: str, listener: Listener | None) -> None:
        """Somebody gets a copy of each packet of a leg, or (None) does no longer."""
        if listener is not None:
            leg.listeners[name] = listener
        else:
            leg.listeners.pop(name, None)
        self.heard[leg.slot] = bool(leg.listeners)

    def map_payload_types(self, source: Leg, target: Leg) -> None:
        """Numbers that ``source`` uses -> numbers that ``target`` uses for the same format.

        A format that the target has not negotiated passes unchanged, unless its number means something else there.
        """
        row = np.arange(128, dtype=np.uint8)
        numbers = {codec: pt for pt, codec in reversed(target.codecs.items())}
        for pt, codec in source.hears.items():
            if target.codecs.get(pt) == codec:
                continue
            row[pt] = numbers.get(codec, DROP_PT if pt in target.codecs else pt)
        self.pt_map[source.slot] = row
        self.rewrites[source.slot] = bool((row != np.arange(128)).any())

    def tap(self, slot: int, tape: int) -> bool:
        """A leg's packets go onto a tape as well; False when it has too many."""
        free = np.flatnonzero(self._taps[:, slot] < 0)
        if not len(free):
            if len(self._taps) >= MOST_TAPS:
                return False
            free = np.array([len(self._taps)])
            self._taps = np.concatenate([self._taps, np.full_like(self._taps, -1)])
        self._taps[free[0], slot] = tape
        self._count_taps()
        return True

    def untap(self, slot: int, tape: int) -> None:
        """No longer."""
        taps = self._taps[:, slot]
        taps[taps == tape] = -1
        self._count_taps()

    def _count_taps(self) -> None:
        used = np.flatnonzero((self._taps >= 0).any(axis=1))
        self.taps = self._taps[: used[-1] + 1 if len(used) else 0]

    def set_destination(self, leg: Leg, address: Address | None, *, rtcp: bool = False) -> None:
        """Where a leg's packets go; None: nowhere."""
        index = 2 * leg.slot + rtcp
        raw = sockaddr(*address) if address is not None and address[1] else b""
        self.names[index] = 0
        self.names[index, : len(raw)] = np.frombuffer(raw, np.uint8)
        self.name_lengths[index] = len(raw)
