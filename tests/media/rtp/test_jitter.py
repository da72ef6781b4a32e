"""The jitter buffer: order, losses, lateness, jumps, and that nothing that comes makes it fail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earwitness.media.rtp.jitter import Jitter

FRAME = 160


def drain(jitter: Jitter, frames: int) -> list[bytes | None]:
    """What is heard in so many frames; None: nothing."""
    heard: list[bytes | None] = []
    passed = 0
    while passed < frames * FRAME:
        taken = jitter.take()
        if isinstance(taken, int):
            passed += taken
            heard.append(None)
        else:
            jitter.played(FRAME)
            passed += FRAME
            heard.append(taken[1])
    return heard


def test_packets_come_out_in_order_after_the_delay() -> None:
    jitter = Jitter(8000)
    for number in (0, 2, 1, 3):
        jitter.put(number * FRAME, (0, b"%d" % number))
    assert drain(jitter, 7) == [None, None, b"0", b"1", b"2", b"3", None]


def test_a_lost_packet_is_a_gap_of_its_length() -> None:
    jitter = Jitter(8000)
    for number in (0, 2):
        jitter.put(number * FRAME, (0, b"%d" % number))
    assert drain(jitter, 5) == [None, None, b"0", None, b"2"]


def test_who_comes_later_than_the_delay_is_waited_for_from_then_on() -> None:
    jitter = Jitter(8000)
    jitter.put(0, (0, b"0"))
    assert drain(jitter, 6) == [None, None, b"0", None, None, None]
    heard: list[bytes | None] = []
    for number in range(1, 20):  # each comes 60 ms after its time
        jitter.put(number * FRAME, (0, b"%d" % number))
        heard += drain(jitter, 1)
    assert [each for each in heard if each] == [b"%d" % number for number in range(1, len([x for x in heard if x]) + 1)]
    assert heard.count(None) <= 3
    assert jitter.late == 1


def test_what_waits_too_long_is_made_shorter() -> None:
    jitter = Jitter(8000)
    for number in range(10):  # ten at once: more than the delay wants
        jitter.put(number * FRAME, (0, b""))
    for number in range(10, 800):
        jitter.put(number * FRAME, (0, b""))
        drain(jitter, 1)
    assert jitter.waiting <= 4


def test_a_jump_begins_anew() -> None:
    jitter = Jitter(8000)
    jitter.put(0, (0, b"old"))
    jitter.put(900_000, (0, b"new"))
    assert drain(jitter, 3) == [None, None, b"new"]


def test_time_stamps_wrap() -> None:
    jitter = Jitter(8000)
    for number in range(6):
        jitter.put((0xFFFFFF00 + number * FRAME) & 0xFFFFFFFF, (0, b"%d" % number))
    assert drain(jitter, 8)[2:] == [b"%d" % number for number in range(6)]


@given(st.lists(st.one_of(st.integers(0, 0xFFFFFFFF), st.just(-1)), max_size=300), st.sampled_from([8000, 48000]))
def test_whatever_comes_time_passes_and_little_is_kept(stamps: list[int], rate: int) -> None:
    jitter = Jitter(rate)
    for stamp in stamps:
        if stamp < 0:
            taken = jitter.take()
            if isinstance(taken, int):
                assert 0 < taken <= rate // 50
            else:
                jitter.played(rate // 50)
        else:
            jitter.put(stamp, (0, b"x"))
        assert jitter.waiting <= 100
