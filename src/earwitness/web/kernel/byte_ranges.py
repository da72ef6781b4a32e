"""The Range header (RFC 9110 §14): one range of bytes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes [start, end) of something."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """``Content-Range`` of the reply."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


class UnsatisfiableError(ValueError):
    """The range lies outside: 416."""


def parse(header: str | None, size: int) -> ByteRange | None:
    """The range that is asked for, cut to the size; None: everything (no header, several ranges, or not understood).

    :raises UnsatisfiableError: understood, but nothing of it is there.
    """
    if not header or (match := _RANGE.fullmatch(header.strip())) is None:
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:
        length = int(last)
        if length == 0 or size == 0:
            raise UnsatisfiableError
        return ByteRange(max(0, size - length), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableError
    return ByteRange(start, min(size, int(last) + 1) if last else size)
