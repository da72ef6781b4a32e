"""Station-side recording, row by row, told as stories. Each test carries the contract's rule number."""

from __future__ import annotations

from dataclasses import replace

import pytest
from story import Story

from earwitness.domain.conversation.timeline import fold
from earwitness.domain.recording.rules import (
    CloseTape,
    DestroyTape,
    OpenTape,
    RecordingRules,
    TapeCommand,
    WithholdTape,
)
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.domain.recording.station import STATION_ROWS
from earwitness.domain.recording.why import spans

OFF = TrunkRecording()
ON = TrunkRecording(enabled=True)
ASKS = replace(ON, consent_required=True)


def rules(trunk: TrunkRecording = OFF, **stations: TrunkRecording) -> RecordingRules:
    return RecordingRules({"t1": trunk, "t2": trunk}, True, {f"s-{name}": item for name, item in stations.items()})


def obey(story: Story, rules: RecordingRules) -> list[TapeCommand]:
    """What the rules say to the events that they have not seen yet."""
    commands = [command for event in story.events[story.seen :] for command in rules.observe(event)]
    story.seen = len(story.events)
    return commands


def tapes(commands: list[TapeCommand]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for command in commands:
        (found.add if isinstance(command, OpenTape) else found.discard)((command.leg_id, command.kind))
    return found


def said(commands: list[TapeCommand], leg: str = "phone") -> list[tuple[str, str]]:
    """What was said of a leg's station tape, each with its first row."""
    return [(type(c).__name__, c.reasons[0].row) for c in commands if c.leg_id == leg and c.kind == "station"]


def talk(direction: str = "inbound") -> Story:
    return Story().begin(direction).external(direction).phone().answer("carrier", "phone")


def colleagues() -> Story:
    story = Story().begin("internal").phone("alice", "inbound").phone("bob", user="u2")
    return story.answer("bob", "alice")


def test_a7_every_row_names_its_rules() -> None:
    assert [row.name for row in STATION_ROWS] == ["station", "party", "consent", "hold", "pause", "consult"]
    assert all(row.contract for row in STATION_ROWS)


def test_a7_an_internal_call_with_one_station_that_records_is_not_recorded() -> None:
    commands = obey(colleagues(), rules(alice=ON))
    assert tapes(commands) == set()
    assert {type(command) for command in commands} == {WithholdTape}
    assert commands[-1].reasons[0].why == "a call between users, and not every station on it records"


def test_a7_an_internal_call_with_both_is_two_recordings() -> None:
    commands = obey(colleagues(), rules(alice=ON, bob=ON))
    assert tapes(commands) == {("alice", "station"), ("bob", "station")}


def test_a7_no_stretch_of_an_internal_call_is_recorded_while_one_side_is_alone() -> None:
    story = Story().begin("internal").phone("alice", "inbound").answer("alice")
    decides = rules(alice=ON)
    assert said(obey(story, decides), "alice") == [("WithholdTape", "party")]
    assert tapes(obey(story.phone("bob", user="u2").answer("bob"), decides)) == set()


def test_a7_an_external_call_is_recorded_at_the_station_with_the_trunk_off() -> None:
    for direction in ("inbound", "outbound"):
        assert tapes(obey(talk(direction), rules(phone=ON))) == {("phone", "station")}


def test_a5_a7_trunk_and_station_record_apart() -> None:
    assert tapes(obey(talk(), rules(ON, phone=ON))) == {("carrier", "trunk"), ("phone", "station")}
    assert tapes(obey(talk(), rules(ON))) == {("carrier", "trunk")}
    assert tapes(obey(talk(), rules(ON, phone=OFF))) == {("carrier", "trunk")}


def test_a5_a7_two_agents_one_trunk_tape_and_a_station_tape_each() -> None:
    story = talk().phone("second", user="u2").answer("second").leave("phone", "transfer")
    story.leave("second").leave("carrier")
    commands = obey(story, rules(ON, phone=ON, second=ON))
    opened = [(c.leg_id, c.kind) for c in commands if isinstance(c, OpenTape)]
    assert opened == [("carrier", "trunk"), ("phone", "station"), ("second", "station")]
    closed = [(c.leg_id, c.kind) for c in commands if isinstance(c, CloseTape)]
    assert closed == [("phone", "station"), ("second", "station"), ("carrier", "trunk")]


def test_a7_a_flow_or_an_abandoned_queue_leaves_no_station_recording() -> None:
    for purpose, kind in (("ivr", "ivr"), ("acd", "queue")):
        story = Story().begin()
        story.tell("participant.joined", participant_id="p-m", purpose=purpose)
        story.segment(kind, "p-m", suppress_recording=False).external().answer("carrier")
        story.phone().segment("alerting", "p-phone").leave("carrier").leave("phone")
        assert [c for c in obey(story, rules(phone=ON)) if c.kind == "station"] == []


def test_a7_a_user_who_waits_in_a_queue_is_not_recorded_there() -> None:
    story = Story().begin("internal").phone("alice", "inbound")
    story.tell("participant.joined", participant_id="p-acd", purpose="acd")
    story.segment("queue", "p-acd", suppress_recording=False).answer("alice")
    decides = rules(alice=ON, bob=ON)
    assert tapes(obey(story, decides)) == set()
    story.phone("bob", user="u2").answer("bob")
    assert tapes(obey(story, decides)) == {("alice", "station"), ("bob", "station")}


def test_a7_when_the_external_party_leaves_both_must_record() -> None:
    story = talk().phone("second", user="u2").answer("second")
    decides = rules(phone=ON)
    assert tapes(obey(story, decides)) == {("phone", "station")}
    assert said(obey(story.leave("carrier"), decides)) == [("CloseTape", "party")]


def test_a7_the_tape_ends_with_its_users_leg() -> None:
    assert said(obey(talk().leave("phone"), rules(phone=ON))) == [("OpenTape", "station"), ("CloseTape", "leg")]


def test_a7_a_phone_that_only_rings_is_not_recorded() -> None:
    story = Story().begin().external().phone().phone("second", user="u2").answer("phone", "carrier")
    assert tapes(obey(story, rules(phone=ON, second=ON))) == {("phone", "station")}


@pytest.mark.parametrize("where", ["station", "trunk"])
def test_a7_c4_c5_a_call_from_outside_waits_for_consent_that_is_required(where: str) -> None:
    decides = rules(phone=ASKS) if where == "station" else rules(ASKS, phone=ON)
    story = talk()
    commands = obey(story, decides)
    assert said(commands) == [("WithholdTape", "consent")]
    assert commands[-1].reasons[0].setting == "trunk_recording_consent_required=true"
    story.tell("consent.granted", leg_id="carrier")
    assert ("phone", "station") in tapes(obey(story, decides))


def test_a7_c6_consent_of_a_trunk_that_does_not_record_is_no_matter() -> None:
    assert tapes(obey(talk(), rules(replace(ASKS, enabled=False), phone=ON))) == {("phone", "station")}


def test_a7_c1_a_refusal_destroys_the_station_tape_and_none_opens_after_it() -> None:
    story = talk()
    story.tell("consent.refused", leg_id="carrier")
    story.tell("conference.started", participants=["p-carrier", "p-phone"])
    story.phone("second", user="u2").answer("second")
    commands = obey(story, rules(phone=ON, second=ON))
    assert [(c.leg_id, c.kind) for c in commands if isinstance(c, DestroyTape)] == [("phone", "station")]
    assert tapes(commands) == set()


def test_a7_c7_outbound_calls_and_conferences_ignore_the_gate() -> None:
    assert tapes(obey(talk("outbound"), rules(ASKS, phone=ASKS))) == {("carrier", "trunk"), ("phone", "station")}
    story = talk().phone("second", user="u2").answer("second")
    story.tell("conference.started", participants=["p-carrier", "p-phone", "p-second"])
    assert tapes(obey(story, rules(ASKS, phone=ASKS))) == {("phone", "station")}


def test_a7_c7_colleagues_need_no_consent() -> None:
    assert tapes(obey(colleagues(), rules(alice=ASKS, bob=ASKS))) == {("alice", "station"), ("bob", "station")}


def test_a7_b5_holding_and_being_held_are_not_recorded_unless_holds_are() -> None:
    for holder in ("phone", "carrier"):
        story = talk().segment("hold", f"p-{holder}")
        assert tapes(obey(story, rules(phone=ON))) == set()
        story.seen = 0
        assert tapes(obey(story, rules(phone=replace(ON, holds=True)))) == {("phone", "station")}
        story.segment_over("hold", f"p-{holder}").seen = 0
        assert tapes(obey(story, rules(phone=ON))) == {("phone", "station")}


def test_a7_b5_who_still_talks_to_somebody_is_not_held() -> None:
    story = talk().phone("second", user="u2").answer("second").segment("hold", "p-second")
    assert tapes(obey(story, rules(phone=ON, second=ON))) == {("phone", "station")}


def test_a7_b9_b14_a_secure_pause_stops_it_and_outlasts_a_hold() -> None:
    story = talk()
    story.tell("secure_pause.on", by="u9")
    story.segment("hold", "p-phone").segment_over("hold", "p-phone")
    decides = rules(phone=ON)
    assert tapes(obey(story, decides)) == set()
    story.tell("secure_pause.off", by="u9")
    assert tapes(obey(story, decides)) == {("phone", "station")}


def test_a7_mute_is_no_matter() -> None:
    story = talk()
    story.tell("participant.muted", participant_id="p-phone", muted=True)
    assert said(obey(story, rules(phone=ON))) == [("OpenTape", "station")]


def test_a7_e3_a_user_recording_stands_beside_it() -> None:
    story = talk()
    story.tell("user_recording.on", participant_id="p-phone", user_id="u1", leg_id="phone")
    decides = rules(phone=ON)
    assert tapes(obey(story, decides)) == {("phone", "station"), ("phone", "user")}
    story.tell("user_recording.off", participant_id="p-phone", user_id="u1", leg_id="phone")
    assert [(type(c), c.kind) for c in obey(story, decides)] == [(CloseTape, "user")]


def consult() -> Story:
    """The customer is on hold; his agent talks to an expert."""
    story = talk().segment("hold", "p-phone").phone("expert", user="u2").segment("consult", "p-expert")
    return story.answer("expert")


def test_a7_a11_consults_are_recorded_at_stations_only_with_the_option_and_on_both_sides() -> None:
    assert tapes(obey(consult(), rules(phone=ON, expert=ON))) == set()
    option = replace(ON, consult=True)
    assert tapes(obey(consult(), rules(expert=option))) == set(), "the agent's station does not record"
    assert tapes(obey(consult(), rules(phone=ON, expert=option))) == {("expert", "consult")}
    holds = replace(ON, holds=True)
    assert tapes(obey(consult(), rules(phone=holds, expert=ON))) == set(), "a consult is not the recorded hold"


def test_a7_a11_after_the_consult_the_expert_has_a_station_tape() -> None:
    story, decides = consult(), rules(phone=ON, expert=replace(ON, consult=True))
    assert tapes(obey(story, decides)) == {("expert", "consult")}
    story.segment_over("consult", "p-expert").segment("interact", "p-expert").leave("phone", "transfer")
    changes = [(type(c).__name__, c.leg_id, c.kind) for c in obey(story, decides)]
    assert ("CloseTape", "expert", "consult") in changes
    assert changes[-1] == ("OpenTape", "expert", "station")


def test_a7_a_consult_with_a_queue_is_no_recorded_hold() -> None:
    story = talk().segment("hold", "p-phone")
    story.tell("participant.joined", participant_id="p-acd", purpose="acd")
    story.segment("queue", "p-acd", suppress_recording=False)
    assert tapes(obey(story, rules(phone=replace(ON, holds=True)))) == set()


def told(story: Story, decides: RecordingRules) -> list[tuple[str, bool, list[str]]]:
    """Spans of the story as the edge would write it down: leg, captured, rows."""
    written = Story()
    names: dict[tuple[str, str], int] = {}
    for event in story.events:
        written.events.append(type(event)(len(written.events), event.at, event.type, event.data))
        for command in decides.observe(event):
            tape = (command.leg_id, command.kind)
            about = {"tape_id": f"{tape[0]} {tape[1]}", "reasons": [reason.to_document() for reason in command.reasons]}
            if isinstance(command, OpenTape):
                names[tape] = names.get(tape, -1) + 1
                how = {"dual_channel": False, "audio_format": "audio/opus"}
                written.at_once("tape.opened", leg_id=tape[0], kind=tape[1], opening=names[tape], **how, **about)
            elif isinstance(command, CloseTape):
                written.at_once("tape.closed", opening=names[tape], **about)
            else:
                written.at_once("tape.withheld", leg_id=tape[0], kind=tape[1], **about)
    found = spans(fold(written.events), written.events[-1].at)
    return [(span.tape_id or "", span.captured, [reason["row"] for reason in span.reasons]) for span in found]


def test_a7_why_tells_of_station_tapes() -> None:
    story = colleagues().segment("hold", "p-alice").segment_over("hold", "p-alice").leave("bob").leave("alice")
    stretches = told(story, rules(alice=ON, bob=replace(ON, holds=True)))
    assert stretches == [
        ("bob station", False, ["party"]),
        ("bob station", True, ["station", "party"]),
        ("bob station", True, ["station", "party", "hold"]),
        ("bob station", True, ["station", "party"]),
        ("alice station", True, ["station", "party"]),
        ("alice station", False, ["hold"]),
        ("alice station", True, ["station", "party"]),
        ("alice station", False, ["party"]),
    ]


def test_a7_why_tells_of_a_station_alone_with_a_colleague() -> None:
    (first, *_) = told(colleagues().leave("bob").leave("alice"), rules(alice=ON))
    assert first == ("alice station", False, ["party"])
