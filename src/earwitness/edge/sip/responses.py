"""Building responses, and the reason phrases of their status codes (RFC 3261 §8.2.6, §21)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2s
from typing import Any

from earwitness.edge.sip.headers import SipParseError, header_key
from earwitness.edge.sip.message import Request, Response

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}
"""Default reason phrases by status."""


def reason_for(status: int) -> str:
    """The usual reason phrase of a status code."""
    return REASONS.get(status, "Unknown")


def build_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str = "",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "",
) -> Response:
    """A response to ``request`` (RFC 3261 §8.2.6): Via, From, To, Call-ID and CSeq copied as they are.

    ``to_tag`` is added unless the To has a tag; Record-Route is copied where a dialog may come of it (101..299).
    """
    fields: list[tuple[str, str, str]] = []
    record = 100 < status < 300
    for field in request.fields:
        key = field[0]
        if key == "via" or key in ("from", "call-id", "cseq") or (record and key == "record-route"):
            fields.append(field)
        elif key == "to":
            fields.append((key, field[1], _with_tag(request, field[2], to_tag)) if to_tag else field)
    for name, value in headers:
        fields.append((header_key(name), name, value))
    if body:
        fields.append(("content-type", "Content-Type", content_type or "application/sdp"))
    return Response(status, reason_for(status) if reason is None else reason, fields, body)


def build_stateless(
    request: Request, status: int, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
) -> Response:
    """An answer of which nothing is kept: its To tag is made from the request, so that a repetition gets the same one
    (§8.2.7).
    """
    seed = f"{request.get('via')} {request.get('call-id')} {request.get('cseq')}"
    tag = blake2s(seed.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return build_response(request, status, reason, to_tag=tag, headers=headers)


def _with_tag(request: Request, value: str, tag: str) -> str:
    try:
        present: Any = request.to.params.get("tag")
    except SipParseError:
        return value
    return value if present else f"{value};tag={tag}"
