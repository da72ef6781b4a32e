"""Live events from everywhere to everybody who listens (S40).

Theory of operation. Events come from three places: the edge's stream (conversations), the audit log (recordings, the
inbox) and a look at agents and presences. The hub works only while somebody listens::

    edge ──WS──► Feed ──► Conversations ──► changed ids ─┐
    audit log, agents ──────────── looked at ────────────┼─► rights of each listener ──► its bounded queue ──► socket
                                                         ┘
Rights are those of the channel's owner as they were at most ``REFRESH_S`` ago, and each event is held against them: a
conversation must be visible to the owner, a recording must be in its scoped query. A listener that does not keep up is
let go, so memory is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from earwitness.domain.conversation.timeline import Timeline
from earwitness.store import access as access_store
from earwitness.store import notification_channels, oauth, users
from earwitness.store.visibility import VIEW_CONVERSATIONS
from earwitness.web.api import live, seen
from earwitness.web.api.conversation_documents import call_document, conversation_document
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.kernel.errors import ApiError
from earwitness.web.kernel.services import Services
from earwitness.web.notify import evaluations, frames, people, recordings, topics
from earwitness.web.notify.connection import GONE, REPLACED, STOPPING, Connection
from earwitness.web.notify.conversations import Conversations
from earwitness.web.notify.feed import Feed

log = structlog.get_logger()

REFRESH_S = 2.0
"""How often rights and subscriptions are read again, seconds."""
LOOK_S = 1.0
"""How often the audit log, agents and presences are looked at, seconds."""
TOGETHER_S = 0.03
"""Changes of a conversation that come within this time make one event, seconds."""
HEARTBEAT_S = 30.0

CONVERSATION_KINDS = (topics.CONVERSATIONS, topics.CALLS, topics.QUEUE_CALLS)


class Hub:
    """All listeners of this process. For one event loop; ``retopic`` may be called from any thread."""

    def __init__(self, parts: Services, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._parts, self._heartbeat_s = parts, heartbeat_s
        self._listeners: dict[str, Connection] = {}
        self._conversations = Conversations()
        self._changed: dict[str, None] = {}
        self._lost: dict[str, None] = {}
        self._something = asyncio.Event()
        self._recordings, self._people = recordings.RecordingChanges(), people.People()
        self._evaluations = evaluations.Evaluations()
        self._tasks: list[asyncio.Task[None]] = []
        self.following = asyncio.Event()
        """Set once the present of the edge is known."""

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def join(self, listener: Connection) -> None:
        """Begins to tell a listener. Another connection of the same channel is let go."""
        if (old := self._listeners.get(listener.channel_id)) is not None:
            old.end(*REPLACED)
        self._listeners[listener.channel_id] = listener
        if not self._tasks:
            await anyio.to_thread.run_sync(self._begin_recordings)
        if not self._tasks:
            feed = Feed(self._parts.edge, resync=self._resync, message=self._message)
            work = (feed.run, self._flush, self._refresh, self._look, self._beat)
            self._tasks = [asyncio.create_task(run()) for run in work]

    def leave(self, listener: Connection) -> None:
        """Tells a listener nothing more. With the last one the hub goes to sleep."""
        if self._listeners.get(listener.channel_id) is listener:
            del self._listeners[listener.channel_id]
        if not self._listeners:
            self._sleep()

    def retopic(self, channel_id: str, names: list[str]) -> None:
        """The subscriptions of a channel have changed, in this process."""
        if (listener := self._listeners.get(channel_id)) is not None:
            listener.subscribe(names)

    async def stop(self) -> None:
        """Lets everybody go."""
        for listener in list(self._listeners.values()):
            listener.put(frames.closing())
            listener.end(*STOPPING)
        tasks = self._sleep()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _sleep(self) -> list[asyncio.Task[None]]:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        self._conversations, self._changed, self._lost = Conversations(), {}, {}
        self._recordings.forget()
        self.following.clear()
        return tasks

    def _begin_recordings(self) -> None:
        with self._parts.database.reading() as session:
            self._recordings.begin(session)

    # Conversations

    def _resync(self, documents: list[dict[str, Any]]) -> None:
        self._lost.update(dict.fromkeys(self._conversations.missing_from(documents)))
        first = not self.following.is_set()
        for document in documents:
            learnt = self._conversations.learn(document)
            if learnt is not None and not first:
                self._changed[learnt] = None
        self.following.set()
        self._something.set()

    async def _message(self, text: str | bytes) -> None:
        observed = self._conversations.observe(text)
        if observed is None:
            return
        conversation_id, complete = observed
        if not complete:
            document = await anyio.to_thread.run_sync(self._parts.edge.conversation, conversation_id)
            if document is None:
                self._lost[conversation_id] = None
            else:
                self._conversations.learn(document)
        self._changed[conversation_id] = None
        self._something.set()

    async def _flush(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(TOGETHER_S)
            self._something.clear()
            changed, self._changed = self._changed, {}
            lost, self._lost = self._lost, {}
            for conversation_id in changed:
                await self._guarded(self._tell_of, conversation_id)
                self._conversations.forget_ended(conversation_id)
            for conversation_id in lost:
                await self._guarded(self._tell_of_lost, conversation_id)

    async def _guarded(self, tell: Callable[[str], Any], conversation_id: str) -> None:
        try:
            await tell(conversation_id)
        except (SQLAlchemyError, ApiError) as error:
            log.warning("web.event_not_told", conversation_id=conversation_id, error=str(error))

    async def _tell_of(self, conversation_id: str) -> None:
        timeline = self._conversations.timeline(conversation_id)
        if timeline is None:
            return
        wanting = [(item, wanted) for item in self._all() if (wanted := _about(item, timeline))]
        if not wanting:
            return
        pending, references = await anyio.to_thread.run_sync(self._pending, timeline)
        bodies = _Bodies(timeline, references)
        for listener, wanted in wanting:
            if live.visible(pending, listener.access, VIEW_CONVERSATIONS) or live.took_part(pending, listener.access):
                bodies.put(listener, wanted)

    def _pending(self, timeline: Timeline) -> tuple[live.Pending, list[DivisionReference]]:
        with self._parts.database.reading() as session:
            pending = live.pending_of(session, timeline)
            return pending, seen.references(session, set(pending.divisions))

    async def _tell_of_lost(self, conversation_id: str) -> None:
        """A conversation that ended while nobody was connected to the edge: how it ended is known to the store."""
        for listener in self._all():
            if not listener.wants(*CONVERSATION_KINDS):
                continue
            found = await anyio.to_thread.run_sync(self._look_up, listener, conversation_id)
            if found is not None and (wanted := _about(listener, found.timeline)):
                _Bodies(found.timeline, found.divisions).put(listener, wanted)

    def _look_up(self, listener: Connection, conversation_id: str) -> seen.Seen | None:
        with self._parts.database.reading() as session:
            try:
                return seen.find(self._parts, session, listener.access, conversation_id)
            except ApiError:
                return None

    # Everything else

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._in_thread(self._look_once)

    def _look_once(self) -> None:
        listeners, now = self._all(), self._parts.clock.now_us()
        with self._parts.database.reading() as session:
            if self._recordings.floor is None:
                return
            changed = self._recordings.new(session, now)
            if changed:
                recordings.deliver(self._parts, session, changed, listeners)
            self._people.deliver(self._parts, session, listeners)
            self._evaluations.deliver(self._parts, session, listeners, now)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._in_thread(self._refresh_once)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            for listener in self._all():
                listener.put(frames.heartbeat())

    async def _in_thread(self, work: Callable[[], None]) -> None:
        try:
            await anyio.to_thread.run_sync(work)
        except (SQLAlchemyError, ApiError) as error:
            log.warning("web.events_not_looked_up", error=str(error))

    def _refresh_once(self) -> None:
        now = self._parts.clock.now_us()
        with self._parts.database.reading() as session:
            for listener in self._all():
                row = notification_channels.get(session, listener.channel_id, now)
                if row is None or not is_active(session, listener):
                    listener.end(*GONE)
                    continue
                listener.access = access_store.access_of(session, listener.subject)
                if list(row.topics) != [topic.name for topic in listener.topics]:
                    listener.subscribe(row.topics)

    def _all(self) -> list[Connection]:
        return list(self._listeners.values())


class _Bodies:
    """The documents of one conversation at one moment, each made when first needed."""

    def __init__(self, timeline: Timeline, divisions: list[DivisionReference]) -> None:
        self._timeline, self._divisions = timeline, divisions
        self._made: dict[bool, str] = {}

    def put(self, listener: Connection, wanted: list[topics.Topic]) -> None:
        """Tells a listener on each of these topics."""
        for topic in wanted:
            listener.put(frames.event(topic.name, self._body(as_call=topic.kind != topics.CONVERSATIONS)))

    def _body(self, *, as_call: bool) -> str:
        if as_call not in self._made:
            make = call_document if as_call else conversation_document
            self._made[as_call] = make(self._timeline, self._divisions).model_dump_json(
                by_alias=True, exclude_none=True
            )
        return self._made[as_call]


def _about(listener: Connection, timeline: Timeline) -> list[topics.Topic]:
    """Those of a listener's topics that a conversation is about."""
    wanted = listener.wants(*CONVERSATION_KINDS)
    if not wanted:
        return []
    user_ids, queue_ids, _ = live.parties(timeline)
    return [topic for topic in wanted if topic.about in (queue_ids if topic.kind == topics.QUEUE_CALLS else user_ids)]


def is_active(session: Session, listener: Connection) -> bool:
    """Whether the owner of a channel is still with us."""
    subject = listener.subject
    owner = users.get(session, subject.id) if subject.type == "user" else oauth.client(session, subject.id)
    return owner is not None and owner.state == "active"
