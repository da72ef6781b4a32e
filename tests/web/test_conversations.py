"""Conversations in progress and of the past, through the vendor's SDK; hanging up through the edge."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException


def start_call(site, recorded, user="agent"):
    conversation_id, tape_id = recorded.new_id(), recorded.new_id()
    events = recorded.call_events(conversation_id, site.world.users[user], tape_id, ended=False)
    site.edge.conversations[conversation_id] = recorded.live_document(events)
    return conversation_id, tape_id


def test_a_call_in_progress(site, recorded):
    conversation_id, _ = start_call(site, recorded)
    api = sdk.ConversationsApi(site.sdk("supervisor"))
    listed = api.get_conversations()
    assert [c.id for c in listed.entities] == [conversation_id]
    one = api.get_conversation(conversation_id)
    assert (one.recording_state, one.state, one.address) == ("ACTIVE", "connected", "+4930111")
    external, agent = one.participants
    assert (external.purpose, agent.user_id) == ("external", site.world.users["agent"])
    assert [(call.state, call.direction) for p in one.participants for call in p.calls] == [
        ("connected", "inbound")
    ] * 2
    assert agent.calls[0].segments[0].type == "interact"
    assert one.divisions[0].division.id == site.world.sales
    call = api.get_conversations_call(conversation_id)
    assert (call.recording_state, call.participants[1].user.name) == ("active", "Agent")
    assert [c.id for c in api.get_conversations_calls().entities] == [conversation_id]
    assert sdk.ConversationsApi(site.sdk("other")).get_conversations().entities == []
    assert sdk.ConversationsApi(site.sdk("agent")).get_conversation(conversation_id).id == conversation_id
    with pytest.raises(ApiException) as caught:
        sdk.ConversationsApi(site.sdk("other")).get_conversation(conversation_id)
    assert caught.value.status == 404
    why = site.http("agent").get(f"/api/v2/earwitness/conversations/{conversation_id}/why").json()
    assert why["inProgress"] is True
    assert why["spans"][0]["reasons"] == [{"row": "trunk", "why": "the trunk records"}]


def test_hanging_up(site, recorded):
    conversation_id, _ = start_call(site, recorded)
    api = sdk.ConversationsApi(site.sdk("supervisor"))
    assert api.post_conversation_disconnect(conversation_id) == ""
    assert site.edge.disconnected == [conversation_id]
    change = sdk.Conversation()
    change.state = "disconnected"
    sdk.ConversationsApi(site.sdk("agent")).patch_conversations_call(conversation_id, change)
    assert len(site.edge.disconnected) == 2
    change.state = "connected"
    with pytest.raises(ApiException) as caught:
        api.patch_conversations_call(conversation_id, change)
    assert caught.value.status == 400
    for name, status in {"other": 404, "nobody": 403}.items():
        with pytest.raises(ApiException) as caught:
            sdk.ConversationsApi(site.sdk(name)).post_conversation_disconnect(conversation_id)
        assert caught.value.status == status
    assert len(site.edge.disconnected) == 2


def test_a_call_of_the_past(site, recorded):
    conversation_id, _ = recorded.store_call(site)
    api = sdk.ConversationsApi(site.sdk("supervisor"))
    one = api.get_conversation(conversation_id)
    assert (one.state, one.recording_state) == ("disconnected", "NONE")
    assert one.end_time.isoformat() == "2026-11-22T13:20:03+00:00"
    assert one.participants[0].calls[0].disconnect_type == "endpoint"
    assert api.get_conversations_call(conversation_id).participants[1].state == "disconnected"
    assert api.get_conversations().entities == []
    history = api.get_conversations_calls_history()
    assert [(h.id, h.direction, h.missed_call) for h in history.entities] == [(conversation_id, "inbound", False)]
    nothing = api.get_conversations_calls_history(interval="2020-01-01T00:00:00Z/2020-01-02T00:00:00Z")
    assert nothing.entities == []
    api.post_conversation_disconnect(conversation_id)
    assert site.edge.disconnected == []


def test_without_an_edge(sqlite_site, recorded):
    conversation_id, _ = recorded.store_call(sqlite_site)
    (sqlite_site.arguments.run_dir / "edge.json").write_text("{}")
    http = sqlite_site.http()
    assert http.get(f"/api/v2/conversations/{conversation_id}").status_code == 200
    assert http.get(f"/api/v2/conversations/{conversation_id}/recordings").status_code == 200
    away = http.get("/api/v2/conversations")
    assert (away.status_code, away.json()["code"]) == (503, "service.unavailable")
    assert "retry-after" not in away.headers
    assert http.get("/api/v2/earwitness/health").json() == {
        "status": "degraded", "database": "ok", "edge": "away", "spool": "away",
    }  # fmt: skip
