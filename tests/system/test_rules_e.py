"""Rules E on real calls: user recordings, from the key or the API to the inbox of the one who asked."""

from __future__ import annotations

import pytest

from peers.contact_centre import Centre, nowhere, say, tones_in
from peers.waiting import eventually

TRUNK, SILENT = "127.0.0.29", "127.0.0.30"
"""Trunks that record, and that do not."""
PEOPLE = ("rule-e-ann", "rule-e-ben")


@pytest.fixture
def centre(office):
    centre = Centre(office)
    centre.trunk(TRUNK)
    centre.trunk(SILENT, trunk_recording_enabled=False)
    yield centre
    centre.close()


@pytest.fixture
def inboxes(centre):
    """Both people's API, by name, with empty inboxes."""
    for name in PEOPLE:
        centre.user_id(name)
    clients = {name: centre.signed_in(name) for name in PEOPLE}
    for client in clients.values():
        for item in client.get("/api/v2/userrecordings?pageSize=100").json()["entities"]:
            client.delete(f"/api/v2/userrecordings/{item['id']}")
    yield clients
    for client in clients.values():
        client.close()


def items_of(inbox, count):
    """The items, once there are so many."""

    def there():
        found = inbox.get("/api/v2/userrecordings?pageSize=100").json()["entities"]
        return found if len(found) >= count else None

    found = eventually(there, f"{count} item(s) in the inbox", 15)
    assert len(found) == count
    return found


def heard(centre, inbox, item):
    audio = centre.inbox_audio(inbox, item["id"])
    return sorted({hz for channel in range(audio.channels) for hz in tones_in(audio, channel)})


def internal_call(centre):
    ann, ben = centre.user_phone(PEOPLE[0]), centre.user_phone(PEOPLE[1])
    call = ann.call(centre.office.account(PEOPLE[1]).username).wait_answered()
    taken = ben.wait_called().wait_answered()
    conversation = centre.office.recorder.conversation(centre.office.account(PEOPLE[1]).username)
    return call, taken, conversation


def participant_of(centre, conversation, name):
    user_id = centre.user_id(name)

    def is_user(item):
        return user_id in (item.get("userId"), (item.get("user") or {}).get("id")) and item.get("state") == "connected"

    return centre.participant(conversation, is_user, f"{name} to be on the call")


def test_e1_e2_e4_e6_started_twice_on_an_internal_call_by_the_api_gives_two_items(centre, inboxes, office):
    call, taken, conversation = internal_call(centre)
    mine = participant_of(centre, conversation, PEOPLE[0])
    say(500, call)
    for hz in (550, 600):
        assert centre.patch(conversation, mine, recording=True).status_code < 300
        say(hz, call)
        assert centre.patch(conversation, mine, recording=False).status_code < 300
        say(650, taken)
    nowhere(office, 500, 650)
    call.hang_up()
    items = items_of(inboxes[PEOPLE[0]], 2)
    assert sorted(heard(centre, inboxes[PEOPLE[0]], item) for item in items) == [[550], [600]]
    assert inboxes[PEOPLE[1]].get("/api/v2/userrecordings").json()["entities"] == []
    for other in (inboxes[PEOPLE[1]], office.recorder.http):
        assert other.get(f"/api/v2/userrecordings/{items[0]['id']}").status_code in (403, 404)


def test_e3_e14_beside_the_trunks_recording_and_in_nobody_elses_list(centre, inboxes, office):
    ann = centre.user_phone(PEOPLE[0])
    call, conversation = centre.call(centre.phone(TRUNK), office.number(PEOPLE[0]))
    ann.wait_called().wait_answered()
    mine = participant_of(centre, conversation, PEOPLE[0])
    say(700, call)
    assert centre.patch(conversation, mine, recording=True).status_code < 300
    say(750, call)
    call.hang_up()
    (recording,) = office.recorder.recordings(conversation)
    assert tones_in(office.recorder.audio(recording), 0) == [700, 750]
    (item,) = items_of(inboxes[PEOPLE[0]], 1)
    assert heard(centre, inboxes[PEOPLE[0]], item) == [750]
    listed = inboxes[PEOPLE[1]].get(f"/api/v2/conversations/{conversation}/recordings")
    assert item["id"] not in listed.text


def test_e1_e3_on_a_trunk_that_does_not_record(centre, inboxes, office):
    ann = centre.user_phone(PEOPLE[0])
    call, conversation = centre.call(centre.phone(SILENT), office.number(PEOPLE[0]))
    ann.wait_called().wait_answered()
    mine = participant_of(centre, conversation, PEOPLE[0])
    assert centre.patch(conversation, mine, recording=True).status_code < 300
    say(800, call)
    call.hang_up()
    (item,) = items_of(inboxes[PEOPLE[0]], 1)
    assert heard(centre, inboxes[PEOPLE[0]], item) == [800]


def test_e1_the_keys_start_and_stop_it_unheard_and_unrecorded(centre, inboxes):
    call, taken, _ = internal_call(centre)
    say(850, taken)
    call.press("*1")
    call.ear.wait_for(0)
    say(900, taken)
    call.press("*1")
    say(950, taken)
    assert taken.ear.digits() == ""
    call.hang_up()
    (item,) = items_of(inboxes[PEOPLE[0]], 1)
    assert 900 in heard(centre, inboxes[PEOPLE[0]], item)
    assert 850 not in heard(centre, inboxes[PEOPLE[0]], item)


def test_e1_e2_both_sides_at_once_each_into_their_own_inbox(centre, inboxes):
    call, _, conversation = internal_call(centre)
    for name in PEOPLE:
        mine = participant_of(centre, conversation, name)
        assert centre.patch(conversation, mine, recording=True).status_code < 300
    say(1000, call)
    call.hang_up()
    for name in PEOPLE:
        (item,) = items_of(inboxes[name], 1)
        assert heard(centre, inboxes[name], item) == [1000]


def test_e5_a_snippet_is_a_user_recording_by_another_name(centre, inboxes, office):
    ann = centre.user_phone(PEOPLE[0])
    call, conversation = centre.call(centre.phone(SILENT), office.number(PEOPLE[0]))
    ann.wait_called().wait_answered()
    mine = participant_of(centre, conversation, PEOPLE[0])
    path = f"/api/v2/conversations/calls/{conversation}/participants/{mine['id']}/snippet/record"
    snippet = {"type": "snippet", "record": True}
    assert office.recorder.http.post(path, json=snippet).status_code < 300
    say(1050, call)
    assert office.recorder.http.post(path, json={**snippet, "record": False}).status_code < 300
    say(1100, call)
    call.hang_up()
    (item,) = items_of(inboxes[PEOPLE[0]], 1)
    assert heard(centre, inboxes[PEOPLE[0]], item) == [1050]


def test_e13_an_agents_recording_of_a_queues_call_has_only_what_the_agent_was_there_for(centre, inboxes):
    queue = centre.queue("Rule E", PEOPLE[0], suppressInQueueCallRecording=False)
    ann = centre.user_phone(PEOPLE[0])
    call, conversation = centre.call(centre.phone(SILENT), centre.number("queue", queue["id"]))
    say(1350, call)
    centre.on_queue(PEOPLE[0])
    ann.wait_called().wait_answered()
    mine = centre.of_purpose(conversation, "agent")
    assert centre.patch(conversation, mine, recording=True).status_code < 300
    say(1300, call)
    call.hang_up()
    (item,) = items_of(inboxes[PEOPLE[0]], 1)
    assert heard(centre, inboxes[PEOPLE[0]], item) == [1300]


def test_e7_it_ends_when_its_owner_leaves(centre, inboxes, office):
    ann, ben = centre.user_phone(PEOPLE[0]), centre.user_phone(PEOPLE[1])
    call, conversation = centre.call(centre.phone(TRUNK), office.number(PEOPLE[0]))
    taken = ann.wait_called().wait_answered()
    mine = participant_of(centre, conversation, PEOPLE[0])
    assert centre.patch(conversation, mine, recording=True).status_code < 300
    say(1150, call)
    path = f"/api/v2/conversations/calls/{conversation}/participants/{mine['id']}/replace"
    reply = office.recorder.http.post(path, json={"userId": centre.user_id(PEOPLE[1])})
    assert reply.status_code < 300, reply.text
    ben.wait_called().wait_answered()
    taken.wait_ended()
    say(1200, call)
    call.hang_up()
    (item,) = items_of(inboxes[PEOPLE[0]], 1)
    assert heard(centre, inboxes[PEOPLE[0]], item) == [1150]
    (recording,) = office.recorder.recordings(conversation)
    assert tones_in(office.recorder.audio(recording), 0) == [1150, 1200]


def test_e9_e10_read_rename_count_and_delete(centre, inboxes, office):
    call, _, conversation = internal_call(centre)
    mine = participant_of(centre, conversation, PEOPLE[0])
    assert centre.patch(conversation, mine, recording=True).status_code < 300
    say(1250, call)
    call.hang_up()
    inbox = inboxes[PEOPLE[0]]
    (item,) = items_of(inbox, 1)
    path = f"/api/v2/userrecordings/{item['id']}"
    summary = "/api/v2/userrecordings/summary"
    assert inbox.get(summary).json() == {"readCount": 0, "unreadCount": 1, "totalCount": 1}
    changed = inbox.put(path, json={**item, "read": True, "name": "The address"})
    assert changed.status_code == 200, changed.text
    assert inbox.get(path).json()["name"] == "The address"
    assert inbox.get(summary).json() == {"readCount": 1, "unreadCount": 0, "totalCount": 1}
    assert inboxes[PEOPLE[1]].put(path, json={"read": False}).status_code == 404
    assert inboxes[PEOPLE[1]].delete(path).status_code == 404
    assert inbox.delete(path).status_code in (200, 202, 204)
    assert inbox.get(path).status_code == 404
