"""Channels of live events, and what is told on them (S39, S40). No permission is needed for one's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from sqlalchemy.orm import Session

from earwitness.store import notification_channels
from earwitness.store.tables import NotificationChannel
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.paging import CommaList
from earwitness.web.kernel.services import Parts, Services, base_url
from earwitness.web.notify import socket, topics
from earwitness.web.notify.hub import Hub

family = Family("Notifications")

PATH = "/api/v2/notifications"
CHANNELS = PATH + "/channels"
SUBSCRIPTIONS = CHANNELS + "/{channelId}/subscriptions"
LIFE_US = 24 * 3600 * 1_000_000
MOST_TOPICS = 1000


class ChannelDocument(Document):
    """A channel."""

    id: str
    connect_uri: str
    expires: Moment


class ChannelListing(Document):
    """The caller's channels."""

    entities: list[ChannelDocument]


class ChannelTopic(Document):
    """A topic of a channel."""

    id: str
    state: str
    rejection_reason: str | None = None
    missing_permissions: list[str] | None = None
    self_uri: str | None = None


class ChannelTopicListing(Document):
    """The topics of a channel."""

    entities: list[ChannelTopic]


class TopicBody(RequestBody):
    """A topic to subscribe to."""

    id: str | None = None


class AvailableTopic(Document):
    """A topic that there is, with ``{id}`` for what it is about."""

    id: str
    description: str | None = None
    requires_permissions: list[str] | None = None
    requires_current_user: bool | None = None
    requires_current_user_or_permission: bool | None = None
    enforced: bool | None = None
    visibility: str | None = None
    transports: list[str] | None = None
    topic_parameters: list[str] | None = None


class AvailableTopicListing(Document):
    """Every topic."""

    entities: list[AvailableTopic]


@family.operation(
    "GET",
    PATH + "/availabletopics",
    "get_notifications_availabletopics",
    SIGNED_IN,
    returns=AvailableTopicListing,
)
def available_topics(
    caller: Signed,
    expand: CommaList = None,
    include_preview: Annotated[bool, Query(alias="includePreview")] = False,
) -> AvailableTopicListing:
    """What can be subscribed to. ``expand`` names the fields wanted beside the id."""
    wanted = {name.casefold() for name in expand or ()}
    found = []
    for kind in topics.KINDS:
        own = kind.of_user and kind.permission is None
        fields = {
            "description": kind.description,
            "requires_permissions": [kind.permission] if kind.permission else [],
            "requires_current_user": own,
            "requires_current_user_or_permission": kind.of_user and not own,
            "enforced": True,
            "visibility": "Public",
            "transports": ["Websocket"],
            "topic_parameters": ["id"],
        }
        asked = {
            "requirespermissions": ("requires_permissions", "requires_current_user",
                                    "requires_current_user_or_permission"),
            "topicparameters": ("topic_parameters",),
        }  # fmt: skip
        names = [name for word in sorted(wanted) for name in asked.get(word, (word,)) if name in fields]
        found.append(AvailableTopic.model_validate({"id": kind.template, **{name: fields[name] for name in names}}))
    return AvailableTopicListing(entities=found)


@family.operation("GET", CHANNELS, "get_notifications_channels", SIGNED_IN, returns=ChannelListing)
def list_channels(
    request: Request,
    caller: Signed,
    parts: Parts,
    includechannels: Annotated[str, OneOf("token", "oauthclient"), Query()] = "token",
) -> ChannelListing:
    """The caller's channels: those made with this token, or with any token of the same program."""
    with parts.database.reading() as session:
        rows = notification_channels.of_subject(
            session, caller.subject, client_id=caller.client_id, now=parts.clock.now_us()
        )
        mine = [row for row in rows if includechannels != "token" or row.token_sha256 == caller.token_sha256]
        return ChannelListing(entities=[_document(request, parts, caller, row) for row in mine])


@family.operation("POST", CHANNELS, "post_notifications_channels", SIGNED_IN, returns=ChannelDocument, each_time=True)
def open_channel(request: Request, caller: Signed, parts: Parts) -> ChannelDocument:
    """Opens a channel for a day. Of more than 20 of a user and program, the oldest go."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        notification_channels.expire(session, now)
        row = notification_channels.create(
            session,
            caller.subject,
            client_id=caller.client_id,
            at=now,
            expires_at=now + LIFE_US,
            token_sha256=caller.token_sha256,
        )
        return _document(request, parts, caller, row)


@family.operation("HEAD", CHANNELS + "/{channelId}", "head_notifications_channel", SIGNED_IN)
def channel_there(caller: Signed, parts: Parts, channelId: str) -> Response:
    """Whether a channel lives: 200 or 404."""
    with parts.database.reading() as session:
        _own(session, parts, caller, channelId)
    return Response(status_code=200)


@family.operation(
    "GET", SUBSCRIPTIONS, "get_notifications_channel_subscriptions", SIGNED_IN, returns=ChannelTopicListing
)
def subscriptions(caller: Signed, parts: Parts, channelId: str) -> ChannelTopicListing:
    """What is told on a channel."""
    with parts.database.reading() as session:
        row = _own(session, parts, caller, channelId)
    return ChannelTopicListing(entities=[_permitted(name) for name in row.topics])


@family.operation(
    "POST",
    SUBSCRIPTIONS,
    "post_notifications_channel_subscriptions",
    SIGNED_IN,
    returns=ChannelTopicListing,
    each_time=True,
)
def subscribe(
    request: Request,
    caller: Signed,
    parts: Parts,
    channelId: str,
    body: list[TopicBody],
    ignore_errors: Annotated[bool, Query(alias="ignoreErrors")] = False,
) -> ChannelTopicListing:
    """Adds topics. With ``ignoreErrors`` those that cannot be had are told as Rejected, else nothing is added."""
    return _subscribe(request, caller, parts, channelId, body, keep=True, ignore_errors=ignore_errors)


@family.operation(
    "PUT", SUBSCRIPTIONS, "put_notifications_channel_subscriptions", SIGNED_IN, returns=ChannelTopicListing
)
def resubscribe(
    request: Request,
    caller: Signed,
    parts: Parts,
    channelId: str,
    body: list[TopicBody],
    ignore_errors: Annotated[bool, Query(alias="ignoreErrors")] = False,
) -> ChannelTopicListing:
    """Replaces the topics of a channel, and keeps it for another day."""
    return _subscribe(request, caller, parts, channelId, body, keep=False, ignore_errors=ignore_errors)


@family.operation("DELETE", SUBSCRIPTIONS, "delete_notifications_channel_subscriptions", SIGNED_IN, status=204)
def unsubscribe(request: Request, caller: Signed, parts: Parts, channelId: str) -> None:
    """Removes every topic of a channel."""
    with parts.database.transaction() as session:
        row = _own(session, parts, caller, channelId)
        notification_channels.set_topics(session, row, [], row.expires_at)
    _hub(request).retopic(channelId, [])


def _subscribe(
    request: Request,
    caller: Caller,
    parts: Services,
    channel_id: str,
    body: list[TopicBody],
    *,
    keep: bool,
    ignore_errors: bool,
) -> ChannelTopicListing:
    names = list(dict.fromkeys(item.id or "" for item in body))
    if len(names) > MOST_TOPICS:
        raise bad_request(f"A channel may have {MOST_TOPICS} topics.", "id", "invalid.value")
    with parts.database.transaction() as session:
        row = _own(session, parts, caller, channel_id)
        judged = [_judge(name, caller) for name in names]
        refused = [item for item in judged if item.state == "Rejected"]
        if refused and not ignore_errors:
            raise _refusal(refused)
        permitted = [item.id for item in judged if item.state == "Permitted"]
        wanted = [*(row.topics if keep else []), *permitted]
        if len(set(wanted)) > MOST_TOPICS:
            raise bad_request(f"A channel may have {MOST_TOPICS} topics.", "id", "invalid.value")
        notification_channels.set_topics(session, row, wanted, max(row.expires_at, parts.clock.now_us() + LIFE_US))
        now_there = list(row.topics)
    _hub(request).retopic(channel_id, now_there)
    return ChannelTopicListing(entities=[*(_permitted(name) for name in now_there), *refused])


def _judge(name: str, caller: Caller) -> ChannelTopic:
    topic = topics.parse(name)
    if topic is None:
        return ChannelTopic(id=name, state="Rejected", rejection_reason="There is no such topic.")
    lacking = topics.missing(topic, caller.access)
    if lacking is None:
        return _permitted(name)
    reason = "Permissions are missing." if lacking else "Nobody but the user whom it is about may subscribe to it."
    return ChannelTopic(id=name, state="Rejected", rejection_reason=reason, missing_permissions=list(lacking))


def _refusal(refused: list[ChannelTopic]) -> ApiError:
    """400 for topics that are not there, 403 for those that are."""
    texts = "; ".join(f"{item.id[:200]}: {item.rejection_reason}" for item in refused[:10])
    if any(item.missing_permissions is not None for item in refused):
        lacking = sorted({name for item in refused for name in item.missing_permissions or ()})
        return ApiError(403, texts, "not.authorized", params={"permissions": ", ".join(lacking)})
    return bad_request(texts, "id", "invalid.value")


def _permitted(name: str) -> ChannelTopic:
    return ChannelTopic(id=name, state="Permitted", self_uri=f"{PATH}/availabletopics")


def _own(session: Session, parts: Services, caller: Caller, channel_id: str) -> NotificationChannel:
    row = notification_channels.get(session, channel_id, parts.clock.now_us())
    if row is None or (row.subject_type, row.subject_id) != (caller.subject.type, caller.subject.id):
        raise not_found("channel", channel_id)
    return row


def _document(request: Request, parts: Services, caller: Caller, row: NotificationChannel) -> ChannelDocument:
    uri = socket.connect_uri(parts, base_url(request, parts), row.id, caller.subject, row.created_at)
    return ChannelDocument(id=row.id, connect_uri=uri, expires=row.expires_at)


def _hub(request: Request) -> Hub:
    hub = request.app.state.hub
    assert isinstance(hub, Hub)
    return hub
