"""What goes wrong in a contact centre has a defined outcome: the right events, no leg left over, the recording kept."""

from __future__ import annotations

import pytest

from peers.contact_centre import DISCONNECT, Centre, choice, say, to_queue, tones_in
from peers.recorder import new_caller
from peers.waiting import eventually

OUTSIDE, ONWARD = "127.0.0.41", "127.0.0.42"

CIRCLE = """\
inboundCall:
  name: {name}
  startUpRef: ./tasks/task[one]
  defaultLanguage: en-us
  supportedLanguages:
    en-us:
      defaultLanguageSkill:
        noValue: true
  tasks:
    - task:
        name: One
        refId: one
        actions:
          - jumpToTask:
              name: To two
              targetTaskRef: ./tasks/task[two]
    - task:
        name: Two
        refId: two
        actions:
          - jumpToTask:
              name: To one
              targetTaskRef: ./tasks/task[one]
"""


@pytest.fixture
def centre(office):
    centre = Centre(office)
    centre.trunk(OUTSIDE)
    centre.trunk(ONWARD)
    yield centre
    centre.close()


def types_of(office, conversation):
    return [event["type"] for event in office.recorder.events(conversation)]


def is_over(office, conversation):
    eventually(lambda: conversation not in office.recorder.live(), "the call to be over", 15, office.story)


def test_a_flow_that_goes_in_circles_ends_and_says_so(centre, office):
    name = f"Circle {new_caller()}"
    number = centre.number("flow", centre.publish(name, CIRCLE.format(name=name)))
    call = centre.phone(OUTSIDE).call(number, caller=(caller := new_caller()))
    conversation = office.recorder.conversation(caller)
    call.wait_ended(20)
    is_over(office, conversation)
    document = office.recorder.get(f"/api/v2/conversations/{conversation}")
    assert document["endTime"]


def play(name):
    return f"playAudio:\n  name: Play\n  audio:\n    prompt: Prompt.{name}"


def test_a_recorded_prompt_is_heard_and_a_missing_one_does_not_lose_the_call(centre, office):
    prompt = f"Tone{new_caller()[1:]}"
    file = centre.prompt(prompt, 1450)
    flow = centre.flow("Prompts", choice(1, play(prompt), DISCONNECT))
    number = centre.number("flow", flow)
    call, conversation = centre.call(centre.phone(OUTSIDE), number)
    call.press("1")
    call.ear.wait_for(1450)
    call.wait_ended(15)
    (recording,) = office.recorder.recordings(conversation)
    assert 1450 in tones_in(office.recorder.audio(recording), 1)
    file.unlink()
    call, conversation = centre.call(centre.phone(OUTSIDE), number)
    call.press("1")
    call.wait_ended(30)
    is_over(office, conversation)
    document = office.recorder.get(f"/api/v2/conversations/{conversation}")
    assert all(item.get("endTime") for item in document["participants"]), document


def test_hanging_up_in_the_menu_leaves_nobody(centre, office):
    queue = centre.queue("Nobody")
    number = centre.number("flow", centre.flow("Menu", choice(1, to_queue(queue["name"]))))
    call, conversation = centre.call(centre.phone(OUTSIDE), number)
    say(500, call)
    call.hang_up()
    is_over(office, conversation)
    (recording,) = office.recorder.recordings(conversation)
    assert tones_in(office.recorder.audio(recording), 0) == [500]


def test_a_queue_without_members_keeps_the_caller_waiting_until_they_hang_up(centre, office):
    queue = centre.queue("Nobody", suppressInQueueCallRecording=False)
    call, conversation = centre.call(centre.phone(OUTSIDE), centre.number("queue", queue["id"]))
    call.ear.wait_for_sound()
    say(550, call)
    call.hang_up()
    is_over(office, conversation)
    (recording,) = office.recorder.recordings(conversation)
    assert tones_in(office.recorder.audio(recording), 0) == [550]


def test_two_transfers_at_once_leave_one_call_with_one_party(centre, office):
    name = "fault-ann"
    ann = centre.user_phone(name)
    call, conversation = centre.call(centre.phone(OUTSIDE), office.number(name))
    taken = ann.wait_called().wait_answered()
    user = centre.of_purpose(conversation, "user")
    say(600, call)
    first, second = centre.outside(ONWARD, answers="ring"), centre.user_phone("fault-ben", answers="ring")
    path = f"/api/v2/conversations/calls/{conversation}/participants/{user['id']}/replace"
    one = centre.http.post(path, json={"address": first[1]})
    two = centre.http.post(path, json={"userId": centre.user_id("fault-ben")})
    assert one.status_code < 300, one.text
    assert two.status_code == 409, two.text
    first[0].wait_called().answer()
    taken.wait_ended()
    assert second.calls == []
    call.hang_up()
    is_over(office, conversation)
    (recording,) = office.recorder.recordings(conversation)
    assert tones_in(office.recorder.audio(recording), 0)[0] == 600


def test_a_caller_who_hangs_up_while_the_transfer_rings_leaves_no_leg(centre, office):
    name = "fault-cem"
    cem = centre.user_phone(name)
    call, conversation = centre.call(centre.phone(OUTSIDE), office.number(name))
    taken = cem.wait_called().wait_answered()
    user = centre.of_purpose(conversation, "user")
    target, number = centre.outside(ONWARD, answers="ring")
    path = f"/api/v2/conversations/calls/{conversation}/participants/{user['id']}/replace"
    assert centre.http.post(path, json={"address": number}).status_code < 300
    rung = target.wait_called().wait_ringing()
    call.hang_up()
    assert rung.wait_ended().by_peer
    taken.wait_ended()
    is_over(office, conversation)
    document = office.recorder.get(f"/api/v2/conversations/{conversation}")
    assert all(item.get("endTime") for item in document["participants"]), document


def test_a_transfer_that_nobody_answers_gives_the_call_back(centre, office):
    name = "fault-dia"
    dia = centre.user_phone(name)
    call, conversation = centre.call(centre.phone(OUTSIDE), office.number(name))
    taken = dia.wait_called().wait_answered()
    user = centre.of_purpose(conversation, "user")
    _, number = centre.outside(ONWARD, answers=486)
    path = f"/api/v2/conversations/calls/{conversation}/participants/{user['id']}/replace"
    assert centre.http.post(path, json={"address": number}).status_code < 300
    eventually(lambda: "transfer.failed" in types_of(office, conversation), "the transfer to fail", 10, office.story)
    taken.tone(1000)
    call.ear.wait_for(1000)
    taken.tone(0)
    say(650, call)
    call.hang_up()
    (recording,) = office.recorder.recordings(conversation)
    assert 650 in tones_in(office.recorder.audio(recording), 0)


def test_an_agents_phone_that_is_unplugged_while_talking_ends_the_call_and_what_was_said_is_kept(new_office):
    """It neither sends nor answers any more; the edge asks it, gives it up and tells the caller."""
    office = new_office(settings={"EARWITNESS_DEAD_PEER_S": "1"})
    centre = Centre(office)
    try:
        centre.trunk(OUTSIDE)
        agent = centre.agent("unplugged")
        queue = centre.queue("Short", "unplugged", acwSettings={"wrapupPrompt": "OPTIONAL"})
        call, conversation = centre.call(centre.phone(OUTSIDE), centre.number("queue", queue["id"]))
        agent.wait_called().wait_answered()
        say(650, call)
        agent.close()
        call.wait_ended(60)
        is_over(office, conversation)
        (recording,) = office.recorder.recordings(conversation)
        assert tones_in(office.recorder.audio(recording), 0) == [650]
        document = office.recorder.get(f"/api/v2/conversations/{conversation}")
        (person,) = [item for item in document["participants"] if item["purpose"] == "agent"]
        assert {leg["disconnectType"] for leg in person["calls"]} <= {"timeout", "error"}
        assert all(item.get("endTime") for item in document["participants"]), document
    finally:
        centre.phones.remove(agent)
        centre.close()
