"""What comes out is judged by what is heard: 440 Hz from the caller, 1 kHz to him, in every 100 ms."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tape_maker import PAYLOAD_TYPES, START_US, Packet, decode_file, dominant, rtp, talk

from earwitness.archive.render.convert import read_samples
from earwitness.archive.render.packets import Packets, read_tape
from earwitness.archive.render.plan import TapePlan
from earwitness.archive.render.renderer import (
    Renderer,
    Rendering,
    UnsupportedFormatError,
    check_audio_format,
    master_sink,
    render_tape,
)

MakeSpool = Callable[..., Any]


def render(plan: TapePlan) -> tuple[np.ndarray[Any, np.dtype[np.int16]], int, Rendering]:
    out = io.BytesIO()
    rendering = render_tape(plan, out.write)
    samples, rate = decode_file(out.getvalue())
    return samples, rate, rendering


def assert_tones(
    samples: np.ndarray[Any, Any], rate: int, *, first: float = 440.0, second: float = 1000.0, allow_silent: int = 0
) -> None:
    for channel, expected in enumerate((first, second)):
        heard = dominant(samples[:, channel], rate)
        wrong = [(at, hz) for at, hz in enumerate(heard) if abs(hz - expected) > 15 and hz != 0.0]
        assert not wrong
        assert sum(hz == 0.0 for hz in heard) <= allow_silent


@pytest.mark.parametrize("payload_type", [0, 8, 9, 96, 97])
def test_each_codec_is_heard_on_its_channel(spool: MakeSpool, payload_type: int) -> None:
    seconds = 12.0
    plan = spool().simple(
        seconds,
        talk(440, seconds, payload_type=payload_type),
        talk(1000, seconds, payload_type=payload_type, ssrc=9),
    )
    samples, rate, rendering = render(plan)
    assert abs(len(samples) / rate - seconds) < 0.02
    assert_tones(samples, rate)
    assert rendering.length_ms == 12000
    assert rendering.sheet.channels[0].codecs == [PAYLOAD_TYPES[str(payload_type)][0].upper()]
    assert rendering.sheet.channels[0].loss_percent == 0
    assert rendering.rate == (8000 if payload_type in (0, 8) else 16000)


def test_mixed_codecs_on_the_two_channels(spool: MakeSpool) -> None:
    plan = spool().simple(8.0, talk(440, 8), talk(1000, 8, payload_type=96, ssrc=9))
    samples, rate, rendering = render(plan)
    assert rendering.rate == 16000
    assert_tones(samples, rate)


def mishaps(
    packets: list[Packet], seed: int, *, loss: float = 0.05, swap: float = 0.05, double: float = 0.02
) -> list[Packet]:
    """Loses, reorders (by up to 60 ms), delays and doubles packets."""
    dice = random.Random(seed)
    kept: list[Packet] = []
    for at, data in packets:
        if dice.random() < loss:
            continue
        late = at + (60_000 if dice.random() < swap else 0) + dice.randrange(0, 15_000)
        kept.append((late, data))
        if dice.random() < double:
            kept.append((late + 3000, data))
    return sorted(kept, key=lambda packet: packet[0])


@pytest.mark.parametrize("payload_type", [0, 9, 96])
def test_loss_reordering_and_duplicates_keep_length_and_place(spool: MakeSpool, payload_type: int) -> None:
    """Field notes 13 to 17: 85 % of the length with 15 % loss, shifted channels."""
    seconds = 30.0
    whole = talk(440, seconds, payload_type=payload_type)
    plan = spool().simple(
        seconds,
        mishaps(whole, 1),
        mishaps(talk(1000, seconds, payload_type=payload_type, ssrc=9), 2),
    )
    samples, rate, rendering = render(plan)
    assert abs(len(samples) / rate - seconds) < 0.04
    assert_tones(samples, rate, allow_silent=3)
    sheet = rendering.sheet.channels[0]
    assert 3 < sheet.loss_percent < 8
    assert sheet.reordered > 10
    assert sheet.duplicates > 5
    assert sheet.packets - sheet.duplicates + sheet.lost == pytest.approx(len(whole), abs=2)
    assert sheet.sources == 1
    assert sheet.time_base_changes == 0


def test_source_change_in_mid_call_goes_on_at_its_time(spool: MakeSpool) -> None:
    """Field note 10: a re-INVITE changes the SSRC, and every packet of the new source was dropped."""
    first = talk(440, 10.0) + talk(440, 10.0, ssrc=77, seq=5, timestamp=99, at_us=START_US + 11_000_000)
    samples, rate, rendering = render(spool().simple(21.0, first, talk(1000, 21.0, ssrc=9)))
    heard = dominant(samples[:, 0], rate)
    assert all(abs(hz - 440) < 15 for hz in heard[:99] + heard[111:])
    assert heard[101:109] == [0.0] * 8
    sheet = rendering.sheet.channels[0]
    assert (sheet.sources, sheet.source_changes) == (2, 1)
    gap = next(gap for gap in sheet.gaps if gap.cause == "source")
    assert (gap.from_ms, gap.to_ms) == (pytest.approx(10000, abs=25), pytest.approx(11000, abs=25))


def test_codec_change_in_mid_call(spool: MakeSpool) -> None:
    first = talk(440, 7.0) + talk(
        440, 7.0, payload_type=9, seq=65000 + 350, timestamp=0xFFFFF000 + 350 * 160, at_us=START_US + 7_000_000
    )
    samples, rate, rendering = render(spool().simple(14.0, first, talk(1000, 14.0, ssrc=9)))
    assert rendering.rate == 16000
    assert_tones(samples, rate)
    assert rendering.sheet.channels[0].codec_changes == 1
    assert rendering.sheet.channels[0].codecs == ["PCMU", "G722"]


def test_timestamps_that_restart_are_placed_by_arrival(spool: MakeSpool) -> None:
    first = talk(440, 6.0) + talk(440, 6.0, seq=65300, timestamp=123, at_us=START_US + 8_000_000)
    samples, rate, rendering = render(spool().simple(14.0, first, talk(1000, 14.0, ssrc=9)))
    heard = dominant(samples[:, 0], rate)
    assert all(abs(hz - 440) < 15 for hz in heard[:59] + heard[81:])
    assert heard[61:79] == [0.0] * 18
    assert rendering.sheet.channels[0].time_base_changes == 1
    assert rendering.sheet.channels[0].lost == 0


def test_sender_that_pauses_without_its_timestamps_running_on(spool: MakeSpool) -> None:
    """Hold: the sender stops for 5 s and goes on as if nothing had been; the pause must not vanish (field note 16)."""
    packets = talk(440, 10.0)
    first = packets[:250] + [(at + 5_000_000, data) for at, data in packets[250:]]
    samples, rate, _ = render(spool().simple(15.0, first, talk(1000, 15.0, ssrc=9)))
    heard = dominant(samples[:, 0], rate)
    assert all(abs(hz - 440) < 15 for hz in heard[:49] + heard[101:])
    assert heard[52:98] == [0.0] * 46


def test_stall_and_burst_stay_where_they_were_said(spool: MakeSpool) -> None:
    """The network holds three seconds back and delivers them at once."""
    packets = talk(440, 20.0)
    stalled = [
        (START_US + 9_000_000 + k, data) if 300 <= k < 450 else (at, data) for k, (at, data) in enumerate(packets)
    ]
    stalled.sort(key=lambda packet: packet[0])
    samples, rate, rendering = render(spool().simple(20.0, stalled, talk(1000, 20.0, ssrc=9)))
    assert_tones(samples, rate)
    assert rendering.sheet.channels[0].missing_ms < 40
    assert rendering.sheet.channels[0].delay_max_ms > 2900


def test_silence_suppression_and_comfort_noise_are_silence(spool: MakeSpool) -> None:
    packets = talk(440, 9.0)
    noise = (packets[150][0], rtp(13, 65150, 0xFFFFF000 + 150 * 160, 0x1234, b"\x40"))
    rest = [
        (at, data[:2] + struct.pack("!H", (65151 + k) & 0xFFFF) + data[4:])
        for k, (at, data) in enumerate(packets[300:])
    ]
    samples, rate, rendering = render(spool().simple(9.0, [*packets[:150], noise, *rest], talk(1000, 9.0, ssrc=9)))
    heard = dominant(samples[:, 0], rate)
    assert heard[31:59] == [0.0] * 28
    assert all(abs(hz - 440) < 15 for hz in heard[:29] + heard[61:])
    sheet = rendering.sheet.channels[0]
    assert sheet.lost == 0
    assert sheet.comfort_noise == 1
    assert [gap.cause for gap in sheet.gaps] == ["silence"]


def test_digits_are_not_heard(spool: MakeSpool) -> None:
    packets = talk(440, 4.0)
    digits = [
        (at, rtp(101, 65000 + 100 + k, 0xFFFFF000 + 100 * 160, 0x1234, b"\x05\x0a" + struct.pack("!H", 160 * k)))
        for k, (at, _) in enumerate(packets[100:110])
    ]
    _, _, rendering = render(spool().simple(4.0, packets[:100] + digits + packets[110:], talk(1000, 4.0, ssrc=9)))
    sheet = rendering.sheet.channels[0]
    assert sheet.telephone_events == 10
    assert sheet.lost == 0
    assert sheet.unknown_payload == 0


def test_digits_in_an_opus_call_do_not_move_its_audio(spool: MakeSpool) -> None:
    """Their timestamps run by the clock of the audio, 48 kHz, whatever the digits' payload type claims."""
    packets = talk(440, 12.0, payload_type=96)
    for start in (100, 200, 300, 400):
        said = struct.unpack("!I", packets[start][1][4:8])[0]
        for k in range(10):
            at, data = packets[start + k]
            seq = struct.unpack("!H", data[2:4])[0]
            packets[start + k] = (at, rtp(101, seq, said, 0x1234, b"\x05\x0a" + struct.pack("!H", 960 * k)))
    samples, rate, rendering = render(spool().simple(12.0, packets, talk(1000, 12.0, payload_type=96, ssrc=9)))
    loud = np.abs(samples[:, 0].astype(np.int32)) > 1500
    spans = loud[: 12 * rate].reshape(-1, rate // 50).any(axis=1)
    assert spans[101:109].sum() == spans[401:409].sum() == 0
    assert spans[95:99].all()
    assert spans[111:199].all()
    assert spans[411:590].all()
    assert rendering.sheet.channels[0].time_base_changes == 0
    assert rendering.sheet.channels[0].delay_max_ms < 1


def test_one_way_audio_is_a_silent_channel_of_full_length(spool: MakeSpool) -> None:
    """Field notes 18 and 19."""
    samples, rate, rendering = render(spool().simple(5.0, talk(440, 5.0), []))
    assert len(samples) / rate == pytest.approx(5.0, abs=0.02)
    assert np.abs(samples[rate // 10 :, 1]).max() < 50
    assert [channel.one_way for channel in rendering.sheet.channels] == [False, True]
    assert rendering.sheet.channels[1].silence_percent == 100.0
    assert [(gap.from_ms, gap.to_ms, gap.cause) for gap in rendering.sheet.channels[1].gaps] == [(0, 5000, "none")]


def test_no_packets_at_all_are_silence_of_full_length(spool: MakeSpool) -> None:
    samples, rate, rendering = render(spool().simple(5.0, [], []))
    assert len(samples) / rate == pytest.approx(5.0, abs=0.02)
    assert rendering.length_ms == 5000
    assert not rendering.sheet.channels[0].one_way


def test_missing_tape_files_are_silence(spool: MakeSpool) -> None:
    plan = spool().simple(2.0, [], [])
    for channel in (0, 1):
        plan.file(0, channel).unlink()
    assert render(plan)[2].length_ms == 2000


def test_openings_are_joined_and_pauses_cut_out(spool: MakeSpool) -> None:
    """B12: a pause is cut, not filled with silence; what is said in it is nowhere."""
    made = spool()
    made.begin()
    made.opened(0, START_US)
    made.closed(0, START_US + 3_000_000, "pause", "secure pause")
    made.opened(1, START_US + 8_000_000)
    made.closed(1, START_US + 12_000_000)
    made.end(START_US + 12_000_000)
    everything = talk(440, 3.0) + talk(3000, 5.0, at_us=START_US + 3_000_000, seq=65150, timestamp=0xFFFFF000 + 24000)
    everything += talk(440, 4.0, seq=65400, timestamp=0xFFFFF000 + 400 * 160, at_us=START_US + 8_000_000)
    made.tape(0, 0, [packet for packet in everything if packet[0] <= START_US + 3_000_000])
    made.tape(1, 0, [packet for packet in everything if packet[0] > START_US + 8_000_000])
    for opening, at in ((0, 0), (1, 8)):
        made.tape(opening, 1, talk(1000, 3.0 + opening, ssrc=9, at_us=START_US + at * 1_000_000))
    samples, rate, rendering = render(made.plan())
    assert rendering.length_ms == 7000
    assert_tones(samples, rate)


def test_a_packet_said_before_the_opening_is_cut_at_it(spool: MakeSpool) -> None:
    """A packet that arrives just after a secure pause was spoken in it, and must not be heard."""
    first = [packet for packet in talk(3000, 0.2, at_us=START_US - 190_000) if packet[0] >= START_US]
    samples, rate, _ = render(spool().simple(2.0, first, []))
    loud = np.flatnonzero(np.abs(samples[:, 0].astype(np.int32)) > 2000)
    assert loud.size == 0 or loud.max() / rate < 0.015


def test_mono_mix_holds_both(spool: MakeSpool) -> None:
    samples, rate, rendering = render(spool(dual_channel=False).simple(3.0, talk(440, 3.0), talk(1000, 3.0, ssrc=9)))
    assert samples.shape[1] == 1
    assert rendering.channels == 1
    spectrum = np.abs(np.fft.rfft(samples[: 2 * rate, 0].astype(float)))
    assert spectrum[880] > 100 * np.median(spectrum)
    assert spectrum[2000] > 100 * np.median(spectrum)


@pytest.mark.parametrize(("audio_format", "tag"), [("audio/PCMU", 7), ("audio/PCMA", 6), ("audio/L16", 1)])
def test_a9_masters_without_encoding(spool: MakeSpool, audio_format: str, tag: int) -> None:
    out = io.BytesIO()
    plan = spool(audio_format=audio_format).simple(3.0, talk(440, 3.0), talk(1000, 3.0, ssrc=9))
    rendering = render_tape(plan, out.write)
    assert rendering.media_type == "audio/wav"
    assert struct.unpack("<H", out.getvalue()[20:22])[0] == tag
    samples, rate = decode_file(out.getvalue())
    assert len(samples) == 3 * rate
    assert_tones(samples, rate)


@pytest.mark.parametrize("payload_type", [0, 9])
@pytest.mark.parametrize("seconds", [3.0, 2.000125])
def test_a9_a_g726_master_is_mono_at_32_kbit(spool: MakeSpool, payload_type: int, seconds: float) -> None:
    """Also of a wideband call: the format knows 8000 samples a second only."""
    out = io.BytesIO()
    packets = talk(440, 3.0, payload_type=payload_type), talk(1000, 3.0, payload_type=payload_type, ssrc=9)
    plan = spool(audio_format="audio/G726-32", dual_channel=False).simple(seconds, *packets)
    rendering = render_tape(plan, out.write)
    assert (rendering.media_type, rendering.rate, rendering.channels) == ("audio/wav", 8000, 1)
    data = out.getvalue()
    assert struct.unpack("<HHIIHH", data[20:36]) == (0x45, 1, 8000, 4000, 1, 4)
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    expected = round(seconds * 8000)
    assert 0 <= len(data) - 58 - (expected + 1) // 2 <= 1
    samples, rate = read_samples(io.BytesIO(data))
    assert (len(samples), rate) == (expected, 8000)
    spectrum = np.abs(np.fft.rfft(samples[:16000, 0].astype(float)))
    assert spectrum[880] > 100 * np.median(spectrum)
    assert spectrum[2000] > 100 * np.median(spectrum)
    other, _ = decode_file(data)
    assert np.array_equal(other[:expected], samples)


@pytest.mark.parametrize("payload_type", [0, 9])
@pytest.mark.parametrize("seconds", [3.0, 2.000125, 0.04])
def test_a9_a_gsm_master_is_mono_at_13_kbit(spool: MakeSpool, payload_type: int, seconds: float) -> None:
    out = io.BytesIO()
    packets = talk(440, 3.0, payload_type=payload_type), talk(1000, 3.0, payload_type=payload_type, ssrc=9)
    plan = spool(audio_format="audio/GSM", dual_channel=False).simple(seconds, *packets)
    rendering = render_tape(plan, out.write)
    assert (rendering.media_type, rendering.rate, rendering.channels) == ("audio/wav", 8000, 1)
    data = out.getvalue()
    assert struct.unpack("<HHIIHH", data[20:36]) == (0x31, 1, 8000, 1625, 65, 0)
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    expected = round(seconds * 8000)
    blocks = -(-expected // 320)
    assert len(data) == 60 + 65 * blocks + blocks % 2
    samples, rate = read_samples(io.BytesIO(data))
    assert (len(samples), rate) == (expected, 8000)
    if seconds >= 2:
        spectrum = np.abs(np.fft.rfft(samples[:16000, 0].astype(float)))
        assert spectrum[880] > 50 * np.median(spectrum)
        assert spectrum[2000] > 50 * np.median(spectrum)
    other, _ = decode_file(data)
    assert np.array_equal(other[:expected], samples)


@pytest.mark.parametrize("audio_format", ["audio/G726-32", "audio/GSM"])
def test_a8_a_telephone_format_has_one_channel(spool: MakeSpool, audio_format: str) -> None:
    plan = spool(audio_format=audio_format, dual_channel=True).simple(1.0, [], [])
    with pytest.raises(UnsupportedFormatError, match="one channel"):
        render_tape(plan, lambda data: None)


@pytest.mark.parametrize("audio_format", ["audio/TrueSpeech", "", "audio/midi"])
def test_a9_formats_that_cannot_be_written_are_refused(audio_format: str) -> None:
    with pytest.raises(UnsupportedFormatError, match="audio/opus"):
        check_audio_format(audio_format)


def test_clock_drift_is_followed(spool: MakeSpool) -> None:
    """A sender 300 ppm too fast: after two minutes its audio is still in place, and the sheet tells the drift."""
    seconds = 120.0
    packets = [
        (START_US + round((at - START_US) * (1 - 300e-6)), data) for at, data in talk(440, seconds, amplitude=4000)
    ]
    beep = talk(440, 0.1, amplitude=20000)
    for k in range(5):
        packets[5900 + k] = (packets[5900 + k][0], packets[5900 + k][1][:12] + beep[k][1][12:])
    samples, rate, rendering = render(spool().simple(seconds, packets, []))
    loud = np.flatnonzero(np.abs(samples[:, 0].astype(np.int32)) > 12000)
    assert loud[0] / rate == pytest.approx(5900 * 0.02 * (1 - 300e-6), abs=0.012)
    assert rendering.sheet.channels[0].drift_ppm == pytest.approx(300, abs=60)


def test_gap_events_name_their_cause(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.event(
        START_US + 3_000_000,
        "gap",
        leg_id="leg",
        channel=0,
        from_us=START_US + 2_000_000,
        to_us=START_US + 3_000_000,
        cause="overflow",
    )
    made.opened(0, START_US)
    made.closed(0, START_US + 5_000_000)
    made.end(START_US + 5_000_000)
    packets = talk(440, 5.0)
    made.tape(0, 0, packets[:100] + packets[150:])
    _, _, rendering = render(made.plan())
    assert [(gap.cause, gap.to_ms - gap.from_ms) for gap in rendering.sheet.channels[0].gaps] == [("overflow", 1000)]
    assert rendering.sheet.channels[0].lost == 50


def test_following_a_call_gives_the_bytes_of_the_batch(spool: MakeSpool) -> None:
    plan = spool().simple(47.0, mishaps(talk(440, 47.0), 3), mishaps(talk(1000, 47.0, payload_type=9, ssrc=9), 4))
    batch = io.BytesIO()
    rendering = render_tape(plan, batch.write)
    live = io.BytesIO()
    renderer = Renderer(plan, rendering.rate, master_sink(plan, live.write))
    renderer.open(START_US)
    tapes = [read_tape(plan.file(0, channel)) for channel in (0, 1)]
    seen = 0
    for now in range(START_US, START_US + 47_000_000, 700_000):
        for channel, tape in enumerate(tapes):
            renderer.feed(channel, tape.select((tape.arrival_us >= now) & (tape.arrival_us < now + 700_000)))
        renderer.advance(now + 700_000)
        seen = max(seen, live.tell())
    assert seen > len(batch.getvalue()) // 3
    renderer.close(START_US + 47_000_000)
    followed = renderer.finish()
    assert live.getvalue() == batch.getvalue()
    assert followed.sheet == rendering.sheet


def test_rendering_twice_gives_the_same_bytes(spool: MakeSpool) -> None:
    plan = spool().simple(5.0, talk(440, 5.0), talk(1000, 5.0, ssrc=9))
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        render_tape(plan, file.write)
    assert files[0].getvalue() == files[1].getvalue()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.randoms(use_true_random=False),
    loss=st.floats(0, 1),
    length=st.floats(0.01, 3.0),
    shift=st.integers(-2_000_000, 2_000_000),
)
def test_nothing_changes_the_length(
    spool: MakeSpool, order: random.Random, loss: float, length: float, shift: int
) -> None:
    packets = [packet for packet in talk(440, 2.0) if order.random() >= loss] * 2
    order.shuffle(packets)
    arrivals = sorted(at for at, _ in packets)
    shuffled = [(max(START_US, at + shift), data) for at, (_, data) in zip(arrivals, packets, strict=True)]
    plan = spool().simple(length, shuffled, shuffled[::3])
    lines: list[int] = []

    class Count:
        media_type = extension = ""

        def samples(self, block: np.ndarray[Any, Any]) -> None:
            lines.append(len(block))

        def finish(self) -> None:
            pass

    render_tape(plan, lambda data: None, sink=lambda rate, channels: Count())
    assert sum(lines) == round(round(length * 1e6) * 8000 / 1e6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    garbage=st.lists(
        st.tuples(
            st.integers(0, 30_000_000),
            st.one_of(
                st.binary(max_size=60),
                st.builds(
                    lambda pt, seq, ts, ssrc, flags, data: (
                        struct.pack("!BBHII", 0x80 | flags, pt, seq, ts, ssrc) + data
                    ),
                    st.integers(0, 127),
                    st.integers(0, 65535),
                    st.integers(0, 2**32 - 1),
                    st.integers(0, 3),
                    st.sampled_from([0, 0, 0, 0x10, 0x20, 0x0F]),
                    st.binary(max_size=200),
                ),
            ),
        ),
        max_size=60,
    )
)
def test_garbage_on_tape_is_counted_and_silent_never_a_crash(
    spool: MakeSpool, garbage: list[tuple[int, bytes]]
) -> None:
    packets = [(START_US + at, data) for at, data in sorted(garbage, key=lambda item: item[0])]
    plan = spool().simple(20.0, packets, [])
    rendering = render_tape(plan, lambda data: None)
    assert rendering.length_ms == 20000
    sheet = rendering.sheet.channels[0]
    assert sheet.packets + sheet.malformed == sum(len(data) > 0 for _, data in packets)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), head=st.booleans())
def test_a_tape_file_of_garbage_is_silence(spool: MakeSpool, data: bytes, head: bool) -> None:
    plan = spool().simple(1.0, [], [])
    known = plan.file(0, 0).read_bytes() if head else b""
    plan.file(0, 0).write_bytes(known + data)
    assert render_tape(plan, lambda data: None).length_ms == 1000


def test_packets_that_claim_to_be_weeks_late_cost_nothing(spool: MakeSpool) -> None:
    packets = talk(440, 3.0) + [
        (START_US + 40 * 86_400_000_000 + k, data) for k, (_, data) in enumerate(talk(440, 1.0))
    ]
    rendering = render(spool().simple(3.0, packets, []))[2]
    assert rendering.length_ms == 3000
    assert [gap for gap in rendering.sheet.channels[0].gaps if gap.to_ms > 3000] == []


def test_many_sources_of_one_packet_each_stay_cheap(spool: MakeSpool) -> None:
    packets = [
        (START_US + k * 100, rtp(0, k, k * 7919, k * 2654435761 & 0xFFFFFFFF, bytes(160))) for k in range(20_000)
    ]
    batch = Packets.of(packets)
    assert len(batch) == 20_000
    assert render_tape(spool().simple(3.0, packets, []), lambda data: None).length_ms == 3000
