"""Channels, subscriptions and what is told on them, over a real WebSocket."""

from __future__ import annotations

import json
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import fold
from earwitness.store import audit

WAIT_S = 10


def api(site: Any, name: str = "agent") -> sdk.NotificationsApi:
    return sdk.NotificationsApi(site.sdk(name))


def topic(name: str) -> sdk.ChannelTopic:
    made = sdk.ChannelTopic()
    made.id = name
    return made


class Listener:
    """A channel of a user with these topics, and a connection to it."""

    def __init__(self, site: Any, name: str, *names: str) -> None:
        self.site, self.api = site, api(site, name)
        self.channel = self.api.post_notifications_channels()
        if names:
            self.api.put_notifications_channel_subscriptions(self.channel.id, [topic(item) for item in names])
        self.opened = connect(self.channel.connect_uri, proxy=None)
        self.socket: ClientConnection = self.opened.__enter__()

    def close(self) -> None:
        self.opened.__exit__(None, None, None)

    def next(self) -> dict[str, Any]:
        """The next event, heartbeats left out."""
        while True:
            frame = json.loads(self.socket.recv(WAIT_S))
            if frame["topicName"] != "channel.metadata":
                return frame

    def quiet(self) -> bool:
        """Whether nothing was sent before the answer to a ping."""
        self.socket.send('{"message": "ping"}')
        frame = json.loads(self.socket.recv(WAIT_S))
        return frame["topicName"] == "channel.metadata" and frame["eventBody"] == {"message": "pong"}


@pytest.fixture
def listen(sqlite_site):
    made: list[Listener] = []

    def start(name: str, *names: str) -> Listener:
        made.append(Listener(sqlite_site, name, *names))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def users(site: Any) -> dict[str, str]:
    return site.world.users


class EdgeCall:
    """A call whose events the edge tells one by one."""

    def __init__(self, site: Any, recorded: Any, user: str = "agent") -> None:
        self.site, self.id = site, recorded.new_id()
        self.all = recorded.call_events(self.id, users(site)[user], recorded.new_id(), ended=True)
        self.told = 0

    def hold_back(self, number: int) -> list[Event]:
        self.told += number
        so_far = self.all[: self.told]
        events = [json.loads(event.to_json()) for event in so_far]
        self.site.edge.conversations[self.id] = {
            "id": self.id,
            "events": events,
            "timeline": fold(so_far).to_document(),
        }
        return so_far[-number:]

    def tell(self, number: int) -> None:
        for event in self.hold_back(number):
            message = {"conversation_id": self.id, "event": json.loads(event.to_json())}
            self.site.edge.tell(json.dumps(message))

    def rest(self) -> None:
        self.tell(len(self.all) - self.told)


def follows(site: Any) -> None:
    """Waits until the process listens to the edge."""
    site.wait(lambda: site.app.state.hub.following.is_set() and site.edge.listeners)


def test_s39_channels(sqlite_site):
    own = api(sqlite_site)
    first = own.post_notifications_channels()
    assert first.connect_uri.startswith(sqlite_site.url.replace("http", "ws"))
    assert first.expires is not None
    own.head_notifications_channel(first.id)
    with pytest.raises(ApiException) as caught:
        api(sqlite_site, "other").head_notifications_channel(first.id)
    assert caught.value.status == 404
    more = [own.post_notifications_channels().id for _ in range(20)]
    assert [item.id for item in own.get_notifications_channels().entities] == more
    with pytest.raises(ApiException) as caught:
        own.get_notifications_channel_subscriptions(first.id)
    assert caught.value.status == 404


def test_s40_subscriptions(sqlite_site):
    own, me = api(sqlite_site), users(sqlite_site)["agent"]
    channel = own.post_notifications_channels().id
    calls, inbox = f"v2.users.{me}.conversations.calls", f"v2.users.{me}.userrecordings"
    made = own.post_notifications_channel_subscriptions(channel, [topic(calls)])
    assert [(item.id, item.state) for item in made.entities] == [(calls, "Permitted")]
    own.post_notifications_channel_subscriptions(channel, [topic(inbox), topic(calls)])
    assert [item.id for item in own.get_notifications_channel_subscriptions(channel).entities] == [calls, inbox]
    others = f"v2.users.{users(sqlite_site)['other']}.userrecordings"
    for name, status in ((others, 403), ("v2.nothing", 400)):
        with pytest.raises(ApiException) as caught:
            own.post_notifications_channel_subscriptions(channel, [topic(name)])
        assert caught.value.status == status
    lenient = own.put_notifications_channel_subscriptions(channel, [topic(inbox), topic(others)], ignore_errors=True)
    assert [(item.id, item.state) for item in lenient.entities] == [(inbox, "Permitted"), (others, "Rejected")]
    own.delete_notifications_channel_subscriptions(channel)
    assert own.get_notifications_channel_subscriptions(channel).entities == []
    known = own.get_notifications_availabletopics(expand=["description", "requiresPermissions"]).entities
    assert "v2.users.{id}.userrecordings" in {item.id for item in known}
    assert all(item.description for item in known)


def test_the_address_is_signed(sqlite_site, listen):
    own = listen("agent")
    assert own.quiet()
    uri = own.channel.connect_uri
    for wrong in (uri.replace("signature=", "signature=0"), uri.partition("?")[0]):
        with pytest.raises(InvalidStatus), connect(wrong, proxy=None):
            pass
    other = api(sqlite_site, "other").post_notifications_channels()
    path, _, query = uri.partition("?")
    with pytest.raises(InvalidStatus), connect(path.replace(own.channel.id, other.id) + "?" + query, proxy=None):
        pass


def test_s40_a_conversation_from_ringing_to_its_end(sqlite_site, listen, recorded):
    me = users(sqlite_site)["agent"]
    mine = listen("agent", f"v2.users.{me}.conversations", f"v2.users.{me}.conversations.calls")
    watching = listen("supervisor", f"v2.users.{me}.conversations.calls")
    stranger = listen("other", f"v2.users.{users(sqlite_site)['other']}.conversations")
    follows(sqlite_site)
    call = EdgeCall(sqlite_site, recorded)
    call.tell(6)
    first, second = mine.next(), mine.next()
    assert {first["topicName"], second["topicName"]} == {topic.name for topic in mine_topics(sqlite_site, mine)}
    assert watching.next()["eventBody"]["participants"][1]["state"] == "alerting"
    call.rest()
    while (frame := mine.next())["eventBody"]["participants"][0].get("endTime") is None:
        pass
    assert set(frame) == {"topicName", "version", "eventBody", "metadata"}
    assert frame["eventBody"]["id"] == call.id
    assert stranger.quiet()


def mine_topics(site: Any, listener: Listener) -> tuple[Any, ...]:
    return site.app.state.hub._listeners[listener.channel.id].topics


def test_who_loses_the_right_hears_nothing_more(sqlite_site, listen, recorded):
    me = users(sqlite_site)["agent"]
    watching = listen("supervisor", f"v2.users.{me}.conversations.calls")
    mine = listen("agent", f"v2.users.{me}.conversations.calls")
    follows(sqlite_site)
    call = EdgeCall(sqlite_site, recorded)
    call.tell(6)
    assert watching.next()
    with sqlite_site.world.database.transaction() as session:
        gone = users(sqlite_site)["supervisor"]
        session.connection().exec_driver_sql(f"DELETE FROM grants WHERE subject_id = '{gone}'")
    connection = sqlite_site.app.state.hub._listeners[watching.channel.id]
    sqlite_site.wait(lambda: not connection.access.entitlements)
    while mine.next()["eventBody"]["participants"][1]["state"] != "alerting":
        pass
    call.rest()
    assert mine.next()
    assert watching.quiet()


def test_after_a_gap_the_present_is_told(sqlite_site, listen, recorded):
    me = users(sqlite_site)["agent"]
    mine = listen("agent", f"v2.users.{me}.conversations.calls")
    follows(sqlite_site)
    call, lost = EdgeCall(sqlite_site, recorded), EdgeCall(sqlite_site, recorded)
    call.tell(6)
    lost.tell(6)
    assert {mine.next()["eventBody"]["id"] for _ in range(2)} == {call.id, lost.id}
    call.hold_back(4)
    del sqlite_site.edge.conversations[lost.id]
    recorded.store_call(sqlite_site, conversation_id=lost.id)
    sqlite_site.edge.tell(None)
    states = {frame["eventBody"]["id"]: frame["eventBody"] for frame in (mine.next(), mine.next())}
    assert states[call.id]["participants"][1]["state"] == "connected"
    assert states[lost.id]["participants"][1]["state"] == "disconnected"
    call.tell(1)
    assert mine.next()["eventBody"]["id"] == call.id


def test_calls_of_a_queue(sqlite_site, listen, recorded):
    queue = f"v2.routing.queues.{'q' * 8}.conversations.calls"
    watching = listen("supervisor", queue)
    with pytest.raises(ApiException):
        listen("nobody", queue)
    follows(sqlite_site)
    call = EdgeCall(sqlite_site, recorded)
    waits = {"segment_id": "w", "participant_id": "p1", "kind": "queue", "queue_id": "q" * 8}
    call.all.insert(6, Event(6, call.all[5].at, "segment.started", waits))
    call.all = [Event(n, event.at, event.type, event.data) for n, event in enumerate(call.all)]
    call.tell(8)
    assert watching.next()["topicName"] == queue


def created(site: Any, recording_id: str) -> None:
    """What the worker notes of a new recording."""
    with site.world.database.transaction() as session:
        audit.add(session, at=1, subject=audit.SYSTEM, action="recording.created", entity_type="recording",
                  entity_id=recording_id)  # fmt: skip


def test_e12_the_inbox_is_told_to_its_owner(sqlite_site, listen, recorded):
    me = users(sqlite_site)["agent"]
    mine = listen("agent", f"v2.users.{me}.userrecordings", f"v2.users.{me}.recordings")
    watching = listen("supervisor", f"v2.users.{me}.recordings")
    _, recording_id = recorded.store_call(sqlite_site, role="ADHOC")
    created(sqlite_site, recording_id)
    body = mine.next()["eventBody"]
    assert (body["id"], body["durationMillieconds"], body["read"]) == (recording_id, 2000, False)
    change = sdk.UserRecordingsApi(sqlite_site.sdk("agent")).get_userrecording(recording_id)
    change.read = True
    sdk.UserRecordingsApi(sqlite_site.sdk("agent")).put_userrecording(recording_id, change)
    assert mine.next()["eventBody"]["read"] is True
    assert watching.quiet()


def test_s40_recordings(sqlite_site, listen, recorded):
    import httpx

    me, boss = users(sqlite_site)["agent"], users(sqlite_site)["supervisor"]
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    one = f"v2.users.{boss}.conversations.{conversation_id}.recordings.{recording_id}"
    watching = listen("supervisor", f"v2.users.{me}.recordings", one)
    stranger = listen("other", f"v2.users.{users(sqlite_site)['other']}.recordings")
    created(sqlite_site, recording_id)
    frames = [watching.next(), watching.next()]
    assert {frame["topicName"] for frame in frames} == {f"v2.users.{me}.recordings", one}
    body = frames[0]["eventBody"]
    assert (body["id"], body["conversationId"], body["fileState"]) == (recording_id, conversation_id, "AVAILABLE")
    assert {item["channelId"] for item in body["mediaUris"]} == {"0", "1", "S"}
    assert httpx.head(body["mediaUris"][0]["mediaUri"], trust_env=False).status_code == 200
    assert stranger.quiet()


def test_routing_status(sqlite_site, listen):
    me = users(sqlite_site)["agent"]
    agent = {"user_id": me, "on_queue": False, "status": "OFF_QUEUE", "since": 1, "acw": None}
    sqlite_site.edge.agents[me] = agent
    name = f"v2.users.{me}.routingStatus"
    watching = listen("supervisor", name)
    people = sqlite_site.app.state.hub._people
    sqlite_site.wait(lambda: people._told)
    sqlite_site.edge.agents[me] = {**agent, "status": "IDLE", "on_queue": True}
    frame = watching.next()
    assert (frame["topicName"], frame["eventBody"]["routingStatus"]["status"]) == (name, "IDLE")


def test_a_channel_that_goes_ends_its_connection(sqlite_site, listen):
    mine = listen("agent")
    assert mine.quiet()
    for _ in range(20):
        mine.api.post_notifications_channels()
    with pytest.raises(ConnectionClosed) as caught:
        mine.next()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4404


def test_the_newest_connection_has_the_channel(sqlite_site, listen):
    mine = listen("agent")
    with connect(mine.channel.connect_uri, proxy=None), pytest.raises(ConnectionClosed):
        mine.next()
    sqlite_site.wait(lambda: sqlite_site.app.state.hub.listeners == 0)
