"""Header names, lists, parameters, Via and CSeq (RFC 3261 §7.3, §20, §25).

Parsing is lazy: a message keeps its header text, these functions read what is asked for. They raise ``SipParseError``
and nothing else, and take time linear in the length of their input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_COMMON = (
    "Via From To Call-ID CSeq Contact Max-Forwards Content-Type Content-Length User-Agent Server Allow Supported "
    "Require "
    "Record-Route Route Expires Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate Accept Subject "
    "Session-Expires Min-SE RSeq RAck Reason P-Asserted-Identity Date Event Retry-After"
)
_KEYS = {name: name.lower() for name in _COMMON.split()}


class SipParseError(ValueError):
    """The bytes are not what they should be.

    ``status`` is the response that a request of this kind deserves.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def header_key(name: str) -> str:
    """The name under which a header is looked up: lower case, long form."""
    key = _KEYS.get(name)
    if key is None:
        key = name.strip().lower()
        key = COMPACT.get(key, key)
    return key


def _marks(value: str, mark: str, *, brackets: bool) -> Iterator[int]:
    """Where ``mark`` stands outside of quotes, and with ``brackets`` outside of angle brackets too.

    :raises SipParseError: quotes do not close, where brackets do not matter.
    """
    quoted = bracketed = escaped = False
    for index, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            if char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char == mark and not bracketed:
            yield index
        elif brackets and char in "<>":
            bracketed = char == "<"
    if quoted and not brackets:
        raise SipParseError("unbalanced quotes")


def _cut(value: str, marks: Iterable[int]) -> list[str]:
    parts: list[str] = []
    start = 0
    for index in marks:
        parts.append(value[start:index])
        start = index + 1
    parts.append(value[start:])
    return parts


def split_list(value: str) -> list[str]:
    """The elements of a comma separated header.

    Commas in quotes and angle brackets do not count. Empty ones are kept.
    """
    if "," not in value:
        return [value.strip()]
    if '"' not in value and "<" not in value:
        return [part.strip() for part in value.split(",")]
    return [part.strip() for part in _cut(value, _marks(value, ",", brackets=True))]


def first_element(value: str) -> tuple[str, str]:
    """The first element of a comma separated header and the rest, its comma included.

    Joined they are ``value`` again.
    """
    if "," not in value:
        return value, ""
    end = next(_marks(value, ",", brackets=True), len(value))
    return value[:end], value[end:]


def _split_params(text: str) -> list[str]:
    return text.split(";") if '"' not in text else _cut(text, _marks(text, ";", brackets=False))


def parse_params(text: str) -> dict[str, str | None]:
    """``;a=1;b`` -> ``{"a": "1", "b": None}``.

    Names in lower case, values as written (quotes kept); the first of equals wins.
    """
    params: dict[str, str | None] = {}
    for part in _split_params(text):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if name and name not in params:
            params[name] = value.strip() if equals else None
    return params


def parse_host_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[v6]:port`` -> host without brackets, port or None.

    :raises SipParseError: no host, forbidden characters, or a port outside 1..65535.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        rest = rest.strip()
        if not bracket or not _V6.fullmatch(host) or (rest and rest[0] != ":"):
            raise SipParseError("bad IPv6 address")
        port_text = rest[1:].strip() if rest else None
    else:
        host, colon, tail = text.partition(":")
        host = host.rstrip()
        port_text = tail.strip() if colon else None
        if not _HOST.fullmatch(host):
            raise SipParseError("bad host")
    return host, None if port_text is None else parse_port(port_text)


_V6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%25?[\w.-]{1,16})?")
_HOST = re.compile(r"[\w.-]{1,255}", re.ASCII)


def parse_port(text: str) -> int:
    """A port, 1..65535.

    :raises SipParseError: anything else, as ``99999``, which ``sendto`` would not survive.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise SipParseError("bad port")
    port = int(text)
    if not 1 <= port <= 65535:
        raise SipParseError("port out of range")
    return port


def parse_number(text: str, highest: int) -> int:
    """A non-negative decimal number.

    :raises SipParseError: no digits, or more than ``highest``.
    """
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        raise SipParseError("bad number")
    number = int(text)
    if number > highest:
        raise SipParseError("number too large")
    return number


@dataclass(slots=True)
class Via:
    """One Via value (RFC 3261 §20.42, RFC 3581)."""

    transport: str
    """Upper case: UDP, TCP, ..."""
    host: str
    port: int | None
    params: dict[str, str | None]

    @property
    def branch(self) -> str:
        return self.params.get("branch") or ""

    @property
    def wants_rport(self) -> bool:
        """The ``rport`` parameter is there, with or without a value."""
        return "rport" in self.params


_VIA = re.compile(r"\s*SIP\s*/\s*\d\.\d\s*/\s*([^\s/;,]+)\s+([^;\s][^;]*)", re.IGNORECASE)


def parse_via(value: str) -> Via:
    """One Via value.

    :raises SipParseError: it is none, or its port is impossible.
    """
    match = _VIA.match(value)
    if match is None:
        raise SipParseError("bad Via")
    host, port = parse_host_port(match.group(2))
    return Via(match.group(1).upper(), host, port, parse_params(value[match.end() :]))


def parse_cseq(value: str) -> tuple[int, str]:
    """``4711 INVITE`` -> (4711, "INVITE").

    :raises SipParseError: not that, or the number is 2**31 or more (RFC 3261 §8.1.1.5).
    """
    parts = value.split()
    if len(parts) != 2:
        raise SipParseError("bad CSeq")
    return parse_number(parts[0], 2**31 - 1), parts[1]
