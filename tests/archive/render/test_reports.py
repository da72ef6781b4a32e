"""RTCP sender reports: read from anything, and what they change about where audio is placed."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tape_maker import START_US, Packet, Spool, report, talk

from earwitness.archive.render.packets import Packets, read_tape
from earwitness.archive.render.plan import TapePlan
from earwitness.archive.render.renderer import Renderer, Rendering, master_sink, render_tape
from earwitness.archive.render.reports import COARSE_US, FRESH_US, SenderClock, read_reports
from earwitness.archive.render.wav import Wav

SECONDS = 90
BEEP_EVERY_S = 3
NTP_S = 3_900_000_000.25
SSRC = 0x1234


def sender_packet(ssrc: int, seconds: int, fraction: int, timestamp: int, blocks: int = 0) -> bytes:
    head = struct.pack("!BBH", 0x80 | blocks, 200, 6 + 6 * blocks)
    return head + struct.pack("!IIIIII", ssrc, seconds, fraction, timestamp, 1, 2) + bytes(24 * blocks)


def test_reports_of_compound_packets_are_read() -> None:
    receiver = struct.pack("!BBHI", 0x80, 201, 1, 5)
    together = sender_packet(7, 10, 1 << 31, 80, blocks=2) + receiver + sender_packet(8, 11, 0, 90)
    found = read_reports(Packets.of([(3, together), (4, receiver), (5, sender_packet(9, 0, 0, 1))]))
    assert [(r.arrival_us, r.ssrc, r.ntp_us, r.timestamp) for r in found] == [(3, 7, 10.5e6, 80), (3, 8, 11e6, 90)]


@given(st.lists(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"\x80\xc8\0\x06" + tail), max_size=8))
def test_any_bytes_are_read_without_a_crash(data: list[bytes]) -> None:
    found = read_reports(Packets.of([(number, item) for number, item in enumerate(data)]))
    assert len(found) <= sum(len(item) // 28 for item in data)


def test_a_clock_is_steady_while_reports_agree_and_are_fresh() -> None:
    clock = SenderClock()
    assert not clock.steady(0.0)
    clock.take(5e6, 100e6, 5e6)
    assert not clock.steady(6e6)
    clock.take(10e6 + COARSE_US / 2, 105e6, 10e6)
    assert clock.steady(11e6)
    assert not clock.steady(10e6 + FRESH_US + 1)


@pytest.mark.parametrize("what", ["the sender paused", "its clock was set"])
def test_a_clock_is_not_steady_once_media_and_sender_disagree(what: str) -> None:
    clock = SenderClock()
    for second in (0, 5, 10):
        clock.take(second * 1e6, second * 1e6, second * 1e6)
    assert clock.steady(11e6)
    media, own = (14.9e6, 15e6) if what == "the sender paused" else (15e6, 7e9)
    clock.take(media, own, 15e6)
    assert not clock.steady(16e6)
    clock.take(media + 55e6, own + 55e6, 70e6)
    assert not clock.steady(71e6)
    assert clock.steady(76e6)


def said(delay_s: Callable[[float], float], *, pause: tuple[float, float] = (0, 0), reports: bool) -> list[Packet]:
    """A quiet tone with a loud beep every ``BEEP_EVERY_S``, as it arrives after a delay that depends on the time.

    :param pause: (when, how long): the sender stands still, and its timestamps with it.
    """
    quiet, beep = talk(440, SECONDS, amplitude=2000), talk(440, 0.1, amplitude=20000)
    jitter = np.random.default_rng(3)

    def later(at_s: float) -> float:
        return at_s + (pause[1] if at_s >= pause[0] else 0)

    packets: list[Packet] = []
    for number, (at, data) in enumerate(quiet):
        in_beep = number % (BEEP_EVERY_S * 50)
        if in_beep < 5:
            data = data[:12] + beep[in_beep][1][12:]
        now = later((at - START_US) / 1e6)
        packets.append((START_US + round((now + delay_s(now) + jitter.exponential(0.003)) * 1e6), data))
    for second in range(2, SECONDS, 5) if reports else ():
        now = later(second)
        packets.append(
            report(START_US + round((now + delay_s(now)) * 1e6), SSRC, NTP_S + now, 0xFFFFF000 + second * 8000)
        )
    return sorted(packets, key=lambda packet: packet[0])


def beeps(plan: TapePlan) -> tuple[list[float], Rendering]:
    """Where beeps begin, ms after a multiple of ``BEEP_EVERY_S``."""
    out = bytearray()
    rendering = render_tape(plan, out.extend, lambda rate, channels: Wav(out.extend, rate, channels, length=0))
    samples = np.frombuffer(bytes(out[44:]), dtype=np.int16).reshape(-1, 2)[:, 0].astype(np.int32)
    loud = np.flatnonzero(np.abs(samples) > 12000)
    begins = loud[np.diff(loud, prepend=-8000) > 4000]
    return [float((at + 4000) % (BEEP_EVERY_S * 8000) - 4000) / 8 for at in begins], rendering


def slower(now: float) -> float:
    """The network takes 80 ms more from second 30 on."""
    return 0.03 + (0.08 if now >= 30 else 0)


def test_a_slower_network_does_not_move_what_was_said(spool: Callable[[], Spool]) -> None:
    """A call whose way changes: with reports its audio stays within 15 ms; without, it slides by the whole change."""
    kept, rendering = beeps(spool().simple(SECONDS, said(slower, reports=True), []))
    assert len(kept) == SECONDS // BEEP_EVERY_S
    assert all(28 <= at <= 45 for at in kept)
    assert rendering.sheet.channels[0].malformed == 0
    moved, _ = beeps(spool().simple(SECONDS, said(slower, reports=False), []))
    assert moved[-1] >= 100


def test_a_network_that_changes_is_not_taken_for_drift(spool: Callable[[], Spool]) -> None:
    for_a_while = spool().simple(SECONDS, said(lambda now: 0.03 + (0.08 if 30 <= now < 60 else 0), reports=True), [])
    kept, rendering = beeps(for_a_while)
    assert all(28 <= at <= 40 for at in kept)
    assert rendering.sheet.channels[0].drift_ppm == pytest.approx(0, abs=30)


def test_a_sender_that_stood_still_is_followed_in_spite_of_reports(spool: Callable[[], Spool]) -> None:
    plan = spool().simple(SECONDS, said(lambda now: 0.03, pause=(30.0, 0.08), reports=True), [])
    moved, _ = beeps(plan)
    assert moved[5] == pytest.approx(30, abs=3)
    assert moved[-1] == pytest.approx(110, abs=12)


def test_reports_give_the_same_bytes_live_and_at_once(spool: Callable[[], Spool]) -> None:
    plan = spool().simple(SECONDS + 1, said(slower, reports=True), said(slower, reports=False))
    batch = io.BytesIO()
    rendering = render_tape(plan, batch.write)
    live = io.BytesIO()
    renderer = Renderer(plan, rendering.rate, master_sink(plan, live.write))
    renderer.open(START_US)
    for now in range(START_US, START_US + (SECONDS + 1) * 1_000_000, 900_000):
        for channel in (0, 1):
            tape = read_tape(plan.file(0, channel))
            renderer.feed(channel, tape.select((tape.arrival_us >= now) & (tape.arrival_us < now + 900_000)))
        renderer.advance(now + 900_000)
    renderer.close(START_US + (SECONDS + 1) * 1_000_000)
    assert renderer.finish().sheet == rendering.sheet
    assert live.getvalue() == batch.getvalue()
