"""The topics of live events (S40): what they are called, what they need, and whom they are about. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from earwitness.domain.access import Access

VIEW_CONVERSATIONS = "conversation:communication:view"
VIEW_RECORDINGS = "recording:recording:view"
VIEW_USERS = "directory:user:view"
VIEW_EVALUATIONS = "quality:evaluation:view"

CONVERSATIONS = "conversations"
CALLS = "calls"
QUEUE_CALLS = "queue_calls"
CONVERSATION_RECORDINGS = "conversation_recordings"
ONE_RECORDING = "one_recording"
RECORDINGS = "recordings"
USER_RECORDINGS = "user_recordings"
ROUTING_STATUS = "routing_status"
PRESENCE = "presence"
EVALUATIONS = "evaluations"


@dataclass(frozen=True, slots=True)
class TopicKind:
    """A family of topics."""

    kind: str
    template: str
    """With ``{id}`` for what it is about."""
    description: str
    permission: str | None
    """Needed where the topic is not about the subscriber; None: it must be about the subscriber."""
    of_user: bool = True


KINDS = (
    TopicKind(
        CONVERSATIONS,
        "v2.users.{id}.conversations",
        "Every change of a conversation that the user is on, as a Conversation.",
        VIEW_CONVERSATIONS,
    ),
    TopicKind(
        CALLS,
        "v2.users.{id}.conversations.calls",
        "Every change of a call that the user is on, as a CallConversation.",
        VIEW_CONVERSATIONS,
    ),
    TopicKind(
        QUEUE_CALLS,
        "v2.routing.queues.{id}.conversations.calls",
        "Every change of a call of the queue, as a CallConversation.",
        VIEW_CONVERSATIONS,
        of_user=False,
    ),
    TopicKind(
        CONVERSATION_RECORDINGS,
        "v2.users.{id}.conversations.{id}.recordings",
        "A recording of the conversation was made or has changed.",
        VIEW_RECORDINGS,
    ),
    TopicKind(
        ONE_RECORDING,
        "v2.users.{id}.conversations.{id}.recordings.{id}",
        "The recording was made or has changed.",
        VIEW_RECORDINGS,
    ),
    TopicKind(
        RECORDINGS,
        "v2.users.{id}.recordings",
        "A recording of a call that the user was on was made or has changed.",
        VIEW_RECORDINGS,
    ),
    TopicKind(
        USER_RECORDINGS, "v2.users.{id}.userrecordings", "A recording in the user's own inbox is new or changed.", None
    ),
    TopicKind(
        ROUTING_STATUS, "v2.users.{id}.routingStatus", "The user takes calls of queues, or does not.", VIEW_USERS
    ),
    TopicKind(PRESENCE, "v2.users.{id}.presence", "The user's presence.", VIEW_USERS),
    TopicKind(
        EVALUATIONS,
        "v2.quality.evaluations",
        "An evaluation was made, changed, released or deleted.",
        VIEW_EVALUATIONS,
        of_user=False,
    ),
)
BY_KIND = {item.kind: item for item in KINDS}
_ID = r"([A-Za-z0-9_-]{1,64})"
_PATTERNS = [(item.kind, re.compile(re.escape(item.template).replace(re.escape("{id}"), _ID))) for item in KINDS]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic that somebody may subscribe to."""

    name: str
    kind: str
    ids: tuple[str, ...]
    """In the order of the name."""

    @property
    def about(self) -> str:
        """Id of the user or queue."""
        return self.ids[0]

    @property
    def requires(self) -> tuple[str, ...]:
        """Permissions that it needs where it is not about the subscriber."""
        permission = BY_KIND[self.kind].permission
        return (permission,) if permission is not None else ()


def parse(name: str) -> Topic | None:
    """The topic of that name; None: there is none."""
    for kind, pattern in _PATTERNS:
        if (found := pattern.fullmatch(name)) is not None:
            return Topic(name, kind, tuple(found.groups()))
    return None


def missing(topic: Topic, access: Access) -> tuple[str, ...] | None:
    """Permissions that the subscriber lacks for the topic; empty: nobody may but who it is about; None: it may.

    That it may subscribe does not mean that it gets to see every event: each is held against its rights again.
    """
    kind = BY_KIND[topic.kind]
    if kind.of_user and access.subject.user_id == topic.about:
        return None
    if kind.permission is None:
        return ()
    return None if access.allows(kind.permission) else (kind.permission,)
