"""A maker of spool folders: tones as RTP packets, with every mishap that a network has."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render.codecs import OPUS_RATE
from earwitness.archive.render.plan import TapePlan, plan_folder
from earwitness.archive.render.wav import A_LAW, MU_LAW, encode
from earwitness.media.tape.format import encode_header, encode_record

START_US = 1_795_353_600_000_000
PAYLOAD_TYPES: dict[str, list[Any]] = {
    "0": ["PCMU", 8000, 1],
    "8": ["PCMA", 8000, 1],
    "9": ["G722", 8000, 1],
    "18": ["G729", 8000, 1],
    "3": ["GSM", 8000, 1],
    "13": ["CN", 8000, 1],
    "96": ["opus", 48000, 2],
    "97": ["L16", 16000, 1],
}

Packet = tuple[int, bytes]
"""(arrival µs, RTP packet)"""


class Rtcp(bytes):
    """An RTCP packet among RTP packets."""


def report(at_us: int, ssrc: int, ntp_s: float, timestamp: int) -> Packet:
    """A sender report (RFC 3550 §6.4.1) with an SDES packet behind it."""
    clock = (int(ntp_s), int(ntp_s % 1 * 2**32))
    sent = struct.pack("!BBHIIIIII", 0x80, 200, 6, ssrc, *clock, timestamp & 0xFFFFFFFF, 0, 0)
    return at_us, Rtcp(sent + struct.pack("!BBHIBB2s", 0x81, 202, 2, ssrc, 1, 0, b""))


def rtp(payload_type: int, seq: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False) -> bytes:
    return (
        struct.pack("!BBHII", 0x80, payload_type | 0x80 * marker, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload
    )


def tone(frequency: float, seconds: float, rate: int, *, amplitude: int = 8000) -> NDArray[np.int16]:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def payloads(payload_type: int, samples: NDArray[np.int16], rate: int) -> list[bytes]:
    """20 ms payloads of a codec."""
    if payload_type in (0, 8):
        data = encode(samples, MU_LAW if payload_type == 0 else A_LAW)
        return [data[at : at + 160] for at in range(0, len(data), 160)]
    if payload_type == 97:
        data = samples.astype(">i2").tobytes()
        return [data[at : at + 640] for at in range(0, len(data), 640)]
    name = {9: "g722", 96: "libopus"}[payload_type]
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format = rate, "mono", "s16"  # type: ignore[assignment]
    found: list[bytes] = []
    step = rate // 50
    for at in range(0, len(samples), step):
        frame = av.AudioFrame.from_ndarray(samples[at : at + step].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, at
        found += [bytes(packet) for packet in context.encode(frame)]
    if name == "g722":
        data = b"".join(found)
        return [data[at : at + 160] for at in range(0, len(data), 160)]
    return found


CLOCK_STEP = {0: 160, 8: 160, 9: 160, 18: 160, 3: 160, 96: 960, 97: 320}
SAMPLE_RATE = {0: 8000, 8: 8000, 9: 16000, 96: OPUS_RATE, 97: 16000}


def talk(
    frequency: float,
    seconds: float,
    *,
    payload_type: int = 0,
    ssrc: int = 0x1234,
    at_us: int = START_US,
    seq: int = 65000,
    timestamp: int = 0xFFFFF000,
    amplitude: int = 8000,
) -> list[Packet]:
    """A tone as packets; each arrives when its 20 ms have been said."""
    rate, step = SAMPLE_RATE[payload_type], CLOCK_STEP[payload_type]
    return [
        (at_us + 20_000 * (k + 1), rtp(payload_type, seq + k, timestamp + k * step, ssrc, payload))
        for k, payload in enumerate(payloads(payload_type, tone(frequency, seconds, rate, amplitude=amplitude), rate))
    ]


def write_tape(path: Path, packets: list[Packet], start_us: int = START_US) -> None:
    path.write_bytes(
        encode_header(start_us, "127.0.0.1", 5004)
        + b"".join(encode_record(data, (at - start_us) // 1000, rtcp=isinstance(data, Rtcp)) for at, data in packets)
    )


@dataclass
class Spool:
    """Builds one conversation with one leg and one tape."""

    folder: Path
    seconds: float = 0.0
    dual_channel: bool = True
    audio_format: str = "audio/opus"
    level_control: bool = False
    events: list[dict[str, Any]] = field(default_factory=list)

    def event(self, at_us: int, event_type: str, /, **data: Any) -> None:
        self.events.append({"seq": len(self.events), "at": at_us, "type": event_type, "data": data})

    def begin(self, payload_types: dict[str, list[Any]] = PAYLOAD_TYPES, at_us: int = START_US) -> None:
        self.event(
            at_us,
            "conversation.started",
            conversation_id=self.folder.name,
            organization_id="o",
            direction="inbound",
            ani="1",
            dnis="2",
        )
        self.event(at_us, "leg.media", leg_id="leg", payload_types=payload_types, telephone_event=101)

    def opened(self, opening: int, at_us: int) -> None:
        self.event(
            at_us,
            "tape.opened",
            tape_id="tape",
            opening=opening,
            leg_id="leg",
            kind="trunk",
            dual_channel=self.dual_channel,
            audio_format=self.audio_format,
            reasons=[],
            **({"level_control": True} if self.level_control else {}),
        )

    def closed(self, opening: int, at_us: int, row: str = "leg", why: str = "the leg ended") -> None:
        self.event(at_us, "tape.closed", tape_id="tape", opening=opening, reasons=[{"row": row, "why": why}])

    def end(self, at_us: int) -> None:
        self.event(at_us, "leg.ended", leg_id="leg", cause="client")
        self.event(at_us, "conversation.ended", cause="hangup")

    def tape(self, opening: int, channel: int, packets: list[Packet]) -> None:
        write_tape(self.folder / f"tape.{opening}.{channel}.rtpdump", packets)

    def plan(self) -> TapePlan:
        self.folder.joinpath("events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in self.events))
        return plan_folder(self.folder)[0]

    def simple(self, seconds: float, first: list[Packet], second: list[Packet]) -> TapePlan:
        """One opening."""
        self.begin()
        self.opened(0, START_US)
        self.closed(0, START_US + round(seconds * 1e6))
        self.end(START_US + round(seconds * 1e6))
        self.tape(0, 0, first)
        self.tape(0, 1, second)
        return self.plan()


def decode_file(data: bytes) -> tuple[NDArray[np.int16], int]:
    """A file as samples (n, channels) and their rate."""
    parts, rate = [], 0
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(audio=0):
            rate = frame.sample_rate
            block = frame.to_ndarray()
            if not frame.format.is_planar:
                block = block.reshape(-1, frame.layout.nb_channels).T
            if block.dtype != np.int16:
                block = np.clip(block * 32768, -32768, 32767).astype(np.int16)
            parts.append(block.T)
    return np.concatenate(parts), rate


def dominant(samples: NDArray[np.int16], rate: int, span_ms: int = 100) -> list[float]:
    """The strongest frequency of each span, Hz; 0 where it is silent."""
    step = rate * span_ms // 1000
    found = []
    for at in range(0, len(samples) - step + 1, step):
        span = samples[at : at + step].astype(np.float64)
        if np.abs(span).max() < 500:
            found.append(0.0)
            continue
        spectrum = np.abs(np.fft.rfft(span * np.hanning(step), 4 * step))
        found.append(float(np.argmax(spectrum)) * rate / (4 * step))
    return found
