"""Mixing through a real engine: who hears whom, in which codec, by the tones in what they are sent."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import tones
from media_rig import Peer, Rig, Speaker, continuous, rtp, talking

from earwitness.media.engine.interface import Codec, Digit, EngineError, PlayEnded, Remote
from earwitness.media.engine.sounds import wav
from earwitness.media.tape.reader import read

FORMATS = {
    "pcmu": (0, Codec("PCMU", 8000)),
    "pcma": (8, Codec("PCMA", 8000)),
    "g722": (9, Codec("G722", 8000)),
    "opus": (96, Codec("opus", 48000, 2)),
    "l16": (97, Codec("L16", 16000)),
}
HERTZ = (600.0, 900.0, 1400.0)


def leg(rig: Rig, name: str, codec: str, **more: object) -> Peer:
    pt, fmt = FORMATS[codec]
    return rig.leg(name, payload_types={pt: fmt}, **more)


def speaker(peer: Peer, codec: str, hertz: float) -> Speaker:
    pt, fmt = FORMATS[codec]
    lower = (fmt.name.lower(), fmt.rate, fmt.channels)
    return Speaker(peer, tones.payloads(lower, tones.tone(hertz, 1)), pt=pt, ticks=fmt.rate // 50, ssrc=int(hertz))


async def heard(peer: Peer, codec: str, expected: set[float], least: int = 25) -> list[bytes]:
    """Returns what a peer was sent until the tones in the newest half second were those expected."""
    _, fmt = FORMATS[codec]
    form = (fmt.name.lower(), fmt.rate, fmt.channels)
    packets = await peer.receive(least)
    while tones.loud(tones.decoded(form, packets[-25:]), *HERTZ) != expected:
        packets += await peer.receive(5)
    return packets


@pytest.mark.parametrize(
    "names",
    [("pcmu", "pcma", "pcmu"), ("opus", "g722", "pcma"), ("l16", "pcmu", "opus")],
    ids=lambda names: "+".join(names),
)
async def test_each_member_hears_all_others(tmp_path: Path, names: tuple[str, ...]) -> None:
    async with Rig(tmp_path) as rig:
        peers = [leg(rig, f"l{n}", name) for n, name in enumerate(names)]
        rig.engine.open_tape("t", 0, "l0", tmp_path)
        rig.engine.mix("m", ["l0", "l1", "l2"])
        async with talking(*(speaker(*each) for each in zip(peers, names, HERTZ, strict=True))):
            for n, peer in enumerate(peers):
                assert continuous(await heard(peer, names[n], set(HERTZ) - {HERTZ[n]}))
            rig.engine.mix("m", ["l0", "l1"])
            for n, peer in enumerate(peers[:2]):
                await heard(peer, names[n], {HERTZ[1 - n]})
            rig.engine.mute("l1", True)
            await heard(peers[0], names[0], set())
            rig.engine.mute("l1", False)
            await heard(peers[0], names[0], {HERTZ[1]})
            rig.kill(rig.processes.pop())
            rig.start_process()
            for n, peer in enumerate(peers[:2]):
                peer.waiting()
                assert continuous(await heard(peer, names[n], {HERTZ[1 - n]}))
            rig.engine.mix("m", [])
        rig.engine.close_tape("t")
        await rig.engine.idle()
        tape = read(tmp_path / "t.0.1.rtpdump")
        taped = [tape.packet(n) for n in range(len(tape))]
        # A frame may have been lost with the process that was killed.
        sequence = [int.from_bytes(packet[2:4], "big") for packet in taped]
        steps = [(b - a) & 0xFFFF for a, b in itertools.pairwise(sequence)]
        assert set(steps) <= {1, 2}
        assert steps.count(2) <= 1
        assert len({packet[8:12] for packet in taped}) == 1


@pytest.mark.parametrize(("ours", "theirs"), [("pcma", "pcmu"), ("opus", "pcma")])
async def test_connected_legs_without_a_common_codec_hear_each_other(tmp_path: Path, ours: str, theirs: str) -> None:
    async with Rig(tmp_path) as rig:
        a, b = leg(rig, "a", ours), leg(rig, "b", theirs)
        rig.engine.connect("a", "b")
        async with talking(speaker(a, ours, 600.0), speaker(b, theirs, 900.0)):
            first = await heard(a, ours, {900.0})
            await heard(b, theirs, {600.0})
            # Negotiated anew with the other's codec: relayed as it is from then on.
            pt, fmt = FORMATS[theirs]
            rig.engine.set_remote("a", Remote(a.address, payload_types={pt: fmt}))
            while first[-1][1] & 0x7F != pt or first[-1][12:] not in speaker(b, theirs, 900.0).payloads:
                first += await a.receive(1)


async def test_a_leg_that_sends_what_the_other_has_not_negotiated_is_translated(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        both = {0: FORMATS["pcmu"][1], 8: FORMATS["pcma"][1]}
        a, b = rig.leg("a", payload_types=both), leg(rig, "b", "pcmu")
        rig.engine.connect("a", "b")
        async with talking(speaker(a, "pcma", 600.0), speaker(b, "pcmu", 900.0)):
            await heard(b, "pcmu", {600.0})
            while (await a.receive(1))[0][1] & 0x7F != 8:  # it is answered in what it speaks itself
                pass


async def test_digits_of_a_member_reach_those_who_can_read_them(tmp_path: Path) -> None:
    event = Codec("telephone-event", 8000)
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types={0: FORMATS["pcmu"][1], 101: event}, telephone_event=101)
        b = rig.leg("b", payload_types={8: FORMATS["pcma"][1], 96: event}, telephone_event=96)
        c = leg(rig, "c", "pcmu")
        rig.engine.mix("m", ["a", "b", "c"])
        got = await b.receive(2)
        for digit in (1, 2):
            for n in range(1, 5):
                payload = bytes((digit, 0x8A if n > 3 else 10)) + (160 * n).to_bytes(2, "big")
                a.send(rtp(10 * digit + n, pt=101, payload=payload, timestamp=digit * 1600))
        while sum(packet[1] & 0x7F == 96 for packet in got) < 8:
            got += await b.receive(1)
        events = [packet for packet in got if packet[1] & 0x7F == 96]
        assert [packet[12] for packet in events] == [1] * 4 + [2] * 4
        assert len({packet[4:8] for packet in events}) == 2
        assert len({packet[8:12] for packet in got}) == 1
        sequence = [int.from_bytes(packet[2:4], "big") for packet in got]
        assert [(each - sequence[0]) & 0xFFFF for each in sequence] == list(range(len(got)))
        assert {packet[1] & 0x7F for packet in await c.receive(20)} == {0}


async def test_a_peer_may_send_under_the_numbers_that_we_gave_it(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        opus, event = FORMATS["opus"][1], Codec("telephone-event", 8000)
        a = rig.leg(
            "a",
            payload_types={111: opus, 126: event},
            telephone_event=126,
            expected={96: opus, 101: event},
            expected_event=101,
        )
        b = rig.leg("b", payload_types={100: opus, 101: event}, telephone_event=101)
        rig.engine.connect("a", "b")
        for pt in (96, 111):
            a.send(rtp(pt, pt=pt))
        a.send(rtp(112, pt=101, payload=b"\x05\x8a\x03\x20"))
        assert [packet[1] & 0x7F for packet in await b.receive(3)] == [100, 100, 101]
        assert (await rig.event(Digit)).digit == "5"
        b.send(rtp(1, pt=100, ssrc=2))
        assert [packet[1] & 0x7F for packet in await a.receive(1)] == [111]


async def test_a_muted_leg_is_neither_heard_nor_taped(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        says = speaker(a, "pcmu", 600.0)
        said = [says.say()]
        assert await b.receive(1) == said
        rig.engine.mute("a", True)
        says.say()
        answer = b.send(rtp(7, ssrc=2))
        assert (await a.receive(1))[0] == answer
        rig.engine.mute("a", False)
        said.append(says.say())
        assert (await b.receive(1))[0][12:] == said[1][12:]
        rig.engine.close_tape("t")
        await rig.engine.idle()
        tape = read(tmp_path / "t.0.0.rtpdump")
        assert [tape.packet(n) for n in range(len(tape))] == said


async def test_a_leg_moves_to_another_group_and_its_process(tmp_path: Path) -> None:
    async with Rig(tmp_path, processes=2) as rig:
        a, b = await rig.call("a", "b", "one")
        c, d = await rig.call("c", "d", "two")
        says = speaker(a, "pcmu", 600.0)
        first = says.say()
        assert await b.receive(1) == [first]
        with pytest.raises(EngineError, match="cannot move"):
            rig.engine.move_leg("a", "two")
        rig.engine.disconnect("a")
        rig.engine.move_leg("a", "two")
        rig.engine.connect("a", "c")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        async with talking(says, Speaker(c, [b"c" * 160], ssrc=3)):
            got = await c.receive(5)
            assert {packet[12:] for packet in got} <= set(says.payloads)
            back = await a.receive(5)
            assert {packet[12:] for packet in back} == {b"c" * 160}
        assert len({leg.seat.number for leg in rig.engine._legs.values()}) == 2
        rig.engine.close_tape("t")
        for name in ("a", "b", "c", "d"):
            rig.engine.close_leg(name)
        await rig.engine.idle()
        assert len(read(tmp_path / "t.0.0.rtpdump")) >= 5
        assert d.waiting() == []


async def test_a_leg_that_moves_goes_on_when_its_former_process_dies(tmp_path: Path) -> None:
    async with Rig(tmp_path, processes=2) as rig:
        a, b = await rig.call("a", "b", "one")
        c, _ = await rig.call("c", "d", "two")
        first = a.send(rtp(1, payload=b"1" * 160))
        assert await b.receive(1) == [first]
        rig.engine.disconnect("a")
        former = next(process for process in rig.processes if process.pid == rig.engine._legs["a"].seat.pid)
        rig.kill(former)
        rig.engine.move_leg("a", "two")
        rig.engine.connect("a", "c")
        a.send(rtp(2, payload=b"2" * 160))
        rig.start_process()
        async with talking(Speaker(a, [b"3" * 160])):
            assert (await c.receive(1))[0][12:] in (b"2" * 160, b"3" * 160)
        rig.processes.remove(former)


async def test_music_goes_on_for_a_leg_that_moves(tmp_path: Path) -> None:
    async with Rig(tmp_path, processes=2) as rig:
        a = rig.leg("a", "one")
        rig.leg("b", "two")
        rig.engine.play("a", "p", wav(tones.tone(600, 1), 8000), loop=True)
        got = await a.receive(10)
        rig.engine.move_leg("a", "two")
        while rig.engine._legs["a"].waiting:
            got += await a.receive(1)
        got += await a.receive(25)
        assert continuous(got)
        assert not [event for event in rig.events if isinstance(event, PlayEnded)]
        assert tones.loud(tones.decoded(tones.PCMU, got[-25:]), *HERTZ) == {600.0}
