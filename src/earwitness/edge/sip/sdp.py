"""Session descriptions (RFC 8866) as far as an audio relay needs them, keeping every line that it does not know.

``parse`` gives a ``SessionDescription`` whose lines are those received, in their order; ``build`` turns it back.
``audio`` picks the audio stream that we can carry out of several media lines.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from dataclasses import dataclass

MAX_BYTES = 65536
MAX_MEDIA = 32
MAX_LINES = 2000

STATIC_FORMATS: dict[int, tuple[str, int, int]] = {
    0: ("PCMU", 8000, 1),
    3: ("GSM", 8000, 1),
    4: ("G723", 8000, 1),
    5: ("DVI4", 8000, 1),
    6: ("DVI4", 16000, 1),
    7: ("LPC", 8000, 1),
    8: ("PCMA", 8000, 1),
    9: ("G722", 8000, 1),
    10: ("L16", 44100, 2),
    11: ("L16", 44100, 1),
    12: ("QCELP", 8000, 1),
    13: ("CN", 8000, 1),
    15: ("G728", 8000, 1),
    16: ("DVI4", 11025, 1),
    17: ("DVI4", 22050, 1),
    18: ("G729", 8000, 1),
}
"""Payload types that need no rtpmap (RFC 3551 §6): name, clock rate in Hz, channels."""


class SdpError(ValueError):
    """Not a session description, or one that breaks RFC 8866 where it matters to us."""


class Direction(enum.Enum):
    """Who sends, seen from the side that wrote the description (RFC 8866 §6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """The writer of the description sends media."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """The writer of the description wants to receive media."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @staticmethod
    def of(*, sends: bool, receives: bool) -> Direction:
        """The direction of a side that does and wants this."""
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE

    def reversed(self) -> Direction:
        """The widest answer to an offer with this direction (RFC 3264 §6.1)."""
        return Direction.of(sends=self.receives, receives=self.sends)


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type of a media line."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    """Value of ``a=fmtp``, untouched."""

    @property
    def codec(self) -> tuple[str, int, int]:
        """Name in lower case, clock rate in Hz, channels: what two payload types must share to be the same codec."""
        return (self.name.lower(), self.clock_rate, self.channels)

    @property
    def is_telephone_event(self) -> bool:
        """Digits (RFC 4733), not sound."""
        return self.name.lower() == "telephone-event"

    @property
    def is_audio(self) -> bool:
        """A codec that carries speech by itself."""
        return self.name.lower() not in ("telephone-event", "cn", "tone", "red")


@dataclass(frozen=True, slots=True)
class Media:
    """One media line with the lines below it."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    lines: tuple[tuple[str, str], ...] = ()
    """(type, value) of each line below ``m=``, in order."""

    def attribute(self, name: str) -> str | None:
        """Value of the first ``a=name`` ("" for a flag), or None."""
        return next(iter(self.attributes(name)), None)

    def attributes(self, name: str) -> list[str]:
        """Values of all ``a=name`` lines."""
        return _attributes(self.lines, name)

    @property
    def is_rtp(self) -> bool:
        """Plain RTP. SRTP profiles are another protocol to us."""
        return self.protocol.upper() in ("RTP/AVP", "RTP/AVPF")


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    lines: tuple[tuple[str, str], ...]
    """(type, value) of each session-level line, in order, ``v`` first."""
    media: tuple[Media, ...] = ()

    @property
    def origin(self) -> str:
        """Value of ``o=``."""
        return next(value for kind, value in self.lines if kind == "o")

    def attribute(self, name: str) -> str | None:
        """Value of the first session-level ``a=name``, or None."""
        return next(iter(_attributes(self.lines, name)), None)

    def audio(self) -> AudioStream | None:
        """The first audio line over plain RTP with a port and a speech codec, or None."""
        return next((s for s in map(self._audio_stream, range(len(self.media))) if s is not None), None)

    def _audio_stream(self, index: int) -> AudioStream | None:
        media = self.media[index]
        if media.kind != "audio" or not media.is_rtp or media.port == 0:
            return None
        formats = formats_of(media)
        if not any(item.is_audio for item in formats):
            return None
        host = _connection(media.lines) or _connection(self.lines)
        if host is None:
            raise SdpError("no connection address (c=) for the audio line")
        return AudioStream(
            index=index,
            host=host,
            port=media.port,
            rtcp=_rtcp(media, host),
            rtcp_mux=media.attribute("rtcp-mux") is not None,
            formats=formats,
            direction=self._direction(media),
            ptime=_number(media.attribute("ptime")),
            maxptime=_number(media.attribute("maxptime")),
        )

    def _direction(self, media: Media) -> Direction:
        for lines in (media.lines, self.lines):
            for direction in Direction:
                if ("a", direction.value) in lines:
                    return direction
        return Direction.SENDRECV


@dataclass(frozen=True, slots=True)
class AudioStream:
    """What an audio line says about its writer."""

    index: int
    """Which media line of the description it is."""
    host: str
    port: int
    rtcp: tuple[str, int]
    rtcp_mux: bool
    formats: tuple[Format, ...]
    direction: Direction
    ptime: int | None = None
    """Milliseconds of audio in a packet."""
    maxptime: int | None = None

    @property
    def effective_direction(self) -> Direction:
        """``direction``, with the old hold form ``c=IN IP4 0.0.0.0`` (RFC 2543) read as "does not receive"."""
        if is_unspecified(self.host):
            return Direction.of(sends=self.direction.sends, receives=False)
        return self.direction

    @property
    def telephone_event(self) -> Format | None:
        """The payload type of digits, preferring the clock rate of the first codec."""
        events = [item for item in self.formats if item.is_telephone_event]
        rate = next((item.clock_rate for item in self.formats if item.is_audio), 8000)
        return next((item for item in events if item.clock_rate == rate), events[0] if events else None)


def parse(body: bytes) -> SessionDescription:
    """Reads a description.

    Lines may end in CRLF or LF. Unknown types and attributes are kept.

    :raises SdpError: too large, not text lines ``x=…``, no ``v=0`` or ``o=``, a media line that is none.
    """
    if len(body) > MAX_BYTES:
        raise SdpError(f"longer than {MAX_BYTES} bytes")
    session: list[tuple[str, str]] = []
    heads: list[Media] = []
    below: list[list[tuple[str, str]]] = []
    rows = body.decode("utf-8", "surrogateescape").split("\n")
    if len(rows) > MAX_LINES:
        raise SdpError(f"more than {MAX_LINES} lines")
    for row in rows:
        line = row.rstrip("\r")
        if not line.strip():
            continue
        if len(line) < 2 or line[1] != "=" or not line[0].isascii() or not line[0].isalpha():
            raise SdpError(f"not a line of SDP: {line[:40]!r}")
        kind, value = line[0], line[2:]
        if kind == "m":
            if len(heads) == MAX_MEDIA:
                raise SdpError(f"more than {MAX_MEDIA} media lines")
            heads.append(_media_line(value))
            below.append([])
        elif below:
            below[-1].append((kind, value))
        else:
            session.append((kind, value))
    if not session or session[0][0] != "v" or session[0][1].strip() != "0":
        raise SdpError("does not begin with v=0")
    if not any(kind == "o" for kind, _ in session):
        raise SdpError("no origin (o=)")
    media = tuple(
        Media(m.kind, m.port, m.protocol, m.formats, m.port_count, tuple(lines))
        for m, lines in zip(heads, below, strict=True)
    )
    return SessionDescription(tuple(session), media)


def build(description: SessionDescription) -> bytes:
    """The reverse of ``parse``, with CRLF line ends."""
    rows = [f"{kind}={value}" for kind, value in description.lines]
    for media in description.media:
        port = str(media.port) if media.port_count == 1 else f"{media.port}/{media.port_count}"
        rows.append(f"m={media.kind} {port} {media.protocol} {' '.join(media.formats)}")
        rows += [f"{kind}={value}" for kind, value in media.lines]
    return ("\r\n".join(rows) + "\r\n").encode("utf-8", "surrogateescape")


def formats_of(media: Media) -> tuple[Format, ...]:
    """The payload types of an RTP media line in its order of preference, each once.

    Dynamic numbers without an rtpmap are left out: nobody can know what they are.
    """
    maps: dict[int, tuple[str, int, int]] = {}
    for value in media.attributes("rtpmap"):
        entry = _rtpmap(value)
        if entry is not None:
            maps.setdefault(entry[0], entry[1])
    parameters: dict[int, str] = {}
    for value in media.attributes("fmtp"):
        digits, _, settings = value.strip().partition(" ")
        if _is_payload_type(digits):
            parameters.setdefault(int(digits), settings.strip())
    found: dict[int, Format] = {}
    for text in media.formats:
        if not _is_payload_type(text) or int(text) in found:
            continue
        number = int(text)
        codec = maps.get(number) or STATIC_FORMATS.get(number)
        if codec is not None:
            found[number] = Format(number, *codec, parameters.get(number, ""))
    return tuple(found.values())


@functools.lru_cache(4096)
def is_address(host: str) -> bool:
    """A literal IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@functools.lru_cache(4096)
def is_unspecified(host: str) -> bool:
    """``0.0.0.0`` or ``::``: no address, the old way to say hold."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _attributes(lines: tuple[tuple[str, str], ...], name: str) -> list[str]:
    prefix = name + ":"
    return [
        "" if value == name else value[len(prefix) :]
        for kind, value in lines
        if kind == "a" and (value == name or value.startswith(prefix))
    ]


def _media_line(value: str) -> Media:
    words = value.split()
    if len(words) < 4:
        raise SdpError(f"not a media line: {value[:60]!r}")
    port_text, _, count_text = words[1].partition("/")
    port = _number(port_text)
    count = _number(count_text) if count_text else 1
    if port is None or port > 65535 or count is None or not 1 <= count <= 65535:
        raise SdpError(f"not a port: {words[1][:20]!r}")
    return Media(words[0].lower(), port, words[2], tuple(words[3:]), count)


def _connection(lines: tuple[tuple[str, str], ...]) -> str | None:
    for kind, value in lines:
        if kind != "c":
            continue
        words = value.split()
        if len(words) != 3 or words[0].upper() != "IN" or words[1].upper() not in ("IP4", "IP6"):
            raise SdpError(f"not a connection line: {value[:60]!r}")
        return words[2].partition("/")[0]
    return None


def _rtcp(media: Media, host: str) -> tuple[str, int]:
    """RFC 3605: ``a=rtcp:port [IN IP4 address]``; otherwise the RTP port + 1."""
    words = (media.attribute("rtcp") or "").split()
    port = _number(words[0]) if words else None
    if port is None or not 0 < port <= 65535:
        return (host, min(media.port + 1, 65535))
    return (words[3] if len(words) == 4 else host, port)


def _rtpmap(value: str) -> tuple[int, tuple[str, int, int]] | None:
    number, _, encoding = value.strip().partition(" ")
    parts = encoding.strip().split("/")
    if not _is_payload_type(number) or len(parts) < 2 or not parts[0]:
        return None
    rate = _number(parts[1])
    channels = _number(parts[2]) if len(parts) > 2 else 1
    if not rate or rate > 1_000_000 or not channels or channels > 255:
        return None
    return int(number), (parts[0], rate, channels)


def _is_payload_type(text: str) -> bool:
    number = _number(text)
    return number is not None and number <= 127


def _number(text: str | None) -> int | None:
    """A whole number of at most nine ASCII digits, or None."""
    if text is None:
        return None
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
