"""A spool that a dead edge left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.domain.conversation.events import Event, parse_lines
from earwitness.domain.conversation.timeline import fold
from earwitness.media.tape import format as rtpdump
from earwitness.media.tape.recover import recover, recover_spool
from earwitness.media.tape.spool import conversations, days_left, space, tape_files

T0 = 1_795_353_600_000_000
CALL = {"conversation_id": "c", "organization_id": "o", "direction": "inbound", "ani": "1", "dnis": "2"}
LEG = {"leg_id": "l", "participant_id": "p", "kind": "trunk", "direction": "inbound", "external": True, "address": "1"}
TAPE = {"tape_id": "t", "opening": 0, "leg_id": "l", "kind": "trunk", "dual_channel": True, "audio_format": "x"}
STARTED = [
    ("conversation.started", CALL),
    ("participant.joined", {"participant_id": "p", "purpose": "external"}),
    ("leg.offered", LEG),
    ("leg.answered", {"leg_id": "l"}),
    ("segment.started", {"segment_id": "s", "participant_id": "p", "kind": "interact"}),
    ("tape.opened", TAPE),
]
LINES = [Event(seq, T0 + seq, kind, data).to_json().encode() + b"\n" for seq, (kind, data) in enumerate(STARTED)]


def spool_with(folder: Path, lines: list[bytes], packet_ms: list[int] | None = None) -> Path:
    conversation = folder / "c"
    conversation.mkdir(parents=True, exist_ok=True)
    (conversation / "events.jsonl").write_bytes(b"".join(lines))
    for channel in (0, 1):
        records = [rtpdump.encode_record(b"x" * 20, each) for each in packet_ms or []]
        data = rtpdump.encode_header(T0, "127.0.0.1", 1) + b"".join(records)
        (conversation / f"t.0.{channel}.rtpdump").write_bytes(data)
    return conversation


def events_of(conversation: Path) -> list[Event]:
    return list(parse_lines((conversation / "events.jsonl").read_bytes().splitlines()))


def test_everything_open_is_closed_at_the_last_packet(tmp_path: Path) -> None:
    conversation = spool_with(tmp_path, LINES, [20, 5000])
    assert recover_spool(tmp_path) == ["c"]
    events = events_of(conversation)
    assert [event.seq for event in events] == list(range(len(events)))
    added = events[len(LINES) :]
    assert [event.type for event in added] == [
        "tape.closed", "segment.ended", "leg.ended", "participant.left", "conversation.ended",
    ]  # fmt: skip
    assert {event.at for event in added} == {T0 + 5_000_000}
    assert added[-1].data["cause"] == "crash"
    timeline = fold(events)
    assert timeline is not None
    assert recover_spool(tmp_path) == []


def test_without_packets_the_last_event_counts(tmp_path: Path) -> None:
    conversation = spool_with(tmp_path, LINES[:4])
    assert recover(conversation)
    assert events_of(conversation)[-1].at == T0 + 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.integers(1, sum(map(len, LINES))))
def test_a_log_that_was_cut_anywhere_is_closed_and_whole(tmp_path: Path, size: int) -> None:
    conversation = spool_with(tmp_path, [b"".join(LINES)[:size]], [20])
    recovered = recover(conversation)
    assert recovered == (size >= len(LINES[0]))
    if recovered:
        events = events_of(conversation)
        assert events[-1].type == "conversation.ended"
        assert [event.seq for event in events] == list(range(len(events)))
        assert not recover(conversation)


def test_a_damaged_conversation_does_not_keep_the_others_open(tmp_path: Path) -> None:
    spool_with(tmp_path, LINES)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "events.jsonl").write_bytes(b"nonsense\n" + LINES[0])
    (tmp_path / "empty").mkdir()
    (tmp_path / "c" / "u.0.0.rtpdump").write_bytes(b"garbage")
    assert recover_spool(tmp_path) == ["c"]
    assert recover_spool(tmp_path / "missing") == []


def test_layout_and_space(tmp_path: Path) -> None:
    conversation = spool_with(tmp_path, LINES)
    (conversation / "notes.txt").write_text("")
    assert [(file.tape_id, file.opening, file.channel) for file in tape_files(conversation)] == [
        ("t", 0, 0),
        ("t", 0, 1),
    ]
    assert list(conversations(tmp_path)) == [conversation]
    assert 0 < space(tmp_path).free <= space(tmp_path).total
    assert days_left(100, 10, 86400) == pytest.approx(10)
    assert days_left(100, 0, 86400) is None
