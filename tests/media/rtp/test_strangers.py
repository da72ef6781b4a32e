"""Whatever a peer sends as audio or digits, mixing, listening and beeping go on."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.media.engine.interface import Beep
from earwitness.media.rtp.arena import PAYLOAD, Arena, Layout, create
from earwitness.media.rtp.keypad import Keypad
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.mix import Mixer
from earwitness.media.rtp.sender import Sender
from earwitness.media.tape.writer import Tapes

FORMATS = {
    0: ("pcmu", 8000, 1),
    8: ("pcma", 8000, 1),
    9: ("g722", 8000, 1),
    96: ("opus", 48000, 2),
    97: ("l16", 16000, 1),
    98: ("l16", 44100, 1),
    99: ("l16", 8000, 2),
    101: ("telephone-event", 8000, 1),
    102: ("g729", 8000, 1),
}
BEEP = Beep(-20, 40, 1000, 60)


class NoSweep:
    """Sends nothing."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, addresses: Any, *_: Any) -> int:
        """Counts."""
        self.sent += len(addresses)
        return 0


PACKET = st.tuples(
    st.integers(0, 2),
    st.sampled_from([*FORMATS, 13, 77]),
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from([1, 2]),
    st.one_of(st.binary(max_size=400), st.binary(min_size=160, max_size=160), st.just(b"\x05\x8a\x03\x20")),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(PACKET, max_size=40))
def test_nothing_that_comes_stops_anybody(packets: list[tuple[int, int, int, int, bytes]]) -> None:
    layout = Layout(4)
    fd = create(layout)
    arena, sweep, told = Arena(fd, layout), NoSweep(), []
    legs = Legs(arena)
    sender = Sender(arena, sweep, Tapes(arena, lambda: 0, lambda *_: None), legs)  # type: ignore[arg-type]
    keypad, mixer = Keypad(sender, legs, lambda *event: told.append(event)), Mixer(sender, legs)
    members = []
    for slot, pt in enumerate((96, 9, 8)):
        leg = Leg(slot, f"l{slot}", "127.0.0.1", 4000, (0, 0), remote=("127.0.0.1", 5000))
        leg.codecs = {pt: FORMATS[pt], **FORMATS}
        leg.event_pt = 101
        legs.add(leg, slot + 1)
        legs.events[slot, 101] = True
        sender.route(leg)
        members.append(leg)
    mixer.join("m", members)
    keypad.tones.set(members[0], True)
    keypad.set_codes(members[1], ["*1", "55"], 0)
    sender.beeper.set(members[2], BEEP, 0)
    now = 1_000_000_000
    for slot, pt, stamp, ssrc, payload in packets:
        head = bytes((0x80, pt)) + b"\0\1" + stamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big")
        packet, leg = head + payload, members[slot]
        if pt == 101:
            (keypad.hold if leg.codes is not None else keypad.event)(leg, packet, now)
        for listener in list(leg.listeners.values()):
            listener(pt, packet, now)
        arena.rows[0, PAYLOAD : PAYLOAD + len(packet)] = np.frombuffer(packet, np.uint8)
        sender.beeper.over(sender.rows, np.array([0]), np.array([len(packet)]), np.array([2]))
        sender.beeper.tick(now)
        mixer.tick(now)
        now += 20_000
        for each in members:
            keypad.expire(each, now)
        keypad.tones.tick(now)
    assert sweep.sent >= 3 * len(packets)
    os.close(fd)
