"""The stream that a leg is sent: one SSRC, sequence and time, whatever it is made of."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.media.rtp.arena import PAYLOAD, Arena, Layout, create
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.outgoing import Outgoing, named, relayed_from

PCMU, OPUS = ("pcmu", 8000, 1), ("opus", 48000, 2)


class Stream:
    """One leg's stream, and two others that may be relayed to it."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.outgoing = Outgoing(arena)
        self.legs = Legs(arena)
        self.leg = Leg(0, "l0", "127.0.0.1", 4000, (0, 0), codecs={0: PCMU})
        self.legs.add(self.leg, 1)
        self.now = 1_000_000_000
        for slot, codec in ((1, PCMU), (2, PCMU), (3, OPUS)):
            self.legs.add(Leg(slot, f"l{slot}", "127.0.0.1", 4000, (0, 0), codecs={0: codec}), slot + 1)

    def packet(self) -> bytes:
        return self.arena.rows[0, PAYLOAD : PAYLOAD + 12].tobytes()

    def relay(self, slot: int, sequence: int, stamp: int, ssrc: int = 7) -> bytes:
        raw = b"\x80\0" + (sequence & 0xFFFF).to_bytes(2, "big") + (stamp & 0xFFFFFFFF).to_bytes(4, "big")
        raw += ssrc.to_bytes(4, "big")
        self.arena.rows[0, PAYLOAD : PAYLOAD + 12] = np.frombuffer(raw, np.uint8)
        words = self.arena.rows64[0, PAYLOAD // 8 : PAYLOAD // 8 + 2]
        source = relayed_from(np.array([slot]), words[1:2] & np.uint64(0xFFFFFFFF))
        heads, changed = self.outgoing.relay(
            source, np.array([0]), words[:1].copy(), np.array([self.now]), self.legs.by_slot
        )
        if changed[0]:
            self.outgoing.write(np.array([0]), np.array([0]), heads)
        self.now += 20_000
        return self.packet()

    def play(self, number: int, name: str = "p", rate: int = 8000) -> bytes:
        stamp = number * rate // 50
        self.outgoing.begin(self.leg, named(name), rate, self.now, stamp)
        one = np.array([0]), np.array([0]), np.array([0]), np.array([stamp]), np.array([self.now])
        self.outgoing.frames(*one)
        self.now += 20_000
        return self.packet()

    def insert(self) -> bytes:
        stamp = self.outgoing.next(0, self.now).timestamp
        self.outgoing.insert(np.array([0]), 0, 101, True, stamp)
        return self.packet()


@pytest.fixture
def arena() -> Iterator[Arena]:
    layout = Layout(4)
    fd = create(layout)
    yield Arena(fd, layout)
    os.close(fd)


def sequence(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")


def stamp(packet: bytes) -> int:
    return int.from_bytes(packet[4:8], "big")


def test_the_first_source_passes_untouched(arena: Arena) -> None:
    stream = Stream(arena)
    assert stream.relay(1, 100, 5000) == b"\x80\0\0\x64\0\0\x13\x88\0\0\0\x07"
    assert not stream.outgoing.shifted(0)


def test_time_goes_on_by_the_time_that_passed(arena: Arena) -> None:
    stream = Stream(arena)
    stream.relay(1, 100, 5000)
    stream.now += 980_000
    packet = stream.play(3)
    assert (packet[1], sequence(packet), stamp(packet), packet[8:12]) == (0x80, 101, 13000, b"\0\0\0\x07")
    packet = stream.relay(1, 160, 9000)
    assert (packet[1], sequence(packet), stamp(packet)) == (0x80, 102, 13160)
    packet = stream.relay(1, 161, 9160)
    assert (packet[1], sequence(packet), stamp(packet)) == (0, 103, 13320)


def test_another_clock_is_another_stream(arena: Arena) -> None:
    stream = Stream(arena)
    stream.relay(1, 1, 160, ssrc=7)
    packet = stream.relay(3, 500, 960, ssrc=7)
    assert (sequence(packet), stamp(packet)) == (500, 960)
    assert packet[8:12] != b"\0\0\0\x07"
    packet = stream.relay(3, 501, 1920, ssrc=7)
    assert sequence(packet) == 501


STEP = st.one_of(
    st.tuples(st.just("relay"), st.integers(1, 2), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)),
    st.tuples(st.just("play"), st.sampled_from("pqr")),
    st.tuples(st.just("insert")),
    st.tuples(st.just("withhold")),
    st.tuples(st.just("takeover")),
    st.tuples(st.just("interrupt")),
)


@settings(deadline=None)
@given(st.lists(STEP, min_size=1, max_size=60))
def test_whatever_it_is_made_of_it_is_one_stream(steps: list[tuple[object, ...]]) -> None:
    layout = Layout(4)
    fd = create(layout)
    stream, sent = Stream(Arena(fd, layout)), []
    place: dict[object, tuple[int, int]] = {}
    frames: dict[object, int] = {}
    for kind, *rest in steps:
        if kind == "relay":
            slot, first, time = rest
            assert isinstance(slot, int)
            assert isinstance(first, int)
            assert isinstance(time, int)
            number, ticks = place.get(slot, (first, time))
            sent.append(stream.relay(slot, number, ticks, ssrc=slot))
            place[slot] = (number + 1, ticks + 160)
        elif kind == "play":
            frames[rest[0]] = frames.get(rest[0], -1) + 1
            sent.append(stream.play(frames[rest[0]], str(rest[0])))
        elif kind == "insert" and sent:
            stream.insert()
            sent.append(stream.packet())
        elif kind == "withhold" and sent and int(stream.outgoing.source[0]) >> 32 in (2, 3):
            slot = int(stream.outgoing.source[0] >> np.uint64(32)) - 1
            number, ticks = place[slot]
            place[slot] = (number + 1, ticks + 160)
            stream.outgoing.withhold(0, 1)
        elif kind == "takeover":
            stream.outgoing = Outgoing(stream.arena)
        elif kind == "interrupt":
            stream.outgoing.interrupt(0)
    os.close(fd)
    assert len({packet[8:12] for packet in sent}) <= 1
    for before, after in itertools.pairwise(sent):
        assert (sequence(after) - sequence(before)) & 0xFFFF == 1
        assert (stamp(after) - stamp(before)) & 0xFFFFFFFF < 0x80000000 or before[1] & 0x7F == 101
