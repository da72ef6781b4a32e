"""What one channel hears of the other, and what silence does to what is around it."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape_maker import decode_file, dominant, talk, tone

from earwitness.archive.render import framing, ogg, opus
from earwitness.archive.render.convert import convert, read_samples
from earwitness.archive.render.renderer import COMPLEXITY, bitrate, render_tape
from earwitness.archive.render.uncoupled import SILENT_PEAK, UncoupledEncoder, silence

I16 = np.ndarray[Any, np.dtype[np.int16]]
RATE, FRAME = 8000, 480
PAIRS = [(440, 880), (600, 2000), (800, 1600), (350, 700), (500, 1000), (850, 1250), (1000, 1020), (2000, 600)]


def written(samples: I16, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    channels = samples.shape[1]
    sink = ogg.OggOpus(out.write, rate, channels, serial=1, bitrate=bitrate(rate, channels), complexity=COMPLEXITY)
    sink.samples(samples)
    sink.finish()
    return out.getvalue()


def coupled(samples: I16, rate: int = RATE) -> bytes:
    """A master as they were once: one stream of coupled stereo."""
    encoder = opus.Encoder(rate, 2, bitrate=24000, complexity=1, frame_ms=60)
    skip = encoder.lookahead * 48000 // rate
    padding = -(len(samples) + encoder.lookahead) % encoder.frame + encoder.lookahead
    packets = encoder.encode(np.pad(samples, ((0, padding), (0, 0))))
    end = len(samples) * 48000 // rate + skip
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 2, skip, rate, 0, 0)
    pages = [([head], 0, 2), ([b"OpusTags" + struct.pack("<I4sI", 4, b"test", 0)], 0, 0)]
    pages += [([packet], (at + 1) * 2880, 0) for at, packet in enumerate(packets[:-1])] + [([packets[-1]], end, 4)]
    out = b""
    for number, (content, granule, flags) in enumerate(pages):
        body = b"".join(content)
        lacing = b"\xff" * (len(body) // 255) + bytes([len(body) % 255])
        page = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, number, 0, len(lacing)) + lacing + body
        out += page[:22] + struct.pack("<I", ogg.checksum(page)) + page[26:]
    return out


def level(samples: I16, rate: int, hertz: float) -> float:
    """Of one tone, as an amplitude, over whole seconds but the first and the last quarter."""
    inner = samples[rate // 4 : -rate // 4].astype(np.float64)
    window = np.hanning(len(inner))
    phase = np.exp(-2j * np.pi * hertz * np.arange(len(inner)) / rate)
    return float(2 * abs(np.sum(inner * window * phase)) / np.sum(window))


def lag(heard: I16, said: I16, most: int = 40) -> int:
    """By how many samples what is heard comes after what was said."""
    core = said[most:-most].astype(np.float64)
    found = [float(np.dot(heard[most + by : len(said) - most + by], core)) for by in range(-most, most + 1)]
    return int(np.argmax(found)) - most


def voice(seconds: float, rate: int = RATE, seed: int = 1, loudness: float = 3000) -> I16:
    """Noise in the band of speech, in syllables."""
    rng = np.random.default_rng(seed)
    length = int(seconds * rate)
    spectrum = np.fft.rfft(rng.normal(0, 1, length))
    hertz = np.fft.rfftfreq(length, 1 / rate)
    band = np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 2500)), length)
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(length) / rate)
    return (band / band.std() * loudness * syllables).clip(-32000, 32000).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_a8_tones_on_both_channels_at_once_stay_on_theirs(left: int, right: int, rate: int) -> None:
    sides = [tone(left, 3.0, rate), tone(right, 3.0, rate)]
    samples, heard_rate = read_samples(io.BytesIO(written(np.stack(sides, axis=1), rate)))
    assert heard_rate == rate
    for channel, (own, other) in enumerate([(left, right), (right, left)]):
        mine = level(samples[:, channel], rate, own)
        assert mine > 0.84 * level(sides[channel], rate, own)
        assert level(samples[:, channel], rate, other) < 0.01 * mine


def test_a_channel_is_the_same_whatever_the_other_says() -> None:
    said = voice(3.0)
    masters = [written(np.stack([said, other], axis=1)) for other in (voice(3.0, seed=2), np.zeros_like(said))]
    first, second = (read_samples(io.BytesIO(master))[0] for master in masters)
    assert (first[:, 0] == second[:, 0]).all()
    assert np.abs(second[:, 1]).max() <= 2


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_what_is_heard_is_where_it_was_said(rate: int) -> None:
    pair = np.stack([voice(3.0, rate), voice(3.0, rate, seed=2)], axis=1)
    samples, _ = read_samples(io.BytesIO(written(pair, rate)))
    before, _ = read_samples(io.BytesIO(coupled(pair, rate)))
    assert len(samples) == len(before) == len(pair)
    for channel in (0, 1):
        assert abs(lag(samples[:, channel], before[:, channel])) <= 1
        assert abs(lag(samples[:, channel], pair[:, channel])) <= max(1, rate // 16000)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("offset", [0, 1, 250, 428, 470])
def test_nothing_is_cut_or_clicks_where_silence_ends_and_begins(rate: int, offset: int) -> None:
    """The same voice is encoded by libopus without a break; ours may err about as much as that does."""
    length = 30 * FRAME * rate // RATE
    said = np.zeros(length, dtype=np.int16)
    frame, shift = FRAME * rate // RATE, offset * rate // RATE
    spans = [(4 * frame + shift, 9 * frame + shift), (15 * frame - shift, 16 * frame), (22 * frame + shift, 26 * frame)]
    for start, stop in spans:
        said[start:stop] = voice(2.0, rate, seed=start)[: stop - start]
    share = bitrate(rate, 2) // 2
    encoder = UncoupledEncoder(rate, 1, bitrate=share, complexity=COMPLEXITY, frame_ms=60)
    packets = encoder.encode(said[:, None])
    assert packets.count(silence(rate, share, COMPLEXITY, 60)) >= 8
    whole = opus.Encoder(rate, 1, bitrate=share, complexity=COMPLEXITY, frame_ms=60).encode(said[:, None])
    delay = encoder.lookahead
    ours, theirs = (opus.Decoder(rate, 1).decode(each)[delay:, 0].astype(np.float64) for each in (packets, whole))
    target = said[: len(ours)].astype(np.float64)
    span = rate // 100
    for at in range(0, len(ours) - span, span):
        wrong, usual = (
            np.sqrt(np.mean((each[at : at + span] - target[at : at + span]) ** 2)) for each in (ours, theirs)
        )
        loud = np.sqrt(np.mean(target[at : at + span] ** 2))
        assert wrong <= 30 + 2 * usual + 0.25 * loud
        if np.abs(target[max(0, at - 4 * span) : at + 2 * span]).max() == 0:
            assert np.abs(ours[at : at + span]).max() <= 8
    for start, stop in spans:
        assert abs(lag(ours[start - 60 : stop].astype(np.int16), said[start - 60 : stop])) <= max(1, rate // 16000)


@given(st.lists(st.tuples(st.sampled_from([0, 8, 9, 100, 5000]), st.integers(1, 900)), max_size=12), st.data())
@settings(max_examples=40, deadline=None)
def test_packets_do_not_depend_on_the_size_of_the_blocks(pieces: list[tuple[int, int]], data: st.DataObject) -> None:
    said = np.concatenate([np.resize([peak, -peak], size) for peak, size in pieces] or [[0]]).astype(np.int16)
    pair = np.stack([said, said[::-1]], axis=1)
    whole, parts = io.BytesIO(), io.BytesIO()
    sink = ogg.OggOpus(whole.write, RATE, 2, serial=1)
    sink.samples(pair)
    sink.finish()
    sink = ogg.OggOpus(parts.write, RATE, 2, serial=1)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pair)), max_size=5)))
    for start, stop in zip([0, *cuts], [*cuts, len(pair)], strict=True):
        sink.samples(pair[start:stop])
    sink.finish()
    assert whole.getvalue() == parts.getvalue()
    assert ogg.OggReader(whole).length == len(pair)


@pytest.mark.parametrize("peak", [0, SILENT_PEAK])
def test_silence_is_not_encoded_and_is_heard_as_silence(peak: int) -> None:
    """8 for ever is what A-law has for silence."""
    said = np.full((RATE * 3, 2), peak, dtype=np.int16)
    master = written(said)
    packets = [packet for page in ogg.OggReader(io.BytesIO(master)).pages() for packet in page.packets]
    quiet = silence(RATE, bitrate(RATE, 2) // 2, COMPLEXITY, 60)
    assert set(packets) == {framing.delimit(quiet) + quiet}
    assert np.abs(read_samples(io.BytesIO(master))[0]).max() <= 2
    assert np.abs(decode_file(master)[0]).max() <= 4


def test_what_is_just_above_silence_is_encoded() -> None:
    said = np.resize(np.array([9, -9], dtype=np.int16), RATE * 3)[:, None]
    packets = UncoupledEncoder(RATE, 1, bitrate=20000, complexity=COMPLEXITY, frame_ms=60).encode(said)
    assert silence(RATE, 20000, COMPLEXITY, 60) not in packets


def test_masters_of_coupled_stereo_are_still_read(spool: Callable[..., Any]) -> None:
    pair = np.stack([tone(440, 3.0, RATE), tone(1000, 3.0, RATE)], axis=1)
    master = io.BytesIO(coupled(pair))
    reader = ogg.OggReader(master)
    assert (reader.channels, reader.uncoupled, reader.length) == (2, False, 3 * RATE)
    samples, _ = read_samples(master)
    for target in ("WEBM", "OGG_OPUS", "WAV"):
        for channel, hertz in ((0, 440), (1, 1000)):
            out = io.BytesIO()
            convert(master, target, out, channel=channel)
            alone, rate = decode_file(out.getvalue())
            assert alone.shape[1] == 1
            assert all(abs(hz - hertz) < 15 for hz in dominant(alone[:, 0], rate)[1:-2])
            assert all(abs(hz - hertz) < 15 for hz in dominant(samples[:, channel], RATE)[1:-1])


@pytest.mark.parametrize("channel", [0, 1])
def test_g7_one_channel_has_the_packets_of_the_master(spool: Callable[..., Any], channel: int) -> None:
    master, alone, webm = io.BytesIO(), io.BytesIO(), io.BytesIO()
    render_tape(spool().simple(5.0, talk(440, 5.0), talk(1000, 3.0, ssrc=9)), master.write)
    convert(master, "OGG_OPUS", alone, channel=channel)
    convert(master, "WEBM", webm, channel=channel)
    both, one = ogg.OggReader(master), ogg.OggReader(alone)
    assert (one.channels, one.rate, one.length, one.pre_skip) == (1, both.rate, both.length, both.pre_skip)
    for page, copied in zip(both.pages(), one.pages(), strict=True):
        assert copied.packets == [framing.split(packet)[channel] for packet in page.packets]
        assert (copied.granule, copied.flags) == (page.granule, page.flags)
    assert (read_samples(alone)[0][:, 0] == read_samples(master)[0][:, channel]).all()
    assert decode_file(webm.getvalue())[0].tolist() == decode_file(alone.getvalue())[0].tolist()


def test_the_head_says_two_streams_without_coupling() -> None:
    """RFC 7845 §5.1.1, figure 3."""
    master = written(np.zeros((RATE, 2), dtype=np.int16))
    head = master[master.index(b"OpusHead") :][:23]
    assert head[9] == 2
    assert head[18:] == bytes([1, 2, 0, 0, 1])
    webm = io.BytesIO()
    convert(io.BytesIO(master), "WEBM", webm)
    assert head in webm.getvalue()


@pytest.mark.parametrize("table", [b"\1\2\0\1\0", b"\1\1\1\0\1", b"\1\2\0\0", b"\xff\2\0\0\1", b"\1\2\0\0\1\0", b"\1"])
def test_other_mappings_are_no_masters(table: bytes) -> None:
    out = io.BytesIO()
    pages = ogg.OggPages(out.write, RATE, 1, serial=1, skip=312)
    out.seek(0)
    out.truncate()
    pages.put(ogg.Page([struct.pack("<8sBBHIh", b"OpusHead", 1, 2, 312, RATE, 0) + table], 0, ogg.FIRST))
    with pytest.raises(ogg.OggError, match="not a master"):
        ogg.OggReader(out)


def test_a_damaged_packet_is_no_end_of_the_master() -> None:
    """Behind a right checksum: silence when decoded, an error when a channel is to be taken out."""
    out, good = io.BytesIO(), UncoupledEncoder(RATE, 2, bitrate=40000, complexity=1, frame_ms=60)
    packets = good.encode(np.stack([voice(1.2), voice(1.2, seed=3)], axis=1))
    packets[5] = packets[5][:1] + b"\xff\xff" + packets[5][3:40]
    pages = ogg.OggPages(out.write, RATE, 2, serial=1, skip=312)
    pages.put(ogg.Page(packets, 20 * 2880, ogg.LAST))
    samples, _ = read_samples(out)
    assert len(samples) == 20 * FRAME - 52
    with pytest.raises(ValueError, match="a packet is damaged"):
        convert(out, "OGG_OPUS", io.BytesIO(), channel=1)
