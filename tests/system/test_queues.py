"""Callers in queues and the agents who take them, or do not."""

from __future__ import annotations

import pytest

from peers.contact_centre import Centre, say, tones_in
from peers.recorder import new_caller
from peers.waiting import eventually

OUTSIDE = "127.0.0.31"
SHORT = {"call": {"alertingTimeoutSeconds": 2}}


@pytest.fixture
def centre(office):
    centre = Centre(office)
    centre.trunk(OUTSIDE)
    yield centre
    centre.close()


def caller_of(centre, queue):
    return centre.call(centre.phone(OUTSIDE), centre.number("queue", queue["id"]))


def is_status(centre, name, status):
    eventually(lambda: centre.status(name) == status, f"{name} to be {status}", 10, centre.story)


def test_a_call_that_one_agent_rejects_goes_to_the_next(centre):
    queue = centre.queue("Sales", "queue-ann", "queue-ben")
    ann = centre.agent("queue-ann", answers="ring")
    ben = centre.agent("queue-ben", hz=1000)
    call, conversation = caller_of(centre, queue)
    ann.wait_called().wait_ringing().reject(486)
    taken = ben.wait_called().wait_answered()
    is_status(centre, "queue-ann", "NOT_RESPONDING")
    is_status(centre, "queue-ben", "INTERACTING")
    call.ear.wait_for(1000)
    say(500, call)
    call.hang_up()
    taken.wait_ended()
    is_status(centre, "queue-ben", "IDLE")
    (recording,) = centre.office.recorder.recordings(conversation)
    assert tones_in(centre.office.recorder.audio(recording), 0) == [500]


def test_an_agent_who_lets_it_ring_is_not_responding(centre):
    queue = centre.queue("Sales", "queue-cem", "queue-dia", mediaSettings=SHORT)
    cem = centre.agent("queue-cem", answers="ring")
    dia = centre.agent("queue-dia", hz=1000)
    call, _ = caller_of(centre, queue)
    rung = cem.wait_called().wait_ringing()
    dia.wait_called(15).wait_answered()
    assert rung.wait_ended().by_peer
    is_status(centre, "queue-cem", "NOT_RESPONDING")
    call.ear.wait_for(1000)
    call.hang_up()


def test_a_caller_hears_music_and_may_give_up_waiting_or_while_it_rings(centre):
    queue = centre.queue("Sales", "queue-eve")
    call, conversation = caller_of(centre, queue)
    call.ear.wait_for_sound()
    call.hang_up()
    why = centre.office.recorder.never_recorded(conversation)
    assert "queue" in str(why)
    eve = centre.agent("queue-eve", answers="ring")
    call, _ = caller_of(centre, queue)
    rung = eve.wait_called().wait_ringing()
    call.hang_up()
    assert rung.wait_ended().by_peer
    is_status(centre, "queue-eve", "IDLE")


def test_an_agents_phone_that_is_unplugged_while_it_rings(centre):
    queue = centre.queue("Sales", "queue-fay", "queue-gus", mediaSettings=SHORT)
    fay = centre.agent("queue-fay", answers="ring")
    gus = centre.agent("queue-gus", hz=1000)
    call, _ = caller_of(centre, queue)
    fay.wait_called().wait_ringing()
    fay.close()
    gus.wait_called(15).wait_answered()
    call.ear.wait_for(1000)
    call.hang_up()


def test_a_call_waits_for_an_agent_who_is_talking(centre):
    queue = centre.queue("Sales", "queue-hal")
    hal = centre.agent("queue-hal", hz=1000)
    first, _ = caller_of(centre, queue)
    hal.wait_called().wait_answered()
    second, conversation = caller_of(centre, queue)
    centre.of_purpose(conversation, "acd")
    assert len(hal.calls) == 1
    first.hang_up()
    hal.wait_called().wait_answered()
    second.ear.wait_for(1000)
    second.hang_up()


def test_w3_a_mandatory_wrap_up_keeps_calls_away_until_it_is_given(centre):
    acw = {"wrapupPrompt": "MANDATORY", "timeoutMs": 120_000}
    code = centre.office.recorder.post("/api/v2/routing/wrapupcodes", {"name": f"Sold {new_caller()}"})
    queue = centre.queue("Sales", "queue-ida", acwSettings=acw)
    path = f"/api/v2/routing/queues/{queue['id']}/wrapupcodes"
    reply = centre.office.recorder.http.post(path, json=[{"id": code["id"]}])
    assert reply.status_code < 300, reply.text
    ida = centre.agent("queue-ida", hz=1000)
    first, conversation = caller_of(centre, queue)
    ida.wait_called().wait_answered()
    agent = centre.of_purpose(conversation, "agent")
    first.hang_up()
    ida.calls[-1].wait_ended()
    is_status(centre, "queue-ida", "INTERACTING")
    second, _ = caller_of(centre, queue)
    second.ear.wait_for_sound()
    assert len(ida.calls) == 1
    given = eventually(
        lambda: (r := centre.patch(conversation, agent, wrapup={"code": code["id"]})).status_code < 300 and r,
        "the wrap-up to be taken",
        10,
    )
    assert given.status_code < 300
    ida.wait_called().wait_answered()
    second.ear.wait_for(1000)
    second.hang_up()
