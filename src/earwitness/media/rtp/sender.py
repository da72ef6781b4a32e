"""Sending: rows of the arena go out by a leg's sockets and onto its tapes, with the numbers of the leg's stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from earwitness.media.rtp.arena import PAYLOAD, ROW, Arena, Bool, Int64, UInt64
from earwitness.media.rtp.beep import Beeper
from earwitness.media.rtp.legs import DROP_PT, Leg, Legs
from earwitness.media.rtp.outgoing import Outgoing, relayed_from
from earwitness.media.rtp.sweep import Sweep
from earwitness.media.tape.writer import Tapes


class Sender:
    """What a media process sends, whoever made it."""

    def __init__(self, arena: Arena, sweep: Sweep, tapes: Tapes, legs: Legs) -> None:
        self._arena = arena
        self._sweep = sweep
        self._tapes = tapes
        self._legs = legs
        self._names_address = int(legs.names.ctypes.data)
        self._first_scratch = arena.layout.rows
        self.rows = arena.rows
        """All rows, shape (rows, ROW)."""
        self.outgoing = Outgoing(arena)
        """The streams that are sent to the legs."""
        self.beeper = Beeper(legs)
        self.refused = 0
        """Packets that the kernel did not take for sending."""

    def route(self, leg: Leg) -> None:
        """Sets where a leg's packets go: to the latched source, else to the address of the SDP (RFC 4961)."""
        address = leg.latched or leg.remote
        self._legs.set_destination(leg, address)
        rtcp = leg.latched_rtcp
        if rtcp is None and not leg.mux:
            rtcp = leg.remote_rtcp
            if leg.latched and leg.remote and leg.latched[0] != leg.remote[0]:
                rtcp = (leg.latched[0], leg.latched[1] + 1) if leg.latched[1] < 65535 else None
        self._legs.set_destination(leg, rtcp, rtcp=True)
        can_play = leg.sending and not (leg.dialling or leg.waiting) and address is not None and address[1] > 0
        self._legs.can_play[leg.slot] = can_play
        self._legs.can_send[leg.slot] = can_play and not leg.playing

    def number(
        self,
        rows: Int64,
        lengths: Int64,
        leg: Int64,
        target: Int64,
        pt: Int64,
        first8: UInt64,
        ssrc: np.ndarray[Any, Any],
        arrival: Int64,
    ) -> tuple[Int64, Int64, Bool]:
        """Payload types, sequence numbers, time stamps and SSRC as the other side's stream has them, and its beep.

        :returns: rows to send, copies where something differs, and their lengths; which of the packets these are
        """
        keep: Bool = np.ones(len(rows), np.bool_)
        changed: Bool = np.zeros(len(rows), np.bool_)
        if self._legs.rewrites[leg].any():
            renamed = self._legs.pt_map[leg, pt]
            keep = renamed != DROP_PT
            changed = keep & (renamed != pt)
            first8 = (first8 & ~np.uint64(0x7F00)) | (renamed.astype(np.uint64) << np.uint64(8) & np.uint64(0x7F00))
            if not keep.all():
                rows, lengths, leg, target, arrival = rows[keep], lengths[keep], leg[keep], target[keep], arrival[keep]
                first8, ssrc, changed = first8[keep], ssrc[keep], changed[keep]
        heads, shifted = self.outgoing.relay(relayed_from(leg, ssrc), target, first8, arrival, self._legs.by_slot)
        beeping = self.beeper.active and bool(self.beeper.sounding[target].any())
        if beeping:
            shifted |= self.beeper.sounding[target]
        differs = np.flatnonzero(changed | shifted)
        if len(differs):
            scratch = self._copies(rows[differs], int(lengths[differs].max()))
            self.outgoing.write(scratch, target[differs], heads[differs])
            rows = rows.copy()
            rows[differs] = scratch
            if beeping:
                lengths = self.beeper.over(self.rows, rows, lengths, target)
        return rows, lengths, keep

    def _copies(self, rows: Int64, most: int) -> Int64:
        """Packets in rows of their own, to be changed."""
        scratch = self.build_rows(len(rows))
        self.rows[scratch, PAYLOAD : PAYLOAD + most] = self.rows[rows, PAYLOAD : PAYLOAD + most]
        return scratch

    def insert(
        self,
        leg: Leg,
        payload_type: int,
        payload: bytes,
        *,
        marker: bool,
        timestamp: int,
        at: int,
        since: int | None = None,
    ) -> None:
        """Sends a packet of ours between those of the leg's stream; ``since`` as with ``tape``."""
        row = self._first_scratch - 1 + self._arena.layout.rows
        self.rows[row, PAYLOAD + 12 : PAYLOAD + 12 + len(payload)] = np.frombuffer(payload, np.uint8)
        self.outgoing.insert(np.array([row]), leg.slot, payload_type, marker, timestamp)
        rows, lengths, slots = np.array([row]), np.array([12 + len(payload)]), np.array([leg.slot])
        self.send(rows, lengths, 2 * slots)
        self.tape(slots, 1, rows, lengths, np.array([at]), since=since)

    def tape(
        self,
        leg: Int64,
        channel: int,
        rows: Int64,
        lengths: Int64,
        arrival: Int64,
        *,
        rtcp: bool = False,
        since: int | None = None,
    ) -> None:
        """Packets of legs (in order for each) go onto a channel of whatever tapes the legs have.

        :param since: when what is in them was said, us, where that was long before ``arrival``: a tape that was not
            open yet does not get them
        """
        for tap in self._legs.taps:
            slots = tap[leg]
            taped = slots >= 0
            if since is not None:
                taped &= self._tapes.from_us[2 * slots] <= since
            if taped.all():
                self._tapes.append(2 * slots + channel, rows, lengths, arrival, rtcp=rtcp)
            elif taped.any():
                self._tapes.append(2 * slots[taped] + channel, rows[taped], lengths[taped], arrival[taped], rtcp=rtcp)

    def send(self, rows: Int64, lengths: Int64, sockets: Int64) -> None:
        """Sends packets that lie in arena rows to where their sockets send to."""
        addresses = (rows * ROW + (self._arena.rows_address + PAYLOAD)).astype(np.uint64)
        names = (sockets * 32 + self._names_address).astype(np.uint64)
        self.refused += self._sweep.send(addresses, lengths, sockets, names, self._legs.name_lengths[sockets])

    def tape_late(self, leg: Leg, packet: bytes, since: int, at: int) -> None:
        """Tapes a packet that a leg's party sent a while ago, at ``since``."""
        row = self._first_scratch - 1 + self._arena.layout.rows
        self.rows[row, PAYLOAD : PAYLOAD + len(packet)] = np.frombuffer(packet, np.uint8)
        self.tape(np.array([leg.slot]), 0, np.array([row]), np.array([len(packet)]), np.array([at]), since=since)

    def emit(
        self,
        rows: Int64,
        slots: Int64,
        payload_types: Int64,
        stamps: Int64,
        lengths: Int64,
        at: int,
        *,
        beeped: bool = False,
    ) -> None:
        """Sends and tapes one frame of ours to each of some legs; their streams have begun (``Outgoing.begin``).

        :param rows: where the payloads lie, 12 bytes after ``PAYLOAD``
        :param stamps: time stamps by the source's own count
        :param lengths: bytes of each payload
        :param beeped: they have their beeps already
        """
        times = np.full(len(rows), at)
        self.outgoing.frames(rows, slots, payload_types, stamps, times)
        lengths = lengths + 12
        if not beeped and self.beeper.active and self.beeper.sounding[slots].any():
            lengths = self.beeper.over(self.rows, rows, lengths, slots)
        self.send(rows, lengths, 2 * slots)
        self.tape(slots, 1, rows, lengths, times)

    def beep(self, now: int) -> None:
        """Sends the beeps of legs that are sent nothing else."""
        for leg, payload_type, stamp, payload in self.beeper.alone(self.outgoing, now):
            rows = self.build_rows(1)
            self.rows[rows[0], PAYLOAD + 12 : PAYLOAD + 12 + len(payload)] = np.frombuffer(payload, np.uint8)
            one = np.array([leg.slot]), np.array([payload_type]), np.array([stamp]), np.array([len(payload)])
            self.emit(rows, *one, now, beeped=True)

    def build_rows(self, count: int) -> Int64:
        """Rows to build packets in (as many as can be received at once), good until the next batch or call."""
        return np.arange(self._first_scratch, self._first_scratch + count)
