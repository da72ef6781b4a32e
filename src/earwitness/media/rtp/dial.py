"""Sending DTMF to legs: as RFC 4733 events where these were negotiated, otherwise as tones in the leg's codec.

A row of digits is a row of steps of 20 ms, ten a digit: 100 ms of it and 100 ms of nothing. While digits are being
sent, nothing else is. The step that a row has come to lies in the arena, so that a replacement of this process goes on
with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from earwitness.media.rtp import codecs
from earwitness.media.rtp.arena import PAYLOAD, Arena, Int64
from earwitness.media.rtp.frames import PlayError, encode
from earwitness.media.rtp.g711 import I16
from earwitness.media.rtp.goertzel import HIGH, KEYS, LOW
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.outgoing import named
from earwitness.media.rtp.packets import DIGITS
from earwitness.media.rtp.sender import Sender

STEP_US = 20_000
STEPS = 10
"""Of a digit."""
SOUNDING = 5
ENDS = 3
"""The last packet of an event is sent so often (RFC 4733 §2.5.1.4)."""
VOLUME = 10
"""-dBm0."""
PEAKS = (5200.0, 6500.0)
"""Low and high tone: -13 and -11 dBm0, as loud together as a phone's."""
RATE = 8000
STEP_BITS = 24


def dual_tones(digits: str, rate: int = RATE) -> I16:
    """Digits as they sound, each followed by as long a pause."""
    count = rate * STEPS // 50
    time = np.arange(count) / rate
    loud = time < SOUNDING / 50
    parts = []
    for digit in digits:
        row = next(index for index, keys in enumerate(KEYS) if digit in keys)
        hertz = LOW[row], HIGH[KEYS[row].index(digit)]
        parts.append(
            loud * sum(peak * np.sin(2 * np.pi * each * time) for peak, each in zip(PEAKS, hertz, strict=True))
        )
    return np.concatenate(parts).astype(np.int16)


@dataclass(slots=True)
class Row:
    """Digits on their way to a leg."""

    number: int
    digits: str
    source: int
    step: int = 0
    due: int = 0
    event_stamp: int = 0
    payload_type: int = 0
    frames: list[bytes] = field(default_factory=list)
    """By tones: one a step."""
    ticks: int = 160


class Dialler:
    """The digits that a media process is sending. ``report`` takes events as (name, fields)."""

    def __init__(self, arena: Arena, sender: Sender, legs: Legs, report: Callable[..., None]) -> None:
        self._key: Int64 = arena.dial_key
        self._sent: Int64 = arena.dial_sent
        """Step of each leg's row, and from bit ``STEP_BITS`` on the time stamp of the event that is being sent."""
        self._sender = sender
        self._legs = legs
        self._report = report
        self._rows: dict[int, tuple[Leg, deque[Row]]] = {}

    @property
    def active(self) -> bool:
        """Whether digits are being sent."""
        return bool(self._rows)

    def dial(self, leg: Leg, number: int, digits: str) -> None:
        """Sends digits after those that are being sent to the leg; ``number`` tells them apart."""
        row = Row(number, digits, named(f"digits {number}"))
        waiting = self._rows.setdefault(leg.slot, (leg, deque()))[1]
        waiting.append(row)
        if len(waiting) == 1:
            self._begin(leg, row)

    def resume(self, leg: Leg) -> None:
        """Another process has told how far the leg's digits have come."""
        if leg.slot in self._rows:
            self._recall(leg, self._rows[leg.slot][1][0])

    def forget(self, leg: Leg) -> None:
        """A leg is gone."""
        self._rows.pop(leg.slot, None)

    def tick(self, now: int) -> None:
        """Sends what is due."""
        for leg, rows in list(self._rows.values()):
            row = rows[0]
            if now < row.due:
                continue
            row.due = (now if now - row.due > 5 * STEP_US else row.due) + STEP_US
            if row.step < len(row.digits) * STEPS:
                if leg.sending and self._legs.name_lengths[2 * leg.slot]:
                    self._step(leg, row, now)
                row.step += 1
                self._sent[leg.slot] = row.step | row.event_stamp << STEP_BITS
            else:
                self._end(leg, rows)

    def _begin(self, leg: Leg, row: Row) -> None:
        self._recall(leg, row)
        if leg.event_pt is None:
            chosen = codecs.choice(leg.codecs, leg.hears.get(int(self._legs.last_pt[leg.slot])))
            if chosen is not None:
                try:
                    row.payload_type = chosen[0]
                    row.frames, row.ticks = encode(dual_tones(row.digits), RATE, chosen[1])
                except PlayError:
                    row.frames = []
        leg.dialling = True
        self._sender.route(leg)

    def _recall(self, leg: Leg, row: Row) -> None:
        if self._key[leg.slot] == row.number:
            sent = int(self._sent[leg.slot])
            row.step, row.event_stamp = sent & (1 << STEP_BITS) - 1, sent >> STEP_BITS
        else:
            self._sent[leg.slot] = 0
            self._key[leg.slot] = row.number

    def _end(self, leg: Leg, rows: deque[Row]) -> None:
        row = rows.popleft()
        self._report("digits_sent", leg.slot, row.number)
        self._sender.outgoing.interrupt(leg.slot)
        if rows:
            self._begin(leg, rows[0])
        else:
            del self._rows[leg.slot]
            leg.dialling = False
            self._sender.route(leg)

    def _step(self, leg: Leg, row: Row, now: int) -> None:
        if leg.event_pt is not None and not row.frames:
            self._event(leg, row, now)
        elif row.step < len(row.frames):
            sender = self._sender
            rate = leg.codecs[row.payload_type][1] if row.payload_type in leg.codecs else RATE
            stamp = row.step * row.ticks
            sender.outgoing.begin(leg, row.source, rate, now, stamp)
            payload = row.frames[row.step]
            rows = sender.build_rows(1)
            sender.rows[rows[0], PAYLOAD + 12 : PAYLOAD + 12 + len(payload)] = np.frombuffer(payload, np.uint8)
            one = np.array([leg.slot]), np.array([row.payload_type]), np.array([stamp]), np.array([len(payload)])
            sender.emit(rows, *one, now)

    def _event(self, leg: Leg, row: Row, now: int) -> None:
        assert leg.event_pt is not None
        digit, part = row.digits[row.step // STEPS], row.step % STEPS
        rate = leg.codecs[leg.event_pt][1]
        outgoing = self._sender.outgoing
        if not outgoing.started(leg.slot):
            outgoing.begin(leg, row.source, rate, now, 0)
        if part == 0:
            row.event_stamp = outgoing.next(leg.slot, now).timestamp
        if part < SOUNDING - 1 + ENDS:
            end = part >= SOUNDING - 1
            duration = min(part + 1, SOUNDING) * rate // 50
            payload = bytes((DIGITS.index(digit), (0x80 if end else 0) | VOLUME)) + duration.to_bytes(2, "big")
            self._sender.insert(leg, leg.event_pt, payload, marker=part == 0, timestamp=row.event_stamp, at=now)
