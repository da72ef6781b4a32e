"""Wrap-ups and data kept with a conversation, through the vendor's SDK: during the call and after it."""

from __future__ import annotations

import json
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import fold
from earwitness.store import after_call_work
from earwitness.store.tables import Conversation, Queue, QueueWrapupCode, WrapupCode

STAMP = {"created_at": 1, "modified_at": 1}
QUEUE, CODE, OTHER = "queue-1", "code-sold", "code-other"


def api(site: Any, name: str = "agent") -> sdk.ConversationsApi:
    return sdk.ConversationsApi(site.sdk(name))


def refused(action: Any, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(ApiException) as caught:
        action(*arguments)
    return caught.value.status, json.loads(caught.value.body)["code"]


def change(**fields: Any) -> sdk.MediaParticipantRequest:
    made = sdk.MediaParticipantRequest()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def said(code: str | None = CODE, **fields: Any) -> sdk.WrapupInput:
    made = sdk.WrapupInput()
    for key, value in {"code": code, **fields}.items():
        setattr(made, key, value)
    return made


@pytest.fixture
def codes(site):
    with site.world.database.transaction() as session:
        session.add(Queue(id=QUEUE, name="Sales", division_id=site.world.sales, **STAMP))
        for key, name in ((CODE, "Sold"), (OTHER, "Other")):
            session.add(WrapupCode(id=key, name=name, division_id=site.world.sales, **STAMP))
        session.flush()
        session.add(QueueWrapupCode(queue_id=QUEUE, code_id=CODE, added_at=1))
    return site


def told(site: Any, recorded: Any, conversation_id: str, tape_id: str, *, ended: bool, prompt: str) -> list[Event]:
    """A call of a queue, and the after-call work of its agent if it has ended."""
    user = site.world.users["agent"]
    events = recorded.call_events(conversation_id, user, tape_id, ended=ended)
    waits = Event(0, events[6].at, "segment.started",
                  {"segment_id": "w", "participant_id": "p2", "kind": "alerting", "queue_id": QUEUE})  # fmt: skip
    events.insert(6, waits)
    if ended:
        work = {"participant_id": "p2", "user_id": user, "queue_id": QUEUE, "prompt": prompt, "timeout_s": 60}
        events.insert(-1, Event(0, events[-1].at, "acw.started", work))
    return [Event(n, event.at, event.type, event.data) for n, event in enumerate(events)]


def up(site: Any, recorded: Any) -> str:
    conversation_id = recorded.new_id()
    events = told(site, recorded, conversation_id, recorded.new_id(), ended=False, prompt="OPTIONAL")
    site.edge.conversations[conversation_id] = recorded.live_document(events)
    return conversation_id


def over(site: Any, recorded: Any, prompt: str = "OPTIONAL") -> str:
    conversation_id, tape_id = recorded.store_call(site)
    timeline = fold(told(site, recorded, conversation_id, tape_id, ended=True, prompt=prompt))
    work = timeline.participants[1].acw
    assert work is not None
    with site.world.database.transaction() as session:
        row = session.get(Conversation, conversation_id)
        assert row is not None
        row.timeline = timeline.to_document()
        after_call_work.add(session, conversation_id=conversation_id, participant_id="p2", user_id=work["user_id"],
                            queue_id=QUEUE, started_at=work["at"], deadline_at=work["at"] + 60_000_000,
                            prompt=prompt)  # fmt: skip
    return conversation_id


def test_a_wrapup_during_the_call_goes_to_the_edge(codes, recorded):
    call = up(codes, recorded)
    own = api(codes)
    offered = own.get_conversations_call_participant_wrapupcodes(call, "p2")
    assert [(item.id, item.name) for item in offered] == [(CODE, "Sold")]
    assert refused(own.get_conversations_call_participant_wrapup, call, "p2") == (404, "not.found")
    own.post_conversations_call_participant_communication_wrapup(call, "p2", "s", body=said(notes="two"))
    user = codes.world.users["agent"]
    assert codes.edge.commands == [
        {"do": "wrapup", "participant": "p2", "code": CODE, "name": "Sold", "notes": "two", "by": user}
    ]
    for wrong in (OTHER, "nothing", None):
        body = change(wrapup=said(wrong))
        assert refused(own.patch_conversations_call_participant, call, "p2", body)[0] == 400


def test_f3_a_wrapup_after_the_call_ends_the_work(codes, recorded):
    call = over(codes, recorded, "MANDATORY_TIMEOUT")
    own = api(codes)
    before = own.get_conversation(call).participants[1]
    assert (before.wrapup_prompt, before.wrapup_required, before.calls[0].after_call_work.state) == (
        "timeout",
        True,
        "pending",
    )
    body = change(wrapup=said(notes="sold two", tags=["big"]))
    own.patch_conversations_call_participant(call, "p2", body)
    person = api(codes, "supervisor").get_conversation(call).participants[1]
    assert (person.wrapup.code, person.wrapup.name, person.wrapup.notes, person.wrapup.tags) == (
        CODE,
        "Sold",
        "sold two",
        ["big"],
    )
    assert person.calls[0].after_call_work.state == "complete"
    assert person.end_acw_time is not None
    assert own.get_conversations_call_participant_communication_wrapup(call, "p2", "s").code == CODE
    with codes.world.database.reading() as session:
        assert not after_call_work.is_open(session, call)
    assert [(method, path) for method, path, _ in codes.edge.told] == [
        ("DELETE", f"/agents/{codes.world.users['agent']}/acw")
    ]
    assert refused(api(codes, "other").patch_conversations_call_participant, call, "p2", body)[0] == 404


def test_w3_skipping(codes, recorded):
    optional, mandatory = over(codes, recorded), over(codes, recorded, "MANDATORY")
    own = api(codes)
    own.patch_conversations_call_participant(optional, "p2", change(wrapup_skipped=True))
    assert own.get_conversation(optional).participants[1].calls[0].after_call_work.state == "skipped"
    assert refused(own.patch_conversations_call_participant, mandatory, "p2", change(wrapup_skipped=True)) == (
        409,
        "wrapup.mandatory",
    )
    with codes.world.database.transaction() as session:
        after_call_work.close_overdue(session, 1 << 60)
    late = own.get_conversations_call_participant_wrapup(mandatory, "p2")
    assert late.code == "ININ-WRAP-UP-TIMEOUT"


def test_c11_consent_is_an_attribute_and_a_document(codes, recorded):
    call = up(codes, recorded)
    events = told(codes, recorded, call, "tape", ended=False, prompt="OPTIONAL")
    answer = {"leg_id": "t", "flow_id": "flow-1", "flow_version": "4", "question": "May we?", "language": "en-us"}
    events.append(Event(len(events), events[-1].at, "consent.granted", answer))
    codes.edge.conversations[call] = recorded.live_document(events)
    own = api(codes)
    shown = own.get_conversation(call).participants[0].attributes
    assert shown["earwitness.consent"] == "granted"
    assert shown["earwitness.consent.flowId"] == "flow-1"
    assert shown["earwitness.consent.time"].endswith("Z")
    document = codes.http("agent").get(f"/api/v2/earwitness/conversations/{call}/consent").json()
    assert (document["state"], document["flowVersion"], document["question"]) == ("granted", "4", "May we?")
    unset = codes.http("agent").get(f"/api/v2/earwitness/conversations/{over(codes, recorded)}/consent").json()
    assert unset["state"] == "unset"


def attributes(**values: Any) -> sdk.ParticipantAttributes:
    made = sdk.ParticipantAttributes()
    made.attributes = values
    return made


def test_attributes_during_the_call_and_after_it(codes, recorded):
    live, past = up(codes, recorded), over(codes, recorded)
    own = api(codes)
    forged = {"earwitness.consent": "granted", "case": "17"}
    body = sdk.ParticipantAttributes()
    body.attributes = forged
    assert own.patch_conversations_call_participant_attributes(live, "p1", body).attributes == {"case": "17"}
    by = codes.world.users["agent"]
    assert codes.edge.commands == [{"do": "attributes", "participant": "p1", "attributes": {"case": "17"}, "by": by}]
    own.patch_conversation_participant_attributes(past, "p1", attributes(case="17", colour="red"))
    removed = codes.http("agent").patch(
        f"/api/v2/conversations/calls/{past}/participants/p1/attributes", json={"attributes": {"colour": None}}
    )
    assert removed.json() == {"attributes": {"case": "17"}}
    assert own.get_conversation(past).participants[0].attributes == {"case": "17"}
    assert refused(own.patch_conversation_participant_attributes, past, "p1", attributes(big="x" * 5000))[0] == 400
    assert refused(own.patch_conversation_participant_attributes, past, "p9", attributes(a="b"))[0] == 404


def test_tags_and_secure_attributes(codes, recorded):
    past, client = over(codes, recorded), api(codes, "client")
    tag = sdk.ConversationTagsUpdate()
    tag.external_tag = "crm-4711"
    assert client.put_conversation_tags(past, tag) == ""
    assert client.get_conversation(past).external_tag == "crm-4711"
    secret = sdk.ConversationSecureAttributes()
    secret.attributes, secret.version = {"card": "4711"}, 0
    client.put_conversation_secureattributes(past, secret)
    assert refused(client.put_conversation_secureattributes, past, secret) == (409, "version.conflict")
    more = sdk.ConversationSecureAttributes()
    more.attributes = {"account": "12"}
    client.patch_conversation_secureattributes(past, more)
    found = client.get_conversation_secureattributes(past)
    assert (found.attributes, found.version) == ({"card": "4711", "account": "12"}, 2)
    assert "4711" not in json.dumps(client.get_conversation(past).participants[0].attributes)
    assert refused(api(codes).get_conversation_secureattributes, past) == (403, "missing.permissions")
    assert refused(api(codes).put_conversation_tags, past, tag) == (403, "missing.permissions")
