"""Rules C on real calls: what callers agree to, what they refuse, and what is left of either."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from peers.contact_centre import Centre, choice, consent, nowhere, say, to_queue, tones_in
from peers.recorder import new_caller
from peers.waiting import eventually

ASKS, ASKS_NOT = "127.0.0.23", "127.0.0.24"
"""Trunks that require consent, and that do not."""
CHOICES = {
    "yes": (consent(),),
    "no": (consent(granted=False),),
    "yes, twice": (consent(), consent()),
    "yes, then no": (consent(), consent(granted=False)),
    "unset": (),
}


class Outcome:
    """A call through the flow to an agent: a tone before the answer, in the queue, and with the agent."""

    def __init__(self, centre, answer, trunk, number):
        self.answer = answer
        first = 400.0 + 200 * number
        self.before, self.waiting, self.talk = first, first + 50, first + 100
        name = f"rule-c-agent-{number}"
        agent = centre.user_phone(name)
        queue = centre.queue("Rule C", name, suppressInQueueCallRecording=True)
        flow = centre.flow("Rule C", choice(1, *CHOICES[answer], to_queue(queue["name"])))
        call, self.conversation = centre.call(centre.phone(trunk), centre.number("flow", flow))
        say(self.before, call)
        call.press("1")
        centre.of_purpose(self.conversation, "acd")
        say(self.waiting, call)
        centre.on_queue(name)
        agent.wait_called().wait_answered()
        participant = centre.of_purpose(self.conversation, "agent")
        self.asked = centre.patch(self.conversation, participant, recording=True)
        if self.asked.status_code < 300:
            centre.patch(self.conversation, participant, recording=False)
        say(self.talk, call)
        self.document = centre.document(self.conversation)
        call.hang_up()
        agent.calls[-1].wait_ended()


@pytest.fixture(scope="module")
def outcomes(office):
    """One call for each answer, all at once; and a yes and a no where nobody has to be asked."""
    centre = Centre(office)
    centre.trunk(ASKS, trunk_recording_consent_required=True)
    centre.trunk(ASKS_NOT)
    calls = [(answer, ASKS) for answer in CHOICES] + [("yes", ASKS_NOT)]
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            made = [pool.submit(Outcome, centre, *call, number) for number, call in enumerate(calls)]
            yield {call: outcome.result() for call, outcome in zip(calls, made, strict=True)}
    finally:
        centre.close()


def recorded(office, outcome):
    (recording,) = office.recorder.recordings(outcome.conversation)
    return tones_in(office.recorder.audio(recording), 0)


@pytest.mark.parametrize("answer", ["no", "unset", "yes, then no"])
def test_c1_c5_without_a_yes_nothing_is_recorded(office, outcomes, answer):
    outcome = outcomes[answer, ASKS]
    why = office.recorder.never_recorded(outcome.conversation)
    assert "consent" in str(why)
    nowhere(office, outcome.before, outcome.waiting, outcome.talk)


@pytest.mark.parametrize("answer", ["yes", "yes, twice"])
def test_c3_c4_c9_a_yes_opens_the_recording_from_then_on_and_suppression_still_applies(office, outcomes, answer):
    outcome = outcomes[answer, ASKS]
    assert recorded(office, outcome) == [outcome.talk]
    nowhere(office, outcome.before, outcome.waiting)


def test_c6_where_no_consent_is_required_the_action_changes_nothing(office, outcomes):
    outcome = outcomes["yes", ASKS_NOT]
    assert recorded(office, outcome) == [outcome.before, outcome.talk]


def test_c10_after_a_no_a_user_recording_is_refused_with_the_reason(outcomes):
    for answer in ("no", "yes, then no"):
        asked = outcomes[answer, ASKS].asked
        assert asked.status_code == 409, asked.text
        assert "consent" in asked.text
    assert outcomes["yes", ASKS].asked.status_code < 300


def test_c11_c12_the_answer_is_kept_and_shown(outcomes):
    for answer, state in {"yes": "granted", "no": "denied"}.items():
        document = outcomes[answer, ASKS].document
        assert state in str([item.get("attributes") for item in document["participants"]]).lower(), document


def test_c7_c8_the_gate_is_for_inbound_calls(office):
    centre = Centre(office)
    try:
        centre.trunk(ASKS, trunk_recording_consent_required=True)
        outside, number = centre.outside(ASKS)
        call = centre.user_phone("rule-c-caller").call(number).wait_answered()
        called = outside.wait_called().wait_answered()
        conversation = office.recorder.conversation(number)
        say(1900, called)
        say(1950, call)
        call.hang_up()
        (recording,) = office.recorder.recordings(conversation)
        audio = office.recorder.audio(recording)
        assert (tones_in(audio, 0), tones_in(audio, 1)) == ([1900], [1950])
    finally:
        centre.close()


def test_c1_a_caller_who_hangs_up_during_the_question_is_not_recorded(office):
    centre = Centre(office)
    try:
        centre.trunk(ASKS, trunk_recording_consent_required=True)
        flow = centre.flow("Rule C", choice(1, consent()))
        dialled = centre.number("flow", flow)
        call = centre.phone(ASKS).call(dialled, caller=(caller := new_caller())).wait_answered()
        conversation = office.recorder.conversation(caller)
        say(2050, call)
        call.hang_up()
        eventually(lambda: conversation not in office.recorder.live(), "the call to end", 10)
        office.recorder.never_recorded(conversation)
        nowhere(office, 2050)
    finally:
        centre.close()
