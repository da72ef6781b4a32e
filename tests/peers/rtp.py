"""RTP by hand: packets made as wanted (lost, reordered, of another source) and everything received kept.

A schedule is a list of ``(due, packet)``: seconds after the start, and the bytes to send.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass

from peers.tones import alaw, tone, ulaw

FRAME_S = 0.02
SAMPLES = 160
Schedule = list[tuple[float, bytes]]
Address = tuple[str, int]


def packet(
    payload: bytes, sequence: int, timestamp: int, ssrc: int, payload_type: int = 0, *, marker: bool = False
) -> bytes:
    """One packet, RFC 3550 §5.1."""
    second = (0x80 if marker else 0) | payload_type
    return struct.pack(">BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def stream(
    hz: float,
    seconds: float,
    *,
    start: float = 0.0,
    payload_type: int = 0,
    ssrc: int = 0x1234ABCD,
    sequence: int = 100,
    timestamp: int = 4000,
) -> Schedule:
    """A tone in 20 ms packets of G.711 (payload type 8: A-law, else mu-law)."""
    frames = round(seconds / FRAME_S)
    data = (alaw if payload_type == 8 else ulaw)(tone(hz, frames * FRAME_S))
    return [
        (
            start + number * FRAME_S,
            packet(
                data[number * SAMPLES : (number + 1) * SAMPLES],
                sequence + number,
                timestamp + number * SAMPLES,
                ssrc,
                payload_type,
                marker=number == 0,
            ),
        )
        for number in range(frames)
    ]


def lose(schedule: Schedule, share: float, seed: int = 1) -> Schedule:
    """Leaves out a share of the packets, never the first or last."""
    chance = random.Random(seed)
    last = len(schedule) - 1
    return [item for number, item in enumerate(schedule) if number in (0, last) or chance.random() >= share]


def reorder(schedule: Schedule, every: int = 5) -> Schedule:
    """Delays every n-th packet by 50 ms, so that two others overtake it; sends every 11th twice."""
    moved = [
        (due + (0.05 if number % every == every - 1 else 0.0), data) for number, (due, data) in enumerate(schedule)
    ]
    moved += [(due + 0.005, data) for number, (due, data) in enumerate(schedule) if number % 11 == 10]
    return sorted(moved, key=lambda item: item[0])


@dataclass(frozen=True)
class Received:
    """One datagram that arrived."""

    at: float
    """Monotonic seconds."""
    data: bytes
    source: Address

    @property
    def payload_type(self) -> int:
        return self.data[1] & 0x7F

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.data[2:4], "big")

    @property
    def ssrc(self) -> int:
        return int.from_bytes(self.data[8:12], "big")


class RtpEnd:
    """A socket that plays schedules and keeps what it receives."""

    def __init__(self, host: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((host, 0))
        self.address: Address = self._socket.getsockname()
        self.received: list[Received] = []
        self._closing = threading.Event()
        self._player: threading.Thread | None = None
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closing.is_set():
                data, source = self._socket.recvfrom(4096)
                self.received.append(Received(time.monotonic(), data, source))

    def send(self, data: bytes, to: Address) -> None:
        self._socket.sendto(data, to)

    def play(self, schedule: Schedule, to: Address) -> None:
        """Starts to play in the background, in place of what plays now."""
        self.stop()
        self._stop = threading.Event()
        self._player = threading.Thread(target=self._play, args=(schedule, to, self._stop), daemon=True)
        self._player.start()

    def _play(self, schedule: Schedule, to: Address, stop: threading.Event) -> None:
        start = time.monotonic()
        for due, data in schedule:
            if stop.wait(max(0.0, start + due - time.monotonic())):
                return
            with contextlib.suppress(OSError):
                self._socket.sendto(data, to)

    def played(self, within_s: float) -> None:
        """Waits for the end of what plays."""
        assert self._player is not None
        self._player.join(within_s)
        assert not self._player.is_alive(), f"still playing after {within_s} s"

    def stop(self) -> None:
        self._stop.set()
        if self._player is not None:
            self._player.join()
            self._player = None

    def audio(self) -> list[Received]:
        """Received RTP without telephone events, in order of arrival."""
        return [item for item in list(self.received) if len(item.data) > 12 and item.payload_type < 96]

    def missing(self) -> list[int]:
        """Sequence numbers that should have come between the first and last of the present source, and did not."""
        items = self.audio()
        if not items:
            return []
        mine = [item.sequence for item in items if item.ssrc == items[-1].ssrc]
        steps = {(number - mine[0]) & 0xFFFF for number in mine}
        return [(mine[0] + step) & 0xFFFF for step in range(max(s for s in steps if s < 0x8000)) if step not in steps]

    def close(self) -> None:
        self.stop()
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(1)
        self._socket.close()
