"""Decoders and encoders against known values and against other implementations."""

from __future__ import annotations

import io
import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape_maker import decode_file, dominant, rtp, tone

from earwitness.archive.render import codecs, ogg, opus, wav
from earwitness.archive.render.packets import Packets, read_headers
from earwitness.archive.render.plan import Codec


@pytest.mark.parametrize(
    ("table", "name"), [(codecs.ULAW, "pcm_mulaw"), (codecs.ALAW, "pcm_alaw")], ids=["mu-law", "A-law"]
)
def test_g711_tables_are_those_of_ffmpeg(table: np.ndarray, name: str) -> None:  # type: ignore[type-arg]
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = 8000, "mono"  # type: ignore[assignment]
    (frame,) = context.decode(av.Packet(bytes(range(256))))
    assert frame.to_ndarray()[0].tolist() == table.tolist()


@pytest.mark.parametrize("tag", [wav.MU_LAW, wav.A_LAW])
def test_g711_encodes_to_the_nearest_code(tag: int) -> None:
    table = codecs.ULAW if tag == wav.MU_LAW else codecs.ALAW
    again = np.frombuffer(wav.encode(table[:, None].copy(), tag), dtype=np.uint8)
    assert table[again].tolist() == table.tolist()
    ramp = np.arange(-32768, 32768, 7, dtype=np.int16)[:, None]
    error = np.abs(table[np.frombuffer(wav.encode(ramp, tag), dtype=np.uint8)].astype(int) - ramp[:, 0])
    assert (error <= np.maximum(16, np.abs(ramp[:, 0].astype(int)) // 16)).all()


def test_gsm_is_decoded(tmp_path: Path) -> None:
    """GSM 06.10 as the ffmpeg command of this machine encodes it; without that encoder, only the length."""
    decoder = codecs.decoder(Codec("GSM", 8000))
    silent = decoder.decode([bytes([0xD0]) + bytes(32)] * 3)
    assert len(silent) == 480
    encoders = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True, check=False)
    if "libgsm" not in encoders.stdout:
        pytest.skip("this ffmpeg has no GSM encoder")
    source, target = tmp_path / "in.wav", tmp_path / "out.gsm"
    samples = tone(440, 2.0, 8000)
    source.write_bytes(wav.header(wav.PCM, 8000, 1, len(samples)) + samples.tobytes())
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "libgsm", "-f", "gsm", target], check=True)
    data = target.read_bytes()
    heard = codecs.decoder(Codec("GSM", 8000)).decode([data[at : at + 33] for at in range(0, len(data), 33)])
    assert all(abs(hz - 440) < 15 for hz in dominant(heard, 8000)[1:-1])


def test_g729_has_the_right_length() -> None:
    """20 bytes are 20 ms; a comfort noise frame of 2 bytes behind them (annex B) adds nothing."""
    decoder = codecs.decoder(Codec("G729", 8000))
    assert len(decoder.decode([bytes(range(20)), bytes(range(22))])) == 320


@given(st.lists(st.binary(max_size=80), max_size=6), st.sampled_from(["GSM", "G729", "G722", "OPUS", "L16"]))
@settings(deadline=None)
def test_damaged_payloads_never_raise_and_keep_their_length(payloads: list[bytes], name: str) -> None:
    codec = Codec(name, 16000 if name == "L16" else 8000)
    samples = codecs.decoder(codec).decode(payloads)
    assert samples.dtype == np.int16
    if name != "OPUS":
        data = np.frombuffer(b"".join(payloads), dtype=np.uint8)
        length = np.array([len(payload) for payload in payloads], dtype=np.int64)
        assert len(samples) == codecs.samples_of(codec, length, data, np.cumsum(length) - length).sum()


@pytest.mark.parametrize("frame_ms", [2.5, 5, 10, 20, 40, 60])
def test_opus_durations_are_read_from_the_first_bytes(frame_ms: float) -> None:
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format = 48000, "mono", "s16"  # type: ignore[assignment]
    context.options = {"frame_duration": str(frame_ms)}
    frame = av.AudioFrame.from_ndarray(tone(440, 0.5, 48000).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 48000
    for packet in context.encode(frame):
        assert opus.packet_length(bytes(packet), 48000) == frame_ms * 48


@given(st.binary(max_size=200))
def test_opus_durations_of_garbage(data: bytes) -> None:
    assert 0 <= opus.packet_length(data, 48000) <= 5760


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("length", [0, 1, 479, 480, 481, 5000, 48000])
def test_ogg_opus_has_the_length_of_its_samples(rate: int, channels: int, length: int) -> None:
    out = io.BytesIO()
    sink = ogg.OggOpus(out.write, rate, channels, serial=1)
    sink.samples(np.zeros((length, channels), dtype=np.int16))
    sink.finish()
    reader = ogg.OggReader(out)
    assert (reader.rate, reader.channels, reader.length) == (rate, channels, length)
    if length >= 480:
        samples, heard_rate = decode_file(out.getvalue())
        assert len(samples) == length * 48000 // rate
        assert heard_rate == 48000


def test_ogg_checksum_is_that_of_the_specification() -> None:
    """Bit by bit, as RFC 3533 §6 describes it."""
    data = bytes(range(256)) * 3
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = ((register << 1) ^ 0x04C11DB7 if register & 0x80000000 else register << 1) & 0xFFFFFFFF
    assert ogg.checksum(data) == register


def test_silence_beside_a_voice_stays_silent() -> None:
    """Nothing that one side says is heard on the other side's channel."""
    out = io.BytesIO()
    sink = ogg.OggOpus(out.write, 8000, 2, serial=1)
    pair = np.zeros((40000, 2), dtype=np.int16)
    pair[:, 1] = tone(700, 5.0, 8000)
    sink.samples(pair)
    sink.finish()
    samples, _ = decode_file(out.getvalue())
    assert np.abs(samples[4800:, 0]).max() <= 4


def test_headers_with_csrc_extension_and_padding() -> None:
    plain = rtp(0, 7, 160, 99, b"payload")
    csrc = bytes([0x81]) + plain[1:12] + b"\1\2\3\4" + b"payload"
    extended = bytes([0x90]) + plain[1:12] + struct.pack("!HH", 0xBEDE, 1) + b"\0\0\0\0" + b"payload"
    padded = bytes([0xA0]) + plain[1:] + b"\0\0\3"
    rtcp = struct.pack("!BBHI", 0x80, 200, 6, 1) + bytes(20)
    too_much_padding = bytes([0xA0]) + plain[1:] + b"\xff"
    short_extension = bytes([0x90]) + plain[1:12] + b"\0"
    packets = Packets.of(
        [(1, data) for data in (plain, csrc, extended, padded, rtcp, too_much_padding, short_extension, b"", b"x" * 12)]
    )
    headers = read_headers(packets)
    assert headers.row.tolist() == [0, 1, 2, 3]
    assert headers.malformed == 5
    for at, size in zip(headers.payload_offset, headers.payload_length, strict=True):
        assert packets.buffer[at : at + size].tobytes() == b"payload"
    assert headers.seq.tolist() == [7] * 4
    assert headers.ssrc.tolist() == [99] * 4


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_headers_of_garbage(data: list[bytes]) -> None:
    packets = Packets.of([(0, item) for item in data])
    headers = read_headers(packets)
    assert len(headers.row) + headers.malformed == len(data)
    ends = headers.payload_offset + headers.payload_length
    assert (headers.payload_length >= 0).all()
    assert (ends <= packets.offset[headers.row] + packets.length[headers.row]).all()
