"""Calls in progress, the inbox, annotations, notifications."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

from earwitness.cli.contract import steps
from earwitness.cli.contract.phones import EXTENSIONS, Phones, eventually
from earwitness.cli.contract.steps import Context, simple, step

API = "ConversationsApi"
CARRIER = "+4930555000"


def expect(condition: object, what: str) -> bool:
    """:raises AssertionError: the condition does not hold."""
    steps.expect(condition, what)
    return True


def _request(c: Context, method: str, path: str, body: Any = None) -> Any:
    """Setting up, straight over HTTP."""
    import httpx

    headers = {"Authorization": f"Bearer {c.client.access_token}"}
    reply = httpx.request(
        method, f"{c.client.host}/api/v2{path}", json=body, headers=headers, timeout=30, trust_env=False
    )
    reply.raise_for_status()
    return reply.json() if reply.content else None


def _phones(c: Context) -> Phones:
    """Three phones, of which the first is the administrator's, and a carrier behind a trunk."""
    if "phones" not in c.kept:
        told = json.loads((c.made["run"] / "edge.json").read_text())
        phones = Phones(("127.0.0.1", int(told["sip_port"])))
        phones.start([*EXTENSIONS, "Carrier"])
        c.kept["phones"] = phones
        _trunk(c, phones.port("Carrier"))
        site = _request(c, "GET", "/telephony/providers/edges/sites")["entities"][0]["id"]
        for name, extension in EXTENSIONS.items():
            user = c.made["administrator"]["id"]
            if name != "Desk":
                user = _request(c, "POST", "/users", {"name": name, "email": f"{name.lower()}@example.com"})["id"]
            c.kept[name] = user
            properties = {"earwitness_extension": {"value": {"instance": extension}}}
            line = {"name": f"{name} phone", "properties": properties}
            body = {"name": f"{name} phone", "site": {"id": site}, "lines": [line]}
            _request(c, "POST", "/telephony/providers/edges/phones", body)
            station = _request(c, "GET", f"/stations?name={name}%20phone")["entities"][0]["id"]
            _request(c, "PUT", f"/users/{user}/station/associatedstation/{station}")
            phones.register(name, _request(c, "POST", f"/earwitness/stations/{station}/credentials", {}))
        queue = _request(c, "POST", "/routing/queues", {"name": "Live calls"})
        c.kept["live queue"] = queue["id"]
    found = c.kept["phones"]
    assert isinstance(found, Phones)
    return found


def _trunk(c: Context, port: int) -> None:
    metabase = "external_sip_pcv_byoc_carrier.json"
    base = "/telephony/providers/edges/trunkbasesettings"
    template = _request(c, "GET", f"{base}/template?trunkMetabaseId={metabase}")
    servers = {"trunk_transport_serverProxyList": {"value": {"instance": [f"127.0.0.1:{port}"]}}}
    body = {**template, "name": "Live carrier", "properties": {**template["properties"], **servers}}
    _request(c, "POST", base, body)


def _call(c: Context) -> tuple[str, str, str]:
    """A new call from the desk to the colleague: its id and the participants of both."""
    phones = _phones(c)
    phones.hang_up_all()
    api = c.api(API, user=True)
    eventually(lambda: not api.get_conversations_calls().entities, "earlier calls end")
    phones.call("Desk", EXTENSIONS["Colleague"])
    call = eventually(lambda: _connected(api), "the call is up")
    people = {person.user.id: person.id for person in call.participants if person.user is not None}
    return call.id, people[c.kept["Desk"]], people[c.kept["Colleague"]]


def _connected(api: Any) -> Any:
    calls = api.get_conversations_calls().entities
    up = [call for call in calls if sum(p.state == "connected" for p in call.participants) >= 2]
    return up[0] if up else None


def _same(c: Context) -> tuple[str, str, str]:
    """The call of the steps before, still up."""
    if "live" not in c.kept:
        c.kept["live"] = _call(c)
    found: tuple[str, str, str] = c.kept["live"]
    return found


Live = Callable[[Context, Any, str, str, str], object]


def _live(name: str, ask: Live, *, fresh: bool = False, client: bool = False) -> None:
    """A step on a call in progress.

    :param ask: takes the API class, the call's id and the participants of desk and colleague.
    :param fresh: on a call of its own, in which the steps after it go on.
    :param client: as a program instead of as the administrator at the desk.
    """

    def run(c: Context) -> None:
        if fresh:
            c.kept.pop("live", None)
            c.kept["live"] = _call(c)
        call, own, other = _same(c)
        with contextlib.redirect_stderr(io.StringIO()):  # the SDK warns of what the vendor calls deprecated
            ask(c, c.api(API, user=not client), call, own, other)

    run.__name__ = name
    step(run)


def _media(c: Context, **fields: Any) -> Any:
    return c.model("MediaParticipantRequest", **fields)


def _communication(api: Any, call: str, participant: str) -> str:
    people = api.get_conversation(call).participants
    return str(next(p.calls[0].id for p in people if p.id == participant))


_live("patch_conversations_call_participant", lambda c, a, i, p, o: (
    a.patch_conversations_call_participant(i, p, _media(c, held=True)),
    expect(next(x.held for x in a.get_conversations_call(i).participants if x.id == p), "held"),
))  # fmt: skip
_live("patch_conversations_call_participant_communication", lambda c, a, i, p, o: (
    a.patch_conversations_call_participant_communication(i, p, _communication(a, i, p), _media(c, held=False))
))  # fmt: skip
_live("patch_conversation_participant", lambda c, a, i, p, o: (
    a.patch_conversation_participant(i, p, _media(c, muted=True)),
    expect(next(x.muted for x in a.get_conversations_call(i).participants if x.id == p), "muted"),
))  # fmt: skip
_live("patch_conversations_call_participant_user_user_id", lambda c, a, i, p, o: (
    a.patch_conversations_call_participant_user_user_id(i, p, c.kept["Desk"], _media(c, muted=False))
))  # fmt: skip
_live("put_conversations_call_recordingstate", lambda c, a, i, p, o: (
    a.put_conversations_call_recordingstate(i, c.model("SetRecordingState", recording_state="PAUSED")),
    expect(a.get_conversation(i).secure_pause, "a secure pause"),
))  # fmt: skip
_live("patch_conversation_recordingstate", lambda c, a, i, p, o: (
    a.patch_conversation_recordingstate(i, c.model("SetRecordingState", recording_state="ACTIVE")),
    expect(not a.get_conversation(i).secure_pause, "no secure pause"),
))  # fmt: skip
_live("patch_conversations_call_participant_attributes", lambda c, a, i, p, o: expect(
    a.patch_conversations_call_participant_attributes(i, p, c.model("ParticipantAttributes", attributes={"a": "1"}))
    .attributes == {"a": "1"}, "the attribute"))  # fmt: skip
_live("patch_conversation_participant_attributes", lambda c, a, i, p, o: (
    a.patch_conversation_participant_attributes(i, p, c.model("ParticipantAttributes", attributes={"b": "2"})),
    expect(next(x.attributes["b"] for x in a.get_conversation(i).participants if x.id == p) == "2", "the attribute"),
))  # fmt: skip
_live("post_conversation_participant_digits", lambda c, a, i, p, o: (
    a.post_conversation_participant_digits(i, p, body=c.model("Digits", digits="12#"))))  # fmt: skip
_live("get_conversations_call_participant_wrapupcodes", lambda c, a, i, p, o: expect(
    a.get_conversations_call_participant_wrapupcodes(i, p) == [], "none without a queue"))  # fmt: skip
_live("put_conversation_secureattributes", lambda c, a, i, p, o: a.put_conversation_secureattributes(
    i, c.model("ConversationSecureAttributes", attributes={"card": "4711"})))  # fmt: skip
_live("patch_conversation_secureattributes", lambda c, a, i, p, o: a.patch_conversation_secureattributes(
    i, c.model("ConversationSecureAttributes", attributes={"account": "12"})))  # fmt: skip
_live("get_conversation_secureattributes", lambda c, a, i, p, o: expect(
    a.get_conversation_secureattributes(i).attributes == {"card": "4711", "account": "12"}, "both"))  # fmt: skip
_live("put_conversation_tags", lambda c, a, i, p, o: (
    a.put_conversation_tags(i, c.model("ConversationTagsUpdate", external_tag="crm-1")),
    expect(a.get_conversation(i).external_tag == "crm-1", "the tag"),
))  # fmt: skip
_live("post_conversations_call_participant_snippet_record", lambda c, a, i, p, o: (
    a.post_conversations_call_participant_snippet_record(
        i, p, c.model("SnippetRecordingRequest", type="adhoc", record=True)),
    eventually(lambda: next(x.recording for x in a.get_conversations_call(i).participants if x.id == p), "it records"),
))  # fmt: skip


def _consult(name: str, kind: str, **fields: Callable[[Context], Any]) -> None:
    """Asks somebody, and lets go again."""

    def ask(c: Context, a: Any, i: str, p: str, o: str) -> None:
        given = {key: make(c) for key, make in fields.items()}
        getattr(a, name)(i, o, c.model(kind, consulting_user_id=c.kept["Desk"], **given))
        a.delete_conversations_call_participant_consult(i, p)

    _live(name, ask, fresh=True)


_consult("post_conversations_call_participant_consult", "ConsultTransfer",
         destination=lambda c: c.model("Destination", user_id=c.kept["Third"]))  # fmt: skip
_consult("post_conversations_call_participant_consult_external", "ConsultTransferToExternal", address=lambda c: CARRIER)
_consult("post_conversations_call_participant_consult_queue", "ConsultTransferToQueue",
         queue_id=lambda c: c.kept["live queue"])  # fmt: skip
_consult("post_conversations_call_participant_voice_consult", "ConsultTransferToAddress", address=lambda c: CARRIER)
_live("post_conversations_call_participant_consult_agent", lambda c, a, i, p, o: expect(
    a.post_conversations_call_participant_consult_agent(
        i, o, c.model("ConsultTransferToAgent", user_id=c.kept["Third"], consulting_user_id=c.kept["Desk"]),
    ).destination_participant_id, "who is asked"), fresh=True)  # fmt: skip


def _all_up(a: Any, call: str) -> bool:
    people = a.get_conversations_call(call).participants
    return len([person for person in people if person.state == "connected"]) >= 3


_live("patch_conversations_call_participant_consult", lambda c, a, i, p, o: (
    eventually(lambda: _all_up(a, i), "the third answers"),
    a.patch_conversations_call_participant_consult(i, p, c.model("ConsultTransferUpdate", speak_to="BOTH")),
))  # fmt: skip
_live("delete_conversations_call_participant_consult", lambda c, a, i, p, o: (
    a.delete_conversations_call_participant_consult(i, p)))  # fmt: skip


def _adding(c: Context) -> Any:
    return c.model("Conversation", participants=[c.model("Participant", user_id=c.kept["Third"])])


_live("post_conversations_call_participants", lambda c, a, i, p, o: (
    a.post_conversations_call_participants(i, _adding(c)),
    eventually(lambda: _all_up(a, i), "the third joins"),
), fresh=True)  # fmt: skip
_live("patch_conversations_call_conference", lambda c, a, i, p, o: (
    a.post_conversations_call_participants(i, _adding(c)),
    eventually(lambda: _all_up(a, i), "the third joins"),
    a.patch_conversations_call_conference(i, c.model("UpdateConferenceRequest")),
), fresh=True)  # fmt: skip
_live("post_conversations_call_participants_user_user_id", lambda c, a, i, p, o: (
    a.post_conversations_call_participants_user_user_id(i, c.kept["Desk"], _adding(c)),
    eventually(lambda: _all_up(a, i), "the third joins"),
), fresh=True)  # fmt: skip


def _replace(name: str, kind: str, **fields: Callable[[Context], Any]) -> None:
    """Transfers the call away from the desk."""

    def ask(c: Context, a: Any, i: str, p: str, o: str) -> None:
        getattr(a, name)(i, p, c.model(kind, **{key: make(c) for key, make in fields.items()}))

    _live(name, ask, fresh=True)


_replace("post_conversations_call_participant_replace", "TransferRequest", user_id=lambda c: c.kept["Third"])
_replace("post_conversation_participant_replace", "TransferRequest", address=lambda c: CARRIER)
_replace("post_conversation_participant_replace_agent", "TransferToAgentRequest", user_id=lambda c: c.kept["Third"])
_replace("post_conversation_participant_replace_external", "TransferToExternalRequest", address=lambda c: CARRIER)
_replace("post_conversation_participant_replace_queue", "TransferToQueueRequest",
         queue_id=lambda c: c.kept["live queue"])  # fmt: skip
_replace("post_conversation_participant_transfer", "TransferToAddressRequest", address=lambda c: CARRIER)


def _contact(c: Context) -> str:
    """Somebody outside the organisation, at the carrier's number."""
    if "contact" not in c.kept:
        body = {"lastName": "Lind", "workPhone": {"userInput": CARRIER}}
        c.kept["contact"] = _request(c, "POST", "/externalcontacts/contacts", body)["id"]
    return str(c.kept["contact"])


_consult("post_conversations_call_participant_consult_contact_external", "ConsultTransferToExternalContact",
         contact_id=_contact)  # fmt: skip
_replace("post_conversation_participant_replace_contact_external", "TransferToExternalContactRequest",
         contact_id=_contact)  # fmt: skip
_live("post_conversations_call", lambda c, a, i, p, o: (
    expect(a.post_conversations_call(i, c.model("CallCommand", call_number=CARRIER)).id == i, "the call"),
    eventually(lambda: _all_up(a, i), "the carrier joins"),
), fresh=True)  # fmt: skip
_live(
    "put_conversation_accessattributes",
    lambda c, a, i, p, o: a.put_conversation_accessattributes(
        i, c.model("ConversationAccessAttributesUpdate", access_attributes=["vip"])
    ),
)
_live("get_conversation_accessattributes", lambda c, a, i, p, o: expect(
    a.get_conversation_accessattributes(i).access_attributes == ["vip"], "the word"))  # fmt: skip
_live("get_conversation_participant_secureivrsessions", lambda c, a, i, p, o: expect(
    a.get_conversation_participant_secureivrsessions(i, p).entities == [], "none"))  # fmt: skip


def _code(c: Context) -> str:
    """A wrap-up code."""
    if "live code" not in c.kept:
        c.kept["live code"] = _request(c, "POST", "/routing/wrapupcodes", {"name": "Live: sold"})["id"]
    return str(c.kept["live code"])


_live("post_conversations_call_participant_communication_wrapup", lambda c, a, i, p, o: (
    a.post_conversations_call_participant_communication_wrapup(
        i, p, _communication(a, i, p), body=c.model("WrapupInput", code=_code(c), notes="twice", tags=["t"])),
), fresh=True)  # fmt: skip
_live("get_conversations_call_participant_communication_wrapup", lambda c, a, i, p, o: expect(
    a.get_conversations_call_participant_communication_wrapup(i, p, _communication(a, i, p)).code == _code(c),
    "the code",
))  # fmt: skip
_live("get_conversations_call_participant_wrapup", lambda c, a, i, p, o: expect(
    a.get_conversations_call_participant_wrapup(i, p).notes == "twice", "the notes"))  # fmt: skip
_live("post_conversation_assign", lambda c, a, i, p, o: (
    a.post_conversation_participant_replace_queue(
        i, p, c.model("TransferToQueueRequest", queue_id=c.kept["live queue"])),
    eventually(lambda: any(x.purpose == "acd" and x.end_time is None
                           for x in c.api(API).get_conversations_call(i).participants), "it waits"),
    c.api(API).post_conversation_assign(i, c.model("ConversationUser", id=c.kept["Third"])),
    eventually(lambda: any(x.user is not None and x.user.id == c.kept["Third"] and x.state == "connected"
                           for x in c.api(API).get_conversations_call(i).participants), "the third answers"),
), fresh=True)  # fmt: skip


def _watch(name: str, *, agent: bool) -> None:
    """The desk joins a call of the two others."""

    def run(c: Context) -> None:
        phones, api = _phones(c), c.api(API, user=True)
        phones.hang_up_all()
        c.kept.pop("live", None)
        eventually(lambda: not api.get_conversations_calls().entities, "earlier calls end")
        phones.call("Colleague", EXTENSIONS["Third"])
        call = eventually(lambda: _connected(api), "the call is up")
        watched = next(p.id for p in call.participants if p.user is not None and p.user.id == c.kept["Colleague"])
        getattr(api, name)(call.id, *([watched] if agent else []))
        eventually(lambda: _all_up(api, call.id), "the desk joins")

    run.__name__ = name
    step(run)


_watch("post_conversation_barge", agent=False)
_watch("post_conversations_call_participant_barge", agent=True)
_watch("post_conversations_call_participant_monitor", agent=True)
_live("delete_conversation", lambda c, a, i, p, o: a.delete_conversation(i), fresh=True)


@step
def post_conversations_calls(c: Context) -> None:
    """The desk rings, then the colleague."""
    phones = _phones(c)
    phones.hang_up_all()
    api = c.api(API, user=True)
    eventually(lambda: not api.get_conversations_calls().entities, "earlier calls end")
    made = api.post_conversations_calls(c.model("CreateCallRequest", call_user_id=c.kept["Colleague"]))
    eventually(lambda: _connected(api), "both talk")
    api.post_conversation_disconnect(made.id)


@step
def post_conversations_calls_user_user_id(c: Context) -> None:
    """The same, by a program."""
    body = c.model("CreateCallRequest", call_user_id=c.kept["Colleague"])
    api = c.api(API)
    eventually(lambda: not api.get_conversations_calls().entities, "earlier calls end")
    made = api.post_conversations_calls_user_user_id(c.kept["Desk"], body)
    eventually(lambda: _connected(api), "both talk")
    api.post_conversation_disconnect(made.id)
    c.kept.pop("phones").stop()


INBOX = "UserRecordingsApi"


@step
def get_userrecordings(c: Context) -> None:
    """What was recorded at the desk."""
    found = eventually(lambda: c.api(INBOX, user=True).get_userrecordings().entities, "the recording is in the inbox")
    c.kept["inbox item"] = found[0].id


simple(INBOX, "get_userrecording", "inbox item", user=True)


@step
def put_userrecording(c: Context) -> None:
    """Heard."""
    body = c.model("UserRecording", read=True, name="The contract")
    expect(c.api(INBOX, user=True).put_userrecording(c.kept["inbox item"], body).read, "read")


@step
def get_userrecordings_summary(c: Context) -> None:
    """One was read."""
    expect(c.api(INBOX, user=True).get_userrecordings_summary().read_count == 1, "one")


@step
def get_userrecording_transcoding(c: Context) -> None:
    """As WAV."""
    api = c.api(INBOX, user=True)
    eventually(
        lambda: api.get_userrecording_transcoding(c.kept["inbox item"], format_id="WAV").result_uri, "it is made"
    )


simple(INBOX, "delete_userrecording", "inbox item", user=True)

RECORDING = "RecordingApi"


@step
def post_conversation_recording_annotations(c: Context) -> None:
    """A bookmark."""
    body = c.model("Annotation", name="Here", location=500, type="bookmark")
    ids = (c.kept["conversation"], c.kept["recording"])
    c.kept["annotation"] = c.api(RECORDING).post_conversation_recording_annotations(*ids, body).id


simple(RECORDING, "get_conversation_recording_annotations", "conversation", "recording")
simple(RECORDING, "get_conversation_recording_annotation", "conversation", "recording", "annotation")


@step
def put_conversation_recording_annotation(c: Context) -> None:
    """Its name."""
    ids = (c.kept["conversation"], c.kept["recording"], c.kept["annotation"])
    changed = c.api(RECORDING).put_conversation_recording_annotation(*ids, c.model("Annotation", name="There"))
    expect(changed.name == "There", "the name")


simple(RECORDING, "delete_conversation_recording_annotation", "conversation", "recording", "annotation")

NOTIFICATIONS = "NotificationsApi"


@step
def get_notifications_availabletopics(c: Context) -> None:
    """There are some."""
    expect(c.api(NOTIFICATIONS).get_notifications_availabletopics().entities, "topics")


@step
def post_notifications_channels(c: Context) -> None:
    """A channel."""
    made = c.api(NOTIFICATIONS, user=True).post_notifications_channels()
    expect(made.connect_uri.startswith("ws"), "an address")
    c.kept["channel"] = made.id


simple(NOTIFICATIONS, "get_notifications_channels", user=True, listing=True)
simple(NOTIFICATIONS, "head_notifications_channel", "channel", user=True)


def _topics(name: str) -> None:
    def run(c: Context) -> None:
        topic = c.model("ChannelTopic", id=f"v2.users.{c.made['administrator']['id']}.conversations")
        found = getattr(c.api(NOTIFICATIONS, user=True), name)(c.kept["channel"], [topic])
        expect([item.state for item in found.entities] == ["Permitted"], "permitted")

    run.__name__ = name
    step(run)


_topics("post_notifications_channel_subscriptions")
_topics("put_notifications_channel_subscriptions")
simple(NOTIFICATIONS, "get_notifications_channel_subscriptions", "channel", user=True, listing=True)
simple(NOTIFICATIONS, "delete_notifications_channel_subscriptions", "channel", user=True)
