"""Mixing through a real engine: who hears whom, in which codec, by the tones in what they are sent."""

from __future__ import annotations

from pathlib import Path

import pytest
import tones
from media_rig import Peer, Rig, Speaker, continuous, rtp, talking

from earwitness.media.engine.interface import Codec, EngineError
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


async def heard(peer: Peer, codec: str, count: int = 25) -> set[float]:
    """Tones in the newest packets that a peer was sent."""
    _, fmt = FORMATS[codec]
    packets = await peer.receive(count)
    assert continuous(packets)
    return tones.loud(tones.decoded((fmt.name.lower(), fmt.rate, fmt.channels), packets), *HERTZ)


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
            for peer in peers:
                await peer.receive(25)  # until all are there
            for n, peer in enumerate(peers):
                peer.waiting()
                assert await heard(peer, names[n]) == set(HERTZ) - {HERTZ[n]}
            rig.engine.mix("m", ["l0", "l1"])
            for n, peer in enumerate(peers[:2]):
                await peer.receive(10)
                peer.waiting()
                assert await heard(peer, names[n]) == {HERTZ[1 - n]}
            rig.engine.mute("l1", True)
            await peers[0].receive(10)
            peers[0].waiting()
            assert await heard(peers[0], names[0]) == set()
            rig.engine.mix("m", [])
        rig.engine.close_tape("t")
        await rig.engine.idle()
        tape = read(tmp_path / "t.0.1.rtpdump")
        assert continuous([tape.packet(n) for n in range(len(tape))])


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
