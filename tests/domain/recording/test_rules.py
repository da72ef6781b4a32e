"""The recording table, row by row, told as stories. Each test carries the contract's rule number."""

from __future__ import annotations

from dataclasses import replace

from story import Story

from earwitness.domain.recording.rules import (
    TRUNK_ROWS,
    CloseTape,
    DestroyTape,
    OpenTape,
    RecordingRules,
    TapeCommand,
    WithholdTape,
)
from earwitness.domain.recording.settings import TrunkRecording

ON = TrunkRecording(enabled=True)


def obey(story: Story, settings: TrunkRecording = ON, rules: RecordingRules | None = None) -> list[TapeCommand]:
    rules = rules or RecordingRules({"t1": settings, "t2": settings})
    return [command for event in story.events for command in rules.observe(event)]


def obey_rest(story: Story, rules: RecordingRules) -> list[TapeCommand]:
    """What the rules say to the events that they have not seen yet; those are then told."""
    commands = [command for event in story.events[story.seen :] for command in rules.observe(event)]
    story.seen = len(story.events)
    return commands


def open_tapes(commands: list[TapeCommand]) -> set[tuple[str, str]]:
    tapes: set[tuple[str, str]] = set()
    for command in commands:
        if isinstance(command, OpenTape):
            tapes.add((command.leg_id, command.kind))
        else:
            tapes.discard((command.leg_id, command.kind))
    return tapes


def talk(direction: str = "inbound") -> Story:
    return Story().begin(direction).external(direction).phone().answer("phone", "carrier")


def test_a1_external_call_is_recorded_without_any_policy() -> None:
    commands = obey(talk())
    assert [type(c) for c in commands] == [OpenTape]
    assert open_tapes(commands) == {("carrier", "trunk")}


def test_a2_internal_call_is_not_recorded() -> None:
    story = Story().begin("internal").phone("alice", "inbound").phone("bob").answer("bob", "alice")
    assert obey(story) == []


def test_a3_trunk_recording_is_off_until_turned_on() -> None:
    commands = obey(talk(), TrunkRecording())
    assert [type(c) for c in commands] == [WithholdTape]
    assert commands[0].reasons[0].row == "trunk"


def test_a5_one_tape_across_transfers_opens_once() -> None:
    story = talk().phone("second", user="u2").answer("second").leave("phone")
    commands = obey(story)
    assert [type(c) for c in commands] == [OpenTape]


def test_a6_outbound_calls_are_recorded() -> None:
    assert open_tapes(obey(talk("outbound"))) == {("carrier", "trunk")}


def test_a11_consult_legs_are_captured_only_with_the_option() -> None:
    story = talk().external("outbound", "expert", "t2").segment("consult", "p-expert").answer("expert")
    assert open_tapes(obey(story)) == {("carrier", "trunk")}
    assert open_tapes(obey(story, replace(ON, consult=True))) == {("carrier", "trunk"), ("expert", "consult")}


def test_b1_suppressing_flow_keeps_the_tape_closed_until_it_is_left() -> None:
    first = Story().begin()
    first.tell("participant.joined", participant_id="p-ivr", purpose="ivr")
    first.segment("ivr", "p-ivr", flow_id="f1", suppress_recording=True).external().answer("carrier")
    rules = RecordingRules({"t1": ON})
    commands = obey_rest(first, rules)
    assert [(type(c), c.reasons[0].row) for c in commands] == [(WithholdTape, "flow")]
    first.phone().segment_over("ivr", "p-ivr")
    assert obey_rest(first, rules) == [], "until the call is elsewhere it belongs to the flow"
    first.tell("participant.left", participant_id="p-ivr", cause="transfer")
    assert [type(c) for c in obey_rest(first, rules)] == [OpenTape]


def test_b3_queue_wait_follows_the_queues_flag() -> None:
    for suppress in (True, False):
        story = Story().begin()
        story.tell("participant.joined", participant_id="p-acd", purpose="acd")
        story.segment("queue", "p-acd", queue_id="q1", suppress_recording=suppress).external().answer("carrier")
        assert bool(open_tapes(obey(story))) is not suppress


def test_b5_hold_is_suppressed_unless_the_trunk_records_holds() -> None:
    story = talk().segment("hold", "p-phone")
    assert open_tapes(obey(story)) == set()
    assert open_tapes(obey(story, replace(ON, holds=True))) == {("carrier", "trunk")}
    story.segment_over("hold", "p-phone")
    assert open_tapes(obey(story)) == {("carrier", "trunk")}


def test_b9_hold_inside_a_secure_pause_stays_paused() -> None:
    story = talk()
    story.tell("secure_pause.on", by="u1")
    story.segment("hold", "p-phone").segment_over("hold", "p-phone")
    assert open_tapes(obey(story)) == set()
    story.tell("secure_pause.off", by="u1")
    assert open_tapes(obey(story)) == {("carrier", "trunk")}


def test_b14_secure_pause_stops_every_tape() -> None:
    story = talk()
    story.tell("user_recording.on", participant_id="p-phone", user_id="u1", leg_id="phone")
    assert open_tapes(obey(story)) == {("carrier", "trunk"), ("phone", "user")}
    story.tell("secure_pause.on", by="u9")
    assert open_tapes(obey(story)) == set()


def test_c4_nothing_is_captured_before_consent() -> None:
    settings = replace(ON, consent_required=True)
    story = talk()
    commands = obey(story, settings)
    assert [(type(c), c.reasons[0].row) for c in commands] == [(WithholdTape, "consent")]
    story.tell("consent.granted", leg_id="carrier")
    assert open_tapes(obey(story, settings)) == {("carrier", "trunk")}


def test_c6_consent_is_no_matter_where_the_trunk_does_not_require_it() -> None:
    assert open_tapes(obey(talk())) == {("carrier", "trunk")}


def test_c8_the_consent_gate_is_for_inbound_calls() -> None:
    assert open_tapes(obey(talk("outbound"), replace(ON, consent_required=True))) == {("carrier", "trunk")}


def test_c10_refused_consent_refuses_user_recordings() -> None:
    story = talk()
    story.tell("consent.refused", leg_id="carrier")
    rules = RecordingRules({"t1": replace(ON, consent_required=True)})
    obey(story, rules=rules)
    assert rules.refuses_user_recording() is not None
    asked = story.tell("user_recording.on", participant_id="p-phone", user_id="u1", leg_id="phone")
    assert not open_tapes(rules.observe(asked))


def test_c1_refusal_destroys_what_was_captured() -> None:
    settings = replace(ON, consent_required=True)
    story = talk()
    story.tell("consent.granted", leg_id="carrier")
    story.tell("consent.refused", leg_id="carrier")
    kinds = [type(c) for c in obey(story, settings)]
    assert kinds == [WithholdTape, OpenTape, CloseTape, DestroyTape]


def test_d1_only_external_parties_left_ends_the_tape() -> None:
    story = talk().external("outbound", "onward", "t2").answer("onward").leave("phone", "transfer")
    assert open_tapes(obey(story)) == set()


def test_d2_the_trunk_option_continues_on_external_transfer() -> None:
    story = talk().external("outbound", "onward", "t2").answer("onward").leave("phone", "transfer")
    tapes = open_tapes(obey(story, replace(ON, external_transfers=True)))
    assert tapes == {("carrier", "trunk"), ("onward", "trunk")}


def test_d4_each_leg_follows_its_own_trunk() -> None:
    story = talk().external("outbound", "onward", "t2").answer("onward").leave("phone", "transfer")
    rules = RecordingRules({"t1": replace(ON, external_transfers=True), "t2": ON})
    assert open_tapes(obey(story, rules=rules)) == {("carrier", "trunk")}


def test_e3_user_recording_needs_no_trunk_recording() -> None:
    story = Story().begin("internal").phone("alice", "inbound").phone("bob", user="u2").answer("bob", "alice")
    story.tell("user_recording.on", participant_id="p-alice", user_id="u1", leg_id="alice")
    assert open_tapes(obey(story, TrunkRecording())) == {("alice", "user")}


def test_e7_user_recording_ends_when_its_owner_leaves() -> None:
    story = talk()
    story.tell("user_recording.on", participant_id="p-phone", user_id="u1", leg_id="phone")
    story.leave("phone")
    assert ("phone", "user") not in open_tapes(obey(story))


def test_the_end_of_the_leg_closes_its_tape() -> None:
    commands = obey(talk().leave("carrier"))
    assert [type(c) for c in commands] == [OpenTape, CloseTape]
    assert commands[-1].reasons[0].row == "leg"


def test_every_row_names_its_contract_rules() -> None:
    assert [row.name for row in TRUNK_ROWS] == [
        "trunk", "external", "consent", "flow", "queue", "hold", "pause", "external_transfer", "consult",
    ]  # fmt: skip
    assert all(row.contract for row in TRUNK_ROWS)
