"""Where a list goes on, as a text that clients hand back unread."""

from __future__ import annotations

import base64
import binascii
import json

from earwitness.store.search import Position
from earwitness.web.kernel.errors import bad_request


def to_text(position: Position | None) -> str | None:
    """The cursor of a position; None: there is no more."""
    if position is None:
        return None
    raw = json.dumps([position.started_at, position.conversation_id]).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text: str | None) -> Position | None:
    """The position of a cursor.

    :raises ApiError: 400, it is none of ours.
    """
    if not text:
        return None
    try:
        at, key = json.loads(base64.urlsafe_b64decode(text[:512] + "=" * (-len(text[:512]) % 4)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise bad_request("cursor is not one that was given out.", "cursor", "invalid.value") from error
    fits = isinstance(at, int) and not isinstance(at, bool) and abs(at) < 1 << 62 and isinstance(key, str)
    if not fits or "\x00" in key:
        raise bad_request("cursor is not one that was given out.", "cursor", "invalid.value")
    return Position(at, key)
