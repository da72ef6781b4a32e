"""Self-delimited framing, RFC 6716 appendix B."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.archive.render import opus
from earwitness.archive.render.framing import FramingError, delimit, duration_48k, split

SIZES = st.one_of(st.integers(0, 30), st.integers(245, 260), st.integers(1270, 1275))


def length(size: int) -> bytes:
    """RFC 6716 §3.2.1."""
    return bytes([size]) if size < 252 else bytes([252 + size % 4, (size - 252) // 4])


@st.composite
def packets(draw: st.DrawFn, config: int | None = None, frames: int | None = None) -> tuple[bytes, bytes]:
    """A packet by itself and the same one self-delimited, written down as appendix B shows them."""
    config = draw(st.integers(0, 31)) if config is None else config
    codes = {1: [0, 3], 2: [1, 2, 3], None: [0, 1, 2, 3]}.get(frames, [3])
    code = draw(st.sampled_from(codes))
    most = 5760 // ([480, 960, 1920, 2880] * 3 + [480, 960] * 2 + [120, 240, 480, 960] * 4)[config]
    count = frames or {0: 1, 1: 2, 2: 2, 3: draw(st.integers(1, min(most, 48)))}[code]
    vbr = code == 2 or (code == 3 and draw(st.booleans()))
    sizes = [draw(SIZES) for _ in range(count)] if vbr else [draw(SIZES)] * count
    head, tail = bytes([config << 3 | code]), b""
    if code == 3:
        padding = draw(st.one_of(st.none(), st.integers(0, 600)))
        head += bytes([count | (0x80 if vbr else 0) | (0 if padding is None else 0x40)])
        if padding is not None:
            head += b"\xff" * (padding // 254) + bytes([padding % 254])
            tail = bytes(padding)
    told = b"".join(length(size) for size in sizes[:-1]) if vbr else b""
    body = b"".join(bytes([number & 0xFF]) * size for number, size in enumerate(sizes))
    return head + told + body + tail, head + told + length(sizes[-1]) + body + tail


@given(packets())
def test_all_four_codes_are_delimited_as_appendix_b_says(both: tuple[bytes, bytes]) -> None:
    assert delimit(both[0]) == both[1]


@given(st.data(), st.integers(0, 31), st.sampled_from([1, 2, 3, 6]))
def test_what_was_joined_is_split(data: st.DataObject, config: int, frames: int) -> None:
    if frames * ([480, 960, 1920, 2880] * 3 + [480, 960] * 2 + [120, 240, 480, 960] * 4)[config] > 5760:
        frames = 1
    first, _ = data.draw(packets(config, frames))
    second, _ = data.draw(packets(config, frames))
    assert split(delimit(first) + second) == (first, second)


@settings(max_examples=500)
@given(st.one_of(st.binary(max_size=60), st.tuples(packets(), st.binary(max_size=9)).map(lambda p: p[0][1] + p[1])))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    for action in (split, delimit, duration_48k):
        with contextlib.suppress(FramingError):
            action(data)


@given(packets(), packets())
def test_durations_are_those_of_the_batch_reader(one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> None:
    assert duration_48k(one[0]) == opus.packet_length(one[0], 48000) == opus.packet_length(one[1] + other[0], 48000)


@pytest.mark.parametrize(("config", "other"), [(3, 2), (11, 1)])
def test_streams_of_different_durations_are_refused(config: int, other: int) -> None:
    with pytest.raises(FramingError, match="different durations"):
        split(delimit(bytes([config << 3, 1, 2])) + bytes([other << 3, 1]))


@pytest.mark.parametrize("frame_ms", [20, 40, 60])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_libopus_decodes_what_was_joined(rate: int, frame_ms: int) -> None:
    """Two encoders' packets in one are what each of them is alone."""
    noise = np.random.default_rng(1).normal(0, 3000, (rate, 2)).astype(np.int16)
    frame = rate * frame_ms // 1000
    noise = noise[: len(noise) // frame * frame]
    sides = [
        opus.Encoder(rate, 1, bitrate=bitrate, complexity=1, frame_ms=frame_ms).encode(noise[:, at : at + 1])
        for at, bitrate in enumerate((12000, 64000))
    ]
    joined = [delimit(first) + second for first, second in zip(*sides, strict=True)]
    both = opus.Decoder(rate, 2, uncoupled=True).decode(joined)
    for at, packets_of_one in enumerate(sides):
        assert (both[:, at] == opus.Decoder(rate, 1).decode(packets_of_one)[:, 0]).all()
    assert [split(packet) for packet in joined] == list(zip(*sides, strict=True))
