"""One channel of one opening: packets in, an unbroken line of samples out.

Theory of operation. Time is cut into blocks of ``BLOCK_US``. ``advance`` takes the packets that arrived in a block,
gives each its place (``placing``) and keeps it pending. What is written out ends ``TAIL_US`` before the end of a block,
and is written when the block *after* has been placed as well, so that packets may be that late. Writing decodes packets
in the order of their place, copies runs that follow each other into a buffer of silence, and tells the sheet what was
missing. The length of what comes out depends on the opening alone.

An eager channel does not wait for the block after. It gives the same samples, or is ``overtaken``: a packet belongs
into what is written already. Who follows a call is eager, and leaves it to the batch when that happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import codecs, placing
from earwitness.archive.render.columns import Pending, gather, groups, merge
from earwitness.archive.render.coverage import BRIDGE_MS, Coverage
from earwitness.archive.render.packets import Headers, Packets, join, read_headers
from earwitness.archive.render.plan import Codec, MediaEpoch
from earwitness.archive.render.reports import SenderReport, read_reports
from earwitness.archive.render.sheet import ChannelSheet

I16 = NDArray[np.int16]
I64 = NDArray[np.int64]

MAX_GAP_SEQ = 3000
"""A step of the sequence number beyond this is a restart of the sender, not a loss (RFC 3550 A.1, MAX_DROPOUT)."""
MAX_SOURCES = 4096
TAIL_US = 1_000_000
"""How far behind the end of a block is written: an eager channel bears packets that are so late."""

AUDIO, NOISE, DIGITS, UNKNOWN = range(4)


@dataclass(slots=True)
class Tally:
    """What one channel's sheet adds up from, over all openings."""

    sheet: ChannelSheet
    expected: int = 0
    step_sum: float = 0.0
    steps: int = 0
    audio_packets: int = 0
    drift: tuple[int, float] | None = None
    """(packets, ppm) of the source that drift was measured on longest."""
    ssrcs: set[int] | None = None
    last_codec: str = ""


class Channel:
    """See the head of this file."""

    def __init__(
        self,
        rate: int,
        from_us: int,
        epoch: Callable[[int], MediaEpoch],
        tally: Tally,
        *,
        recorded_ms: int = 0,
        events: tuple[tuple[int, int, str], ...] = (),
        eager: bool = False,
    ) -> None:
        """
        :param rate: samples per second of the line.
        :param from_us: start of the opening, UTC µs.
        :param epoch: what payload types mean at a moment.
        :param recorded_ms: length of earlier openings; gaps are told from the start of the recording.
        :param events: (from µs, to µs, cause) of gaps that the media engine reported.
        """
        self.rate, self.from_us, self.epoch, self.tally = rate, from_us, epoch, tally
        self.queue = Packets.empty()
        self._sorted = True
        self._clock = 0
        """RTP clock of the last audio, Hz; 0 before the first."""
        self.blocks = 0
        self.overtaken = False
        """What was written would be otherwise if the packets that came since had been there."""
        self._eager = eager
        self._next = 1
        """The block up to whose end, less ``TAIL_US``, is written next."""
        self.written = 0
        """Samples that left."""
        self._pending: list[Pending] = []
        self._sources: dict[int, placing.Source] = {}
        self._reports: list[SenderReport] = []
        self._codecs: list[Codec] = []
        self._decoders: dict[tuple[int, int], codecs.Decoder] = {}
        self._last_seq: dict[int, int] = {}
        self._coverage = Coverage(rate, from_us, tally.sheet, recorded_ms=recorded_ms, events=events)
        self._carry = np.zeros(0, dtype=np.int16)
        """Samples that a packet of the written block reached into the next one."""

    def feed(self, packets: Packets) -> None:
        """Takes packets in order of arrival."""
        media, rtcp = packets.divided()
        self._reports += read_reports(rtcp)
        self.queue = join(self.queue, media)
        self._sorted = bool((self.queue.arrival_us[1:] >= self.queue.arrival_us[:-1]).all())

    def advance(self, now_us: int) -> list[I16]:
        """Lines of samples that are final, given that every packet that arrived before ``now_us`` has been fed."""
        lines = []
        while self.next_us <= now_us:
            self.blocks += 1
            until_us = self.from_us + self.blocks * placing.BLOCK_US
            self._place(until_us, last=False)
            self._take_reports(until_us)
            lines += self._write_up_to(self.blocks if self._eager else self.blocks - 1)
        return lines

    @property
    def next_us(self) -> int:
        """When the block in progress ends, UTC µs."""
        return self.from_us + (self.blocks + 1) * placing.BLOCK_US

    def _write_up_to(self, block: int, length: int | None = None) -> list[I16]:
        lines = []
        while self._next <= block and (length is None or self._boundary(self._next) < length):
            lines.append(self._write(self._boundary(self._next), last=False))
            self._next += 1
        return lines

    def _boundary(self, block: int) -> int:
        return self._samples(block * placing.BLOCK_US - TAIL_US)

    def finish(self, to_us: int) -> list[I16]:
        """The rest, up to the end of the opening. The lines of all calls together are as long as the opening."""
        lines = self.advance(to_us)
        self._place(None, last=True)
        length = self._samples(max(0, to_us - self.from_us))
        lines += self._write_up_to(self.blocks + 2, length)
        lines.append(self._write(length, last=True))
        self._conclude(length)
        return lines

    def _samples(self, us: int) -> int:
        return round(us * self.rate / 1e6)

    # placing

    def _place(self, until_us: int | None, *, last: bool) -> None:
        count = len(self.queue)
        if until_us is not None and self._sorted:
            count = int(np.searchsorted(self.queue.arrival_us, until_us))
        elif until_us is not None:
            beyond = self.queue.arrival_us >= until_us
            count = int(np.argmax(beyond)) if beyond.any() else count
        batch, self.queue = self.queue.select(slice(0, count)), self.queue.select(slice(count, None))
        if not count:
            return
        headers = read_headers(batch)
        sheet = self.tally.sheet
        arrival = np.maximum.accumulate(batch.arrival_us)[headers.row]
        codec, kind = self._codec_columns(headers, arrival)
        samples, clock, rates = self._durations(headers, batch, codec)
        clock = self._audio_clock(clock, kind)
        keep = np.ones(len(headers.row), dtype=np.bool_)
        start_us = np.zeros(len(headers.row))
        ext_seq, segment, source = (np.zeros(len(headers.row), dtype=np.int64) for _ in range(3))
        from_opening = (arrival - self.from_us).astype(np.float64)
        duration_us = samples * (1e6 / rates)
        undecided = np.inf if last or until_us is None else float(until_us - placing.BLOCK_US - self.from_us)
        strays = np.zeros(len(headers.row), dtype=np.bool_)
        for ssrc, rows in groups(headers.ssrc):
            known = self._sources.get(ssrc)
            if known is None and (len(rows) < 2 or len(self._sources) >= MAX_SOURCES):
                strays[rows] = True
                continue
            if known is None:
                known = self._sources[ssrc] = placing.Source(len(self._sources))
                self._note_source(ssrc)
            placed = placing.place(
                known,
                from_opening[rows],
                headers.seq[rows],
                headers.timestamp[rows],
                clock[rows],
                duration_us[rows],
                undecided_after_us=undecided,
                sample_us=1e6 / self.rate,
            )
            done = rows[: placed.taken]
            keep[rows[placed.taken :]] = False
            start_us[done], ext_seq[done], segment[done] = placed.start_us, placed.seq, placed.segment
            source[done] = known.index
            self._note_arrivals(placed, kind[done] == AUDIO)
        if strays.any():
            rows = np.flatnonzero(strays)
            start_us[rows] = placing.place_strays(from_opening[rows], duration_us[rows])
            source[rows], ext_seq[rows] = -1 - np.arange(len(rows)), headers.seq[rows]
        if not keep.all():
            self.queue = join(batch.select(headers.row[~keep]), self.queue)
        sheet.malformed += headers.malformed
        sheet.packets += int(keep.sum())
        for column, value in ((NOISE, "comfort_noise"), (DIGITS, "telephone_events"), (UNKNOWN, "unknown_payload")):
            setattr(sheet, value, getattr(sheet, value) + int(((kind == column) & keep).sum()))
        self.tally.audio_packets += int(((kind == AUDIO) & keep).sum())
        start = np.round(start_us * (self.rate / 1e6)).astype(np.int64)
        late = keep & (start + np.maximum(1, (samples * self.rate) // rates) <= self.written) & (self.written > 0)
        sheet.late += int(late.sum())
        if self._eager and self.written:
            self.overtaken = self.overtaken or bool((keep & (start < self.written)).any())
        pending = Pending(
            batch.buffer,
            headers.payload_offset,
            headers.payload_length,
            start,
            samples,
            codec,
            kind,
            source,
            segment,
            ext_seq,
        )
        self._pending.append(pending.select(keep & ~late))

    def _take_reports(self, until_us: int) -> None:
        """What senders said by the end of a block, for the next one."""
        due = [report for report in self._reports if report.arrival_us < until_us]
        self._reports = [report for report in self._reports if report.arrival_us >= until_us]
        for report in due:
            source = self._sources.get(report.ssrc)
            if source is not None and self._clock:
                media_us = source.media_at(report.timestamp, self._clock)
                source.clock.take(media_us, report.ntp_us, float(report.arrival_us - self.from_us))

    def _codec_columns(self, headers: Headers, arrival: I64) -> tuple[I64, I64]:
        """Index of codec and kind of each packet."""
        codec = np.zeros(len(headers.row), dtype=np.int64)
        kind = np.full(len(headers.row), UNKNOWN, dtype=np.int64)
        if not len(arrival):
            return codec, kind
        first, final = self.epoch(int(arrival[0])), self.epoch(int(arrival[-1]))
        cuts = [0, len(arrival)]
        epochs = [first]
        if final is not first:
            epochs = list({e.at_us: e for e in (self.epoch(int(at)) for at in np.unique(arrival))}.values())
            cuts = [0, *(int(np.searchsorted(arrival, e.at_us)) for e in epochs[1:]), len(arrival)]
        for epoch, begin, end in zip(epochs, cuts[:-1], cuts[1:], strict=True):
            for payload_type in np.flatnonzero(np.bincount(headers.payload_type[begin:end])):
                found = epoch.find(int(payload_type)) or final.find(int(payload_type)) or Codec("?", 8000)
                if found not in self._codecs:
                    self._codecs.append(found)
                rows = begin + np.flatnonzero(headers.payload_type[begin:end] == payload_type)
                codec[rows] = self._codecs.index(found)
                kind[rows] = _kind(found)
        return codec, kind

    def _durations(self, headers: Headers, batch: Packets, codec: I64) -> tuple[I64, I64, I64]:
        """Samples, RTP clock and sampling rate of each packet."""
        samples = np.zeros(len(headers.row), dtype=np.int64)
        clock, rates = np.full_like(samples, 8000), np.full_like(samples, 8000)
        for index in np.flatnonzero(np.bincount(codec)):
            named = self._codecs[index]
            rows = np.flatnonzero(codec == index)
            clock[rows] = max(1, named.clock)
            rates[rows] = codecs.audio_rate(named) or 8000
            samples[rows] = codecs.samples_of(
                named, headers.payload_length[rows], batch.buffer, headers.payload_offset[rows]
            )
        return samples, clock, rates

    def _audio_clock(self, clock: I64, kind: I64) -> I64:
        """The clock that timestamps run by: digits and noise share that of the audio around them (RFC 4733 §2.1)."""
        audio = kind == AUDIO
        if audio.all():
            self._clock = int(clock[-1]) if len(clock) else self._clock
            return clock
        before = np.maximum.accumulate(np.where(audio, np.arange(len(clock)), -1))
        first = int(clock[np.argmax(audio)]) if audio.any() else 0
        lead = self._clock or first
        self._clock = int(clock[before[-1]]) if before[-1] >= 0 else self._clock
        return np.where(audio, clock, np.where(before >= 0, clock[before], lead or clock))

    def _note_source(self, ssrc: int) -> None:
        tally = self.tally
        tally.ssrcs = tally.ssrcs or set()
        if ssrc not in tally.ssrcs:
            tally.ssrcs.add(ssrc)
            tally.sheet.source_changes += tally.sheet.sources > 0
            tally.sheet.sources += 1

    def _note_arrivals(self, placed: placing.Placed, audio: NDArray[np.bool_]) -> None:
        sheet = self.tally.sheet
        if not audio.any():
            return
        highest = np.maximum.accumulate(placed.seq)
        sheet.reordered += int((placed.seq < highest).sum())
        steady = audio & (placed.transit_step_us <= placing.JUMP_US)
        steady[1:] &= audio[:-1]
        self.tally.step_sum += float(placed.transit_step_us[steady].sum())
        self.tally.steps += int(steady.sum())
        sheet.delay_max_ms = max(sheet.delay_max_ms, round(float(placed.deviation_us[audio].max()) / 1000, 1))

    # writing

    def _write(self, boundary: int, *, last: bool) -> I16:
        """Samples from ``written`` to ``boundary``."""
        length = max(0, boundary - self.written)
        pending = merge(self._pending)
        line = np.zeros(length, dtype=np.int16)
        carried = min(length, len(self._carry))
        line[:carried] = self._carry[:carried]
        self._carry = self._carry[carried:]
        if pending is not None:
            due = pending.start < boundary
            self._pending = [] if last or due.all() else [pending.select(~due)]
            if due.any():
                self._write_packets(pending if due.all() else pending.select(due), line, boundary)
        self.written = max(self.written, boundary)
        return line

    def _write_packets(self, pending: Pending, line: I16, boundary: int) -> None:
        if not pending.in_order:
            pending = pending.select(
                np.lexsort((np.arange(len(pending.seq)), pending.seq, pending.segment, pending.source))
            )
            same = np.zeros(len(pending.seq), dtype=np.bool_)
            same[1:] = pending.same_stream & (pending.seq[1:] == pending.seq[:-1])
            if same.any():
                self.tally.sheet.duplicates += int(same.sum())
                self.tally.audio_packets -= int((pending.kind[same] == AUDIO).sum())
                pending = pending.select(~same)
        after_loss = self._count_losses(pending)
        if (pending.start[1:] < pending.start[:-1]).any():
            order = np.argsort(pending.start, kind="stable")
            pending, after_loss = pending.select(order), after_loss[order]
        audio = (pending.kind == AUDIO) & (pending.samples > 0)
        runs, losses = pending.select(audio), after_loss[audio]
        if not len(runs.start):
            return
        span = runs.samples * self.rate // np.array([codecs.audio_rate(c) or 8000 for c in self._codecs])[runs.codec]
        joined = (
            (runs.start[1:] == runs.start[:-1] + span[:-1]) & runs.same_stream & (runs.codec[1:] == runs.codec[:-1])
        )
        cuts = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(runs.start)]
        for begin, end in pairwise(cuts):
            samples = self._decode(runs, begin, end, int(span[begin:end].sum()))
            self._lay(line, samples, int(runs.start[begin]), boundary)
            self._note_codec(self._codecs[int(runs.codec[begin])].name)
            start, source = int(runs.start[begin]), int(runs.source[begin])
            self._coverage.add(start, start + len(samples), source, after_loss=bool(losses[begin]))

    def _count_losses(self, pending: Pending) -> NDArray[np.bool_]:
        """Counts missing sequence numbers; says which packets come after a hole. Sorted by source and seq."""
        after = np.zeros(len(pending.seq), dtype=np.bool_)
        tally = self.tally
        for index, rows in groups(pending.source):
            if index < 0:
                continue
            seq = pending.seq[rows]
            rising = bool((seq[1:] > seq[:-1]).all())
            seq = seq if rising else np.unique(seq)
            previous = self._last_seq.get(index)
            steps = np.diff(seq, prepend=previous if previous is not None else seq[0] - 1)
            hole = (steps > 1) & (steps <= MAX_GAP_SEQ)
            tally.sheet.lost += int((steps[hole] - 1).sum())
            tally.expected += int((steps[hole] - 1).sum()) + len(seq)
            after[rows] = hole if rising else np.isin(pending.seq[rows], seq[hole])
            self._last_seq[index] = int(max(seq[-1], previous if previous is not None else seq[-1]))
        return after

    def _decode(self, runs: Pending, begin: int, end: int, expected: int) -> I16:
        """Samples of packets ``begin`` to ``end``, which follow each other, at the line's rate."""
        codec = self._codecs[int(runs.codec[begin])]
        table = codecs.batch_table(codec)
        at, size = runs.at[begin:end], runs.size[begin:end]
        if table is not None:
            samples = table.take(gather(runs.buffer, at, size), mode="clip")
        else:
            key = (int(runs.source[begin]), int(runs.codec[begin]))
            if key not in self._decoders:
                self._decoders[key] = codecs.decoder(codec)
            buffer = runs.buffer
            payloads = [buffer[a : a + s].tobytes() for a, s in zip(at.tolist(), size.tolist(), strict=True)]
            samples = self._decoders[key].decode(payloads)
        rate = codecs.audio_rate(codec)
        if rate != self.rate and len(samples):
            samples = codecs.resample(samples, rate, self.rate)
        if len(samples) < expected:
            samples = np.concatenate([samples, np.zeros(expected - len(samples), dtype=np.int16)])
        return samples[:expected]

    def _lay(self, line: I16, samples: I16, start: int, boundary: int) -> None:
        """Copies a run to its place; what reaches beyond the boundary is carried into the next block."""
        place, end = start - self.written, start + len(samples)
        if place < 0:
            samples, place = samples[-place:], 0
        bridge = place - (self._coverage.end - self.written)
        if 0 < bridge <= self.rate * BRIDGE_MS // 1000 and place - bridge > 0 and place < len(line) and len(samples):
            line[place - bridge : place] = np.linspace(line[place - bridge - 1], samples[0], bridge + 2)[1:-1]
        inside = min(len(samples), len(line) - place)
        if inside > 0:
            line[place : place + inside] = samples[:inside]
        beyond = samples[max(0, inside) :]
        if end > boundary and len(beyond):
            offset = max(0, start - boundary)
            need = offset + len(beyond)
            if need > len(self._carry):
                self._carry = np.concatenate([self._carry, np.zeros(need - len(self._carry), dtype=np.int16)])
            self._carry[offset:need] = beyond

    # facts

    def _note_codec(self, name: str) -> None:
        sheet = self.tally.sheet
        if name not in sheet.codecs:
            sheet.codecs.append(name)
        sheet.codec_changes += self.tally.last_codec not in ("", name)
        self.tally.last_codec = name

    def _conclude(self, length: int) -> None:
        self._coverage.conclude(length)
        sheet = self.tally.sheet
        for source in self._sources.values():
            sheet.time_base_changes += source.jumps
            drift = placing.drift_ppm(source)
            if drift is not None and (self.tally.drift is None or len(source.trend) > self.tally.drift[0]):
                self.tally.drift = (len(source.trend), drift)


def _kind(codec: Codec) -> int:
    if codec.name == "TELEPHONE-EVENT":
        return DIGITS
    if codec.name == "CN":
        return NOISE
    return AUDIO if codecs.audio_rate(codec) else UNKNOWN
