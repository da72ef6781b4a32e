"""What is sent to each leg is one RTP stream, whatever it is made of: who is connected, a prompt, a mix, digits.

A leg's stream has a *source*, a number that says where the packets come from at present. When the next packet has
another source, the stream goes on: the same SSRC, the next sequence number, and a time stamp that has grown by the time
that passed (RFC 3550 §5.1). For relayed packets that is a shift of their own numbers; as long as a leg has had but one
source the shift is nothing and packets pass untouched. Only another clock rate begins another stream (RFC 7160).

All of it lies in the arena, so that a replacement of this process goes on where its predecessor was.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from earwitness.media.rtp.arena import PAYLOAD, Arena, Bool, Int64, UInt64
from earwitness.media.rtp.legs import Leg

HEAD = PAYLOAD // 8
SSRC = (PAYLOAD + 8) // 4
LOW16 = np.uint64(0xFFFF)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Numbers of a packet to be sent, as in its header."""

    sequence: int
    timestamp: int
    ssrc: int
    marker: bool


def relayed_from(slots: Int64, ssrc: UInt64) -> UInt64:
    """The source of packets that come from legs.

    :param ssrc: as it lies in memory, shape (n,)
    """
    return (slots + 1).astype(np.uint64) << np.uint64(32) | ssrc


def named(name: str) -> int:
    """The source that a play, a mix or a row of digits is."""
    return zlib.crc32(name.encode()) | 1 << 63


class Outgoing:
    """The streams of all legs."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._rows32 = arena.rows.view(np.uint32)
        self.source: UInt64 = arena.out_source
        """0: nothing has been sent, or the next packet is to continue the stream whatever its source."""
        self._ssrc: UInt64 = arena.out_ssrc
        """As it lies in memory; with bit 32 set, so that it is not 0."""
        self._head: UInt64 = arena.out_head
        """First eight bytes of the packet that was sent last."""
        self.at: Int64 = arena.out_at
        """When that was, us."""
        self._rate: Int64 = arena.out_rate
        self._seq_shift: Int64 = arena.seq_shift
        self._ts_shift: Int64 = arena.ts_shift

    def interrupt(self, slot: int) -> None:
        """Whatever is sent to a leg next continues its stream from here."""
        self.source[slot] = 0

    def withhold(self, slot: int, packets: int) -> None:
        """Packets of the present source will not be sent (or, negative, others between them): no gap for that."""
        self._seq_shift[slot] -= packets

    # --- relayed packets

    def relay(
        self, sources: UInt64, targets: Int64, heads: UInt64, arrival: Int64, rates: dict[int, Leg]
    ) -> tuple[UInt64, Bool]:
        """Numbers of packets that are relayed, in order of arrival for each target; equally long arrays.

        :param sources: as ``relayed_from``
        :param heads: first eight bytes of each packet, shape (n,)
        :param rates: legs by slot, to look up the clock rate of what they sent
        :returns: first eight bytes as they shall be sent; which packets differ from what came
        """
        fresh = sources != self.source[targets]
        if fresh.any():
            heads = heads.copy()
            changed = np.zeros(len(heads), np.bool_)
            slow = np.isin(targets, targets[fresh])
            for index in np.flatnonzero(slow).tolist():
                one = slice(index, index + 1)
                target = int(targets[index])
                marked = False
                if sources[index] != self.source[target]:
                    marked = self._switch(target, int(sources[index]), heads[index], int(arrival[index]), rates)
                heads[one], changed[one] = self._shift(targets[one], heads[one])
                if marked:
                    heads[index] |= np.uint64(0x8000)
                self._head[target], self.at[target] = heads[index], arrival[index]
            if not slow.all():
                rest = ~slow
                heads[rest], changed[rest] = self._shift(targets[rest], heads[rest])
        else:
            heads, changed = self._shift(targets, heads)
        self._head[targets] = heads
        self.at[targets] = arrival
        return heads, changed

    def _shift(self, targets: Int64, heads: UInt64) -> tuple[UInt64, Bool]:
        shifted: Bool = self._ssrc[targets] >> np.uint64(33) != 0
        shifted |= self._seq_shift[targets] != 0
        if shifted.any():
            slots = targets[shifted]
            old = heads[shifted]
            sequence = (_swap16(old >> np.uint64(16) & LOW16).astype(np.int64) + self._seq_shift[slots]) & 0xFFFF
            stamp = (_swap32(old >> np.uint64(32)).astype(np.int64) + self._ts_shift[slots]) & 0xFFFFFFFF
            heads = heads.copy()
            heads[shifted] = _head(old & LOW16, sequence, stamp)
        return heads, shifted

    def _switch(self, target: int, source: int, head: np.uint64, at: int, legs: dict[int, Leg]) -> bool:
        """A relayed stream takes over; whether a stream that was there goes on with it."""
        ssrc = source & 0xFFFFFFFF
        sender = legs.get((source >> 32) - 1)
        codec = sender.hears.get(int(head >> np.uint64(8)) & 0x7F) if sender is not None else None
        rate = codec[1] if codec is not None else int(self._rate[target]) or 8000
        began = not self._ssrc[target]
        if began or rate != self._rate[target]:
            if not began and int(self._ssrc[target]) & 0xFFFFFFFF == ssrc:
                ssrc = ssrc + 1 & 0xFFFFFFFF
                self._ssrc[target] = np.uint64(ssrc | 3 << 32)
            else:
                self._ssrc[target] = np.uint64(ssrc | 1 << 32)
            self._seq_shift[target] = self._ts_shift[target] = 0
        else:
            stamp = self.next(target, at)
            sequence, timestamp = _numbers(head)
            same = int(self._ssrc[target]) & 0xFFFFFFFF == ssrc
            self._seq_shift[target] = _signed(stamp.sequence - sequence, 16)
            self._ts_shift[target] = _signed(stamp.timestamp - timestamp, 32)
            moved = not same or self._seq_shift[target] or self._ts_shift[target]
            self._ssrc[target] = np.uint64(int(self._ssrc[target]) & 0xFFFFFFFF | (3 if moved else 1) << 32)
        self._rate[target] = rate
        self.source[target] = np.uint64(source)
        return not began

    def write(self, rows: Int64, targets: Int64, heads: UInt64) -> None:
        """Puts the numbers of a leg's stream into packets in arena rows."""
        self._arena.rows64[rows, HEAD] = heads
        self._rows32[rows, SSRC] = self._ssrc[targets] & np.uint64(0xFFFFFFFF)

    # --- packets of our own

    def next(self, slot: int, at: int) -> Stamp:
        """What the next packet of a stream carries when it begins something new at ``at`` (us)."""
        if not self._ssrc[slot]:
            raise LookupError("nothing has been sent")
        sequence, timestamp = _numbers(self._head[slot])
        rate = int(self._rate[slot])
        elapsed = min(max(at - int(self.at[slot]), 20_000), 3600_000_000)
        ssrc = int(self._ssrc[slot]) & 0xFFFFFFFF
        return Stamp((sequence + 1) & 0xFFFF, (timestamp + elapsed * rate // 1_000_000) & 0xFFFFFFFF, ssrc, True)

    def begin(self, leg: Leg, source: int, rate: int, at: int, first: int) -> None:
        """A stream goes on with frames of our own, if it does not already.

        :param first: time stamp, by the source's own count, of the frame that comes next
        """
        slot = leg.slot
        if self.source[slot] == source:
            return
        seed = zlib.crc32(leg.leg_id.encode())
        if not self._ssrc[slot]:
            self._head[slot] = _one_head((seed >> 8) & 0x7FFF, seed * 31 & 0xFFFFFFFF)
            self._ssrc[slot] = np.uint64(seed | 3 << 32)
            self._rate[slot], self.at[slot] = rate, at
        elif rate != self._rate[slot]:
            self._ssrc[slot] = np.uint64((int(self._ssrc[slot]) + 1) & 0xFFFFFFFF | 3 << 32)
            self._rate[slot], self.at[slot] = rate, at
        stamp = self.next(slot, at)
        self._ts_shift[slot] = _signed(stamp.timestamp - first, 32)
        self._seq_shift[slot] = 1 << 20  # the mark of a beginning: see ``frames``
        self.source[slot] = np.uint64(source)

    def frames(self, rows: Int64, slots: Int64, payload_types: Int64, stamps: Int64, at: Int64) -> None:
        """Writes headers of one frame to each of some legs into arena rows; ``begin`` was called for each.

        :param stamps: time stamps by the source's own count
        """
        begins = self._seq_shift[slots] == 1 << 20
        self._seq_shift[slots] = 0
        sequence = (_swap16(self._head[slots] >> np.uint64(16) & LOW16).astype(np.int64) + 1) & 0xFFFF
        stamp = (stamps + self._ts_shift[slots]) & 0xFFFFFFFF
        first = (0x80 | (payload_types | np.where(begins, 0x80, 0)) << 8).astype(np.uint64)
        heads = _head(first, sequence, stamp)
        self._head[slots] = heads
        self.at[slots] = at
        self.write(rows, slots, heads)

    def insert(self, rows: Int64, slot: int, payload_type: int, marker: bool, timestamp: int) -> None:
        """Writes the header of a packet of ours that comes between those of the present source (a digit's, whose
        ``timestamp`` is that of its beginning).
        """
        sequence, _ = _numbers(self._head[slot])
        head = _one_head((sequence + 1) & 0xFFFF, timestamp, 0x80 | (payload_type | (0x80 if marker else 0)) << 8)
        kept = self._head[slot]
        self.write(rows, np.array([slot]), np.array([head], np.uint64))
        # The stream's time goes on from where its audio is.
        self._head[slot] = kept & ~np.uint64(0xFFFF0000) | np.uint64(head) & np.uint64(0xFFFF0000)
        if self._seq_shift[slot] != 1 << 20:
            self._seq_shift[slot] += 1

    def started(self, slot: int) -> bool:
        """Whether anything has been sent to a leg."""
        return bool(self._ssrc[slot])

    def shifted(self, slot: int) -> bool:
        """Whether the stream to a leg differs in its numbers from the one that is relayed to it."""
        return self.started(slot) and (int(self._ssrc[slot]) >> 32 != 1 or bool(self._seq_shift[slot]))


def _head(first: UInt64, sequence: Int64, stamp: Int64) -> UInt64:
    middle = _swap16(sequence.astype(np.uint64)) << np.uint64(16)
    head: UInt64 = first | middle | _swap32(stamp.astype(np.uint64)) << np.uint64(32)
    return head


def _one_head(sequence: int, stamp: int, first: int = 0x80) -> np.uint64:
    raw = first.to_bytes(2, "little") + sequence.to_bytes(2, "big") + stamp.to_bytes(4, "big")
    return np.uint64(int.from_bytes(raw, "little"))


def _numbers(head: np.uint64) -> tuple[int, int]:
    """Sequence number and time stamp."""
    raw = int(head).to_bytes(8, "little")
    return int.from_bytes(raw[2:4], "big"), int.from_bytes(raw[4:8], "big")


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def _swap16(values: UInt64) -> UInt64:
    swapped: UInt64 = (values & np.uint64(0xFF)) << np.uint64(8) | values >> np.uint64(8) & np.uint64(0xFF)
    return swapped


def _swap32(values: UInt64) -> UInt64:
    return values.astype(np.uint32).byteswap().astype(np.uint64)
