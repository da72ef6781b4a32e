"""What is sent on a channel: ``{topicName, version, eventBody, metadata}`` (S39)."""

from __future__ import annotations

import json
import uuid
from typing import Any

METADATA = "channel.metadata"
CLOSING = "v2.system.socket_closing"
VERSION = "2"
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def event(topic: str, body: str, correlation_id: str | None = None) -> str:
    """A frame.

    :param body: the event's body, JSON already.
    """
    correlation = correlation_id or str(uuid.uuid4())
    return (
        f'{{"topicName":{_encode(topic)},"version":"{VERSION}","eventBody":{body},'
        f'"metadata":{{"CorrelationId":{_encode(correlation)}}}}}'
    )


def body(document: dict[str, Any]) -> str:
    """A body as JSON."""
    return _encode(document)


def heartbeat() -> str:
    """Says that the channel lives."""
    return event(METADATA, body({"message": "WebSocket Heartbeat"}))


def pong() -> str:
    """The answer to a client's ``{"message": "ping"}``."""
    return event(METADATA, body({"message": "pong"}))


def closing() -> str:
    """Says that the connection is about to end, and that another one can be made."""
    return event(CLOSING, body({"message": "This server is about to stop. Connect again."}))


def is_ping(text: str) -> bool:
    """Whether a client's message is a ping. Whatever else it says is of no interest."""
    if len(text) > 1024:
        return False
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("message") == "ping"
