"""What the edge and a media process say to each other: JSON arrays, one a message, over a SOCK_SEQPACKET unix socket.

Edge to media, sockets and files as SCM_RIGHTS beside the message (times are UTC us, slots are numbers that the edge
gives)::

    ["hello", settings] + arena        first message; settings as in ``Hello``
    ["leg", slot, leg id, host, port, remote | null, generation, waits] + RTP socket, RTCP socket
                                       waits: another process still reads its sockets; "attach" follows
    ["attach", slot, state | null]     state as in "released"
    ["release", slot, at]              give the leg's sockets up: it has moved to another process
    ["remote", slot, remote, at]       remote as in ``remote_to_wire``
    ["connect", slot, slot]  ["disconnect", slot]
    ["mix", mix id, [slots]]           none: the mix is gone
    ["mute", slot, muted]  ["tones", slot, on]  ["codes", slot, [codes]]
    ["beep", slot, beep | null, at]    beep as in ``beep_to_wire``
    ["digits", slot, number, digits, at]
    ["tape", tape slot, generation, tape id, opening, leg slot, directory, at]
    ["untape", tape slot, at]
    ["play", slot, play id, loop, at] + WAV file
    ["stop", slot, play id]
    ["close", slot, at]
    ["take over"]                      all there is has been given: begin, with what a predecessor left
    ["exit"]

Media to edge: an array of events, each ``[name, …]`` with the fields of the dataclass of that name in ``interface``,
and ``["ready"]``, ``["beat"]`` (each second), ``["leg_closed", slot]``, ``["dropped", leg id, {reason: packets}]``,
``["digits_sent", slot, number]``, ``["released", slot, state]``.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from earwitness.media.engine.interface import (
    Activity,
    Beep,
    Code,
    Codec,
    Digit,
    FirstPacket,
    Gap,
    LegFailed,
    MediaEvent,
    PlayEnded,
    Remote,
    Silence,
    SourceChanged,
    TapeFailed,
    TapeOpened,
    TapeRecovered,
)

MESSAGE_SIZE = 128 * 1024
MAX_FDS = 4
EVENTS: dict[str, type[MediaEvent]] = {
    "first_packet": FirstPacket,
    "source_changed": SourceChanged,
    "digit": Digit,
    "code": Code,
    "silence": Silence,
    "activity": Activity,
    "gap": Gap,
    "play_ended": PlayEnded,
    "tape_opened": TapeOpened,
    "tape_failed": TapeFailed,
    "tape_recovered": TapeRecovered,
    "leg_failed": LegFailed,
}
"""Events that the edge is told as they are."""


class DescriptorsLostError(OSError):
    """File descriptors came with a message that there was no room for (RLIMIT_NOFILE): none is kept."""

    def __init__(self, message: list[Any]) -> None:
        super().__init__("file descriptors were lost")
        self.message = message


@dataclass(frozen=True, slots=True)
class Hello:
    """Settings of a media process."""

    anchor_us: int
    legs: int
    tick_us: int
    silence_us: int
    sweep: str
    """``auto``, ``mmsg`` or ``uring``."""


def bind(listener: socket.socket, path: Path) -> None:
    """``bind`` to a path of any length (sun_path holds 107 bytes). Raises OSError."""
    with _short(path) as short:
        listener.bind(short)


def connect(connection: socket.socket, path: Path) -> None:
    """``connect`` to a path of any length. Raises OSError."""
    with _short(path) as short:
        connection.connect(short)


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def allow_many_files() -> None:
    """Raises this process's limit of open files as far as it may be: a call takes eight."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def encode(message: list[Any]) -> bytes:
    """A message as bytes."""
    return json.dumps(message, separators=(",", ":")).encode()


def send(connection: socket.socket, message: bytes, fds: tuple[int, ...] = ()) -> None:
    """Sends one message. Raises BlockingIOError when the socket is full, OSError when the other side is gone."""
    if fds:
        socket.send_fds(connection, [message], list(fds))
    else:
        connection.send(message)


def receive(connection: socket.socket) -> tuple[list[Any], list[int]] | None:
    """Receives one message and its descriptors; None when the other side is gone.

    Raises BlockingIOError and DescriptorsLostError.
    """
    try:
        data, fds, flags, _ = socket.recv_fds(connection, MESSAGE_SIZE, MAX_FDS)
    except ConnectionResetError:
        # The other side closed without reading all that we sent; what it sent before is still there.
        try:
            data, fds, flags, _ = socket.recv_fds(connection, MESSAGE_SIZE, MAX_FDS)
        except (ConnectionResetError, BlockingIOError):
            return None
    if not data:
        return None
    message: list[Any] = json.loads(data)
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        raise DescriptorsLostError(message)
    return message, fds


def hello_to_wire(hello: Hello) -> dict[str, Any]:
    """JSON of ``Hello``."""
    return asdict(hello)


def remote_to_wire(remote: Remote) -> list[Any]:
    """JSON of ``Remote``."""
    return [
        remote.rtp,
        remote.rtcp,
        _codecs_to_wire(remote.payload_types),
        remote.telephone_event,
        remote.sending,
        remote.receiving,
        list(remote.sources),
        _codecs_to_wire(remote.expected),
        remote.expected_event,
    ]


def remote_from_wire(data: list[Any]) -> Remote:
    """The inverse of ``remote_to_wire``."""
    rtp, rtcp, payload_types, telephone_event, sending, receiving, sources, expected, expected_event = data
    return Remote(
        tuple(rtp) if rtp else None,
        tuple(rtcp) if rtcp else None,
        _codecs_from_wire(payload_types),
        telephone_event,
        sending,
        receiving,
        tuple(sources),
        _codecs_from_wire(expected),
        expected_event,
    )


def _codecs_to_wire(codecs: Mapping[int, Codec]) -> dict[str, list[Any]]:
    return {str(pt): [codec.name, codec.rate, codec.channels] for pt, codec in codecs.items()}


def _codecs_from_wire(data: dict[str, list[Any]]) -> dict[int, Codec]:
    return {int(pt): Codec(*codec) for pt, codec in data.items()}


def beep_to_wire(beep: Beep) -> list[Any]:
    """JSON of ``Beep``."""
    return list(astuple(beep))


def beep_from_wire(data: list[Any]) -> Beep:
    """The inverse of ``beep_to_wire``."""
    return Beep(*data)
