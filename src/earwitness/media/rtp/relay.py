"""The tick: everything that has arrived since the last one is checked, relayed and taped, a batch at a time.

Order within a tick, and why:

1. read the sockets, each once;
2. then carry out the edge's commands: a command that was given before a packet arrived is always carried out before
  that packet is looked at, and tapes compare arrival times with their own limits, so packets that were read earlier
  than the command came fall on the right side as well;
3. then process what was read;
4. release the rows only when their packets are sent and taped;
5. again, with the sockets that had more than fits their rows, at most ``ROUNDS`` times and for ``BUDGET_S``: who floods
  one port takes that much of everybody's time, and no more. The rest waits in the kernel for the next tick.

Packets that are in order (well-formed RTP from the latched source of a leg that may send) never meet Python one
by one. The others do: first packets, strangers, changes of source, RTCP, digits.

Latching (symmetric RTP): until a source is latched, and again after a re-negotiation or ``RELATCH_US`` of silence, the
first valid packet from a plausible host (that of the SDP, or one of ``sources``) makes its sender the leg's source and
destination. Others are counted and dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import structlog

from earwitness.media.engine.clock import KernelTime
from earwitness.media.rtp import packets
from earwitness.media.rtp.arena import NAME, PAYLOAD, ROW, Arena, Bool, Int64, UInt64
from earwitness.media.rtp.keypad import Keypad
from earwitness.media.rtp.legs import DROP_REASONS, MALFORMED, NOT_RECEIVING, STRANGER, Leg, Legs
from earwitness.media.rtp.sender import Sender
from earwitness.media.rtp.sweep import Batch, Sweep
from earwitness.media.tape.writer import Tapes

log = structlog.get_logger()

RELATCH_US = 500_000
RELATCH_WINDOW_US = 5_000_000
TIMESTAMP_CMSG = 1 | 35 << 32
OVERFLOW_CMSG = 1 | 40 << 32
ROUNDS = 16
"""Reads of one socket in a tick: 64 packets, where the rule is one or two."""
BUDGET_S = 0.02
"""A tick that has taken so long begins no further round."""

Report = Callable[..., None]


class Relay:
    """The packets of one media process. ``report`` takes events as (name, fields)."""

    def __init__(
        self, arena: Arena, sweep: Sweep, tapes: Tapes, legs: Legs, kernel_time: KernelTime, report: Report
    ) -> None:
        self._arena = arena
        self._kernel_time = kernel_time
        self._read_until: Int64 = np.zeros(arena.layout.sockets, np.int64)
        self._backlog: set[int] = set()
        self._sweep = sweep
        self._tapes = tapes
        self._legs = legs
        self._report = report
        self.sender = Sender(arena, sweep, tapes, legs)
        self.keypad = Keypad(self.sender, legs, report)
        self.format_changed: Callable[[Leg], None] = lambda leg: None
        """Called when a leg sends another payload type than before."""
        self.received = 0
        """Valid RTP packets."""

    def tick(self, commands: Callable[[], None]) -> int:
        """One tick; returns how many packets were read.

        :param commands: carries out what the edge has sent meanwhile
        """
        latest = time.monotonic() + BUDGET_S
        total = 0
        for number in range(ROUNDS):
            batch = self._sweep.receive() if not number else self._sweep.receive_more()
            if batch is not None or not number:
                commands()
            if batch is None:
                break
            total += len(batch.rows)
            self._process_or_drop(batch)
            if time.monotonic() >= latest:
                break
        self._backlog = self._sweep.backlog()
        return total

    def all_read(self, leg: Leg, at: int) -> bool:
        """Whether nothing that arrived before ``at`` (us) for a leg, or for the one it is connected to, can still come.

        To be asked after a tick that began after ``at``.
        """
        sockets = [2 * each.slot for each in (leg, leg.peer) if each is not None]
        return all(socket not in self._backlog or self._read_until[socket] >= at for socket in sockets)

    def take_over(self) -> int:
        """Processes what a predecessor had read and not finished; returns how many packets."""
        batch = self._sweep.leftovers()
        if batch is None:
            return 0
        self._process_or_drop(batch)
        return len(batch.rows)

    def _process_or_drop(self, batch: Batch) -> None:
        """A mistake of ours about some packet costs its batch, not the process, nor every replacement that finds it."""
        block = self._arena.rows64[batch.rows, NAME // 8 : PAYLOAD // 8 + 2]
        stamped = block[:, 5] == TIMESTAMP_CMSG
        stamps = block[:, 6].astype(np.int64) * 1_000_000 + (block[:, 7] // np.uint64(1000)).astype(np.int64)
        arrival = self._kernel_time.arrivals(stamps)
        if not stamped.all():
            arrival = np.where(stamped, arrival, self._kernel_time.now_us())
        try:
            self._process(batch, block, arrival)
        except Exception:
            log.exception("a batch of packets could not be processed", packets=len(batch.rows))
            self._tell_dropped(batch, arrival)
        self._sweep.release(batch)
        self._read_until[batch.sockets] = arrival  # of several packets of a socket the last one counts

    def _tell_dropped(self, batch: Batch, arrival: Int64) -> None:
        legs = batch.sockets >> 1
        for slot in np.unique(legs[batch.sockets & 1 == 0]).tolist():
            leg = self._legs.by_slot.get(slot)
            if leg is None:
                continue
            times = arrival[legs == slot]
            first, last = int(times.min()), int(times.max())
            self._report("gap", leg.leg_id, 0, first, last, "error", len(times))
            if leg.peer is not None:
                self._report("gap", leg.peer.leg_id, 1, first, last, "error", len(times))

    def _process(self, batch: Batch, block: UInt64, arrival: Int64) -> None:
        """Relays and tapes a batch."""
        legs = self._legs
        rows, lengths = batch.rows, batch.lengths
        leg = batch.sockets >> 1
        first8 = block[:, 12]
        keys = packets.source_keys(block)
        plain, unusual = packets.plausible_rtp(first8, lengths)
        if unusual.any():
            starts = rows[unusual] * ROW + PAYLOAD
            plain[unusual] = packets.well_formed_batch(self._arena.flat, starts, lengths[unusual])
        ok: Bool = (
            plain
            & (keys == legs.source[leg])
            & legs.receiving[leg]
            & ~packets.is_rtcp(first8)
            & (batch.sockets & 1 == 0)
        )
        if int(batch.control.max()) > 32:
            self._overflows(batch, block, leg, arrival)
        if not ok.all():
            self._irregular(batch, block, keys, leg, arrival, ok)
        if ok.all():
            ssrc = block[:, 13].astype(np.uint32)
        else:
            rows, lengths, leg, arrival, first8 = rows[ok], lengths[ok], leg[ok], arrival[ok], first8[ok]
            ssrc = block[ok, 13].astype(np.uint32)
        if len(rows):
            self._regular(rows, lengths, leg, arrival, first8, ssrc)

    # --- valid packets

    def _regular(
        self, rows: Int64, lengths: Int64, leg: Int64, arrival: Int64, first8: UInt64, ssrc: np.ndarray[Any, Any]
    ) -> None:
        legs = self._legs
        self.received += len(rows)
        pt = ((first8 >> np.uint64(8)) & np.uint64(0x7F)).astype(np.int64)
        changed = (ssrc != legs.last_ssrc[leg]) | (pt != legs.last_pt[leg]) | legs.silent[leg]
        if changed.any():
            for index in np.flatnonzero(changed).tolist():
                where, packet = int(leg[index]), (int(rows[index]), int(lengths[index]))
                self._changed(where, *packet, int(pt[index]), ssrc[index], int(arrival[index]))
        legs.last_at[leg] = arrival
        if not legs.coded[leg].any():
            self._forward(rows, lengths, leg, arrival, first8, ssrc, pt)
            return
        start = 0
        for index in [*np.flatnonzero(legs.coded[leg] & legs.events[leg, pt]).tolist(), len(rows)]:
            if index > start:
                part = slice(start, index)
                self._forward(rows[part], lengths[part], leg[part], arrival[part], first8[part], ssrc[part], pt[part])
            if index < len(rows):
                event = self._arena.rows[int(rows[index]), PAYLOAD : PAYLOAD + int(lengths[index])].tobytes()
                self.keypad.hold(legs.by_slot[int(leg[index])], event, int(arrival[index]))
            start = index + 1

    def _forward(
        self,
        rows: Int64,
        lengths: Int64,
        leg: Int64,
        arrival: Int64,
        first8: UInt64,
        ssrc: np.ndarray[Any, Any],
        pt: Int64,
    ) -> None:
        """Relays and tapes valid packets, and hands them to those who listen."""
        legs = self._legs
        if legs.muted[leg].any():
            keep = ~legs.muted[leg]
            rows, lengths, leg, arrival = rows[keep], lengths[keep], leg[keep], arrival[keep]
            first8, ssrc, pt = first8[keep], ssrc[keep], pt[keep]
        listened = legs.heard[leg]
        if listened.any():
            self._listen(np.flatnonzero(listened), rows, lengths, leg, pt, arrival)
        target = legs.peer[leg]
        sends = legs.can_send[target]
        out_rows, out_lengths, out_at, source = rows, lengths, arrival, leg
        if not sends.all():
            out_rows, out_lengths, out_at, target = rows[sends], lengths[sends], arrival[sends], target[sends]
            pt, source, first8, ssrc = pt[sends], leg[sends], first8[sends], ssrc[sends]
        if len(out_rows):
            out_rows, out_lengths, sends = self.sender.number(
                out_rows, out_lengths, source, target, pt, first8, ssrc, out_at
            )
            if not sends.all():
                out_at, target = out_at[sends], target[sends]
            self.sender.send(out_rows, out_lengths, 2 * target)
        self.sender.tape(leg, 0, rows, lengths, arrival)
        if len(out_rows):
            self.sender.tape(target, 1, out_rows, out_lengths, out_at)

    def _listen(self, indices: Int64, rows: Int64, lengths: Int64, leg: Int64, pt: Int64, arrival: Int64) -> None:
        for index in indices.tolist():
            packet = self._arena.rows[int(rows[index]), PAYLOAD : PAYLOAD + int(lengths[index])].tobytes()
            owner = self._legs.by_slot[int(leg[index])]
            for listener in list(owner.listeners.values()):
                listener(int(pt[index]), packet, int(arrival[index]))

    def _changed(self, slot: int, row: int, length: int, pt: int, ssrc: np.uint32, at: int) -> None:
        """First packets, changes of source, digits and the end of a silence."""
        legs = self._legs
        leg = legs.by_slot[slot]
        if legs.silent[slot]:
            legs.silent[slot] = False
            self._report("activity", leg.leg_id, at)
        if not legs.started[slot]:
            legs.started[slot] = True
            self._report("first_packet", leg.leg_id, at)
        if legs.events[slot, pt]:
            if leg.codes is None:
                self.keypad.event(leg, self._arena.rows[row, PAYLOAD : PAYLOAD + length].tobytes(), at)
        elif pt != packets.COMFORT_NOISE:
            if legs.last_pt[slot] >= 0:
                cause = "ssrc" if ssrc != legs.last_ssrc[slot] else "payload_type"
                if ssrc != legs.last_ssrc[slot] or pt != legs.last_pt[slot]:
                    self._source_changed(leg, int(ssrc.byteswap()), pt, at, cause)
            legs.last_ssrc[slot] = ssrc
            if pt != legs.last_pt[slot]:
                legs.last_pt[slot] = pt
                self.format_changed(leg)

    def _source_changed(self, leg: Leg, ssrc: int, pt: int, at: int, cause: str) -> None:
        """Tells a change of source, or keeps the latest one and counts while there are too many."""
        change = leg.changes.add(ssrc, pt, at, cause)
        if change is not None:
            self._report("source_changed", leg.leg_id, 0, *change)

    def tell_changes(self, leg: Leg) -> None:
        """Tells what changes of source are still to be told of a leg that ends."""
        change = leg.changes.take()
        if change is not None:
            self._report("source_changed", leg.leg_id, 0, *change)

    # --- the others

    def _irregular(self, batch: Batch, block: UInt64, keys: UInt64, leg: Int64, arrival: Int64, ok: Bool) -> None:
        """Looks at every packet that is not ``ok`` and sets those to True that are after all."""
        legs, rows = self._legs, self._arena.rows
        # Whoever talks in this batch is not silent: nobody may take his place.
        np.maximum.at(legs.last_at, leg[ok], arrival[ok])
        for index in np.flatnonzero(~ok).tolist():
            slot, length = int(leg[index]), int(batch.lengths[index])
            owner = legs.by_slot.get(slot)
            if owner is None:
                continue
            packet = rows[int(batch.rows[index]), PAYLOAD : PAYLOAD + length]
            if int(batch.sockets[index]) & 1 or (length >= 2 and 192 <= packet[1] <= 223):
                self._rtcp(batch, index, owner, packet, block, int(arrival[index]))
                continue
            if not packets.well_formed(packet):
                legs.dropped[slot, MALFORMED] += 1
            elif not legs.receiving[slot]:
                legs.dropped[slot, NOT_RECEIVING] += 1
            elif keys[index] != legs.source[slot] and not self._latch(
                owner, block[index], keys[index], int(arrival[index])
            ):
                legs.dropped[slot, STRANGER] += 1
            else:
                ok[index] = True

    def _latch(self, leg: Leg, block: UInt64, key: np.uint64, at: int) -> bool:
        """Whether the sender may be (and now is) the leg's source."""
        legs = self._legs
        try:
            address = packets.parse_sockaddr(block[:4].tobytes())
        except ValueError:
            return False
        if not leg.expects(address[0]):
            return False
        if legs.source[leg.slot]:
            quiet = at - int(legs.last_at[leg.slot]) >= RELATCH_US
            if not quiet and at >= leg.relatch_until:
                return False
            ssrc = int(np.uint32(block[13] & np.uint64(0xFFFFFFFF)).byteswap())
            self._source_changed(leg, ssrc, int(block[12] >> np.uint64(8)) & 0x7F, at, "address")
        leg.relatch_until = 0
        leg.latched = address
        legs.source[leg.slot] = key
        legs.last_at[leg.slot] = at
        self.sender.route(leg)
        return True

    def _rtcp(self, batch: Batch, index: int, leg: Leg, packet: np.ndarray[Any, Any], block: UInt64, at: int) -> None:
        legs, slot = self._legs, leg.slot
        muxed = not int(batch.sockets[index]) & 1
        if not packets.well_formed_rtcp(packet):
            legs.dropped[slot, MALFORMED] += 1
            return
        try:
            address = packets.parse_sockaddr(block[index, :4].tobytes())
        except ValueError:
            address = ("", 0)
        if not leg.expects(address[0]):
            legs.dropped[slot, STRANGER] += 1
            return
        if not muxed and leg.latched_rtcp != address:
            leg.latched_rtcp = address
            self.sender.route(leg)
        rows, lengths, arrival = batch.rows[index : index + 1], batch.lengths[index : index + 1], np.array([at])
        other = leg.peer
        plain = other is not None and legs.peer[slot] >= 0 and not other.playing
        # (who is sent a stream of our making has no use for reports about another one)
        if (
            other is not None
            and plain
            and not (self.sender.outgoing.shifted(slot) or self.sender.outgoing.shifted(other.slot))
        ):
            socket = 2 * other.slot + (0 if other.mux else 1)
            if legs.name_lengths[socket]:
                self.sender.send(rows, lengths, np.array([socket]))
                self.sender.tape(np.array([other.slot]), 1, rows, lengths, arrival, rtcp=True)
        self.sender.tape(np.array([slot]), 0, rows, lengths, arrival, rtcp=True)

    def _overflows(self, batch: Batch, block: UInt64, leg: Int64, arrival: Int64) -> None:
        legs = self._legs
        counted = (batch.control > 32) & (block[:, 9] == OVERFLOW_CMSG)
        for index in np.flatnonzero(counted).tolist():
            socket, slot = int(batch.sockets[index]), int(leg[index])
            count = np.uint32(block[index, 10] & np.uint64(0xFFFFFFFF))
            lost = int(np.uint32(int(count) - int(legs.overflows[socket]) & 0xFFFFFFFF))
            if not lost:
                continue
            legs.overflows[socket] = count
            owner = legs.by_slot.get(slot)
            if owner is None or socket & 1:
                continue
            same = index > 0 and int(batch.sockets[index - 1]) == socket
            since = int(arrival[index - 1]) if same else int(legs.last_at[slot])
            self._report("gap", owner.leg_id, 0, since, int(arrival[index]), "overflow", lost)

    # --- now and then

    def watch(self, now: int, silence_us: int) -> None:
        """To be called about ten times a second: silences, digits without an end, many changes."""
        legs = self._legs
        quiet = legs.attached & legs.receiving & ~legs.silent & (now - legs.last_at > silence_us)
        for slot in np.flatnonzero(quiet).tolist():
            legs.silent[slot] = True
            self._report("silence", legs.by_slot[slot].leg_id, int(legs.last_at[slot]))
        for leg in legs.by_slot.values():
            if leg.changes.due(now):
                self.tell_changes(leg)
            self.keypad.expire(leg, now)
        self.keypad.tones.tick(now)

    def drops(self, slot: int) -> dict[str, int]:
        """Dropped packets of a leg by reason."""
        return dict(zip(DROP_REASONS, self._legs.dropped[slot].tolist(), strict=True))
