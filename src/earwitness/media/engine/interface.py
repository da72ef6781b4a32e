"""What the edge may ask of a media engine, and what a media engine tells the edge.

The edge never touches a packet. It opens a leg's sockets, says where the other side is and what was negotiated,
connects legs, and opens and closes tapes. Every command returns at once and none waits for a media process: commands
are carried out in the order in which they were given, and commands given while no media process is alive are carried
out by its replacement.

Times are UTC microseconds on the engine's ``clock`` (see ``clock.WallClock``). Times given with a command (``at``) are
compared with the arrival times that the kernel stamps on packets: a tape opened ``at`` T holds every packet that
arrived at T or later and none that arrived before, whatever the delay of the command; likewise for closing.

Order that callers may rely on:

* ``open_leg`` binds the ports before it returns, so that they can go into SDP straight away; packets that arrive early
  wait in the kernel.
* ``open_tape`` followed by answering the call loses no packet of the answer.
* Events of one leg arrive in the order in which they happened. They are delivered on the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from earwitness.media.engine.clock import WallClock

Address = tuple[str, int]
"""Numeric host and port."""


class EngineError(Exception):
    """The engine cannot do what was asked; the message says why."""


class NoPortsError(EngineError):
    """Every port of the configured range is in use (or in quarantine)."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A payload format as in ``a=rtpmap`` (RFC 8866 §6.6): ``Codec("PCMU", 8000)``, ``Codec("opus", 48000, 2)``."""

    name: str
    rate: int
    """RTP clock rate, Hz (8000 for G722, RFC 3551 §4.5.2)."""
    channels: int = 1


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Where a leg's peer shall send to."""

    host: str
    rtp_port: int
    rtcp_port: int


@dataclass(frozen=True, slots=True)
class Beep:
    """The tone that tells a party that it is recorded (A10): ``duration_ms`` long, every ``interval_ms``."""

    amplitude_db: float
    """Level, dBm0."""
    duration_ms: int
    frequency_hz: int
    interval_ms: int
    tone2_amplitude_db: float = -24.0
    tone2_frequency_hz: int = 0
    """A second frequency at the same time; 0: none."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What was negotiated with a leg's peer; given again at each re-negotiation (it replaces the former)."""

    rtp: Address | None
    """c= and m= of the peer; None while unknown (nothing is sent until a plausible source is latched)."""
    rtcp: Address | None = None
    """a=rtcp of the peer; None: the RTP port + 1. Equal to ``rtp`` with rtcp-mux (RFC 5761)."""
    payload_types: Mapping[int, Codec] = field(default_factory=dict)
    """Payload types of the peer's description, under which we send to it, most wanted first. A number that differs on
    the connected leg is rewritten on the way.
    """
    telephone_event: int | None = None
    """Payload type of RFC 4733 events in the peer's description."""
    sending: bool = True
    """We may send to the peer. False: nothing is sent (hold), relayed or played."""
    receiving: bool = True
    """The peer may send to us. False: what it sends is dropped, neither relayed nor taped."""
    sources: tuple[str, ...] = ()
    """Hosts from which media may plausibly come beside ``rtp[0]``: the peer's SIP source address, for peers behind NAT.
    """
    expected: Mapping[int, Codec] = field(default_factory=dict)
    """Payload types of our own description, under which the peer is to send to us (RFC 3264 §6.1); a number that is not
    here is taken as in ``payload_types``. Empty: the same as ``payload_types``.
    """
    expected_event: int | None = None
    """Payload type of RFC 4733 events in our own description; None: the same as ``telephone_event``."""


class MediaEvent:
    """Anything that an engine reports. Every event with a ``leg_id`` concerns that leg."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FirstPacket(MediaEvent):
    """The first valid packet of a leg arrived."""

    leg_id: str
    at: int


@dataclass(frozen=True, slots=True)
class SourceChanged(MediaEvent):
    """Another SSRC, payload type or sender address on a leg (comfort noise and telephone events do not count)."""

    leg_id: str
    channel: int
    """0: what the party sends (the only one reported by our own engine)."""
    ssrc: int
    payload_type: int
    at: int
    cause: str
    """``ssrc``, ``payload_type`` or ``address``."""
    count: int = 1
    """How many changes this one, the latest, stands for: of very many only one a second is told."""


@dataclass(frozen=True, slots=True)
class Digit(MediaEvent):
    """A DTMF digit, by RFC 4733 or (``detect_tones``) in the audio, reported once, at its end."""

    leg_id: str
    digit: str
    """One of ``0123456789*#ABCD!`` (``!`` is the hook flash)."""
    duration_ms: int
    at: int


@dataclass(frozen=True, slots=True)
class Code(MediaEvent):
    """A feature code was dialled on a leg (``set_codes``). Its digits went nowhere: nobody heard them, no tape has
    them, and no ``Digit`` was reported.
    """

    leg_id: str
    code: str
    at: int


@dataclass(frozen=True, slots=True)
class Silence(MediaEvent):
    """No valid packet from a leg since ``since`` (or none at all since it was opened); reported once, after
    ``silence_s``.
    """

    leg_id: str
    since: int


@dataclass(frozen=True, slots=True)
class Activity(MediaEvent):
    """Packets again after ``Silence``."""

    leg_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Gap(MediaEvent):
    """Packets are known to be missing from a channel of a leg for a reason of ours."""

    leg_id: str
    channel: int
    from_us: int
    to_us: int
    cause: str
    """``overflow`` (socket buffer full), ``disk`` (tape could not be written), ``error`` (a mistake of ours)."""
    packets: int = 0
    """How many, when known."""


@dataclass(frozen=True, slots=True)
class PlayEnded(MediaEvent):
    """A play ended by itself or was stopped."""

    leg_id: str
    play_id: str
    at: int
    error: str | None = None
    """Why nothing (more) could be played; None when it ended by itself or was stopped."""


@dataclass(frozen=True, slots=True)
class TapeOpened(MediaEvent):
    """The files of an opening exist."""

    tape_id: str
    opening: int
    leg_id: str
    at: int


@dataclass(frozen=True, slots=True)
class TapeClosed(MediaEvent):
    """Everything of an opening is in its files."""

    tape_id: str
    opening: int
    leg_id: str
    packets: tuple[int, int]
    """Per channel."""
    bytes: tuple[int, int]
    """Per channel, file size."""
    at: int


@dataclass(frozen=True, slots=True)
class TapeFailed(MediaEvent):
    """A tape cannot be written (disk full, no permission). Relaying goes on; writing is tried again, and a ``Gap``
    tells what is missing. Also when the disk says afterwards that it has lost what was written.
    """

    tape_id: str
    opening: int
    leg_id: str
    error: str
    at: int


@dataclass(frozen=True, slots=True)
class TapeRecovered(MediaEvent):
    """A tape that could not be written is written again, with what had waited; a ``Gap`` tells what was too much."""

    tape_id: str
    opening: int
    leg_id: str
    at: int


@dataclass(frozen=True, slots=True)
class LegFailed(MediaEvent):
    """A command about a leg could not be carried out (out of file descriptors): count on no media of it, in either
    direction, and on no tape. The leg is to be closed all the same.
    """

    leg_id: str
    error: str
    at: int


@dataclass(frozen=True, slots=True)
class EngineLost(MediaEvent):
    """A media process died. Calls go on as soon as it is replaced; their sockets and packets wait."""

    legs: int


@dataclass(frozen=True, slots=True)
class EngineRestored(MediaEvent):
    """A replacement has taken over the legs of a media process that died."""

    legs: int
    after_ms: int


EventHandler = Callable[[MediaEvent], None]


class MediaEngine(Protocol):
    """The media engine of an edge. Unknown leg, play and tape ids are ignored.

    A call's commands in order: ``open_leg`` for each leg, ``set_remote`` at each (re-)negotiation, ``connect``,
    ``open_tape``, …, ``close_tape``, ``close_leg``. ``close_leg`` implies the rest.
    """

    @property
    def clock(self) -> WallClock:
        """The clock of all times here; use it for the events of the conversation too."""

    def open_leg(self, leg_id: str, *, group: str, host: str) -> LocalMedia:
        """Bind an RTP (even) and an RTCP (odd, next) port on the local address ``host``.

        ``group`` is the conversation id: legs of a group can be connected with each other. Raises ``NoPortsError``, or
        ``EngineError`` when the id is in use or the address is not ours.
        """

    def set_remote(self, leg_id: str, remote: Remote) -> None:
        """What was negotiated with the leg's peer."""

    def connect(self, a: str, b: str) -> None:
        """Relay between two legs, both ways, until either is connected elsewhere, mixed or disconnected. When they have
        no codec in common, or one sends what the other has not negotiated, they are mixed instead.
        """

    def disconnect(self, leg_id: str) -> None:
        """Stop relaying from and to a leg; it leaves its mix, too."""

    def mix(self, mix_id: str, legs: Sequence[str]) -> None:
        """From now on these legs hear each other: each one all the others. Replaces the mix's former members; those who
        are no longer in it hear nothing, an empty mix is gone. Codecs may differ from leg to leg (PCMU, PCMA, G722,
        opus, L16). A leg of a mix is connected with nobody else; ``connect`` takes it out. A leg that is not
        ``sending`` or ``receiving`` stays a member and hears or says nothing. Two legs without a codec in common are
        mixed instead of connected.
        """

    def move_leg(self, leg_id: str, group: str) -> None:
        """The leg belongs to another group from now on, with its sockets; it must be connected to nobody, be in no mix
        and have no open tape.
        """

    def mute(self, leg_id: str, muted: bool) -> None:
        """What the party of a muted leg says is dropped: nobody hears it and no tape has it. Digits by RFC 4733 are
        still reported.
        """

    def beep(self, leg_id: str, beep: Beep | None) -> None:
        """Mix a periodic tone into what is sent to a leg, at once and then every interval; None stops it. When nothing
        is sent to it, the beep is sent alone.
        """

    def send_digits(self, leg_id: str, digits: str) -> None:
        """Send DTMF to a leg's party (``0123456789*#ABCD``): by RFC 4733 where negotiated, otherwise as tones. 200 ms a
        digit, during which nothing else is sent to it; rows of digits wait for each other. Raises ``EngineError`` for
        anything else.
        """

    def detect_tones(self, leg_id: str, on: bool) -> None:
        """Look for DTMF in the audio of a leg's party, too (for peers without RFC 4733); dear, so only while asked."""

    def set_codes(self, leg_id: str, codes: Sequence[str]) -> None:
        """Watch for feature codes (``*1``) dialled on a leg. Digits that may become one are held back from everybody
        for up to two seconds each; a code gives ``Code``, anything else is passed on late. No codes: no watch.

        Only RFC 4733 digits can be held back. Where tones are looked for as well (``detect_tones``) a code that is
        dialled so is told, too, but by then its tones have been heard and taped.
        """

    def play(self, leg_id: str, play_id: str, source: Path | bytes, *, loop: bool = False) -> None:
        """Play a mono 16-bit WAV file of 8 or 16 kHz (path, or the file's bytes) to a leg in its negotiated codec.

        What the connected leg says is not sent meanwhile. A second play on a leg replaces the first.
        """

    def stop_play(self, leg_id: str, play_id: str) -> None:
        """Stop a play."""

    def open_tape(self, tape_id: str, opening: int, leg_id: str, directory: Path, *, at: int | None = None) -> None:
        """Record a leg from ``at`` (None: now): ``<tape id>.<opening>.0.rtpdump`` what its party says, ``….1.rtpdump``
        what is sent to it.

        ``directory`` is made when missing. At most one tape of each id is open at a time; a leg may have several tapes.
        """

    def close_tape(self, tape_id: str, *, at: int | None = None) -> None:
        """Stop recording at ``at`` (None: now); ``TapeClosed`` follows when the files are complete."""

    def close_leg(self, leg_id: str) -> None:
        """Close a leg with everything on it; its ports return to the range after a quarantine."""

    def dropped(self, leg_id: str) -> Mapping[str, int]:
        """Packets dropped so far by reason (``malformed``, ``stranger``, ``not receiving``), as last reported."""
