"""RFC 4733: each digit once, whatever is lost, doubled or late."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from earwitness.media.rtp.dtmf import TIMEOUT_US, Digits

FRAME = 20_000


def press(event: int, timestamp: int, frames: int = 5) -> list[tuple[int, int, bytes]]:
    """The packets of a digit: (ssrc, timestamp, payload)."""
    parts = [struct.pack("!BBH", event, 10, 160 * n) for n in range(1, frames + 1)]
    parts += [struct.pack("!BBH", event, 0x8A, 160 * (frames + 1))] * 3
    return [(7, timestamp, part) for part in parts]


@given(st.lists(st.integers(0, 16), min_size=1, max_size=8), st.data())
def test_each_digit_is_reported_once_under_loss_and_duplication(events: list[int], data: st.DataObject) -> None:
    digits, found, now = Digits(), [], 0
    for number, event in enumerate(events):
        sent = press(event, 0xFFFFF000 + number * 2400 & 0xFFFFFFFF)
        kept = data.draw(st.lists(st.sampled_from(range(len(sent))), min_size=1, max_size=12).map(sorted))
        for index in kept:
            now += FRAME
            found += digits.packet(*sent[index], now)
    found += digits.expire(now + TIMEOUT_US + 1)
    assert [each.digit for each in found] == ["0123456789*#ABCD!"[event] for event in events]


def test_duration_in_the_clock_of_the_stream() -> None:
    digits = Digits(48000)
    assert [each.duration_ms for each in digits.packet(1, 1, struct.pack("!BBH", 1, 0x80, 4800), 5)] == [100]


def test_a_digit_whose_end_is_lost_is_reported_after_a_while() -> None:
    digits = Digits()
    assert digits.packet(*press(9, 1)[0], 1_000_000) == []
    assert digits.pending
    assert digits.expire(1_000_000 + TIMEOUT_US) == []
    assert [each.digit for each in digits.expire(1_000_001 + TIMEOUT_US)] == ["9"]
    assert digits.packet(*press(9, 1)[1], 1_500_000) == []


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=12), st.integers(0, 2**50))
def test_garbage_is_ignored(ssrc: int, timestamp: int, payload: bytes, at: int) -> None:
    for each in Digits().packet(ssrc, timestamp, payload, at):
        assert each.digit in "0123456789*#ABCD!"
