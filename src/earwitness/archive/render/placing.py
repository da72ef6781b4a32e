"""Where on the time line a packet belongs: RTP timestamps held against arrival times.

Theory of operation. A packet's *transit* is its arrival, minus its duration, minus its media time (RTP timestamp in
µs). The network only ever adds to it, so the least transit of many packets is the source's offset between media time
and ours; media time plus offset is where the packet's first sample was spoken. Each SSRC is a ``Source`` with an
offset of its own.

Packets come a block (``BLOCK_US``) at a time. Within a block a source falls into segments wherever the transit jumps by
more than ``JUMP_US``. A segment is one of:

==================  ==========================================================  =====================================
segment             sign                                                        placed
==================  ==========================================================  =====================================
continuing          its least transit is near the offset                        by the offset
delayed             short, its transit later than the offset, by < 10 s         by the offset (reordered, or a stall)
undecided           short and at the end of the block                           in the next block
new time base       everything else: timestamps restarted, paused, or nonsense  by its own arrival: a new offset
==================  ==========================================================  =====================================

The offset follows the least transit of the last blocks (clock drift), by ``SLEW_US`` a block at the most; upwards by
``DRIFT_US`` only while the sender's reports say that it did not pause (``reports``). Nothing here
depends on how packets were cut into calls, only on blocks, so following a live call gives the bytes of the batch.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render.reports import SenderClock

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

BLOCK_US = 6_000_000
JUMP_US = 300_000.0
NEAR_US = 100_000.0
DELAY_US = 10_000_000.0
SLEW_US = 10_000.0
DRIFT_US = BLOCK_US * 200e-6
"""Clocks drift no further in a block."""
DELAYED_US = 10_000.0
"""Further from the offset than clocks bring a block: a change of the network's delay."""
DEAD_BAND_US = 2_000.0
SHORT = 5
YOUNG = 100
HISTORY = 3
"""Blocks over which the least transit is taken."""


@dataclass(slots=True)
class Source:
    """One SSRC on one channel of one opening."""

    index: int
    """Order of appearance on the channel."""
    seq: int = 0
    """Last sequence number, extended beyond 16 bit."""
    timestamp: int = 0
    media_us: float = 0.0
    """Media time of the last packet, µs, from the first."""
    transit: float = 0.0
    """Of the last packet."""
    offset: float | None = None
    segment: int = 0
    fitted: int = 0
    """Packets the offset rests on."""
    minima: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    trend: list[tuple[float, float]] = field(default_factory=list)
    """(µs, least transit) of each block since the last new time base: clock drift."""
    jumps: int = 0
    started: bool = False
    clock: SenderClock = field(default_factory=SenderClock)

    def media_at(self, timestamp: int, clock: int) -> float:
        """Media time of an RTP timestamp near the last packet's.

        :param clock: Hz.
        """
        step = (timestamp - self.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
        return self.media_us + step * 1e6 / clock


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of the packets of one source in one block, as columns of the first ``taken`` packets."""

    taken: int
    """How many were placed; the rest is undecided and comes again with the next block."""
    start_us: F64
    """When the first sample was spoken, µs from the opening."""
    seq: I64
    """Extended sequence numbers."""
    segment: I64
    deviation_us: F64
    """Lateness against the offset."""
    transit_step_us: F64
    """|change of transit| since the packet before: the D of RFC 3550 §6.4.1."""


def place(
    source: Source,
    arrival_us: F64,
    seq: I64,
    timestamp: I64,
    clock: I64,
    duration_us: F64,
    *,
    undecided_after_us: float,
    sample_us: float,
) -> Placed:
    """Places the packets of a block, in order of arrival, and updates the source.

    :param arrival_us: from the opening.
    :param clock: RTP clock of each packet, Hz.
    :param undecided_after_us: short segments at the end that began after this are left for the next block; pass
        infinity in the last block.
    :param sample_us: offsets are rounded to this grid, so that packets that follow each other do so to the sample.
    """
    n = len(seq)
    seq_from = source.seq if source.started else int(seq[0])
    ts_from = source.timestamp if source.started else int(timestamp[0])
    ext_seq = seq_from + np.cumsum(_wrapped(_steps(seq, seq_from & 0xFFFF), 16))
    ts_step = _wrapped(_steps(timestamp, ts_from), 32)
    media = source.media_us + np.cumsum(ts_step * (1e6 / clock))
    transit = arrival_us - duration_us - media
    step = np.abs(_steps(transit, source.transit if source.started else float(transit[0])))
    bounds = [0, *(int(at) for at in np.flatnonzero(step > JUMP_US) if at), n]
    start_us, segment = np.empty(n), np.empty(n, dtype=np.int64)
    deviation = np.empty(n)
    taken, tracked = n, []
    for begin, end in pairwise(bounds):
        least = float(transit[begin:end].min())
        if source.offset is not None:
            ahead = least - source.offset
            short = end - begin < SHORT
            if short and end == n and abs(ahead) > NEAR_US and arrival_us[begin] > undecided_after_us:
                taken = begin
                break
            if abs(ahead) <= NEAR_US:
                tracked.append(least)
                source.fitted += end - begin
            elif not (short and 0 < ahead < DELAY_US):
                _rebase(source, least, end - begin, sample_us)
                tracked = [least]
        else:
            _rebase(source, least, end - begin, sample_us)
            tracked = [least]
        assert source.offset is not None
        if begin == 0 and len(bounds) == 2 and tracked:
            _follow(source, tracked[0], sample_us, float(arrival_us[0]))
        start_us[begin:end] = media[begin:end] + source.offset
        segment[begin:end] = source.segment
        deviation[begin:end] = transit[begin:end] - source.offset
    if taken:
        last = taken - 1
        source.seq, source.timestamp, source.started = int(ext_seq[last]), int(timestamp[last]), True
        source.media_us, source.transit = float(media[last]), float(transit[last])
        if tracked:
            _note_trend(source, min(tracked), float(arrival_us[0]), float(arrival_us[last]))
    late = np.maximum(deviation[:taken], 0.0)
    return Placed(taken, start_us[:taken], ext_seq[:taken], segment[:taken], late, step[:taken])


def place_strays(arrival_us: F64, duration_us: F64) -> F64:
    """Packets of sources that sent no second one: each where it arrived."""
    return arrival_us - duration_us


def drift_ppm(source: Source) -> float | None:
    """How fast the source's clock runs against ours, parts per million; None below a minute of evidence."""
    if len(source.trend) < 6 or source.trend[-1][0] - source.trend[0][0] < 60e6:
        return None
    at, least = np.array(source.trend).T
    slope = np.polyfit(at - at[0], least - least[0], 1)[0]
    return float(-slope * 1e6)


def _steps(column: NDArray[Any], before: float) -> NDArray[Any]:
    """Each value less the one before it: ``np.diff`` with ``prepend``, at half its price."""
    steps = np.empty_like(column)
    steps[0] = column[0] - before
    np.subtract(column[1:], column[:-1], out=steps[1:])
    return steps


def _wrapped(step: I64, bits: int) -> I64:
    half = 1 << (bits - 1)
    return np.asarray(((step + half) & ((1 << bits) - 1)) - half, dtype=np.int64)


def _rebase(source: Source, least: float, count: int, sample_us: float) -> None:
    if source.offset is not None:
        source.jumps += 1
        source.segment += 1
    source.offset = round(least / sample_us) * sample_us
    source.fitted = count
    source.minima.clear()
    source.trend.clear()


def _note_trend(source: Source, least: float, from_us: float, at_us: float) -> None:
    """Notes the least transit of a block, unless it was the network that changed it."""
    if source.offset is not None and abs(least - source.offset) > DELAYED_US and source.clock.steady(from_us):
        if least < source.offset:
            source.trend.clear()
        return
    source.trend.append((at_us, least))


def _follow(source: Source, least: float, sample_us: float, at_us: float) -> None:
    """Lets the offset follow the clock of the source.

    While the sender's reports say that its media time runs with its clock, what comes later and later than clocks can
    drift is the network's doing.
    """
    assert source.offset is not None
    young = source.fitted < YOUNG
    source.minima.append(least)
    error = min(source.minima) - source.offset
    if abs(error) <= DEAD_BAND_US:
        return
    limit = NEAR_US if young else SLEW_US
    if error > 0 and source.clock.steady(at_us):
        limit = DRIFT_US
    target = source.offset + max(-limit, min(limit, error))
    source.offset = round(target / sample_us) * sample_us
