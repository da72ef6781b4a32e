"""Tapes, pauses and annotations as the events tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tape_maker import PAYLOAD_TYPES, START_US

from earwitness.archive.render.annotations import annotate, reason_of
from earwitness.archive.render.plan import Codec, plan_folder

MakeSpool = Callable[..., Any]
SECOND = 1_000_000


def test_b12_offsets_of_pauses(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.opened(0, START_US)
    made.closed(0, START_US + 10 * SECOND, "hold", "on hold")
    made.opened(1, START_US + 15 * SECOND)
    made.closed(1, START_US + 20 * SECOND, "pause", "secure pause")
    made.opened(2, START_US + 28 * SECOND)
    made.closed(2, START_US + 30 * SECOND)
    made.end(START_US + 30 * SECOND)
    hold, pause = annotate(made.plan())
    assert (hold.reason, pause.reason) == ("Hold", "SecurePause")
    assert (hold.realtime_location_ms, hold.absolute_location_ms, hold.duration_ms) == (10_000, 10_000, 5_000)
    assert (pause.realtime_location_ms, pause.absolute_location_ms, pause.duration_ms) == (20_000, 15_000, 8_000)
    assert pause.why == ("secure pause",)
    document = pause.to_document()
    assert document["type"] == "pause"
    assert document["recordingLocation"] == 15_000
    assert document["recordingDurationMs"] == 0


def test_b13_suppressed_start_is_a_pause_at_0(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.event(
        START_US,
        "tape.withheld",
        tape_id="tape",
        leg_id="leg",
        kind="trunk",
        reasons=[{"row": "flow", "why": "inside a flow that suppresses recording"}],
    )
    made.opened(0, START_US + 7 * SECOND)
    made.closed(0, START_US + 9 * SECOND)
    made.end(START_US + 9 * SECOND)
    plan = made.plan()
    assert plan.start_us == START_US + 7 * SECOND
    (pause,) = annotate(plan)
    assert (pause.reason, pause.realtime_location_ms, pause.absolute_location_ms) == ("FlowOrQueue", 0, 0)
    assert pause.duration_ms == 7_000


def test_a_pause_until_the_end_is_told(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.opened(0, START_US)
    made.closed(0, START_US + 4 * SECOND, "hold", "on hold")
    made.end(START_US + 9 * SECOND)
    (pause,) = annotate(made.plan())
    assert (pause.reason, pause.duration_ms) == ("Hold", 5_000)


def test_d1_a_recording_that_ended_with_a_transfer_is_not_paused(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.opened(0, START_US)
    made.closed(0, START_US + 4 * SECOND, "external_transfer", "only external parties are left")
    made.end(START_US + 9 * SECOND)
    assert annotate(made.plan()) == []


def test_waiting_for_consent_is_no_pause(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    reasons = [{"row": "consent", "why": "this trunk requires consent"}]
    made.event(START_US, "tape.withheld", tape_id="tape", leg_id="leg", kind="trunk", reasons=reasons)
    made.opened(0, START_US + 3 * SECOND)
    made.closed(0, START_US + 5 * SECOND)
    made.end(START_US + 5 * SECOND)
    assert annotate(made.plan()) == []


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["hold"], "Hold"),
        (["hold", "pause"], "SecurePause"),
        (["queue", "hold"], "Hold"),
        (["queue wait"], "FlowOrQueue"),
        (["queue"], "FlowOrQueue"),
        (["flow"], "FlowOrQueue"),
        (["external_transfer"], "Pause"),
        ([], "Pause"),
    ],
)
def test_b10_reasons(rows: list[str], reason: str) -> None:
    assert reason_of(tuple({"row": row, "why": ""} for row in rows)) == reason


def test_an_opening_without_a_close_ends_with_its_leg(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.opened(0, START_US)
    made.event(START_US + 5 * SECOND, "leg.ended", leg_id="leg", cause="client")
    made.event(START_US + 6 * SECOND, "conversation.ended", cause="crash")
    assert made.plan().length_us == 5 * SECOND


def test_tapes_that_never_opened_are_no_plan(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.event(START_US, "tape.withheld", tape_id="tape", leg_id="leg", kind="trunk", reasons=[])
    made.end(START_US + SECOND)
    made.opened(0, START_US)
    made.plan()
    made.events = made.events[:-1]
    made.folder.joinpath("events.jsonl").write_text("")
    assert plan_folder(made.folder) == []


def test_codecs_are_timed_and_cumulative(spool: MakeSpool) -> None:
    made = spool()
    made.begin({"0": ["PCMU", 8000, 1]})
    made.opened(0, START_US)
    made.event(START_US + 2 * SECOND, "leg.media", leg_id="leg", payload_types={"96": PAYLOAD_TYPES["96"]})
    made.event(START_US + 4 * SECOND, "leg.media", leg_id="leg", payload_types={"96": ["L16", 16000, 1]})
    made.end(START_US + 5 * SECOND)
    plan = made.plan()
    assert plan.epoch(START_US - 1).find(0) == Codec("PCMU", 8000)
    assert plan.epoch(START_US).find(96) is None
    assert plan.epoch(START_US + 2 * SECOND).find(96) == Codec("OPUS", 48000, 2)
    assert plan.epoch(START_US + 5 * SECOND).find(96) == Codec("L16", 16000)
    assert plan.epoch(START_US + 5 * SECOND).find(0) == Codec("PCMU", 8000)
    assert plan.epoch(START_US).find(101) == Codec("TELEPHONE-EVENT", 8000)
    assert plan.epoch(START_US).find(18) == Codec("G729", 8000)


def test_b9_b10_b12_a_secure_pause_within_a_hold_is_a_pause_of_its_own(spool: MakeSpool) -> None:
    """Hold at 2, secure pause at 4, hold over at 7 (still paused), on at 9; a second hold from 11 to 14; end at 15."""
    made = spool()
    made.begin()
    made.opened(0, START_US)
    made.closed(0, START_US + 2 * SECOND, "hold", "on hold")
    for at, rows in ((4, ["hold", "pause"]), (7, ["pause"])):
        reasons = [{"row": row, "why": row} for row in rows]
        made.event(START_US + at * SECOND, "tape.withheld", tape_id="tape", leg_id="leg", kind="trunk", reasons=reasons)
    made.opened(1, START_US + 9 * SECOND)
    made.closed(1, START_US + 11 * SECOND, "hold", "on hold")
    made.opened(2, START_US + 14 * SECOND)
    made.closed(2, START_US + 15 * SECOND)
    made.end(START_US + 15 * SECOND)
    found = annotate(made.plan())
    assert [(p.reason, p.realtime_location_ms, p.absolute_location_ms, p.duration_ms) for p in found] == [
        ("Hold", 2_000, 2_000, 2_000),
        ("SecurePause", 4_000, 2_000, 5_000),
        ("Hold", 11_000, 4_000, 3_000),
    ]
    assert [document["recordingDurationMs"] for document in (p.to_document() for p in found)] == [0, 0, 0]
    assert sum(p.duration_ms for p in found) + made.plan().length_us // 1000 == 15_000


def test_b13_flow_and_queue_before_the_agent_are_one_pause(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    for at, row in ((0, "flow"), (3, "queue")):
        reasons = [{"row": row, "why": row}]
        made.event(START_US + at * SECOND, "tape.withheld", tape_id="tape", leg_id="leg", kind="trunk", reasons=reasons)
    made.opened(0, START_US + 8 * SECOND)
    made.closed(0, START_US + 9 * SECOND)
    made.end(START_US + 9 * SECOND)
    (pause,) = annotate(made.plan())
    assert (pause.reason, pause.absolute_location_ms, pause.duration_ms) == ("FlowOrQueue", 0, 8_000)
    assert pause.why == ("flow", "queue")


def test_a7_a8_at_a_station_the_channels_are_the_other_way_round(spool: MakeSpool) -> None:
    """Channel 0 is the external party, or whoever the user talks to; channel 1 the internal side."""
    made = spool()
    made.begin()
    how = {"participant_id": "p", "direction": "outbound", "external": False, "address": "ann"}
    made.event(START_US, "leg.offered", leg_id="leg", kind="station", **how)
    for tape, kind in (("tape", "station"), ("ours", "user"), ("asked", "consult")):
        opened = {"tape_id": tape, "opening": 0, "leg_id": "leg", "kind": kind}
        made.event(START_US, "tape.opened", **opened, dual_channel=True, audio_format="audio/opus", reasons=[])
    made.event(START_US, "gap", leg_id="leg", channel=0, from_us=START_US, to_us=START_US + SECOND, cause="relay")
    made.end(START_US + 2 * SECOND)
    made.plan()
    station, user, consult = plan_folder(made.folder)
    assert [station.file(0, channel).name for channel in (0, 1)] == ["tape.0.1.rtpdump", "tape.0.0.rtpdump"]
    assert [user.file(0, channel).name for channel in (0, 1)] == ["ours.0.0.rtpdump", "ours.0.1.rtpdump"]
    assert consult.file(0, 0).name == "asked.0.1.rtpdump"
    assert (station.gaps[0].channel, user.gaps[0].channel) == (1, 0)


def test_a7_a_colleague_without_recording_is_no_pause(spool: MakeSpool) -> None:
    made = spool()
    made.begin()
    made.opened(0, START_US)
    made.closed(0, START_US + SECOND, "party", "a call between users, and not every station on it records")
    made.opened(1, START_US + 2 * SECOND)
    made.closed(1, START_US + 3 * SECOND, "party", "nobody else is on the call")
    made.end(START_US + 4 * SECOND)
    (cut,) = made.plan().pauses
    assert cut.to_us == START_US + 2 * SECOND, "what follows the last opening is no pause of the recording"
