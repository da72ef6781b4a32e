"""Rules D on real calls: who is left when a call was transferred, and whether it is recorded on."""

from __future__ import annotations

import pytest

from peers.contact_centre import Centre, say, say_to, tones_in

STOPS, GOES_ON, ONWARD = "127.0.0.26", "127.0.0.27", "127.0.0.28"
"""Trunks that do not, and that do, record on when only external parties are left; and the one that is dialled."""
WITH_USER, AFTER, ONWARD_HZ = 600.0, 700.0, 800.0


@pytest.fixture
def centre(office):
    centre = Centre(office)
    centre.trunk(STOPS)
    centre.trunk(GOES_ON, trunk_recording_externalTransfersEnabled=True)
    centre.trunk(ONWARD)
    yield centre
    centre.close()


def transferred_out(centre, trunk):
    """Somebody outside calls a user, who sends them on to somebody outside; gives the recordings."""
    recorder = centre.office.recorder
    user = centre.user_phone("rule-d-user")
    target, dialled = centre.outside(ONWARD)
    call, conversation = centre.call(centre.phone(trunk), centre.office.number("rule-d-user"))
    taken = user.wait_called().wait_answered()
    participant = centre.of_purpose(conversation, "user")
    say(WITH_USER, call)
    path = f"/api/v2/conversations/calls/{conversation}/participants/{participant['id']}/replace"
    reply = recorder.http.post(path, json={"address": dialled})
    assert reply.status_code < 300, reply.text
    onward = target.wait_called().wait_answered()
    taken.wait_ended()
    say_to(ONWARD_HZ, onward, call)
    say(AFTER, call)
    assert tones_in(onward.ear.audio(), 0) == [AFTER]
    call.hang_up()
    onward.wait_ended()
    recordings = recorder.recordings(conversation)
    return [tones_in(recorder.audio(item), 0) for item in recordings]


def test_d1_d4_the_recording_ends_when_only_external_parties_are_left(centre):
    assert transferred_out(centre, STOPS) == [[WITH_USER]]


def test_d2_d4_the_option_of_the_callers_trunk_lets_it_go_on(centre):
    assert transferred_out(centre, GOES_ON) == [[WITH_USER, AFTER]]


def conference_left_to_itself(centre, name):
    """A user brings two outside together and leaves; gives the tones of all recordings."""
    office = centre.office
    host = centre.user_phone(name)
    call, conversation = centre.call(centre.phone(GOES_ON), office.number(name))
    taken = host.wait_called().wait_answered()
    target, dialled = centre.outside(ONWARD)
    path = f"/api/v2/conversations/calls/{conversation}/participants/user/{centre.user_id(name)}"
    reply = centre.http.post(path, json={"participants": [{"address": dialled}]})
    assert reply.status_code < 300, reply.text
    other = target.wait_called().wait_answered()
    say_to(ONWARD_HZ, other, call, taken)
    say(WITH_USER, call)
    taken.hang_up()
    say_to(ONWARD_HZ, other, call)
    say(AFTER, call)
    call.hang_up()
    other.wait_ended()
    recordings = office.recorder.recordings(conversation, count=2)
    return [tones_in(office.recorder.audio(item), 0) for item in recordings]


def test_d3_a_conference_that_only_external_parties_are_left_of_is_not_recorded_on(centre):
    """The organization's setting is as it is made: recording stops then."""
    found = conference_left_to_itself(centre, "rule-d-host")
    assert [WITH_USER] in found
    assert AFTER not in {hz for tones in found for hz in tones}


def test_d3_the_organization_may_have_it_recorded_on(new_office):
    """Whatever the trunk says of transfers: both settings stand for themselves."""
    centre = Centre(new_office())
    try:
        reply = centre.http.put("/api/v2/recording/settings", json={"stopRecordingWhenOnlyExternalParticipants": False})
        assert reply.status_code == 200, reply.text
        centre.trunk(GOES_ON)
        centre.trunk(ONWARD)
        found = conference_left_to_itself(centre, "rule-d-host")
        assert [WITH_USER, AFTER] in found
    finally:
        centre.close()
