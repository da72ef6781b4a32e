"""Call control through the vendor's SDK: what the edge is told, and who may."""

from __future__ import annotations

import json
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.domain.conversation.events import Event, check
from earwitness.domain.conversation.timeline import fold
from earwitness.store.tables import Queue

STAMP = {"created_at": 1, "modified_at": 1}


class Call:
    """A call in progress at the edge: external participant ``p1``, a user's ``p2``; more can be told."""

    def __init__(self, site: Any, recorded: Any, user: str = "agent") -> None:
        self.site, self.id = site, recorded.new_id()
        self.tape_id = recorded.new_id()
        self.events = recorded.call_events(self.id, site.world.users[user], self.tape_id, ended=False)
        self.show()

    def tell(self, told: str, /, **data: Any) -> Call:
        check(told, data)
        self.events.append(Event(len(self.events), self.events[-1].at + 1_000_000, told, data))
        self.show()
        return self

    def show(self) -> None:
        events = [json.loads(event.to_json()) for event in self.events]
        timeline = fold(self.events).to_document()
        self.site.edge.conversations[self.id] = {"id": self.id, "events": events, "timeline": timeline}

    def joins(self, participant_id: str, purpose: str, user: str | None = None, **more: Any) -> Call:
        who = {"user_id": self.site.world.users[user]} if user is not None else {}
        self.tell("participant.joined", participant_id=participant_id, purpose=purpose, **who, **more)
        if purpose not in ("ivr", "acd"):
            leg = {"leg_id": f"leg-{participant_id}", "participant_id": participant_id, "kind": "station"}
            self.tell("leg.offered", **leg, direction="outbound", external=False, address="sip:x", **who)
        return self

    @property
    def path(self) -> str:
        return f"/api/v2/conversations/calls/{self.id}"


@pytest.fixture
def call(sqlite_site: Any, recorded: Any) -> Call:
    return Call(sqlite_site, recorded)


def add_queue(site: Any, name: str = "Sales") -> str:
    with site.world.database.transaction() as session:
        row = Queue(id=f"queue-{name}", name=name, division_id=site.world.sales, **STAMP)
        session.add(row)
    return row.id


def api(site: Any, name: str = "agent") -> sdk.ConversationsApi:
    return sdk.ConversationsApi(site.sdk(name))


def request(**fields: Any) -> sdk.MediaParticipantRequest:
    made = sdk.MediaParticipantRequest()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def refused(action: Any, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(ApiException) as caught:
        action(*arguments)
    return caught.value.status, json.loads(caught.value.body)["code"]


def test_hold_mute_record_and_hang_up(call):
    own = api(call.site)
    own.patch_conversations_call_participant(call.id, "p2", request(held=True))
    own.patch_conversations_call_participant(call.id, "p2", request(muted=True))
    own.patch_conversation_participant(call.id, "p2", request(recording=True))
    own.patch_conversations_call_participant_communication(call.id, "p2", "s", request(held=False))
    own.patch_conversations_call_participant(call.id, "p2", request(state="disconnected"))
    assert call.site.edge.commands == [
        {"do": "hold", "participant": "p2", "held": True},
        {"do": "mute", "participant": "p2", "muted": True},
        {"do": "record", "participant": "p2", "on": True, "user": call.site.world.users["agent"]},
        {"do": "hold", "participant": "p2", "held": False},
        {"do": "disconnect", "participant": "p2"},
    ]
    rows = call.site.http().get("/api/v2/earwitness/audit", params={"conversationId": call.id}).json()["entities"]
    assert [row["action"] for row in reversed(rows)] == [
        "call.hold", "call.mute", "call.record", "call.hold", "call.disconnect"
    ]  # fmt: skip


def test_bad_requests_say_what_is_wrong(call):
    own, change = api(call.site), api(call.site).patch_conversations_call_participant
    assert refused(change, call.id, "p2", request()) == (400, "bad.request")
    assert refused(change, call.id, "p2", request(state="connected")) == (400, "invalid.value")
    assert refused(change, call.id, "p2", request(confined=True)) == (400, "invalid.value")
    assert refused(change, call.id, "p9", request(held=True)) == (404, "not.found")
    assert refused(change, "nothing", "p2", request(held=True)) == (404, "not.found")
    one = own.patch_conversations_call_participant_communication
    assert refused(one, call.id, "p2", "t", request(held=True)) == (404, "not.found")
    assert refused(change, call.id, "p1", request(recording=True)) == (400, "invalid.value")
    call.tell("participant.left", participant_id="p2", cause="transfer")
    assert refused(change, call.id, "p2", request(held=True)) == (409, "participant.left")
    assert call.site.edge.commands == []


def test_what_the_edge_refuses_reaches_the_client(call):
    call.site.edge.refusal = (409, {"status": 409, "code": "consent.refused", "message": "the caller refused consent"})
    change = api(call.site).patch_conversations_call_participant
    assert refused(change, call.id, "p2", request(recording=True)) == (409, "consent.refused")
    call.site.edge.refusal = (404, {})
    assert refused(change, call.id, "p2", request(held=True)) == (409, "conversation.ended")


def test_who_may_control_a_call(call):
    others = api(call.site, "other")
    assert refused(others.patch_conversations_call_participant, call.id, "p2", request(held=True))[0] == 404
    nobody = api(call.site, "nobody")
    assert refused(nobody.patch_conversations_call_participant, call.id, "p2", request(held=True))[0] == 403
    call.joins("p3", "user", "other")
    assert refused(others.patch_conversations_call_participant, call.id, "p2", request(recording=True)) == (
        403,
        "missing.permissions",
    )
    others.patch_conversations_call_participant(call.id, "p2", request(muted=True))
    supervisor = api(call.site, "supervisor")
    supervisor.patch_conversations_call_participant(call.id, "p2", request(recording=True))
    assert [item["do"] for item in call.site.edge.commands] == ["mute", "record"]


def test_e5_a_snippet_is_a_user_recording(call):
    body = sdk.SnippetRecordingRequest()
    body.type, body.record = "adhoc", True
    assert api(call.site).post_conversations_call_participant_snippet_record(call.id, "p2", body) == ""
    user = call.site.world.users["agent"]
    assert call.site.edge.commands == [{"do": "record", "participant": "p2", "on": True, "user": user}]


def test_b8_who_may_pause(call):
    state = sdk.SetRecordingState()
    state.recording_state = "PAUSED"
    supervisor, own = api(call.site, "supervisor"), api(call.site)
    supervisor.put_conversations_call_recordingstate(call.id, state)
    state.recording_state = "active"
    supervisor.patch_conversation_recordingstate(call.id, state)
    assert refused(own.put_conversations_call_recordingstate, call.id, state) == (403, "missing.permissions")
    change = sdk.Conversation()
    change.recording_state = "PAUSED"
    assert own.patch_conversations_call(call.id, change).id == call.id
    assert refused(supervisor.patch_conversations_call, call.id, change) == (403, "missing.permissions")
    users = call.site.world.users
    assert call.site.edge.commands == [
        {"do": "secure_pause", "on": True, "by": users["supervisor"]},
        {"do": "secure_pause", "on": False, "by": users["supervisor"]},
        {"do": "secure_pause", "on": True, "by": users["agent"]},
    ]


def test_s17_an_empty_recording_state_is_refused(call):
    supervisor = api(call.site, "supervisor")
    put = supervisor.put_conversations_call_recordingstate
    assert refused(put, call.id, sdk.SetRecordingState())[0] == 400
    none = sdk.SetRecordingState()
    none.recording_state = "NONE"
    assert refused(put, call.id, none) == (400, "invalid.value")


def test_b6_b7_b14_b15_states_of_recorders(call):
    closing = {"tape_id": call.tape_id, "opening": 0}
    hold = {"segment_id": "h", "participant_id": "p2", "kind": "hold"}
    call.tell("segment.started", **hold).tell("tape.closed", **closing, reasons=[{"row": "hold", "why": "on hold"}])
    held = api(call.site).get_conversation(call.id)
    assert (held.recording_state, held.secure_pause) == ("PAUSED", False)
    assert (held.participants[1].calls[0].held, held.participants[1].calls[0].recording_state) == (True, "paused")
    user = call.site.world.users["agent"]
    call.tell("user_recording.on", participant_id="p2", user_id=user, leg_id="s")
    opening = {"opening": 0, "dual_channel": True, "audio_format": "audio/opus"}
    call.tell("tape.opened", tape_id="u", leg_id="s", kind="user", **opening)
    assert api(call.site).get_conversation(call.id).participants[1].calls[0].recorders_state.adhoc_state == "ACTIVE"
    pause = [{"row": "pause", "why": "secure pause"}]
    call.tell("secure_pause.on", by=user).tell("tape.closed", tape_id="u", opening=0, reasons=pause)
    paused = api(call.site).get_conversations_call(call.id)
    assert (paused.recording_state, paused.secure_pause) == ("paused", True)
    agent = paused.participants[1]
    assert (agent.recording, agent.secure_pause, agent.recorders_state.adhoc_state) == (True, True, "PAUSED")
    assert agent.recorders_state.customer_experience_state == "PAUSED"


def test_digits_are_not_written_down(call):
    own = api(call.site)
    keys = sdk.Digits()
    keys.digits = "12#"
    for _ in range(2):
        own.post_conversation_participant_digits(call.id, "p1", body=keys)
    assert call.site.edge.commands == [{"do": "digits", "participant": "p2", "digits": "12#"}] * 2
    rows = call.site.http().get("/api/v2/earwitness/audit", params={"action": "call.digits"}).json()["entities"]
    assert rows[0]["detail"] == {"participant": "p2"}
    keys.digits = "x"
    with pytest.raises(ApiException):
        own.post_conversation_participant_digits(call.id, "p1", body=keys)


def test_transfers(call):
    own, world = api(call.site), call.site.world
    queue = add_queue(call.site)
    to_user, to_queue, to_address = sdk.TransferToAgentRequest(), sdk.TransferToQueueRequest(), sdk.TransferRequest()
    to_user.user_id, to_queue.queue_id, to_address.address = world.users["other"], queue, "+4930999"
    own.post_conversation_participant_replace_agent(call.id, "p2", to_user)
    own.post_conversation_participant_replace_queue(call.id, "p2", to_queue)
    own.post_conversations_call_participant_replace(call.id, "p2", to_address)
    external = f"/api/v2/conversations/{call.id}/participants/p2/replace/external"
    assert call.site.http("agent").post(external, json={"address": "+4930999"}).status_code == 204
    own.post_conversation_participant_transfer(call.id, "p2", to_address)
    by = {"do": "transfer", "participant": "p2", "by": world.users["agent"]}
    assert call.site.edge.commands == [
        {**by, "to": {"user": world.users["other"]}},
        {**by, "to": {"queue": queue}},
        *[{**by, "to": {"address": "+4930999"}}] * 3,
    ]
    to_user.user_id = to_queue.queue_id = "nobody"
    assert refused(own.post_conversation_participant_replace_agent, call.id, "p2", to_user) == (400, "invalid.value")
    assert refused(own.post_conversation_participant_replace_queue, call.id, "p2", to_queue) == (400, "invalid.value")
    assert refused(own.post_conversations_call_participant_replace, call.id, "p2", sdk.TransferRequest())[0] == 400
    stranger = api(call.site, "nobody")
    assert refused(stranger.post_conversation_participant_transfer, call.id, "p2", to_address)[0] in (403, 404)


def test_consult_conference_and_completion(call):
    own, world = api(call.site), call.site.world
    call.site.edge.replies["consult"] = {"participant": "p3"}
    ask = sdk.ConsultTransferToAgent()
    ask.user_id = world.users["other"]
    assert own.post_conversations_call_participant_consult_agent(call.id, "p1", ask).destination_participant_id == "p3"
    call.tell("segment.ended", segment_id="g1")
    call.tell("segment.started", segment_id="g2", participant_id="p2", kind="hold")
    call.joins("p3", "user", "other")
    call.tell("segment.started", segment_id="g3", participant_id="p3", kind="consult", by="p2")
    update = sdk.ConsultTransferUpdate()
    update.speak_to = "OBJECT"
    assert own.patch_conversations_call_participant_consult(call.id, "p1", update).destination_participant_id == "p3"
    update.speak_to = "CONFERENCE"
    own.patch_conversations_call_participant_consult(call.id, "p1", update)
    own.patch_conversations_call_participant(call.id, "p2", request(state="disconnected"))
    call.tell("leg.answered", leg_id="leg-p3")
    people = own.get_conversations_call(call.id).participants
    assert [person.consult_participant_id for person in people] == [None, "p3", "p2"]
    own.patch_conversations_call_participant(call.id, "p2", request(state="disconnected"))
    own.delete_conversations_call_participant_consult(call.id, "p1")
    own.patch_conversations_call_conference(call.id, sdk.UpdateConferenceRequest())
    by = world.users["agent"]
    assert call.site.edge.commands == [
        {"do": "consult", "participant": "p2", "to": {"user": world.users["other"]}, "by": by},
        {"do": "consult_speak", "participant": "p2", "who": "OBJECT"},
        {"do": "conference", "by": by},
        {"do": "disconnect", "participant": "p2"},
        {"do": "consult_complete", "participant": "p2"},
        {"do": "consult_cancel", "participant": "p2"},
        {"do": "conference", "by": by},
    ]


def test_adding_somebody(call):
    own, body, whom = api(call.site), sdk.Conversation(), sdk.Participant()
    whom.address = "+4930777"
    body.participants = [whom]
    assert own.post_conversations_call_participants(call.id, body).id == call.id
    by = call.site.world.users["agent"]
    assert call.site.edge.commands == [{"do": "add", "to": {"address": "+4930777"}, "by": by}]
    assert refused(own.post_conversations_call_participants, call.id, sdk.Conversation())[0] == 400
    admin = api(call.site, "client")
    admin.post_conversations_call_participants_user_user_id(call.id, by, body)
    assert call.site.edge.commands[-1]["by"] == by


def test_click_to_dial(sqlite_site):
    own, body, world = api(sqlite_site), sdk.CreateCallRequest(), sqlite_site.world
    body.phone_number, body.call_from_queue_id = "+4930555", add_queue(sqlite_site)
    made = own.post_conversations_calls(body)
    assert made.self_uri == f"/api/v2/conversations/calls/{made.id}"
    called = {"user": world.users["agent"], "to": {"address": "+4930555"}, "on_behalf_of_queue": "queue-Sales"}
    assert sqlite_site.edge.told == [("POST", "/calls", called)]
    own.post_conversations_calls_user_user_id(world.users["agent"], body)
    user = sdk.CreateCallRequest()
    user.call_user_id = world.users["other"]
    api(sqlite_site, "client").post_conversations_calls_user_user_id(world.users["agent"], user)
    assert sqlite_site.edge.told[-1][2] == {"user": world.users["agent"], "to": {"user": world.users["other"]}}
    nothing = sdk.CreateCallRequest()
    assert refused(own.post_conversations_calls, nothing)[0] == 400
    assert refused(api(sqlite_site, "client").post_conversations_calls, user)[0] == 400
    assert refused(own.post_conversations_calls_user_user_id, world.users["admin"], user)[0] == 403
    sqlite_site.edge.refusal = (409, {"code": "no.phone", "message": "the user has no phone"})
    assert refused(own.post_conversations_calls, body) == (409, "no.phone")


def test_a_waiting_call_is_given_to_somebody(call):
    call.joins("q", "acd", queue_id=add_queue(call.site))
    whom = sdk.ConversationUser()
    whom.id = call.site.world.users["other"]
    supervisor = api(call.site, "supervisor")
    assert supervisor.post_conversation_assign(call.id, whom) == ""
    assert call.site.edge.commands == [
        {"do": "transfer", "participant": "q", "to": {"user": whom.id}, "by": call.site.world.users["supervisor"]}
    ]
    assert refused(api(call.site).post_conversation_assign, call.id, whom)[0] == 403
    call.tell("participant.left", participant_id="q", cause="transfer")
    assert refused(supervisor.post_conversation_assign, call.id, whom) == (409, "not.waiting")


def test_an_alerting_agent_turns_a_call_down(call):
    call.joins("p3", "agent", "other", queue_id="q")
    api(call.site, "other").patch_conversations_call_participant(call.id, "p3", request(state="disconnected"))
    assert call.site.edge.commands == [{"do": "disconnect", "participant": "p3"}]


def test_on_behalf_of_a_user(call):
    admin, user = api(call.site, "client"), call.site.world.users["agent"]
    admin.patch_conversations_call_participant_user_user_id(call.id, "p2", user, request(held=True))
    assert call.site.edge.commands == [{"do": "hold", "participant": "p2", "held": True}]
    stranger = call.site.world.users["other"]
    action = admin.patch_conversations_call_participant_user_user_id
    assert refused(action, call.id, "p2", stranger, request(held=True))[0] == 404


def test_ending_a_conversation(call):
    api(call.site).delete_conversation(call.id)
    assert call.site.edge.disconnected == [call.id]


def test_transfers_and_consults_to_external_contacts_and_dialling_in_a_call(call):
    site, world = call.site, call.site.world
    contact = {"lastName": "Lind", "cellPhone": {"e164": "+49170555"}, "workPhone": {"userInput": "+4930999"},
               "division": {"id": world.sales}}  # fmt: skip
    contact_id = site.http().post("/api/v2/externalcontacts/contacts", json=contact).json()["id"]
    admin = api(site, "admin")
    body = sdk.TransferToExternalContactRequest()
    body.contact_id, body.phone_type = contact_id, "CellPhone"
    admin.post_conversation_participant_replace_contact_external(call.id, "p2", body)
    site.edge.replies["consult"] = {"participant": "p3"}
    ask = sdk.ConsultTransferToExternalContact()
    ask.contact_id, ask.consulting_user_id = contact_id, world.users["agent"]
    asked = admin.post_conversations_call_participant_consult_contact_external(call.id, "p1", ask)
    assert asked.destination_participant_id == "p3"
    by = world.users["admin"]
    assert site.edge.commands == [
        {"do": "transfer", "participant": "p2", "to": {"address": "+49170555"}, "by": by},
        {"do": "consult", "participant": "p2", "to": {"address": "+4930999"}, "by": by},
    ]
    body.phone_type = "HomePhone"
    assert refused(admin.post_conversation_participant_replace_contact_external, call.id, "p2", body)[0] == 400
    body.contact_id = "nobody"
    assert refused(admin.post_conversation_participant_replace_contact_external, call.id, "p2", body)[0] == 400
    command = sdk.CallCommand()
    command.call_number = "+4930777"
    assert api(site).post_conversations_call(call.id, command).id == call.id
    assert site.edge.commands[-1] == {"do": "add", "to": {"address": "+4930777"}, "by": world.users["agent"]}
    command.call_number = None
    assert refused(api(site).post_conversations_call, call.id, command)[0] == 400


def test_supervisors_barge_in_and_listen(call):
    site, world = call.site, call.site.world
    admin, own = api(site, "admin"), api(site)
    admin.post_conversation_barge(call.id)
    admin.post_conversations_call_participant_barge(call.id, "p2")
    admin.post_conversations_call_participant_monitor(call.id, "p2")
    to = {"do": "add", "to": {"user": world.users["admin"]}, "by": world.users["admin"]}
    assert site.edge.commands == [to, to, {**to, "muted": True}]
    assert refused(admin.post_conversations_call_participant_coach, call.id, "p2") == (409, "coach.not.supported")
    assert refused(admin.post_conversations_call_participant_monitor, call.id, "p1")[0] == 400
    assert refused(admin.post_conversations_call_participant_monitor, call.id, "p9")[0] == 404
    assert refused(own.post_conversation_barge, call.id)[0] == 403
    assert refused(api(site, "client").post_conversation_barge, call.id)[0] == 400
    assert refused(admin.post_conversation_barge, "nothing")[0] == 404


def test_words_that_a_conversation_is_marked_with(call):
    http, path = call.site.http(), f"/api/v2/conversations/{call.id}/accessattributes"
    assert http.get(path).json() == {"accessAttributes": []}
    assert http.put(path, json={"accessAttributes": ["vip", "vip", " legal "]}).status_code == 202
    sent = call.site.edge.commands[-1]
    assert sent["attributes"] == {"earwitness.accessAttributes": '["vip", "legal"]'}
    assert http.put(path, json={}).status_code == 400
    assert http.put(path, json={"accessAttributes": [""]}).status_code == 400
    assert call.site.http("nobody").get(path).status_code in (403, 404)


def test_what_there_is_none_of_says_so(call):
    http, secure = call.site.http(), f"/api/v2/conversations/{call.id}/participants/p2/secureivrsessions"
    assert http.get(secure).json() == {"entities": []}
    assert http.get(f"{secure}/x").status_code == 404
    assert http.post(secure, json={"flowId": "f"}).status_code == 400
    screens = "/api/v2/recordings/screensessions"
    assert http.get(f"{screens}/details").json() == {"count": 0}
    assert [
        http.post(f"{screens}/{name}", json={"roomId": "r"}).status_code for name in ("acknowledge", "metadata")
    ] == [
        404,
        404,
    ]
    assert http.post(f"{screens}/metadata", json={}).status_code == 400
    transcripts = f"/api/v2/speechandtextanalytics/conversations/{call.id}/communications"
    assert "transcript" in http.get(f"{transcripts}/t/transcripturls").json()["message"]
    assert http.get(f"{transcripts}/x/transcripturls").status_code == 404


def test_extensions_in_use_are_ranges(sqlite_site):
    http = sqlite_site.http()
    for extension in ("100", "101", "103", "0101"):
        line = {"name": extension, "properties": {"earwitness_extension": {"value": {"instance": extension}}}}
        reply = http.post("/api/v2/telephony/providers/edges/phones", json={"name": f"P{extension}", "lines": [line]})
        assert reply.status_code == 200, reply.text
    path = "/api/v2/telephony/providers/edges/extensionpools"
    assert [item["name"] for item in http.get(path).json()["entities"]] == ["100 - 101", "103", "0101"]
    assert [item["name"] for item in http.get(path, params={"number": "101"}).json()["entities"]] == ["100 - 101"]
