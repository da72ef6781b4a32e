"""The look-up tables of a media process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from earwitness.media.rtp.arena import Arena, Layout, create
from earwitness.media.rtp.legs import DROP_PT, Leg, Legs
from earwitness.media.rtp.packets import parse_sockaddr

PCMU, PCMA, OPUS = ("pcmu", 8000, 1), ("pcma", 8000, 1), ("opus", 48000, 2)


@pytest.fixture
def arena() -> Iterator[Arena]:
    layout = Layout(8)
    fd = create(layout)
    yield Arena(fd, layout)
    os.close(fd)


def leg(slot: int, **codecs: tuple[str, int, int]) -> Leg:
    return Leg(slot, f"l{slot}", "127.0.0.1", 4000, (0, 0), codecs={int(pt[1:]): codec for pt, codec in codecs.items()})


def test_a_slot_keeps_its_state_for_the_same_leg_only(arena: Arena) -> None:
    legs = Legs(arena)
    one = leg(3)
    assert not legs.add(one, generation=1)
    legs.source[3] = 77
    legs.set_destination(one, ("192.0.2.1", 4000))
    heir = Legs(arena)
    again = leg(3)
    assert heir.add(again, generation=1)
    assert again.latched == ("192.0.2.1", 4000)
    assert heir.source[3] == 77
    stranger = leg(3)
    assert not Legs(arena).add(stranger, generation=2)
    assert stranger.latched is None
    assert arena.source[3] == 0
    assert arena.name_lengths[6] == 0


def test_numbers_of_the_same_format_are_mapped_and_clashes_dropped(arena: Arena) -> None:
    legs = Legs(arena)
    a, b = leg(0, p0=PCMU, p8=PCMA, p100=OPUS, p96=("x", 8000, 1)), leg(1, p0=PCMU, p111=OPUS, p96=("y", 8000, 1))
    for generation, each in enumerate((a, b), 1):
        legs.add(each, generation)
    legs.connect(a, b)
    row = legs.pt_map[0]
    assert (row[0], row[8], row[100], row[96], row[77]) == (0, 8, 111, DROP_PT, 77)
    assert legs.pt_map[1][111] == 100
    assert legs.rewrites[0]


def test_a_new_connection_ends_the_old_ones(arena: Arena) -> None:
    legs = Legs(arena)
    a, b, c, d = (leg(slot) for slot in range(4))
    for each in (a, b, c, d):
        legs.add(each, each.slot + 1)
    legs.connect(a, b)
    legs.connect(c, d)
    legs.connect(a, c)
    assert legs.peer[:4].tolist() == [2, -1, 0, -1]
    assert (a.peer, b.peer, c.peer, d.peer) == (c, None, a, None)
    legs.remove(c)
    assert legs.peer[:4].tolist() == [-1, -1, -1, -1]
    legs.connect(a, None)


def test_destinations(arena: Arena) -> None:
    legs = Legs(arena)
    one = leg(2)
    legs.add(one, 1)
    legs.set_destination(one, ("2001:db8::1", 5004), rtcp=True)
    assert legs.name_lengths[5] == 28
    assert parse_sockaddr(legs.names[5]) == ("2001:db8::1", 5004)
    legs.set_destination(one, ("192.0.2.1", 0), rtcp=True)
    assert legs.name_lengths[5] == 0
