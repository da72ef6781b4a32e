"""Transfers, consults and conferences on real calls, and what the recordings hold of them."""

from __future__ import annotations

import pytest

from peers.contact_centre import Centre, say, say_to, tones_in
from peers.waiting import eventually

OUTSIDE, CONSULTS, ONWARD = "127.0.0.33", "127.0.0.34", "127.0.0.35"
"""The trunk that callers come over; trunks that do and do not record consults."""


@pytest.fixture
def centre(office):
    centre = Centre(office)
    centre.trunk(OUTSIDE, trunk_disallow_recording_during_hold=True)
    centre.trunk(CONSULTS, trunk_consult_recording_enabled=True)
    centre.trunk(ONWARD)
    yield centre
    centre.close()


def with_user(centre, name, trunk=OUTSIDE):
    """Somebody outside talks to a user: the caller's call, the user's, and the conversation."""
    user = centre.user_phone(name)
    call, conversation = centre.call(centre.phone(trunk), centre.office.number(name))
    return call, user.wait_called().wait_answered(), conversation


def path_of(centre, conversation):
    participant = centre.of_purpose(conversation, "user")
    return f"/api/v2/conversations/calls/{conversation}/participants/{participant['id']}"


def test_a5_one_recording_across_transfers_by_the_phone_and_by_the_api(centre, office):
    call, ann, conversation = with_user(centre, "transfer-ann")
    ben, cem = centre.user_phone("transfer-ben"), centre.user_phone("transfer-cem")
    say(500, call)
    assert ann.refer(office.account("transfer-ben").username).status == 202
    second = ben.wait_called().wait_answered()
    ann.wait_transferred()
    ann.wait_ended()
    say(550, call)
    say_to(1000, second, call)
    body = {"userId": centre.user_id("transfer-cem")}
    reply = office.recorder.http.post(f"{path_of(centre, conversation)}/replace", json=body)
    assert reply.status_code < 300, reply.text
    third = cem.wait_called().wait_answered()
    second.wait_ended()
    say(600, call)
    say_to(1100, third, call)
    call.hang_up()
    third.wait_ended()
    (recording,) = office.recorder.recordings(conversation)
    audio = office.recorder.audio(recording)
    assert tones_in(audio, 0) == [500, 550, 600]
    assert [hz for hz in tones_in(audio, 1) if hz in (1000, 1100)] == [1000, 1100]


def test_an_attended_transfer_by_the_phone_keeps_the_callers_recording_going(centre, office):
    call, ann, conversation = with_user(centre, "transfer-dia")
    eve = centre.user_phone("transfer-eve")
    say(650, call)
    assert ann.hold().status == 200
    consult = ann.phone.call(office.account("transfer-eve").username).wait_answered()
    taken = eve.wait_called().wait_answered()
    assert ann.refer(consult).status == 202
    ann.wait_ended()
    taken.tone(1150)
    call.ear.wait_for(1150)
    say(700, call)
    call.hang_up()
    taken.wait_ended()
    (recording,) = office.recorder.recordings(conversation)
    audio = office.recorder.audio(recording)
    assert tones_in(audio, 0) == [650, 700]
    assert 1150 in tones_in(audio, 1)


@pytest.mark.parametrize(("trunk", "captured"), [(CONSULTS, True), (ONWARD, False)])
def test_a11_a_consult_is_captured_only_with_its_trunks_option_and_as_a_recording_of_its_own(
    centre, office, trunk, captured
):
    call, ann, conversation = with_user(centre, "transfer-fay")
    target, number = centre.outside(trunk)
    say(750, call)
    path = path_of(centre, conversation)
    reply = office.recorder.http.post(f"{path}/consult", json={"address": number, "speakTo": "DESTINATION"})
    assert reply.status_code < 300, reply.text
    asked = target.wait_called().wait_answered()
    call.ear.wait_for_sound()
    say(800, asked)
    reply = office.recorder.http.delete(f"{path}/consult")
    assert reply.status_code < 300, reply.text
    asked.wait_ended()
    ann.tone(1200)
    call.ear.wait_for(1200)
    say(850, call)
    call.hang_up()
    recordings = office.recorder.recordings(conversation, count=2 if captured else 1)
    found = {item.media_subtype: tones_in(office.recorder.audio(item), 0) for item in recordings}
    assert found == {"Trunk": [750, 850], **({"Consult": [800]} if captured else {})}


def test_a_conference_is_heard_by_all_and_recorded_on_each_external_leg(centre, office):
    call, ann, conversation = with_user(centre, "transfer-gus")
    target, number = centre.outside(ONWARD)
    path = f"/api/v2/conversations/calls/{conversation}/participants/user/{centre.user_id('transfer-gus')}"
    reply = office.recorder.http.post(path, json={"participants": [{"address": number}]})
    assert reply.status_code < 300, reply.text
    other = target.wait_called().wait_answered()
    for speaker, hz in ((call, 900), (other, 950), (ann, 1000)):
        say_to(hz, speaker, *({call, other, ann} - {speaker}))
    call.hang_up()
    ann.hang_up()
    other.wait_ended()
    recordings = office.recorder.recordings(conversation, count=2)
    assert sorted(tones_in(office.recorder.audio(item), 0)[0] for item in recordings) == [900, 950]


def test_a_transfer_to_nowhere_leaves_the_call_as_it_was(centre, office):
    call, ann, conversation = with_user(centre, "transfer-hal")
    reply = office.recorder.http.post(f"{path_of(centre, conversation)}/replace", json={"address": "+4900"})
    assert reply.status_code >= 400 or eventually(
        lambda: any(e["type"] == "transfer.failed" for e in office.recorder.events(conversation)), "the failure", 10
    )
    assert ann.refer("000000").status in (202, 404, 480, 603)
    ann.phone.wait(lambda: ann.state == "up", "the call to go on", 5)
    say_to(1050, ann, call)
    say(1250, call)
    call.hang_up()
    (recording,) = office.recorder.recordings(conversation)
    assert 1250 in tones_in(office.recorder.audio(recording), 0)


def test_a10_the_beep_is_heard_and_recorded(centre, office):
    host = centre.trunk(
        "127.0.0.36",
        trunk_recording_beep_enabled=True,
        trunk_recording_beep_frequency=1400,
        trunk_recording_beep_duration=400,
        trunk_recording_beep_interval=1500,
        trunk_recording_beep_amplitude=-12,
    )
    call, _, conversation = with_user(centre, "transfer-ida", trunk=host)
    call.ear.wait_for(1400)
    say(1300, call)
    call.hang_up()
    (recording,) = office.recorder.recordings(conversation)
    assert 1400 in tones_in(office.recorder.audio(recording), 1, least_ms=200)
