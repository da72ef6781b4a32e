"""Sending digits, step by step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from earwitness.media.rtp.arena import Arena, Layout, create
from earwitness.media.rtp.dial import STEPS, Dialler
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.outgoing import Outgoing


class Wire:
    """What the dialler needs of a relay; keeps what is inserted."""

    def __init__(self, arena: Arena) -> None:
        self.outgoing = Outgoing(arena)
        self.inserted: list[tuple[bytes, int]] = []

    def route(self, leg: Leg) -> None:
        """Nothing to do."""

    def insert(self, leg: Leg, payload_type: int, payload: bytes, *, marker: bool, timestamp: int, at: int) -> None:
        """Keeps it."""
        self.inserted.append((payload, timestamp))


@pytest.fixture
def arena() -> Iterator[Arena]:
    layout = Layout(4)
    fd = create(layout)
    yield Arena(fd, layout)
    os.close(fd)


def ready(arena: Arena) -> tuple[Dialler, Wire, Leg, list[tuple[Any, ...]]]:
    legs, wire, told = Legs(arena), Wire(arena), []
    leg = Leg(1, "l1", "127.0.0.1", 4000, (0, 0), codecs={101: ("telephone-event", 8000, 1)}, event_pt=101)
    legs.add(leg, 1)
    legs.set_destination(leg, ("127.0.0.1", 5000))
    dialler = Dialler(arena, wire, legs, lambda *event: told.append(event))  # type: ignore[arg-type]
    return dialler, wire, leg, told


def test_a_row_goes_on_where_a_predecessor_was_whatever_its_time_stamps(arena: Arena) -> None:
    dialler, wire, leg, _ = ready(arena)
    wire.outgoing.begin(leg, 7, 8000, 0, 0)
    arena.out_head[1] = 0xFFFFFFFF_0000_8080  # a time stamp as great as can be
    dialler.dial(leg, 5, "12")
    for step in range(3):
        dialler.tick(step * 20_000)
    stamp = wire.inserted[0][1]
    heir, wire, leg, told = ready(arena)
    heir.dial(leg, 5, "12")
    for step in range(3, 2 * STEPS + 1):
        heir.tick(step * 20_000)
    assert wire.inserted[0] == (bytes((1, 10)) + (640).to_bytes(2, "big"), stamp)
    assert [payload[0] for payload, _ in wire.inserted] == [1] * 4 + [2] * 7
    assert told == [("digits_sent", 1, 5)]
    assert not leg.dialling


def test_rows_wait_for_each_other(arena: Arena) -> None:
    dialler, wire, leg, told = ready(arena)
    dialler.dial(leg, 5, "1")
    dialler.dial(leg, 6, "2")
    for step in range(2 * STEPS + 2):
        dialler.tick(step * 20_000)
    assert [payload[0] for payload, _ in wire.inserted] == [1] * 7 + [2] * 7
    assert told == [("digits_sent", 1, 5), ("digits_sent", 1, 6)]
    assert not dialler.active
