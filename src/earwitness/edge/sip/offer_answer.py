"""Our side of offer and answer (RFC 3264) on a leg of a bridged call. Pure.

How a call is negotiated (nothing is transcoded):

- The offer to the callee names the caller's codecs under the caller's payload types, with our address and port.
- The answer to the caller names those that the callee chose, under the caller's numbers, in the callee's order.
- Payload types may differ between the two legs all the same (an answerer may pick its own); the media engine maps
  them by codec.
- A caller without an offer ("late offer") gets one in our 200. The callee is asked with ``FULL_OFFER``, an ordinary
  offer that every phone understands; the 200 then offers what the callee accepted, so whatever the caller picks from
  it fits. If the caller takes only some of it, the callee is asked to use no other.
- Media lines that we do not carry (video, SRTP, a second audio line) are refused with port 0 and keep their place,
  also in our later offers on that leg (RFC 3264 §8).
- ``o=`` keeps its session id for the life of the leg; its version grows exactly when the description changes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from earwitness.edge.sip import sdp
from earwitness.edge.sip.sdp import AudioStream, Direction, Format, Media, SessionDescription

FULL_OFFER: tuple[Format, ...] = (
    Format(0, "PCMU", 8000),
    Format(8, "PCMA", 8000),
    Format(9, "G722", 8000),
    Format(111, "opus", 48000, 2, "useinbandfec=1"),
    Format(18, "G729", 8000, 1, "annexb=no"),
    Format(101, "telephone-event", 8000, 1, "0-16"),
)
"""What we offer when nobody has offered us anything."""


class NotAcceptable(ValueError):  # noqa: N818 - the name of SIP status 488
    """No audio that both sides know: SIP 488."""


class LocalDescription:
    """The descriptions that we write on one leg: our address, ``o=``, and which media line is the audio."""

    def __init__(self, session_id: int, host: str, rtp_port: int, rtcp_port: int | None = None) -> None:
        """:param session_id: number for ``o=``, below 2**63.
        :param host: address that the peer sends its RTP to.
        :param rtcp_port: None or ``rtp_port + 1``: not written.
        """
        self._session_id = session_id
        self._host = host
        self._family = "IP6" if _is_ipv6(host) else "IP4"
        self._rtp_port = rtp_port
        self._rtcp_port = rtcp_port
        self._version = 0
        self._last: tuple[Media, ...] = ()
        self._last_body = b""
        self._layout: list[Media] = []
        self._audio_index = 0
        self.formats: tuple[Format, ...] = ()
        """Of the description last written: under these numbers the peer sends (RFC 3264 §6.1)."""

    @property
    def current(self) -> bytes:
        """The description last written; empty before the first."""
        return self._last_body

    def offer(
        self,
        formats: Sequence[Format],
        direction: Direction = Direction.SENDRECV,
        *,
        ptime: int | None = None,
        maxptime: int | None = None,
    ) -> bytes:
        """An offer of these formats."""
        audio = self._audio(formats, direction, ptime, maxptime)
        if not self._layout:
            self._layout, self._audio_index = [audio], 0
        return self._write([audio if i == self._audio_index else _refused(m) for i, m in enumerate(self._layout)])

    def answer(
        self,
        offer: SessionDescription,
        formats: Sequence[Format],
        direction: Direction,
        *,
        ptime: int | None = None,
        maxptime: int | None = None,
    ) -> bytes:
        """The answer to ``offer`` that takes these formats on its audio line and refuses its other lines.

        :raises NotAcceptable: the offer has no audio line for us.
        """
        stream = audio_of(offer)
        audio = self._audio(formats, direction, ptime, maxptime, protocol=offer.media[stream.index].protocol)
        self._layout, self._audio_index = list(offer.media), stream.index
        return self._write([audio if i == stream.index else _refused(m) for i, m in enumerate(offer.media)])

    def _audio(
        self,
        formats: Sequence[Format],
        direction: Direction,
        ptime: int | None,
        maxptime: int | None,
        protocol: str = "RTP/AVP",
    ) -> Media:
        self.formats = tuple(formats)
        lines: list[tuple[str, str]] = []
        for item in formats:
            channels = f"/{item.channels}" if item.channels != 1 else ""
            lines.append(("a", f"rtpmap:{item.payload_type} {item.name}/{item.clock_rate}{channels}"))
            if item.parameters:
                lines.append(("a", f"fmtp:{item.payload_type} {item.parameters}"))
        if ptime is not None:
            lines.append(("a", f"ptime:{ptime}"))
        if maxptime is not None:
            lines.append(("a", f"maxptime:{maxptime}"))
        if self._rtcp_port is not None and self._rtcp_port != self._rtp_port + 1:
            lines.append(("a", f"rtcp:{self._rtcp_port}"))
        lines.append(("a", direction.value))
        numbers = tuple(str(item.payload_type) for item in formats)
        return Media("audio", self._rtp_port, protocol, numbers, lines=tuple(lines))

    def _write(self, media: list[Media]) -> bytes:
        if tuple(media) != self._last:
            self._last = tuple(media)
            self._version += 1
            head = (
                ("v", "0"),
                ("o", f"- {self._session_id} {self._version} IN {self._family} {self._host}"),
                ("s", "-"),
                ("c", f"IN {self._family} {self._host}"),
                ("t", "0 0"),
            )
            self._last_body = sdp.build(SessionDescription(head, self._last))
        return self._last_body


def audio_of(description: SessionDescription) -> AudioStream:
    """The audio stream of a description.

    :raises NotAcceptable: it has none that we can carry.
    """
    try:
        stream = description.audio()
    except sdp.SdpError as error:
        raise NotAcceptable(str(error)) from error
    if stream is None:
        raise NotAcceptable("no audio over plain RTP")
    return stream


def answered_stream(description: SessionDescription, offered: Sequence[Format]) -> AudioStream:
    """The audio stream of an answer, with its formats reduced to those that were offered.

    :raises NotAcceptable: it refuses the audio or takes nothing that was offered.
    """
    stream = audio_of(description)
    known = {item.codec for item in offered}
    formats = tuple(item for item in stream.formats if item.codec in known)
    if not any(item.is_audio for item in formats):
        raise NotAcceptable("no codec in common")
    return AudioStream(
        stream.index,
        stream.host,
        stream.port,
        stream.rtcp,
        stream.rtcp_mux,
        formats,
        stream.direction,
        stream.ptime,
        stream.maxptime,
    )


def carried(formats: Sequence[Format]) -> tuple[Format, ...]:
    """The formats of an offer that can be offered on to the other leg.

    All but ``red``, whose parameters name other payload types.
    """
    return tuple(item for item in formats if item.name.lower() != "red")


def renumbered(formats: Sequence[Format], known: Sequence[Format]) -> tuple[Format, ...]:
    """The formats under the payload types that a leg already uses for them.

    Within a session a payload type never changes its codec (RFC 3264 §8.3.2), so new codecs get numbers that ``known``,
    all formats that the leg has seen so far, does not use.
    """
    result: list[Format] = []
    taken = {item.payload_type for item in known}
    for item in formats:
        mine = [other for other in known if other.codec == item.codec and other.payload_type not in _numbers(result)]
        if mine:
            number = next((o.payload_type for o in mine if o.payload_type == item.payload_type), mine[0].payload_type)
        elif item.payload_type not in taken:
            number = item.payload_type
        else:
            number = next((n for n in range(96, 128) if n not in taken), -1)
        if number < 0:
            continue
        taken.add(number)
        result.append(Format(number, item.name, item.clock_rate, item.channels, item.parameters))
    return tuple(result)


def _numbers(formats: Sequence[Format]) -> set[int]:
    return {item.payload_type for item in formats}


def common_formats(offered: Sequence[Format], chosen: Sequence[Format]) -> tuple[Format, ...]:
    """The answer to one leg: what the other leg chose, in its order, under the numbers offered here.

    :raises NotAcceptable: no speech codec is in both.
    """
    left = list(offered)
    result: list[Format] = []
    for item in chosen:
        same = [other for other in left if other.codec == item.codec]
        if not same:
            continue
        match = next((other for other in same if other.payload_type == item.payload_type), same[0])
        left.remove(match)
        result.append(Format(match.payload_type, match.name, match.clock_rate, match.channels, item.parameters))
    if not any(item.is_audio for item in result):
        raise NotAcceptable("no codec in common")
    return tuple(result)


def _refused(media: Media) -> Media:
    return Media(media.kind, 0, media.protocol, media.formats)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
