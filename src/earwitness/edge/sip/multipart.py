"""Bodies of several parts (RFC 5621): a session description beside what other networks tell each other (ISUP, PIDF).

The description is taken and the rest left, unless a part says that it must be understood.
"""

from __future__ import annotations

from email import policy
from email.message import Message as Part
from email.parser import BytesParser

from earwitness.edge.sip.message import Message

SDP = "application/sdp"
MOST_PARTS = 16
_PARSER = BytesParser(policy=policy.compat32)


def take_description(message: Message) -> None:
    """Puts the session description of a ``multipart`` body in the place of the whole; others stay as they are."""
    if not message.body or not message.content_type.startswith("multipart/"):
        return
    found = description_in(message.get("content-type") or "", message.body)
    if found is None:
        return
    message.body = found
    message.fields[:] = [
        (key, name, SDP) if key == "content-type" else (key, name, value) for key, name, value in message.fields
    ]


def description_in(content_type: str, body: bytes) -> bytes | None:
    """The first session description in a body of parts; None: there is none, or another part must be understood."""
    head = "".join(char for char in content_type if char.isprintable()).encode("ascii", "replace")
    parts = _PARSER.parsebytes(b"Content-Type: " + head + b"\r\n\r\n" + body).get_payload()
    if not isinstance(parts, list):
        return None
    found: bytes | None = None
    for part in parts[:MOST_PARTS]:
        if not isinstance(part, Part):
            continue
        if found is None and part.get_content_type() == SDP:
            content = part.get_payload(decode=True)
            found = content if isinstance(content, bytes) and content.strip() else None
        elif "handling=required" in str(part.get("content-disposition") or "").replace(" ", "").lower():
            return None
    return found
