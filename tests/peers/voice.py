"""The mouth and the ear of a scripted phone: G.711 in 20 ms packets, digits by RFC 4733 and in band, and what arrives.

What is said is one stream with one clock, as from a real phone; what is heard is put on a time line that starts with
``Ear.since``, so that times in it can be compared with times of the test.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import statistics
import struct
import threading
import time
from collections import deque

import numpy as np
import numpy.typing as npt

from peers.rtp import FRAME_S, SAMPLES, Address, Received, RtpEnd, packet
from peers.tones import SPAN_MS, Audio, Samples, alaw, spans, ulaw
from peers.waiting import eventually

RATE = 8000
DIGITS = "0123456789*#ABCD"
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYPAD = ("123A", "456B", "789C", "*0#D")
_ssrc = itertools.count(0x5C217000)


def dtmf(digit: str, seconds: float, level: float = 0.2) -> npt.NDArray[np.int16]:
    """A digit as the two tones of ITU-T Q.23, 16-bit samples ``(samples,)``."""
    row = next(number for number, keys in enumerate(KEYPAD) if digit in keys)
    at = np.arange(round(RATE * seconds)) / RATE
    both = np.sin(2 * np.pi * ROWS[row] * at) + np.sin(2 * np.pi * COLUMNS[KEYPAD[row].index(digit)] * at)
    return (both * level * 32767).astype(np.int16)


@functools.cache
def _table(payload_type: int) -> npt.NDArray[np.float32]:
    """What each byte of G.711 means (ITU-T G.711), -1..1."""
    code = np.arange(256, dtype=np.int32)
    if payload_type == 8:
        code ^= 0x55
        exponent, mantissa = (code >> 4) & 7, (code & 15) << 4
        magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
        sign = np.where(code & 0x80, 1, -1)
    else:
        code = ~code & 0xFF
        magnitude = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
        sign = np.where(code & 0x80, -1, 1)
    return (sign * magnitude / 32768).astype(np.float32)


class Mouth:
    """Sends what ``say_*`` and ``press`` tell it, from ``start`` until ``close``. Silence is sent as silence."""

    def __init__(self, rtp: RtpEnd) -> None:
        self._rtp = rtp
        self.to: Address | None = None
        self.payload_type = 0
        self.event_type: int | None = 101
        self.hz = 0.0
        """The tone that sounds while nothing else is to be said; 0: silence."""
        self.speaks = True
        """False: nothing is sent at all, as while held."""
        self._queue: deque[npt.NDArray[np.int16] | tuple[str, int]] = deque()
        self._idle = threading.Event()
        self._idle.set()
        self._closing = threading.Event()
        self._sequence, self._timestamp, self._ssrc = 700, 16000, next(_ssrc)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def say(self, samples: npt.NDArray[np.int16]) -> None:
        """Queues 16-bit samples at 8 kHz."""
        self._idle.clear()
        self._queue.append(samples)

    def press(self, digit: str, seconds: float) -> None:
        """Queues a digit as telephone events (RFC 4733 §2.5)."""
        self._idle.clear()
        self._queue.append((digit, max(1, round(seconds / FRAME_S))))

    def said(self, within_s: float) -> None:
        """Waits until what was queued has been said."""
        assert self._idle.wait(within_s), f"still speaking after {within_s:g} s"

    def _run(self) -> None:
        start, frame = time.monotonic(), 0
        block = np.zeros(0, np.int16)
        while not self._closing.is_set():
            if not len(block) and not self._queue:
                self._idle.set()
            if not len(block) and self._queue:
                item = self._queue.popleft()
                if isinstance(item, tuple):
                    frame = self._press(*item, start, frame)
                    continue
                block = item
            now, block = block[:SAMPLES], block[SAMPLES:]
            self._send(self._audio(np.concatenate([now, self._tone(SAMPLES - len(now))])), self.payload_type)
            self._timestamp += SAMPLES
            frame = self._wait(start, frame)

    def _wait(self, start: float, frame: int) -> int:
        self._closing.wait(max(0.0, start + (frame + 1) * FRAME_S - time.monotonic()))
        return frame + 1

    def _tone(self, count: int) -> npt.NDArray[np.int16]:
        at = (self._timestamp + np.arange(count)) / RATE
        return (np.sin(2 * np.pi * self.hz * at) * 0.25 * 32767).astype(np.int16)

    def _audio(self, samples: npt.NDArray[np.int16]) -> bytes:
        return alaw(samples) if self.payload_type == 8 else ulaw(samples)

    def _send(self, payload: bytes, payload_type: int, *, marker: bool = False) -> None:
        if self.to is not None and self.speaks:
            data = packet(payload, self._sequence, self._timestamp, self._ssrc, payload_type, marker=marker)
            self._sequence += 1
            with contextlib.suppress(OSError):
                self._rtp.send(data, self.to)

    def _press(self, digit: str, frames: int, start: float, frame: int) -> int:
        """The event, with its end told three times, and 40 ms of pause."""
        assert self.event_type is not None, "telephone events were not negotiated"
        for number in range(1, frames + 3):
            end = number >= frames
            event = struct.pack(">BBH", DIGITS.index(digit), (0x80 if end else 0) | 10, min(number, frames) * SAMPLES)
            self._send(event, self.event_type, marker=number == 1)
            if not end or number == frames:
                frame = self._wait(start, frame)
        self._timestamp += (frames + 2) * SAMPLES
        return self._wait(start, self._wait(start, frame))

    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(2)


class Ear:
    """What an ``RtpEnd`` has received."""

    def __init__(self, rtp: RtpEnd, since: float) -> None:
        self._rtp = rtp
        self.since = since
        """Monotonic seconds at which the time line starts."""
        self.event_type: int | None = 101

    @property
    def now_ms(self) -> int:
        """The present place on the time line."""
        return round((time.monotonic() - self.since) * 1000)

    def audio(self, seconds: float | None = None) -> Audio:
        """Everything heard, or the last ``seconds``; silence where nothing came."""
        now = time.monotonic()
        start = self.since if seconds is None else now - seconds
        line: Samples = np.zeros((max(0, round((now - start) * RATE)), 1), np.float32)
        for at, item in self._placed():
            first = round((at - start) * RATE)
            samples = _table(item.payload_type)[np.frombuffer(item.data[12:], np.uint8)]
            samples = samples[max(0, -first) : max(0, len(line) - first)]
            line[max(0, first) : max(0, first) + len(samples), 0] = samples
        return Audio(line, RATE)

    def _placed(self) -> list[tuple[float, Received]]:
        """Audio packets with the time of each: by RTP's clock, set anew where source or clock jumps by 0.2 s."""
        placed: list[tuple[float, Received]] = []
        source: tuple[int, int] | None = None
        anchor, stamp = 0.0, 0
        for item in list(self._rtp.received):
            if len(item.data) <= 12 or item.payload_type not in (0, 8):
                continue
            told = int.from_bytes(item.data[4:8], "big")
            step = (told - stamp + 0x80000000) % 0x100000000 - 0x80000000
            at = anchor + step / RATE
            if source != (item.ssrc, item.payload_type) or abs(at - item.at) > 0.2:
                source, anchor, stamp, at = (item.ssrc, item.payload_type), item.at, told, item.at
            placed.append((at, item))
        return placed

    def hearing(self, seconds: float = 0.5) -> float:
        """Listens for ``seconds`` from now on: the usual frequency, Hz; 0 when it was mostly quiet."""
        time.sleep(seconds + 0.05)
        return self._usual(seconds)

    def _usual(self, seconds: float) -> float:
        found = spans(self.audio(seconds + 0.05), 0)
        loud = [span.hz for span in found if not span.quiet]
        return statistics.median(loud) if len(loud) * 2 > len(found) else 0.0

    def wait_for(self, hz: float, within_s: float = 10.0) -> None:
        """Waits until the last 0.3 s sound ``hz``; 0: until they are quiet."""

        def sounds() -> bool:
            found = spans(self.audio(0.3), 0)
            return bool(found) and all(s.quiet if not hz else abs(s.hz - hz) <= 12 for s in found)

        eventually(sounds, f"{hz:g} Hz to be heard" if hz else "silence", within_s, self.story)

    def wait_for_sound(self, within_s: float = 10.0) -> float:
        """Waits until anything is heard (a prompt, music); its usual frequency, Hz."""
        return eventually(lambda: self._usual(0.3), "any sound", within_s, self.story)

    def digits(self) -> str:
        """Digits that came as telephone events."""
        seen: dict[tuple[int, bytes], str] = {}
        for item in list(self._rtp.received):
            if item.payload_type == self.event_type and len(item.data) >= 16 and item.data[12] < len(DIGITS):
                seen.setdefault((item.ssrc, item.data[4:8]), DIGITS[item.data[12]])
        return "".join(seen.values())

    def story(self) -> str:
        """What was heard, for a human: frequency by time."""
        parts = []
        for hz, group in itertools.groupby(spans(self.audio(), 0), lambda span: round(span.hz / 20) * 20):
            these = list(group)
            parts.append(f"{these[0].at_ms}..{these[-1].at_ms + SPAN_MS} ms: {hz or 'quiet'}")
        return "; ".join(parts)
