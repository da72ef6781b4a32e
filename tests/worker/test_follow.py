"""A tape that was followed is byte for byte the tape rendered at once, or it is given to the batch."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earwitness.archive.render.placing import BLOCK_US
from earwitness.archive.render.plan import plan_folder
from earwitness.archive.render.renderer import Rendering, render_tape
from earwitness.archive.vault import Vault, create_keys
from earwitness.worker.follow import BEGIN_US, MARGIN_US, TapeFollower
from earwitness.worker.growing import GrowingLog, GrowingTape
from earwitness.worker.rendering import ConversationRenderer

SECOND = 1_000_000


class Replay:
    """Lets a finished spool folder grow again, as it did during the call."""

    def __init__(self, source: Path, target: Path) -> None:
        self.source, self.target = source, target
        target.mkdir()
        self.files = {path.name: path.read_bytes() for path in source.iterdir() if path.suffix == ".rtpdump"}
        self.lines = (source / "events.jsonl").read_bytes().splitlines(keepends=True)

    def grow(self, now_us: int, lag_us: dict[str, int] | None = None, cut: int = 0) -> None:
        """Everything written by ``now_us``; ``lag_us`` later for single files; ``cut`` bytes of a next record."""
        for name, data in self.files.items():
            until_ms = (now_us - (lag_us or {}).get(name, 0) - self.start_us) // 1000
            at = data.index(b"\n") + 1 + 16
            while at < len(data) and int.from_bytes(data[at + 4 : at + 8], "big") <= until_ms:
                at += int.from_bytes(data[at : at + 2], "big")
            if at > data.index(b"\n") + 17:
                (self.target / name).write_bytes(data[: at + cut])
        lines = [line for line in self.lines if int(line.partition(b'"at": ')[2].partition(b",")[0]) <= now_us]
        (self.target / "events.jsonl").write_bytes(b"".join(lines))

    @property
    def start_us(self) -> int:
        return int(self.lines[0].partition(b'"at": ')[2].partition(b",")[0])


def _batch(folder: Path) -> tuple[bytes, Rendering]:
    out = bytearray()
    rendering = render_tape(plan_folder(folder)[0], out.extend)
    return bytes(out), rendering


def _same(one: Rendering, other: Rendering) -> bool:
    return (one.length_ms, one.rate, one.channels) == (other.length_ms, other.rate, other.channels) and (
        one.sheet == other.sheet and one.peaks.to_bytes() == other.peaks.to_bytes()
    )


def _follow(
    call: Any, tmp_path: Path, step_us: int, lag_us: dict[str, int] | None = None, cut: int = 0
) -> tuple[bytes, Rendering | None, str]:
    replay = Replay(call.folder, tmp_path / "again")
    out = bytearray()
    follower = TapeFollower(out.extend)
    end = int(replay.lines[-1].partition(b'"at": ')[2].partition(b",")[0])
    now = replay.start_us
    while now < end:
        replay.grow(now, lag_us, cut)
        plans = plan_folder(replay.target)
        if plans:
            follower.poll(plans[0], now)
        now += step_us
    replay.grow(end)
    rendering = follower.finish(plan_folder(replay.target)[0])
    return bytes(out), rendering, follower.contradiction


def _long_call(make_call: Callable[..., Any], seconds: int = 43) -> Any:
    call = make_call()
    call.begin()
    call.open()
    call.talk(0, seconds)
    call.close(seconds * SECOND)
    call.end(seconds * SECOND)
    return call


@pytest.mark.parametrize("step_us", [700_000, 4 * SECOND, 15 * SECOND])
def test_the_same_bytes_however_often_it_is_looked_at(make_call: Any, tmp_path: Path, step_us: int) -> None:
    call = _long_call(make_call)
    followed, rendering, why = _follow(call, tmp_path, step_us, cut=11)
    batch, expected = _batch(call.folder)
    assert why == ""
    assert rendering is not None
    assert followed == batch
    assert _same(rendering, expected)


def test_pauses_lost_and_disordered_packets(make_call: Any, tmp_path: Path) -> None:
    call = make_call()
    call.begin()
    call.open()
    call.talk(0, 17)
    call.close(17 * SECOND, "hold", "held")
    call.open(21 * SECOND)
    call.talk(21 * SECOND, 14)
    call.close(35 * SECOND)
    call.end(36 * SECOND)
    for path in call.folder.glob("*.rtpdump"):
        _mangle(path)
    followed, rendering, why = _follow(call, tmp_path, 3 * SECOND)
    batch, expected = _batch(call.folder)
    assert why == ""
    assert rendering is not None
    assert followed == batch
    assert _same(rendering, expected)
    assert any(channel.lost for channel in expected.sheet.channels)


def _mangle(path: Path) -> None:
    """Loses 5 % of the packets and swaps some neighbours (contents, not arrival times)."""
    chance = random.Random(7)
    data = path.read_bytes()
    at = data.index(b"\n") + 17
    head, records = data[:at], []
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        records.append((data[at : at + 8], data[at + 8 : at + size]))
        at += size
    records = [record for record in records if chance.random() > 0.05]
    for i in range(len(records) - 1):
        if chance.random() < 0.03:
            (first, a), (second, b) = records[i], records[i + 1]
            records[i], records[i + 1] = (first, b), (second, a)
    path.write_bytes(head + b"".join(header + body for header, body in records))


def _stall(path: Path, from_ms: int, to_ms: int) -> None:
    """What arrived in that time arrives at its end, in a burst."""
    data = bytearray(path.read_bytes())
    at = data.index(b"\n") + 1 + 16
    while at < len(data):
        if from_ms <= int.from_bytes(data[at + 4 : at + 8], "big") < to_ms:
            data[at + 4 : at + 8] = to_ms.to_bytes(4, "big")
        at += int.from_bytes(data[at : at + 2], "big")
    path.write_bytes(data)


@pytest.mark.parametrize(("from_ms", "waited_for"), [(11_700, True), (9_800, False)])
def test_a_stall_of_the_network_is_waited_for_or_left_to_the_batch(
    make_call: Any, tmp_path: Path, from_ms: int, waited_for: bool
) -> None:
    """It ends after the end of a block of the renderer, at 12 s."""
    call = _long_call(make_call, 30)
    _stall(call.folder / f"{call.tape_id}.0.0.rtpdump", from_ms, 12_200)
    followed, rendering, why = _follow(call, tmp_path, SECOND)
    batch, expected = _batch(call.folder)
    assert expected.sheet.channels[0].late == 0, "the batch has all of it"
    assert (rendering is not None) is waited_for, why
    if rendering is not None:
        assert followed == batch
        assert _same(rendering, expected)
    else:
        assert "later than" in why


def test_packets_that_come_late_send_it_to_the_batch(make_call: Any, tmp_path: Path) -> None:
    call = _long_call(make_call, 30)
    name = f"{call.tape_id}.0.1.rtpdump"
    _, rendering, why = _follow(call, tmp_path, SECOND, lag_us={name: MARGIN_US + 2 * SECOND})
    assert rendering is None
    assert "late" in why


def test_a_late_negotiation_sends_it_to_the_batch(make_call: Any, tmp_path: Path) -> None:
    call = make_call()
    call.begin()
    call.open()
    call.talk(0, 30)
    call.event(
        20 * SECOND, "leg.media", leg_id=f"{call.id}-a", payload_types={"96": ["opus", 48000, 2]}, telephone_event=None
    )
    call.close(30 * SECOND)
    call.end(30 * SECOND)
    replay = Replay(call.folder, tmp_path / "again")
    late = replay.lines
    out = bytearray()
    follower = TapeFollower(out.extend)
    replay.lines = [line for line in late if b'"opus"' not in line]
    for now in range(29):
        replay.grow(replay.start_us + now * SECOND)
        follower.poll(plan_folder(replay.target)[0], replay.start_us + now * SECOND)
    replay.lines = late
    replay.grow(replay.start_us + 30 * SECOND)
    assert follower.finish(plan_folder(replay.target)[0]) is None
    assert "negotiation" in follower.contradiction


def test_a_close_told_late_sends_it_to_the_batch(make_call: Any, tmp_path: Path) -> None:
    call = _long_call(make_call, 30)
    replay = Replay(call.folder, tmp_path / "again")
    final = replay.lines
    replay.lines = [line for line in final if b"tape.closed" not in line and b"leg.ended" not in line][:-1]
    follower = TapeFollower(bytearray().extend)
    for now in range(40):
        replay.grow(replay.start_us + now * SECOND)
        follower.poll(plan_folder(replay.target)[0], replay.start_us + now * SECOND)
    replay.lines = final
    replay.grow(replay.start_us + 40 * SECOND)
    assert follower.finish(plan_folder(replay.target)[0]) is None
    assert "closed before" in follower.contradiction


def test_a_gap_told_afterwards_sends_it_to_the_batch(make_call: Any, tmp_path: Path) -> None:
    call = _long_call(make_call, 20)
    lines = (call.folder / "events.jsonl").read_text().splitlines(keepends=True)
    call.sequence = 90
    (call.folder / "events.jsonl").write_text("".join(lines[:-6]))
    start = call.start_us
    call.event(
        15 * SECOND, "gap", leg_id=f"{call.id}-a", channel=0, from_us=start, to_us=start + SECOND, cause="overflow"
    )
    with (call.folder / "events.jsonl").open("a") as log:
        log.write("".join(lines[-6:]))
    _, rendering, why = _follow(call, tmp_path, SECOND)
    assert rendering is None
    assert "gap" in why


def test_a_short_call_is_not_followed(make_call: Any, tmp_path: Path) -> None:
    call = _long_call(make_call, (BEGIN_US + MARGIN_US) // SECOND - 1)
    out, rendering, why = _follow(call, tmp_path, SECOND)
    assert (out, rendering, why) == (b"", None, "not followed yet")


def test_sender_reports_on_the_tape_change_nothing_about_that(make_call: Any, tmp_path: Path) -> None:
    call = _long_call(make_call)
    for path in call.folder.glob("*.rtpdump"):
        _report(path)
    followed, rendering, why = _follow(call, tmp_path, SECOND, cut=11)
    batch, expected = _batch(call.folder)
    assert why == ""
    assert rendering is not None
    assert followed == batch
    assert _same(rendering, expected)
    assert [channel.packets for channel in expected.sheet.channels] == [43 * 50] * 2
    assert [channel.malformed for channel in expected.sheet.channels] == [0, 0]


def _report(path: Path) -> None:
    """Puts a sender report before every 240th packet of a tape file."""
    data = path.read_bytes()
    at = data.index(b"\n") + 17
    out, number = [data[:at]], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        if number % 240 == 0:
            sent = b"\x80\xc8\0\x06" + data[at + 16 : at + 20] + number.to_bytes(4, "big") + bytes(4)
            sent += data[at + 12 : at + 16] + bytes(8)
            out.append((8 + len(sent)).to_bytes(2, "big") + b"\0\0" + data[at + 4 : at + 8] + sent)
        out.append(data[at : at + size])
        at, number = at + size, number + 1
    path.write_bytes(b"".join(out))


def test_no_look_is_in_vain_and_none_too_late(make_call: Any, tmp_path: Path) -> None:
    """Whoever looks when told to renders a block at each look, as soon as it is final."""
    create_keys(tmp_path / "keys")
    call = make_call()
    call.begin()
    call.open(500_000)
    call.talk(500_000, 33)
    call.close(33_500_000)
    call.end(33_500_000)
    replay = Replay(call.folder, tmp_path / "again")
    renderer = ConversationRenderer(replay.target, Vault.at(tmp_path / "vault", tmp_path / "keys"))
    replay.grow(replay.start_us)
    assert renderer.poll(replay.start_us) is None
    replay.grow(now := replay.start_us + SECOND)
    looks = []
    while (due := renderer.poll(now)) is not None and due < replay.start_us + 33 * SECOND:
        replay.grow(now := due)
        looks.append(now - replay.start_us)
    assert looks == [500_000 + block * BLOCK_US + MARGIN_US for block in (1, 2, 3, 4, 5)]
    renderer.drop()


@pytest.mark.parametrize("how", ["vanished", "refused", "destroyed"])
def test_c1_what_a_refusal_destroys_is_not_kept_by_a_follower(make_call: Any, tmp_path: Path, how: str) -> None:
    create_keys(tmp_path / "keys")
    call = make_call()
    call.begin()
    call.open()
    call.talk(0, 20)
    renderer = ConversationRenderer(call.folder, Vault.at(tmp_path / "vault", tmp_path / "keys"))
    renderer.poll(call.start_us + 20 * SECOND)
    (followed,) = call.folder.glob("*.followed")
    assert followed.exists()
    if how == "vanished":
        (call.folder / f"{call.tape_id}.0.1.rtpdump").unlink()
    elif how == "refused":
        call.event(20 * SECOND, "consent.refused", leg_id=f"{call.id}-a", flow_id="f")
    else:
        about = {"tape_id": call.tape_id, "leg_id": f"{call.id}-a", "kind": "trunk", "reasons": []}
        call.event(20 * SECOND, "tape.destroyed", **about)
    for now in (24, 28):
        renderer.poll(call.start_us + now * SECOND)
        assert list(call.folder.glob("*.followed")) == []


def test_a_tape_of_which_nothing_was_heard_yet_has_not_vanished(make_call: Any, tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    call = make_call()
    call.begin()
    call.open()
    renderer = ConversationRenderer(call.folder, Vault.at(tmp_path / "vault", tmp_path / "keys"))
    renderer.poll(call.start_us + 5 * SECOND)
    assert len(list(call.folder.glob("*.followed"))) == 1
    renderer.drop()


def test_a_growing_tape_gives_each_packet_once(make_call: Any, tmp_path: Path) -> None:
    call = _long_call(make_call, 2)
    data = (call.folder / f"{call.tape_id}.0.0.rtpdump").read_bytes()
    path = tmp_path / "growing.rtpdump"
    tape = GrowingTape(path)
    tape.read()
    found = []
    for size in (*range(0, len(data), 997), len(data)):
        path.write_bytes(data[:size])
        tape.read()
        packets = tape.take()
        found += [
            bytes(packets.buffer[offset : offset + length])
            for offset, length in zip(packets.offset, packets.length, strict=True)
        ]
    assert len(found) == 100
    assert found == sorted(found, key=lambda packet: packet[2:4])
    assert tape.payload_types == {0}
    assert not tape.damaged


def test_a_growing_tape_of_something_else_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.rtpdump"
    path.write_bytes(b"garbage" * 200)
    tape = GrowingTape(path)
    tape.read()
    assert tape.damaged
    assert len(tape.take()) == 0


def test_a_growing_log_gives_whole_lines(make_call: Any, tmp_path: Path) -> None:
    call = _long_call(make_call, 1)
    data = (call.folder / "events.jsonl").read_bytes()
    path = tmp_path / "events.jsonl"
    log = GrowingLog(path)
    assert log.read() is False
    path.write_bytes(data[:-7])
    assert log.read() is True
    count = len(log.events)
    assert log.read() is False
    path.write_bytes(data)
    assert log.read() is True
    assert (len(log.events), log.events[-1].type) == (count + 1, "conversation.ended")
