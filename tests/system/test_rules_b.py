"""Rules B on real calls: through a flow and a queue to an agent who holds, and what of it is in the recording."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from peers.contact_centre import SUPPRESS, Centre, choice, nowhere, say, to_queue, tones_in
from peers.waiting import eventually

CUT, KEPT = "127.0.0.21", "127.0.0.22"
"""Trunks that do not record holds, and that do."""
AGENT = 2000.0


@dataclass(frozen=True)
class Case:
    """Settings, and which phases are to be in the recording."""

    name: str
    flow_suppresses: bool
    queue_suppresses: bool
    trunk: str
    captured: str
    """Of the phases i(vr), q(ueue), t(alk), h(old), b(ack)."""


CASES = (
    Case("nothing is suppressed", False, False, KEPT, "iqthb"),
    Case("the flow is", True, False, KEPT, "qthb"),
    Case("the queue is", False, True, KEPT, "ithb"),
    Case("holds are", False, False, CUT, "iqtb"),
    Case("everything is", True, True, CUT, "tb"),
)


def tones_of(case):
    """A tone for each phase that nobody else says."""
    first = 400.0 + 250 * CASES.index(case)
    return {phase: first + 50 * place for place, phase in enumerate("iqthb")}


class Outcome:
    """A call that was made, and its recording."""

    def __init__(self, centre, case):
        self.case, self.tones = case, tones_of(case)
        number = CASES.index(case)
        name = f"rule-b-agent-{number}"
        agent = centre.user_phone(name)
        queue = centre.queue("Rule B", name, suppressInQueueCallRecording=case.queue_suppresses)
        settings = SUPPRESS if case.flow_suppresses else ""
        flow = centre.flow("Rule B", choice(1, to_queue(queue["name"])), settings=settings)
        dialled = centre.number("flow", flow)
        call, self.conversation = centre.call(centre.phone(case.trunk), dialled)
        say(self.tones["i"], call)
        call.press("1")
        centre.of_purpose(self.conversation, "acd")
        say(self.tones["q"], call)
        centre.on_queue(name)
        taken = agent.wait_called().wait_answered()
        participant = centre.of_purpose(self.conversation, "agent")
        call.tone(self.tones["t"])
        say(AGENT, taken)
        call.tone(0)
        self.states = [centre.recording_states(self.conversation)]
        assert centre.patch(self.conversation, participant, held=True).status_code < 300
        centre.participant(self.conversation, lambda item: item.get("held") is True, "the agent to hold")
        say(self.tones["h"], call)
        self.states.append(centre.recording_states(self.conversation))
        assert centre.patch(self.conversation, participant, held=False).status_code < 300
        taken.ear.wait_for(0)
        say(self.tones["b"], call)
        suppressed = [hz for phase, hz in self.tones.items() if phase not in case.captured]
        nowhere(centre.office, *suppressed)
        call.hang_up()
        (self.recording,) = centre.office.recorder.recordings(self.conversation)
        self.audio = centre.office.recorder.audio(self.recording)
        nowhere(centre.office, *suppressed)

    def pauses(self):
        return [item for item in self.recording.annotations or [] if item.type.lower() == "pause"]


@pytest.fixture(scope="module")
def outcomes(office):
    """All cases, their calls at once."""
    centre = Centre(office)
    centre.trunk(KEPT, trunk_disallow_recording_during_hold=False)
    centre.trunk(CUT, trunk_disallow_recording_during_hold=True)
    try:
        with ThreadPoolExecutor(len(CASES)) as pool:
            yield dict(zip(CASES, pool.map(lambda case: Outcome(centre, case), CASES), strict=True))
    finally:
        centre.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_b1_b2_b3_b5_captured_is_what_nothing_suppresses(outcomes, case):
    outcome = outcomes[case]
    assert tones_in(outcome.audio, 0) == [outcome.tones[phase] for phase in case.captured]
    assert AGENT in tones_in(outcome.audio, 1)


def test_b6_a_suppressed_hold_pauses_the_recording(outcomes):
    assert outcomes[CASES[3]].states == [{("active", False)}, {("paused", False)}]
    assert outcomes[CASES[0]].states == [{("active", False)}, {("active", False)}]


def test_b10_b11_every_gap_is_an_annotation_with_its_reason(outcomes):
    assert [pause.reason for pause in outcomes[CASES[4]].pauses()] == ["FlowOrQueue", "Hold"]
    assert [pause.reason for pause in outcomes[CASES[2]].pauses()] == ["FlowOrQueue"]
    assert outcomes[CASES[0]].pauses() == []
    assert len({pause.id for pause in outcomes[CASES[4]].pauses() if pause.reason != "Hold"}) == 1


def test_b12_the_paused_audio_is_cut_out(outcomes):
    outcome = outcomes[CASES[3]]
    (pause,) = outcome.pauses()
    assert pause.reason == "Hold"
    assert pause.recording_location == pytest.approx(pause.absolute_location, abs=100)
    assert pause.realtime_location == pytest.approx(pause.absolute_location, abs=100)
    assert pause.duration_ms > 1000
    assert not pause.recording_duration_ms


def test_b13_with_flow_and_queue_suppressed_playback_begins_with_the_agent(outcomes):
    outcome = outcomes[CASES[4]]
    assert outcome.pauses()[0].recording_location == 0
    assert tones_in(outcome.audio, 0)[0] == outcome.tones["t"]


@pytest.fixture
def centre(office):
    centre = Centre(office)
    yield centre
    centre.close()


def test_b7_b8_b9_b15_secure_pause_outlasts_a_hold(centre, office):
    centre.trunk(CUT, trunk_disallow_recording_during_hold=True)
    alice = centre.user_phone("rule-b-alice")
    call, conversation = centre.call(centre.phone(CUT), office.number("rule-b-alice"))
    alice.wait_called().wait_answered()
    user = centre.of_purpose(conversation, "user")

    def states():
        return centre.recording_states(conversation)

    eventually(lambda: states() == {("active", False)}, "the recording to run", 5)
    say(1700, call)
    assert centre.secure_pause(conversation, on=True).status_code < 300
    eventually(lambda: states() == {("paused", True)}, "the secure pause", 5)
    assert centre.patch(conversation, user, held=True).status_code < 300
    centre.participant(conversation, lambda item: item.get("held") is True, "alice to hold")
    assert centre.patch(conversation, user, held=False).status_code < 300
    centre.participant(
        conversation, lambda item: item["id"] == user["id"] and not item.get("held"), "alice to hold no more"
    )
    assert states() == {("paused", True)}
    say(1750, call)
    assert office.recorder.get(f"/api/v2/conversations/{conversation}")["recordingState"].upper() == "PAUSED"
    nowhere(office, 1750)
    assert centre.secure_pause(conversation, on=False).status_code < 300
    eventually(lambda: states() == {("active", False)}, "the recording to go on", 5)
    say(1800, call)
    call.hang_up()
    (recording,) = office.recorder.recordings(conversation)
    assert tones_in(office.recorder.audio(recording), 0) == [1700, 1800]
    nowhere(office, 1750)
    reasons = {item.reason for item in recording.annotations or [] if item.type.lower() == "pause"}
    assert "SecurePause" in reasons


def test_b14_secure_pause_stops_every_recorder(centre, office):
    centre.trunk(CUT, trunk_disallow_recording_during_hold=True)
    name = "rule-b-bob"
    bob = centre.user_phone(name)
    call, conversation = centre.call(centre.phone(CUT), office.number(name))
    bob.wait_called().wait_answered()
    user = centre.of_purpose(conversation, "user")
    assert centre.patch(conversation, user, recording=True).status_code < 300
    say(1850, call)
    assert centre.secure_pause(conversation, on=True).status_code < 300
    say(1900, call)
    nowhere(office, 1900)
    assert centre.secure_pause(conversation, on=False).status_code < 300
    say(1950, call)
    call.hang_up()
    (recording,) = office.recorder.recordings(conversation)
    assert tones_in(office.recorder.audio(recording), 0) == [1850, 1950]
    with centre.signed_in(name) as inbox:
        (item,) = eventually(
            lambda: inbox.get("/api/v2/userrecordings").json()["entities"], "the user recording in the inbox", 15
        )
        audio = centre.inbox_audio(inbox, item["id"])
    heard = {hz for channel in range(audio.channels) for hz in tones_in(audio, channel)}
    assert {1850, 1950} <= heard
    assert 1900 not in heard
    nowhere(office, 1900)
