"""SIP URIs and name-addr values (RFC 3261 §19.1, §20.10).

What was parsed is kept as written: nothing is unescaped or rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from earwitness.edge.sip.headers import SipParseError, parse_host_port, parse_params


@dataclass(slots=True)
class SipUri:
    """A ``sip:``, ``sips:`` or ``tel:`` URI."""

    text: str
    """As it was written."""
    scheme: str
    """Lower case."""
    user: str = ""
    """Escapes and password kept; for ``tel:`` the number."""
    host: str = ""
    """Without brackets."""
    port: int | None = None
    params: dict[str, str | None] = field(default_factory=dict)
    headers: str = ""
    """What follows the question mark."""

    @property
    def transport(self) -> str:
        """The ``transport`` parameter in lower case, or empty."""
        return (self.params.get("transport") or "").lower()

    @property
    def is_loose_router(self) -> bool:
        return "lr" in self.params

    @property
    def username(self) -> str:
        """User part without password and without escapes, for look-ups."""
        user = self.user.partition(":")[0]
        return unquote(user) if "%" in user else user


def parse_uri(text: str) -> SipUri:
    """A URI of scheme sip, sips or tel.

    :raises SipParseError: it is malformed (status 400) or of another scheme (status 416).
    """
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or not scheme or not scheme[0].isalpha():
        raise SipParseError("bad URI")
    if scheme not in ("sip", "sips", "tel"):
        raise SipParseError("unsupported URI scheme", 416)
    if any(char in rest for char in ' <>"\t') or not rest or "\x00" in rest:
        raise SipParseError("bad URI")
    if scheme == "tel":
        number, _, params = rest.partition(";")
        return SipUri(text, scheme, number, params=parse_params(params) if params else {})
    user, at, place = rest.partition("@")
    if not at:
        user, place = "", rest
    place, _, headers = place.partition("?")
    host_port, semicolon, params = place.partition(";")
    host, port = parse_host_port(host_port)
    return SipUri(text, scheme, user, host, port, parse_params(params) if semicolon else {}, headers)


@dataclass(slots=True)
class NameAddr:
    """``"Display" <uri>;params`` or ``uri;params`` (From, To, Contact, Route, ...)."""

    display: str
    """Without quotes and escapes."""
    uri_text: str
    """As written, without angle brackets."""
    params: dict[str, str | None]
    bare: str
    """The value without its parameters, as written."""

    @property
    def tag(self) -> str:
        return self.params.get("tag") or ""

    @property
    def uri(self) -> SipUri:
        """The parsed URI.

        :raises SipParseError: it is not a sip, sips or tel URI.
        """
        return parse_uri(self.uri_text)


def parse_name_addr(value: str) -> NameAddr:
    """One name-addr or addr-spec. Header parameters follow the closing bracket; without brackets all parameters are
    the header's.

    :raises SipParseError: quotes or brackets do not close, or there is no URI.
    """
    value = value.strip()
    display = ""
    start = 0
    if value.startswith('"'):
        start = _closing_quote(value) + 1
        display = value[1 : start - 1].replace('\\"', '"').replace("\\\\", "\\")
        if value[start:].lstrip()[:1] != "<":
            raise SipParseError("no URI after the display name")
    opening = value.find("<", start)
    semicolon = value.find(";", start)
    if opening < 0 or (0 <= semicolon < opening):
        text, _, params = value.partition(";")
        text = text.strip()
        if not text or any(char in text for char in ' <>"\t'):
            raise SipParseError("bad address")
        return NameAddr("", text, parse_params(params) if params else {}, text)
    closing = value.find(">", opening)
    if closing < 0:
        raise SipParseError("bracket does not close")
    if not start:
        display = value[:opening].strip()
        if '"' in display:
            raise SipParseError("unbalanced quotes")
    uri = value[opening + 1 : closing].strip()
    rest = value[closing + 1 :].strip()
    if not uri or (rest and rest[0] != ";"):
        raise SipParseError("bad address")
    return NameAddr(display, uri, parse_params(rest) if rest else {}, value[: closing + 1])


def _closing_quote(value: str) -> int:
    index = 1
    while True:
        index = value.find('"', index)
        if index < 0:
            raise SipParseError("unbalanced quotes")
        slashes = 0
        while value[index - 1 - slashes] == "\\":
            slashes += 1
        if slashes % 2 == 0:
            return index
        index += 1


def format_host(host: str) -> str:
    """The host as it stands in a URI or Via: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
