from __future__ import annotations

import contextlib
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from story import SECOND, START, Story

from earwitness.domain.conversation.events import EVENT_FIELDS, EventError, parse, parse_lines
from earwitness.domain.conversation.timeline import Timeline, fold
from earwitness.domain.recording.why import spans


def recorded_call() -> Story:
    story = Story().begin().external().phone()
    story.tell("leg.ringing", leg_id="phone")
    story.segment("alerting", "p-phone").segment_over("alerting", "p-phone").answer("phone", "carrier")
    story.tell(
        "tape.opened", tape_id="r1", opening=0, leg_id="carrier", kind="trunk", dual_channel=True,
        audio_format="audio/opus", reasons=[{"row": "trunk", "why": "on"}],
    )  # fmt: skip
    story.segment("hold", "p-phone")
    story.at_once("tape.closed", tape_id="r1", opening=0, reasons=[{"row": "hold", "why": "on hold"}])
    story.segment_over("hold", "p-phone")
    story.tell(
        "tape.opened", tape_id="r1", opening=1, leg_id="carrier", kind="trunk", dual_channel=True,
        audio_format="audio/opus",
    )  # fmt: skip
    story.tell("tape.closed", tape_id="r1", opening=1, reasons=[{"row": "leg", "why": "the leg ended"}])
    story.leave("carrier").leave("phone")
    story.tell("conversation.ended", cause="hangup")
    return story


def test_the_fold_knows_who_when_and_how_long() -> None:
    timeline = fold(recorded_call().events)
    assert (timeline.direction, timeline.ani, timeline.start, timeline.cause) == (
        "inbound",
        "+4930111",
        START,
        "hangup",
    )
    phone = timeline.participant("p-phone")
    assert phone is not None
    assert phone.connected is not None
    assert timeline.hold_us("p-phone", timeline.end or 0) == 2 * SECOND
    assert [leg.state for p in timeline.participants for leg in p.legs] == ["disconnected", "disconnected"]
    assert [(o.opening, o.end is not None) for o in timeline.tapes[0].openings] == [(0, True), (1, True)]


def test_b6_recording_state_is_active_then_paused_then_none() -> None:
    story = recorded_call()
    states: list[str] = []
    timeline = Timeline()
    for event in story.events:
        timeline.observe(event)
        if not states or states[-1] != timeline.recording_state:
            states.append(timeline.recording_state)
    assert states == ["none", "active", "paused", "active", "none"]


def test_documents_round_trip() -> None:
    timeline = fold(recorded_call().events)
    assert Timeline.from_document(json.loads(json.dumps(timeline.to_document()))) == timeline


def test_why_answers_for_each_span() -> None:
    timeline = fold(recorded_call().events)
    told = [(s.captured, s.reasons[0]["row"]) for s in spans(timeline, 0) if s.reasons]
    assert told == [(True, "trunk"), (False, "hold")], "that the leg ended is no reason to tell"


def test_why_for_a_call_without_a_tape() -> None:
    story = Story().begin("internal").phone("alice", "inbound").phone("bob", user="u2").answer("bob", "alice")
    story.tell("conversation.ended", cause="hangup")
    assert spans(fold(story.events), 0)[0].reasons[0]["row"] == "external"


def test_events_survive_json() -> None:
    for event in recorded_call().events:
        assert parse(event.to_json()) == event


def test_a_cut_last_line_is_dropped_but_a_broken_middle_is_an_error() -> None:
    lines = [event.to_json() for event in recorded_call().events]
    assert len(list(parse_lines([*lines, lines[-1][:20]]))) == len(lines)
    with pytest.raises(EventError):
        list(parse_lines([lines[0], "{", lines[1]]))


@given(st.text())
def test_parse_raises_nothing_but_its_error(line: str) -> None:
    with contextlib.suppress(EventError):
        parse(line)


def test_every_field_list_is_free_of_repeats() -> None:
    for fields in EVENT_FIELDS.values():
        names = fields.required + fields.optional
        assert len(names) == len(set(names))


def test_c11_the_answer_is_kept_with_its_flow_and_a_refusal_stands() -> None:
    story = Story().begin().external()
    story.tell("consent.granted", leg_id="carrier", flow_id="f", flow_version="3", question="May we?", answer="1")
    granted = fold(story.events)
    assert granted.consent_given is not None
    assert (granted.consent, granted.consent_given["flow_version"], granted.consent_given["question"]) == (
        "granted",
        "3",
        "May we?",
    )
    story.tell("consent.refused", leg_id="carrier", flow_id="g")
    story.tell("consent.granted", leg_id="carrier", flow_id="f")
    refused = fold(story.events)
    assert refused.consent_given is not None
    assert (refused.consent, refused.consent_given["flow_id"]) == ("refused", "g")


def test_what_is_told_of_a_participant() -> None:
    story = Story().begin().external().phone()
    story.tell("participant.data", participant_id="p-phone", attributes={"a": "1", "b": "2"})
    story.tell("participant.data", participant_id="p-phone", attributes={"a": None, "c": "3"})
    story.tell("participant.muted", participant_id="p-phone", muted=True)
    story.tell(
        "acw.started", participant_id="p-phone", user_id="u1", queue_id="q", prompt="MANDATORY_TIMEOUT", timeout_s=30
    )
    story.tell("wrapup.given", participant_id="p-phone", code="w", notes="sold", tags=["x"])
    story.tell("transferred", kind="blind", target="+49", external=True, by="p-phone")
    story.tell("transfer.failed", kind="blind", target="+50", error="busy")
    story.tell("conference.started", participants=["p-phone", "p-carrier"])
    timeline = fold(story.events)
    phone = timeline.participant("p-phone")
    assert phone is not None
    assert phone.wrapup is not None
    assert phone.acw is not None
    assert (phone.attributes, phone.muted) == ({"b": "2", "c": "3"}, True)
    assert (phone.wrapup["code"], phone.wrapup["tags"], phone.acw["timeout_s"]) == ("w", ["x"], 30)
    assert [(item["target"], item["failed"]) for item in timeline.transfers] == [("+49", False), ("+50", True)]
    assert timeline.conference is not None
    assert Timeline.from_document(json.loads(json.dumps(timeline.to_document()))) == timeline


def test_c1_a_destroyed_tape_is_neither_capturing_nor_paused() -> None:
    story = Story().begin().external().phone().answer("phone", "carrier")
    tape = {"tape_id": "r1", "leg_id": "carrier", "kind": "trunk"}
    story.tell("tape.opened", **tape, opening=0, dual_channel=True, audio_format="audio/opus")
    story.tell("tape.closed", tape_id="r1", opening=0, reasons=[{"row": "pause", "why": "secure pause"}])
    assert fold(story.events).recording_state == "paused"
    story.tell("tape.destroyed", **tape, reasons=[{"row": "consent", "why": "the caller refused consent"}])
    timeline = fold(story.events)
    assert timeline.tapes[0].destroyed is not None
    assert timeline.recording_state == "none"
    told = spans(timeline, timeline.tapes[0].destroyed + 1)
    assert not any(span.captured for span in told)
    assert [span.reasons[0]["row"] for span in told] == ["consent", "pause", "consent"]
    assert "consent refused" in told[0].reasons[0]["why"]


def test_what_went_wrong_and_who_records() -> None:
    story = Story().begin().external().phone().answer("phone", "carrier")
    story.tell("flow.failed", flow_id="f", error="prompt missing")
    story.tell("agent.not_responding", participant_id="p-phone", user_id="u1", queue_id="q", cause="timeout")
    story.tell("user_recording.on", participant_id="p-phone", user_id="u1", leg_id="phone")
    timeline = fold(story.events)
    phone = timeline.participant("p-phone")
    assert phone is not None
    assert phone.recording
    assert [(item["type"], item["at"] > 0) for item in timeline.incidents] == [
        ("flow.failed", True),
        ("agent.not_responding", True),
    ]
    for ending in ("user_recording.off", "leg.ended", "participant.left"):
        values = {"user_recording.off": {"user_id": "u1", "leg_id": "phone"}, "leg.ended": {"leg_id": "phone"}}
        data = {**values.get(ending, {}), **({} if ending == "user_recording.off" else {"cause": "peer"})}
        if ending != "leg.ended":
            data["participant_id"] = "p-phone"
        other = Story(list(story.events))
        other.tell(ending, **data)
        phone = fold(other.events).participant("p-phone")
        assert phone is not None
        assert not phone.recording


def test_documents_from_before_the_contact_centre_load() -> None:
    document = fold(recorded_call().events).to_document()
    old = {
        "": {"conversation_id", "organization_id", "direction", "ani", "dnis", "start", "end", "cause", "consent",
             "secure_pause", "participants", "tapes"},
        "participants": {"participant_id", "purpose", "start", "name", "user_id", "address", "ani", "dnis", "connected",
                         "end", "cause", "legs", "segments"},
        "tapes": {"tape_id", "leg_id", "kind", "dual_channel", "audio_format", "openings", "words", "failures"},
    }  # fmt: skip
    before = {name: value for name, value in document.items() if name in old[""]}
    for key in ("participants", "tapes"):
        before[key] = [{name: value for name, value in item.items() if name in old[key]} for item in before[key]]
    assert Timeline.from_document(before) == Timeline.from_document(document)


def opened(story: Story, *, at_once: bool = False) -> Story:
    tell = story.at_once if at_once else story.tell
    tell(
        "tape.opened", tape_id="r1", opening=0, leg_id="carrier", kind="trunk", dual_channel=True,
        audio_format="audio/opus", reasons=[{"row": "trunk", "why": "on", "setting": "trunk_recording_enabled=true"}],
    )  # fmt: skip
    return story


def settings_of(story: Story) -> list[list[str]]:
    """The settings behind each span of a call."""
    timeline = fold(story.events)
    return [[reason.get("setting", "") for reason in span.reasons] for span in spans(timeline, story.events[-1].at)]


ON = "trunk_recording_enabled=true"


def test_why_names_the_setting_that_let_each_stretch_be_captured() -> None:
    story = Story().begin().external()
    story.tell("participant.joined", participant_id="p-ivr", purpose="ivr")
    opened(story.segment("ivr", "p-ivr", suppress_recording=False).answer("carrier"))
    story.segment_over("ivr", "p-ivr").at_once("participant.left", participant_id="p-ivr", cause="transfer")
    story.at_once("participant.joined", participant_id="p-acd", purpose="acd")
    story.at_once(
        "segment.started", segment_id="queue-p-acd", participant_id="p-acd", kind="queue", suppress_recording=False
    )
    story.phone().answer("phone").segment_over("queue", "p-acd")
    story.segment("hold", "p-phone").segment_over("hold", "p-phone")
    story.external("outbound", "onward", "t2").answer("onward").leave("phone", "transfer").tell("dtmf", leg_id="onward")
    assert settings_of(story) == [
        [ON, "suppressRecording=false"],
        [ON, "suppressInQueueCallRecording=false"],
        [ON],
        [ON, "trunk_disallow_recording_during_hold=false"],
        [ON],
        [ON, "trunk_recording_externalTransfersEnabled=true"],
    ]


def test_d3_why_of_a_conference_without_internal_parties() -> None:
    story = opened(Story().begin().external().phone().answer("phone", "carrier"))
    story.external("outbound", "third", "t2").answer("third")
    story.tell("conference.started", participants=["p-carrier", "p-phone", "p-third"])
    story.leave("phone").tell("dtmf", leg_id="third")
    assert settings_of(story)[-1] == [ON, "stopRecordingWhenOnlyExternalParticipants=false"]


def test_a_moment_between_two_events_of_one_step_is_no_stretch_of_its_own() -> None:
    story = opened(Story().begin().external().phone().answer("phone", "carrier"))
    story.segment("hold", "p-phone")
    later = story.events[-1].at + 30
    story.tell("tape.closed", tape_id="r1", opening=0, reasons=[{"row": "hold", "why": "on hold"}])
    story.events[-1] = dataclasses.replace(story.events[-1], at=later)
    story.tell("dtmf", leg_id="phone")
    timeline = fold(story.events)
    assert [(span.captured, len(span.reasons)) for span in spans(timeline, story.events[-1].at)] == [
        (True, 1),
        (False, 1),
    ]


@pytest.mark.parametrize("recovers", [True, False])
def test_a_tape_that_is_written_again_was_captured_all_the_time(recovers: bool) -> None:
    """What is said while the disk is full waits, and is on the tape later; ``why`` must not deny what can be heard."""
    story = Story().begin().external().phone().answer("phone", "carrier")
    why = [{"row": "trunk", "why": "on"}]
    story.tell("tape.opened", tape_id="t", opening=0, leg_id="carrier", kind="trunk", dual_channel=True,
               audio_format="audio/opus", reasons=why)  # fmt: skip
    story.tell("tape.failed", tape_id="t", opening=0, error="No space left on device")
    if recovers:
        story.tell("tape.recovered", tape_id="t", opening=0)
    story.tell("tape.closed", tape_id="t", opening=0, reasons=[{"row": "leg", "why": "the leg ended"}])
    story.tell("leg.ended", leg_id="carrier", cause="endpoint")
    timeline = fold(story.events)
    assert {span.captured for span in spans(timeline, 0)} == ({True} if recovers else {True, False})
    assert timeline.tapes[0].failures == ["No space left on device"]
    assert timeline.tapes[0].openings[0].end is not None or not recovers
