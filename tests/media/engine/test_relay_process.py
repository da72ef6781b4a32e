"""The engine with a real media process and real sockets on loopback: relaying, taping, directions, latching, digits."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
from media_rig import PCMU, Peer, Rig, rtp

from earwitness.media.engine.interface import (
    Activity,
    Codec,
    Digit,
    EngineError,
    FirstPacket,
    Gap,
    NoPortsError,
    Remote,
    Silence,
    SourceChanged,
    TapeClosed,
    TapeOpened,
)
from earwitness.media.tape.reader import Tape, read

DIGITS_101 = {0: Codec("PCMU", 8000), 101: Codec("telephone-event", 8000)}
DIGITS_96 = {0: Codec("PCMU", 8000), 96: Codec("telephone-event", 8000)}
SENDER_REPORT = struct.pack("!BBHI", 0x80, 200, 6, 7) + bytes(20)


def packets(tape: Tape) -> list[bytes]:
    return [tape.packet(n) for n in range(len(tape))]


def channel(folder: Path, number: int, name: str = "tape.0") -> Tape:
    return read(folder / f"{name}.{number}.rtpdump")


async def flush(rig: Rig, source: Peer, target: Peer, seq: int = 60000) -> None:
    """Returns when everything that was sent before is processed: a packet sent afterwards has come through."""
    mark = source.send(rtp(seq, payload=b"mark" * 40))
    while (await target.receive(1))[0][12:] != mark[12:]:
        pass


async def test_two_legs_are_relayed_and_taped(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        before = rig.engine.clock.now_us()
        rig.engine.open_tape("tape", 0, "a", tmp_path / "spool" / "c1")
        said = [a.send(rtp(n, ssrc=1, payload=bytes([n]) * (100 + n))) for n in range(50)]
        heard = [b.send(rtp(n, ssrc=2, payload=bytes([100 + n]) * 160)) for n in range(50)]
        assert await b.receive(50) == said
        assert await a.receive(50) == heard
        rig.engine.close_tape("tape")
        closed = await rig.event(TapeClosed)
        assert closed.packets == (50, 50)
        for number, expected in enumerate((said, heard)):
            tape = channel(tmp_path / "spool" / "c1", number)
            assert packets(tape) == expected
            assert closed.bytes[number] == tape.good_bytes == len(tape.data)
            assert before - 1000 <= tape.arrival_us.min() <= tape.arrival_us.max() <= closed.at
        assert {event.leg_id for event in rig.events if isinstance(event, FirstPacket)} == {"a", "b"}
        assert (await rig.event(TapeOpened)).tape_id == "tape"


async def test_a_tape_holds_what_arrived_between_its_times_and_nothing_else(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        early = [a.send(rtp(n)) for n in range(5)]
        rig.engine.open_tape("tape", 0, "a", tmp_path)
        inside = [a.send(rtp(n)) for n in range(5, 10)]
        rig.engine.close_tape("tape")
        late = [a.send(rtp(n)) for n in range(10, 15)]
        rig.engine.open_tape("tape", 1, "a", tmp_path)
        again = [a.send(rtp(n)) for n in range(15, 20)]
        assert await b.receive(20) == early + inside + late + again
        rig.engine.close_tape("tape")
        await rig.event(TapeClosed)
        await rig.engine.idle()
        assert packets(channel(tmp_path, 0)) == inside
        assert packets(channel(tmp_path, 0, "tape.1")) == again
        kept = b"".join(path.read_bytes() for path in tmp_path.glob("*.rtpdump"))
        assert all(packet not in kept for packet in early + late)


async def test_two_tapes_on_one_leg_and_one_on_the_other(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        for name, leg in (("one", "a"), ("two", "a"), ("three", "b")):
            rig.engine.open_tape(name, 0, leg, tmp_path)
        said = [a.send(rtp(n)) for n in range(3)]
        assert await b.receive(3) == said
        for name in ("one", "two", "three"):
            rig.engine.close_tape(name)
        await rig.engine.idle()
        assert packets(channel(tmp_path, 0, "one.0")) == packets(channel(tmp_path, 0, "two.0")) == said
        assert packets(channel(tmp_path, 1, "three.0")) == said
        assert packets(channel(tmp_path, 0, "three.0")) == []


async def test_payload_types_are_rewritten_on_the_way(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types=DIGITS_101 | {100: Codec("opus", 48000, 2)}, telephone_event=101)
        b = rig.leg("b", payload_types=DIGITS_96 | {111: Codec("OPUS", 48000, 2)}, telephone_event=96)
        rig.engine.connect("a", "b")
        rig.engine.open_tape("tape", 0, "a", tmp_path)
        rig.engine.open_tape("other", 0, "b", tmp_path)
        said = [rtp(0, pt=100 | 0x80), rtp(1, pt=0), rtp(2, pt=101, payload=b"\x05\x00\x00\xa0")]
        for packet in said:
            a.send(packet)
        got = await b.receive(3)
        assert [packet[1] for packet in got] == [111 | 0x80, 0, 96]
        assert [packet[2:] for packet in got] == [packet[2:] for packet in said]
        rig.engine.close_tape("tape")
        rig.engine.close_tape("other")
        await rig.engine.idle()
        assert packets(channel(tmp_path, 0)) == said
        assert packets(channel(tmp_path, 1, "other.0")) == got


async def test_directions_are_obeyed(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", sending=False)
        b = rig.leg("b")
        c = rig.leg("c", receiving=False)
        rig.engine.connect("a", "b")
        b.send(rtp(1))
        said = a.send(rtp(2))
        assert await b.receive(1) == [said]
        rig.engine.connect("b", "c")
        dropped = c.send(rtp(3))
        heard = b.send(rtp(4))
        assert await c.receive(1) == [heard]
        rig.engine.set_remote("c", Remote(c.address, payload_types=PCMU))
        accepted = c.send(rtp(5, payload=b"accepted" * 20))
        assert [packet[12:] for packet in await b.receive(1)] == [accepted[12:]]
        assert dropped[12:] != accepted[12:]
        assert a.waiting() == []
        rig.engine.disconnect("b")
        c.send(rtp(6))
        await rig.event(FirstPacket)
        rig.engine.connect("a", "b")
        said = a.send(rtp(7, payload=b"again" * 32))
        assert [packet[12:] for packet in await b.receive(1)] == [said[12:]]
        assert b.waiting() == []


async def drops(rig: Rig, leg_id: str, **expected: int) -> None:
    """Waits until drops are reported as expected."""
    wanted = {key.replace("_", " "): value for key, value in expected.items()}
    async with asyncio.timeout(10):
        while {key: value for key, value in rig.engine.dropped(leg_id).items() if value} != wanted:
            await asyncio.sleep(0.02)


async def test_strangers_and_malformed_packets_are_counted_and_dropped(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("tape", 0, "a", tmp_path)
        first = a.send(rtp(1))
        assert await b.receive(1) == [first]
        stranger, other_port = Peer("127.0.0.2"), Peer()
        for peer in (stranger, other_port):
            peer.target = a.target
            peer.send(rtp(1, payload=b"evil" * 40))
            peer.close()
        bad = [b"", b"\x80", b"\x40" + bytes(20), bytes(40), b"\x8f\x00" + bytes(10), b"\x80" * 3000]
        bad += [b"\x90\x00" + bytes(10) + b"\0\0\xff\xff", b"\xa0\x00" + bytes(10) + b"\xff"]
        for packet in bad:
            a.send(packet)
        good = [a.send(b"\x91\x00" + rtp(2)[2:12] + bytes(4) + b"\0\0\0\1" + bytes(4) + b"ok"), a.send(rtp(3))]
        assert await b.receive(2) == good
        await drops(rig, "a", malformed=len(bad), stranger=2)
        rig.engine.close_tape("tape")
        await rig.event(TapeClosed)
        assert packets(channel(tmp_path, 0)) == [first, *good]


async def test_a_peer_behind_nat_is_latched_and_answered_where_it_sends_from(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", rtp=("10.9.8.7", 4000), rtcp=None, sources=("127.0.0.1",))
        b = rig.leg("b")
        rig.engine.connect("a", "b")
        said = a.send(rtp(1))
        assert await b.receive(1) == [said]
        heard = b.send(rtp(2))
        assert await a.receive(1) == [heard]
        stranger = Peer("127.0.0.3")
        stranger.target = a.target
        stranger.send(rtp(9))
        stranger.close()
        await drops(rig, "a", stranger=1)


async def test_after_a_reinvite_media_follow_the_new_address(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        a.send(rtp(1))
        await b.receive(1)
        moved = Peer()
        moved.target = a.target
        moved.send(rtp(2))
        await drops(rig, "a", stranger=1)
        rig.engine.set_remote("a", Remote(moved.address, payload_types=PCMU))
        said = moved.send(rtp(3))
        assert await b.receive(1) == [said]
        heard = b.send(rtp(4))
        assert await moved.receive(1) == [heard]
        a.send(rtp(5))
        await drops(rig, "a", stranger=2)
        moved.close()


async def test_a_silent_source_may_be_replaced_by_a_plausible_one(tmp_path: Path) -> None:
    async with Rig(tmp_path, silence_s=0.1) as rig:
        a, b = await rig.call("a", "b")
        a.send(rtp(1, ssrc=5))
        await b.receive(1)
        await rig.event(Silence)
        await asyncio.sleep(0.5)  # the kernel's clock: a source counts as gone after half a second
        rebound = Peer()
        rebound.target = a.target
        said = rebound.send(rtp(2, ssrc=5))
        assert await b.receive(1) == [said]
        assert (await rig.event(SourceChanged)).cause == "address"
        assert (await rig.event(Activity)).leg_id == "a"
        rebound.close()


async def test_changes_of_source_are_reported(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        for n, (ssrc, pt) in enumerate(((1, 0), (1, 13), (1, 0), (0xABCDEF01, 0), (0xABCDEF01, 8))):
            a.send(rtp(n, ssrc=ssrc, pt=pt))
        await b.receive(5)
        await rig.event(SourceChanged)
        rig.engine.close_leg("a")
        await rig.engine.idle()
        changes = [event for event in rig.events if isinstance(event, SourceChanged)]
        assert [(each.cause, each.ssrc, each.payload_type) for each in changes] == [
            ("ssrc", 0xABCDEF01, 0),
            ("payload_type", 0xABCDEF01, 8),
        ]


async def test_rtcp_is_relayed_and_taped_on_its_own_port_and_multiplexed(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        mux = rig.leg("m")
        rig.engine.set_remote("m", Remote(mux.address, mux.address, PCMU))
        rig.engine.open_tape("tape", 0, "a", tmp_path)
        report = a.send_rtcp(SENDER_REPORT)
        assert await b.receive(1, rtcp=True) == [report]
        rig.engine.connect("a", "m")
        a.send_rtcp(report)
        assert await mux.receive(1) == [report]
        back = mux.send(report[:4] + b"back" + report[8:])
        assert await a.receive(1, rtcp=True) == [back]
        a.send_rtcp(b"nonsense")
        await drops(rig, "a", malformed=1)
        rig.engine.close_tape("tape")
        await rig.event(TapeClosed)
        said, heard = channel(tmp_path, 0), channel(tmp_path, 1)
        assert packets(said) == [report, report]
        assert packets(heard) == [back]
        assert said.rtcp.all()
        assert heard.rtcp.all()


async def test_a_digit_passes_through_and_is_reported_once(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types=DIGITS_101, telephone_event=101)
        b = rig.leg("b", payload_types=DIGITS_101, telephone_event=101)
        rig.engine.connect("a", "b")
        press = [struct.pack("!BBH", 11, 10, 160 * n) for n in range(1, 6)] + [struct.pack("!BBH", 11, 0x8A, 960)] * 3
        sent = [a.send(rtp(n, pt=101, payload=each, timestamp=5)) for n, each in enumerate(press)]
        sent.append(a.send(rtp(20)))
        assert await b.receive(len(sent)) == sent
        await rig.event(Digit)
        rig.engine.close_leg("a")
        await rig.engine.idle()
        digits = [event for event in rig.events if isinstance(event, Digit)]
        assert [(each.leg_id, each.digit, each.duration_ms) for each in digits] == [("a", "#", 120)]
        assert not [event for event in rig.events if isinstance(event, SourceChanged)]


async def test_early_packets_wait_for_the_negotiation(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        b = rig.leg("b")
        local = rig.engine.open_leg("a", group="c1", host="127.0.0.1")
        a = Peer()
        a.target = (local.host, local.rtp_port)
        early = a.send(rtp(1))
        rig.engine.connect("a", "b")
        rig.engine.set_remote("a", Remote(a.address, payload_types=PCMU))
        assert await b.receive(1) == [early]
        a.close()


async def test_a_socket_overflow_is_a_gap_with_its_count(tmp_path: Path) -> None:
    async with Rig(tmp_path, receive_buffer=64 * 1024) as rig:
        a, b = await rig.call("a", "b")
        a.send(rtp(0))
        await b.receive(1)
        rig.freeze()
        for n in range(1, 1000):
            a.send(rtp(n))
        rig.thaw()
        await asyncio.sleep(0.05)
        a.send(rtp(1000))
        gap = await rig.event(Gap)
        got = [rtp(0), *b.waiting()]
        async with asyncio.timeout(5):
            while got[-1] != rtp(1000):
                got += await b.receive(1)
        assert (gap.leg_id, gap.channel, gap.cause) == ("a", 0, "overflow")
        assert gap.packets == 1001 - len(got) > 0
        assert gap.from_us < gap.to_us


async def test_ports_come_back_after_a_quarantine(tmp_path: Path) -> None:
    async with Rig(tmp_path, ports=(42000, 42003), quarantine_s=0.2) as rig:
        rig.leg("a")
        rig.leg("b")
        with pytest.raises(NoPortsError):
            rig.leg("c")
        rig.engine.close_leg("a")
        await rig.engine.idle()
        with pytest.raises(NoPortsError):
            rig.leg("c")
        await asyncio.sleep(0.25)
        rig.leg("c")
        with pytest.raises(EngineError, match="already open"):
            rig.leg("c")
        with pytest.raises(EngineError):
            rig.engine.open_leg("d", group="c1", host="192.0.2.1")
        assert rig.engine.leg_count == 2


async def test_legs_of_a_group_share_a_process_and_groups_are_spread(tmp_path: Path) -> None:
    async with Rig(tmp_path, processes=2) as rig:
        calls = [await rig.call(f"a{n}", f"b{n}", group=f"c{n}") for n in range(4)]
        for a, b in calls:
            said = a.send(rtp(1))
            assert await b.receive(1) == [said]
        assert len(set(rig.engine.pids)) == 2
        with pytest.raises(EngineError, match="one group"):
            rig.engine.connect("a0", "b1")


async def test_unknown_ids_are_ignored(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        engine = rig.engine
        engine.set_remote("x", Remote(None))
        engine.connect("x", "y")
        engine.disconnect("x")
        engine.stop_play("x", "p")
        engine.open_tape("t", 0, "x", tmp_path)
        engine.close_tape("t")
        engine.close_leg("x")
        assert engine.dropped("x") == {}
        a, b = await rig.call("a", "b")
        said = a.send(rtp(1))
        assert await b.receive(1) == [said]


async def test_a_leg_may_speak_ipv6(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", host="::1")
        b = rig.leg("b")
        rig.engine.connect("a", "b")
        rig.engine.open_tape("tape", 0, "a", tmp_path)
        said = [a.send(rtp(n)) for n in range(5)]
        assert await b.receive(5) == said
        heard = b.send(rtp(9))
        assert await a.receive(1) == [heard]
        report = a.send_rtcp(SENDER_REPORT)
        assert await b.receive(1, rtcp=True) == [report]
        rig.engine.close_tape("tape")
        await rig.engine.idle()
        assert packets(channel(tmp_path, 0)) == [*said, report]
        assert channel(tmp_path, 0).header.host == "::1"
