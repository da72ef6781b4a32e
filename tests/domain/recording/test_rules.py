"""The recording table, row by row, told as stories. Each test carries the contract's rule number."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

from story import Story

from earwitness.domain.conversation.events import EVENT_FIELDS
from earwitness.domain.recording import rules as rules_module
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


def test_a4_the_rules_know_settings_and_events_and_no_policy() -> None:
    taken = {item.name: item.type for item in fields(RecordingRules) if item.init and not item.name.startswith("_")}
    assert taken == {
        "trunks": "Mapping[str, TrunkRecording]",
        "stop_when_only_external": "bool",
        "stations": "Mapping[str, TrunkRecording]",
    }
    folder = Path(rules_module.__file__).parent
    for path in folder.glob("*.py"):
        names = re.findall(r"^(?:from|import) (earwitness[\w.]*)", path.read_text(), re.MULTILINE)
        assert all(re.match(r"earwitness\.domain\.(recording|conversation)\.", name) for name in names), path.name
    assert not any("polic" in name or "retention" in name for name in EVENT_FIELDS), "nor can an event tell of one"
    story = talk()
    opened = obey(story)
    assert [type(c) for c in opened] == [OpenTape], "no policy has to ask for it"


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


def test_c5_a_caller_who_was_not_asked_is_on_nobodys_tape() -> None:
    """Somebody outside is added, over a trunk that requires no consent; he would be recorded with the caller."""
    rules = RecordingRules({"t1": replace(ON, consent_required=True), "t2": ON})
    story = talk().external("outbound", "friend", "t2").answer("friend")
    commands = obey(story, rules=rules)
    assert open_tapes(commands) == set()
    assert [reason.row for reason in commands[-1].reasons] == ["consent"]
    story.seen = len(story.events)
    story.tell("leg.ended", leg_id="carrier", cause="endpoint")
    story.tell("participant.left", participant_id="p-carrier", cause="endpoint")
    assert open_tapes(obey_rest(story, rules)) == {("friend", "trunk")}, "he and ours alone need none"


def test_c5_the_yes_of_one_caller_is_not_that_of_another() -> None:
    """Two calls from outside are made one; who comes in has not been asked."""
    settings = replace(ON, consent_required=True, external_transfers=True)
    rules = RecordingRules({"t1": settings})
    story = talk()
    story.tell("consent.granted", leg_id="carrier")
    story.external("inbound", "second", "t1", "unset").answer("second")
    assert open_tapes(obey(story, rules=rules)) == set()
    assert rules.refuses_user_recording() is not None
    story.seen = len(story.events)
    story.tell("consent.granted", leg_id="second")
    assert open_tapes(obey_rest(story, rules)) == {("carrier", "trunk"), ("second", "trunk")}


def test_c3_who_has_agreed_need_not_be_asked_again_in_the_call_that_he_moves_to() -> None:
    rules = RecordingRules({"t1": replace(ON, consent_required=True)})
    story = Story().begin("internal").phone("alice", "inbound").phone("bob").answer("bob", "alice")
    story.external("inbound", "carrier", "t1", "granted").answer("carrier")
    assert open_tapes(obey(story, rules=rules)) == {("carrier", "trunk")}
    assert rules.refuses_user_recording() is None


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


def asks(story: Story, name: str = "phone", *, on: bool = True) -> Story:
    event = "user_recording.on" if on else "user_recording.off"
    story.tell(event, participant_id=f"p-{name}", user_id=name, leg_id=name)
    return story


def machine(story: Story, kind: str, name: str, *, suppress: bool = False) -> Story:
    """The call enters a flow (``ivr``) or a queue."""
    story.tell("participant.joined", participant_id=f"p-{name}", purpose="ivr" if kind == "ivr" else "acd")
    return story.segment(kind, f"p-{name}", suppress_recording=suppress)


def machine_over(story: Story, kind: str, name: str) -> Story:
    story.segment_over(kind, f"p-{name}").tell("participant.left", participant_id=f"p-{name}", cause="transfer")
    return story


def changes(commands: list[TapeCommand]) -> list[tuple[str, str]]:
    """The commands that change a tape: what, and of which leg."""
    return [(type(c).__name__, c.leg_id) for c in commands if not isinstance(c, WithholdTape)]


def test_a5_ivr_queue_agents_and_a_transfer_are_one_tape_that_never_closes() -> None:
    story = machine(Story().begin().external(), "ivr", "flow").answer("carrier")
    story.phone("first")
    machine(story, "queue", "wait")
    machine_over(story, "ivr", "flow")
    story.answer("first")
    machine_over(story, "queue", "wait").phone("second", user="u2").leave("first", "transfer").answer("second")
    story.leave("second").leave("carrier")
    assert changes(obey(story)) == [("OpenTape", "carrier"), ("CloseTape", "carrier")]


def test_a6_a_call_that_never_leaves_the_flow_is_recorded() -> None:
    assert open_tapes(obey(machine(Story().begin().external(), "ivr", "flow").answer("carrier"))) == {
        ("carrier", "trunk")
    }


def test_a11_a_consult_has_a_tape_of_its_own_and_its_completion_another() -> None:
    story = talk().segment("hold", "p-phone").external("outbound", "expert", "t2")
    story.segment("consult", "p-expert").answer("expert")
    rules = RecordingRules({"t1": ON, "t2": replace(ON, consult=True)})
    assert open_tapes(obey_rest(story, rules)) == {("expert", "consult")}, "the customer is held, the expert is not"
    story.segment_over("consult", "p-expert")
    assert obey_rest(story, rules) == [], "until it is in the talk it is a consult leg"
    story.segment_over("hold", "p-phone").segment("interact", "p-expert").leave("phone")
    assert changes(obey_rest(story, rules))[:3] == [
        ("OpenTape", "carrier"),
        ("CloseTape", "expert"),
        ("OpenTape", "expert"),
    ]


def test_b1_between_a_suppressing_flow_and_the_queue_nothing_opens() -> None:
    story = machine(Story().begin().external(), "ivr", "flow", suppress=True).answer("carrier")
    machine_over(story, "ivr", "flow")
    machine(story, "queue", "wait", suppress=True)
    for settings in (ON, replace(ON, external_transfers=True)):
        assert changes(obey(story, settings)) == []


def test_events_of_one_moment_are_judged_together() -> None:
    story = machine(Story().begin().external(), "ivr", "flow").answer("carrier")
    rules = RecordingRules({"t1": ON})
    assert changes(obey_rest(story, rules)) == [("OpenTape", "carrier")]
    machine_over(story, "ivr", "flow")
    machine(story, "queue", "wait")
    assert [rules.note(event) for event in story.events[story.seen :]] == [[]] * 4
    assert rules.settle() == []


def test_b3_a_consult_with_a_queue_is_not_the_callers_wait() -> None:
    story = talk().segment("hold", "p-phone")
    machine(story, "queue", "wait", suppress=True)
    assert open_tapes(obey(story, replace(ON, holds=True))) == {("carrier", "trunk")}
    story.leave("phone", "transfer")
    assert open_tapes(obey(story, replace(ON, holds=True))) == set(), "now it is the caller who waits"


def test_b5_held_by_one_of_two_internal_parties_is_not_held() -> None:
    story = talk().phone("second", user="u2").answer("second").segment("hold", "p-phone")
    assert open_tapes(obey(story)) == {("carrier", "trunk")}
    assert open_tapes(obey(story.segment("hold", "p-second"))) == set()


def test_b5_who_is_called_for_a_consult_does_not_keep_the_customer_from_being_held() -> None:
    story = talk().segment("hold", "p-phone").phone("expert", user="u2").segment("consult", "p-expert").answer("expert")
    assert open_tapes(obey(story)) == set()


def test_b5_the_external_partys_own_hold_counts() -> None:
    assert open_tapes(obey(talk().segment("hold", "p-carrier"))) == set()


def test_b7_a_pause_and_its_end_are_the_same_tape() -> None:
    story = talk()
    story.tell("secure_pause.on", by="u1")
    story.tell("secure_pause.off", by="u9")
    commands = obey(story)
    assert changes(commands) == [("OpenTape", "carrier"), ("CloseTape", "carrier"), ("OpenTape", "carrier")]
    assert {command.take for command in commands} == {0}


def test_c1_a_refusal_destroys_every_tape_of_the_call() -> None:
    story = asks(talk().external("outbound", "other", "t2").answer("other"))
    asks(asks(story, on=False))
    story.leave("other").tell("consent.refused", leg_id="carrier")
    destroyed = [(c.leg_id, c.kind, c.take) for c in obey(story) if isinstance(c, DestroyTape)]
    assert destroyed == [("carrier", "trunk", 0), ("other", "trunk", 0), ("phone", "user", 0), ("phone", "user", 1)]


def test_c1_what_is_destroyed_never_opens_again() -> None:
    story = talk()
    story.tell("consent.refused", leg_id="carrier")
    story.tell("consent.granted", leg_id="carrier")
    story.phone("second", user="u2").answer("second")
    commands = obey(asks(story, "second"))
    assert changes(commands) == [("OpenTape", "carrier"), ("CloseTape", "carrier"), ("DestroyTape", "carrier")]


def test_c3_running_the_action_twice_is_running_it_once() -> None:
    story = talk()
    story.tell("consent.granted", leg_id="carrier")
    story.tell("consent.granted", leg_id="carrier")
    assert changes(obey(story, replace(ON, consent_required=True))) == [("OpenTape", "carrier")]


def test_c5_consent_never_asked_for_is_the_same_as_no() -> None:
    story = talk()
    rules = RecordingRules({"t1": replace(ON, consent_required=True)})
    commands = obey(story, rules=rules)
    assert [(type(c), c.reasons[0].row) for c in commands] == [(WithholdTape, "consent")]
    refusal = rules.refuses_user_recording()
    assert refusal is not None
    assert refusal.setting == "trunk_recording_consent_required=true"
    assert open_tapes(obey_rest(asks(story), rules)) == set()


def test_c6_user_recordings_wait_for_no_consent_where_none_is_required() -> None:
    rules = RecordingRules({"t1": ON})
    assert open_tapes(obey(asks(talk()), rules=rules)) == {("carrier", "trunk"), ("phone", "user")}
    off = RecordingRules({"t1": TrunkRecording(consent_required=True)})
    assert open_tapes(obey(asks(talk()), rules=off)) == {("phone", "user")}, "C4: it needs trunk recording on as well"


def test_c7_outbound_calls_and_conferences_ignore_the_gate_for_users() -> None:
    settings = replace(ON, consent_required=True)
    assert ("phone", "user") in open_tapes(obey(asks(talk("outbound")), settings))
    story = asks(talk())
    story.tell("conference.started", participants=["p-carrier", "p-phone"])
    assert open_tapes(obey(story, settings)) == {("phone", "user")}


def test_c9_a_yes_lifts_no_suppression() -> None:
    settings = replace(ON, consent_required=True)
    story = machine(Story().begin().external(), "ivr", "flow", suppress=True).answer("carrier")
    story.tell("consent.granted", leg_id="carrier")
    assert open_tapes(obey(story, settings)) == set()
    machine_over(story.phone().answer("phone"), "ivr", "flow")
    assert open_tapes(obey(story, settings)) == {("carrier", "trunk")}
    assert open_tapes(obey(story.segment("hold", "p-phone"), settings)) == set()


def test_d2_a_transfer_that_fails_changes_nothing() -> None:
    story = talk()
    story.external("outbound", "onward", "t2").tell("transfer.failed", kind="blind", target="+49", error="busy")
    story.leave("onward")
    assert changes(obey(story)) == [("OpenTape", "carrier")]


def test_d2_a_caller_alone_is_no_external_call() -> None:
    story = talk().leave("phone")
    assert open_tapes(obey(story, replace(ON, external_transfers=True))) == set()


def conference(*, announced: bool) -> Story:
    story = talk().external("outbound", "onward", "t2").answer("onward")
    if announced:
        story.tell("conference.started", participants=["p-carrier", "p-phone", "p-onward"])
    return story.leave("phone")


def test_d3_a_conference_of_external_parties_follows_the_organization_alone() -> None:
    both = {("carrier", "trunk"), ("onward", "trunk")}
    for announced in (True, False):
        story = conference(announced=announced)
        for transfers in (True, False):
            trunks = dict.fromkeys(("t1", "t2"), replace(ON, external_transfers=transfers))
            assert open_tapes(obey(story, rules=RecordingRules(trunks, stop_when_only_external=True))) == set()
            assert open_tapes(obey(story, rules=RecordingRules(trunks, stop_when_only_external=False))) == both


def test_d3_a_transfer_is_no_conference_however_it_is_told() -> None:
    first = talk().external("outbound", "onward", "t2").answer("onward")
    first.tell("transferred", kind="attended", target="+49", external=True)
    second = talk().external("outbound", "onward", "t2").answer("onward").leave("phone")
    second.tell("transferred", kind="attended", target="+49", external=True)
    for story in (first.leave("phone"), second):
        rules = RecordingRules({"t1": ON, "t2": ON}, stop_when_only_external=False)
        assert open_tapes(obey(story, rules=rules)) == set()


def test_d3_a_conference_that_became_a_call_of_two_is_none() -> None:
    story = talk().external("outbound", "third", "t2").answer("third")
    story.tell("conference.started", participants=["p-carrier", "p-phone", "p-third"])
    story.leave("third").external("outbound", "onward", "t2").answer("onward").leave("phone", "transfer")
    rules = RecordingRules({"t1": ON, "t2": ON}, stop_when_only_external=False)
    assert open_tapes(obey(story, rules=rules)) == set()


def test_d4_the_reason_names_the_setting_of_the_legs_own_trunk() -> None:
    story = talk().external("outbound", "onward", "t2").answer("onward").leave("phone", "transfer")
    rules = RecordingRules({"t1": replace(ON, external_transfers=True), "t2": ON})
    settings = {c.leg_id: c.reasons[-1].setting for c in obey(story, rules=rules)}
    assert settings["onward"] == "trunk_recording_externalTransfersEnabled=false"


def test_e1_both_sides_record_at_once_each_a_tape() -> None:
    story = Story().begin("internal").phone("alice", "inbound").phone("bob", user="u2").answer("bob", "alice")
    assert open_tapes(obey(asks(asks(story, "alice"), "bob"))) == {("alice", "user"), ("bob", "user")}
    assert open_tapes(obey(asks(story, "alice", on=False))) == {("bob", "user")}


def test_e6_each_start_makes_a_tape_of_its_own() -> None:
    story = asks(asks(asks(asks(talk()), on=False)), on=False)
    takes = [(type(c).__name__, c.take) for c in obey(story) if c.kind == "user"]
    assert takes == [("OpenTape", 0), ("CloseTape", 0), ("OpenTape", 1), ("CloseTape", 1)]


def test_e6_a_pause_inside_one_is_the_same_tape() -> None:
    story = asks(talk())
    story.tell("secure_pause.on", by="u1")
    story.tell("secure_pause.off", by="u1")
    asks(story)
    takes = [(type(c).__name__, c.take) for c in obey(story) if c.kind == "user"]
    assert takes == [("OpenTape", 0), ("CloseTape", 0), ("OpenTape", 0)]


def test_e6_asking_again_inside_a_pause_waits_for_its_end() -> None:
    story = asks(talk())
    story.tell("secure_pause.on", by="u1")
    asks(asks(story, on=False))
    story.tell("secure_pause.off", by="u1")
    takes = [(type(c).__name__, c.take) for c in obey(story) if c.kind == "user"]
    assert takes == [("OpenTape", 0), ("CloseTape", 0), ("WithholdTape", 1), ("OpenTape", 1)]


def test_e7_a_user_recording_ends_with_its_owner_and_goes_on_with_nobody() -> None:
    story = asks(talk()).phone("second", user="u2").answer("second").leave("phone", "transfer")
    rules = RecordingRules({"t1": ON})
    assert open_tapes(obey_rest(story, rules)) == {("carrier", "trunk")}
    gone = talk()
    asks(gone).tell("participant.left", participant_id="p-phone", cause="client")
    assert ("phone", "user") not in open_tapes(obey(gone))


def test_e4_hold_is_no_matter_to_a_user_recording() -> None:
    assert open_tapes(obey(asks(talk()).segment("hold", "p-phone"))) == {("phone", "user")}


def test_mute_digits_and_data_are_no_matter_to_a_tape() -> None:
    story = talk()
    story.tell("participant.muted", participant_id="p-phone", muted=True)
    story.tell("participant.data", participant_id="p-carrier", attributes={"a": "1"})
    story.tell("dtmf", leg_id="carrier", digit="1")
    assert len(obey(story)) == 1
