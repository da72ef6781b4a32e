"""SIP messages: parsing a stranger's bytes, reading headers when asked, writing our own.

A message is its start line, its header fields in order as they were written, and its body as bytes. Header text is
UTF-8 where it is, and any other byte survives a round trip (surrogateescape). Folded lines are joined by a space;
compact names are looked up by their long form. Whatever is copied from a peer (Via, From, To, Call-ID, Record-Route)
is copied as text.

``parse_message`` accepts everything that has the outline of a SIP message, so that a wrong one can still be answered;
``defect`` says what is wrong with it.
"""

from __future__ import annotations

import re
from functools import cached_property

from earwitness.edge.sip.headers import (
    SipParseError,
    Via,
    first_element,
    header_key,
    parse_cseq,
    parse_number,
    parse_via,
    split_list,
)
from earwitness.edge.sip.uri import NameAddr, SipUri, parse_name_addr, parse_uri

MAX_HEAD = 64 * 1024
"""Bytes of start line and headers that are accepted."""
MAX_BODY = 1024 * 1024
"""Bytes of body that are accepted."""
MAX_FIELDS = 256

_FOLD = re.compile(r"\n[ \t]+")
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,64}")
_VERSION = re.compile(r"SIP/(\d{1,4})\.(\d{1,4})", re.IGNORECASE)


class Message:
    """What requests and responses have in common.

    ``fields`` holds (key, name, value): the look-up key, the name as written, the value without fold and outer blanks.
    Cached properties read the first field of their name; do not edit those fields of a message that has been read.
    """

    fields: list[tuple[str, str, str]]
    body: bytes
    malformed: str
    """What the parser could not read in the start line or header lines, or empty."""

    def get(self, key: str) -> str | None:
        """The first value of a header by its lower-case long name."""
        for field in self.fields:
            if field[0] == key:
                return field[2]
        return None

    def get_all(self, key: str) -> list[str]:
        """All values of a header, in order, one per line (elements of a list are not split)."""
        return [field[2] for field in self.fields if field[0] == key]

    def elements(self, key: str) -> list[str]:
        """All values of a header with comma separated lists split, in order; empty elements dropped."""
        return [element for value in self.get_all(key) for element in split_list(value) if element]

    def tokens(self, key: str) -> set[str]:
        """A header of tokens (Supported, Require, Allow) as a set, in lower case."""
        return {element.lower() for element in self.elements(key)}

    @cached_property
    def call_id(self) -> str:
        return self.get("call-id") or ""

    @cached_property
    def cseq(self) -> tuple[int, str]:
        """(number, method). :raises SipParseError: malformed."""
        return parse_cseq(self.get("cseq") or "")

    @cached_property
    def top_via(self) -> Via:
        """:raises SipParseError: malformed or missing."""
        return parse_via(first_element(self.get("via") or "")[0])

    @cached_property
    def from_(self) -> NameAddr:
        """:raises SipParseError: malformed or missing."""
        return parse_name_addr(self.get("from") or "")

    @cached_property
    def to(self) -> NameAddr:
        """:raises SipParseError: malformed or missing."""
        return parse_name_addr(self.get("to") or "")

    @property
    def from_tag(self) -> str:
        return self.from_.tag

    @property
    def to_tag(self) -> str:
        return self.to.tag

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact that can be read, or None."""
        value = self.get("contact")
        if value is None:
            return None
        try:
            return parse_name_addr(first_element(value)[0])
        except SipParseError:
            return None

    @property
    def content_type(self) -> str:
        """Lower case, without parameters; empty without a body type."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    def add(self, name: str, value: str) -> None:
        """Append a header."""
        self.fields.append((header_key(name), name, value))

    def _encode(self, start_line: str) -> bytes:
        lines = [start_line]
        lines += [f"{name}: {value}" for _, name, value in self.fields]
        lines.append(f"Content-Length: {len(self.body)}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
            raise ValueError("a header must not contain line breaks")
        return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body


class Request(Message):
    """A SIP request."""

    def __init__(self, method: str, uri: str, fields: list[tuple[str, str, str]], body: bytes = b"") -> None:
        self.method = method
        self.uri = uri
        self.fields = fields
        self.body = body
        self.malformed = ""
        self.version = "SIP/2.0"

    @cached_property
    def parsed_uri(self) -> SipUri:
        """The Request-URI. :raises SipParseError: malformed (400) or of a scheme we do not know (416)."""
        return parse_uri(self.uri)

    def to_bytes(self) -> bytes:
        """The request on the wire. Content-Length is added; ``fields`` must not hold one.

        :raises ValueError: a header contains a line break.
        """
        return self._encode(f"{self.method} {self.uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri} {self.get('cseq')} {self.get('call-id')}>"


class Response(Message):
    """A SIP response."""

    def __init__(self, status: int, reason: str, fields: list[tuple[str, str, str]], body: bytes = b"") -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = body
        self.malformed = ""
        self.version = "SIP/2.0"

    def to_bytes(self) -> bytes:
        """The response on the wire. Content-Length is added; ``fields`` must not hold one.

        :raises ValueError: a header contains a line break.
        """
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.get('cseq')} {self.get('call-id')}>"


def parse_message(data: bytes) -> Request | Response:
    """One message, from a datagram or a frame of a stream.

    The body is cut to Content-Length; a datagram that is shorter than that, and other faults, show in ``defect``.

    :raises SipParseError: these bytes do not even look like SIP; nothing can be answered.
    """
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        head, body = data[:end], data[end + 4 :]
    else:
        end = data.find(b"\n\n")
        head, body = (data[:end], data[end + 2 :]) if end >= 0 else (data, b"")
    if len(head) > MAX_HEAD or len(body) > MAX_BODY:
        raise SipParseError("message too large", 513)
    text = head.decode("utf-8", "surrogateescape").strip("\r\n")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if "\r" in text:
            text = text.replace("\r", " ")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\n")
    message = _parse_start(lines[0])
    fields = message.fields
    if len(lines) > MAX_FIELDS:
        message.malformed = "too many header fields"
        del lines[MAX_FIELDS:]
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields.append((header_key(name), name.rstrip(), value.strip()))
        elif line.strip():
            message.malformed = "header line without a colon"
    length = message.get("content-length")
    if length is not None:
        try:
            message.body = body[: parse_number(length, 2**31)]
            if len(message.body) < int(length) and not message.malformed:
                message.malformed = "body shorter than Content-Length"
        except SipParseError:
            message.body = body
            message.malformed = message.malformed or "bad Content-Length"
    else:
        message.body = body
    return message


def _parse_start(line: str) -> Request | Response:
    if line[:4].upper() == "SIP/":
        version, _, rest = line.partition(" ")
        status, _, reason = rest.partition(" ")
        if len(status) != 3 or not (status.isascii() and status.isdigit()) or status[0] not in "123456":
            raise SipParseError("bad status line")
        response = Response(int(status), reason.strip(), [])
        response.version = version
        return response
    method, _, rest = line.partition(" ")
    uri, _, version = rest.rstrip().rpartition(" ")
    if not _TOKEN.fullmatch(method) or not _VERSION.fullmatch(version):
        raise SipParseError("not a SIP message")
    request = Request(method, uri, [])
    request.version = version
    if not uri or any(char in uri for char in ' <>"\t'):
        request.malformed = "bad Request-URI"
    return request


_ONCE = frozenset({"from", "to", "call-id", "cseq", "max-forwards", "content-type"})


def defect(message: Request | Response) -> SipParseError | None:
    """What is wrong with a parsed message, or None: the checks of RFC 3261 §8.1.1, §16.3 (1) and RFC 4475.

    The error's ``status`` is the answer a request deserves; a response with a defect is to be dropped.
    """
    if message.version.upper() != "SIP/2.0":
        return SipParseError("version not supported", 505)
    if message.malformed:
        return SipParseError(message.malformed)
    try:
        return _check(message)
    except SipParseError as error:
        return error


def _check(message: Request | Response) -> SipParseError | None:
    seen: set[str] = set()
    length: str | None = None
    for key, _, value in message.fields:
        if key in _ONCE:
            if key in seen:
                return SipParseError(f"more than one {key}")
            seen.add(key)
        elif key == "content-length":
            if length is not None and parse_number(value, 2**31) != int(length):
                return SipParseError("contradicting Content-Length")
            length = value
        elif key == "via" and "," in value:
            for element in split_list(value):
                parse_via(element)
    message.top_via  # noqa: B018 - raises
    if not message.call_id or "from" not in seen or "to" not in seen:
        return SipParseError("mandatory header missing")
    message.from_  # noqa: B018
    message.to  # noqa: B018
    _, method = message.cseq
    if isinstance(message, Response):
        return None
    if method != message.method:
        return SipParseError("CSeq does not match the method")
    forwards = message.get("max-forwards")
    if forwards is not None:
        parse_number(forwards, 255)
    if len(message.uri) > 8192:
        return SipParseError("Request-URI too long", 414)
    if message.parsed_uri.headers:
        return SipParseError("headers in the Request-URI")
    return None
