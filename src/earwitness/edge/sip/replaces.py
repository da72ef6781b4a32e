"""The Replaces header: "this call takes the place of that one" (RFC 3891).

``match`` finds the session that an INVITE names. Whether its sender may take that call over is for the handler to
decide, who authenticates INVITEs; tags are 64 random bits, so a stranger learns nothing from a 481.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earwitness.edge.sip.headers import SipParseError, parse_params
from earwitness.edge.sip.message import Request

if TYPE_CHECKING:
    from earwitness.edge.sip.session import Session

_CALL_ID = re.compile(r"[^\s;,\x00-\x1f\x7f]{1,255}")
_TAG = re.compile(r"[^\s;,=\"<>\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog as the one who is to replace it sees it."""

    call_id: str
    to_tag: str
    """The tag of the receiver of the INVITE: ours, when the INVITE is for us."""
    from_tag: str
    """The tag of the receiver's present peer."""
    early_only: bool = False
    """Only while it rings."""

    def __str__(self) -> str:
        """The header's value."""
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def parse_replaces(value: str) -> Replaces:
    """``call-id;to-tag=a;from-tag=b[;early-only]`` (§6.1).

    :raises SipParseError: not that; each tag must be there once.
    """
    call_id, _, rest = value.strip().partition(";")
    call_id = call_id.strip()
    names = [part.partition("=")[0].strip().lower() for part in rest.split(";")]
    params = parse_params(rest)
    to_tag, from_tag = params.get("to-tag") or "", params.get("from-tag") or ""
    if not _CALL_ID.fullmatch(call_id) or not _TAG.fullmatch(to_tag) or not _TAG.fullmatch(from_tag):
        raise SipParseError("bad Replaces")
    if any(names.count(name) > 1 for name in ("to-tag", "from-tag", "early-only")):
        raise SipParseError("bad Replaces")
    return Replaces(call_id, to_tag, from_tag, "early-only" in params)


def match(request: Request, session_for: Callable[[str, str, str], Session | None]) -> Session | None:
    """The session that this INVITE replaces, or None when it has no Replaces header (§3).

    :param session_for: ``(call_id, local tag, remote tag) -> session``; one that has just ended may be given too.
    :raises SipParseError: it cannot: 400 malformed, 481 no such call, 486 it is not early any more, 603 it has ended.
    """
    values = request.elements("replaces")
    if not values:
        return None
    if len(values) > 1 or request.get("join") is not None:
        raise SipParseError("one Replaces and no Join")
    wanted = parse_replaces(values[0])
    session = session_for(wanted.call_id, wanted.to_tag, wanted.from_tag)
    if session is None:
        raise SipParseError("no such call", 481)
    if not session.alive:
        raise SipParseError("that call has ended", 603)
    if session.confirmed:
        if wanted.early_only:
            raise SipParseError("that call is answered", 486)
    elif session.role != "uac":
        raise SipParseError("that call is not ours to give", 481)
    return session
