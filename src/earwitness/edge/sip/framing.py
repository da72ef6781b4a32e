"""Cutting a TCP stream into SIP messages (RFC 3261 §18.3).

Content-Length, CRLF keep-alive (RFC 5626 §3.5.1), pipelining.
"""

from __future__ import annotations

import re

from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import MAX_BODY, MAX_HEAD

_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\S*)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
PONG = b"\r\n"
"""What a keep-alive (double CRLF) is answered with."""


class StreamFramer:
    """Takes chunks of any size, gives whole messages. One per connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._need = 0
        self._break = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that are complete now; ``PONG`` stands for a keep-alive that wants that answer.

        :raises SipParseError: the stream cannot be followed any more (too large, no usable length); close the
        connection.
        """
        buffer = self._buffer
        buffer += chunk
        frames: list[bytes] = []
        while buffer:
            if self._need:
                if len(buffer) < self._need:
                    break
                frames.append(bytes(buffer[: self._need]))
                del buffer[: self._need]
                self._need = self._scanned = 0
                continue
            if buffer[0] in b"\r\n":
                if not self._blank(frames):
                    break
                continue
            end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
            if end < 0:
                self._scanned = len(buffer)
                if len(buffer) > MAX_HEAD:
                    raise SipParseError("header too large", 513)
                break
            self._need = end + 4 + _content_length(bytes(buffer[:end]))
            self._break = False
        return frames

    def _blank(self, frames: list[bytes]) -> bool:
        buffer = self._buffer
        if buffer[0] == 10:
            del buffer[:1]
            return True
        if len(buffer) < 2:
            return False
        if buffer[1] != 10:
            raise SipParseError("stray bytes between messages")
        del buffer[:2]
        if self._break:
            frames.append(PONG)
        self._break = not self._break
        return True


def _content_length(head: bytes) -> int:
    lengths = set(_LENGTH.findall(head))
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise SipParseError("contradicting Content-Length")
    text = lengths.pop()
    if not text.isdigit() or len(text) > 10:
        raise SipParseError("bad Content-Length")
    length = int(text)
    if length > MAX_BODY:
        raise SipParseError("body too large", 513)
    return length
