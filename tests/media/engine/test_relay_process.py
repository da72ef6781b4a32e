"""The engine with a real media process and real sockets on loopback."""

from __future__ import annotations

from pathlib import Path

from media_rig import Rig, rtp

from earwitness.media.engine.interface import FirstPacket, TapeClosed, TapeOpened
from earwitness.media.tape.reader import read


async def test_two_legs_are_relayed_and_taped(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("tape", 0, "a", tmp_path / "spool" / "c1")
        said = [a.send(rtp(n, ssrc=1, payload=bytes([n]) * 160)) for n in range(50)]
        heard = [b.send(rtp(n, ssrc=2, payload=bytes([100 + n]) * 160)) for n in range(50)]
        assert await b.receive(50) == said
        assert await a.receive(50) == heard
        rig.engine.close_tape("tape")
        closed = await rig.event(TapeClosed)
        assert closed.packets == (50, 50)
        for channel, expected in enumerate((said, heard)):
            tape = read(tmp_path / "spool" / "c1" / f"tape.0.{channel}.rtpdump")
            assert [tape.packet(n) for n in range(len(tape))] == expected
            assert closed.bytes[channel] == tape.good_bytes
        assert {event.leg_id for event in rig.events if isinstance(event, FirstPacket)} == {"a", "b"}
        assert any(isinstance(event, TapeOpened) for event in rig.events)
