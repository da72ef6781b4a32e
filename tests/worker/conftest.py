"""Spool folders as edge and media processes leave them, and a worker to finish them."""

from __future__ import annotations

import importlib.util
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earwitness.archive.vault import create_keys
from earwitness.media.tape.format import encode_header, encode_record
from earwitness.worker.arguments import WorkerArguments

START_US = 1_795_353_600_000_000
FRAME = 160


def mu_law(samples: np.ndarray[Any, np.dtype[np.int16]]) -> bytes:
    """G.711 mu-law of 16-bit samples."""
    magnitude = np.minimum(np.abs(samples.astype(np.int32)), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    return (~(((samples < 0).astype(np.int32) << 7) | (exponent << 4) | mantissa) & 255).astype(np.uint8).tobytes()


def tone(hertz: float, frames: int) -> list[bytes]:
    """Payloads of a tone, 20 ms each."""
    wave = 8000 * np.sin(2 * np.pi * hertz * np.arange(frames * FRAME) / 8000)
    data = mu_law(wave.astype(np.int16))
    return [data[i * FRAME : (i + 1) * FRAME] for i in range(frames)]


@dataclass
class Call:
    """A call on its way into the spool; times in microseconds from ``start_us``."""

    folder: Path
    start_us: int = START_US
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tape_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    user_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sequence: int = 0
    opening: int = -1
    records: int = 0
    wire: tuple[int, int] = (100, 200)

    def event(self, at_us: int, type_: str, **data: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {"seq": self.sequence, "at": self.start_us + at_us, "type": type_, "data": data}
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        self.sequence += 1

    def begin(self, **media: Any) -> None:
        """An inbound call from an external party to a user, answered at once."""
        self.event(
            0, "conversation.started", conversation_id=self.id, organization_id="org", direction="inbound",
            ani="+4930123456", dnis="+4930777", config_version=3, edge_id="edge1",
        )  # fmt: skip
        self.event(0, "participant.joined", participant_id=f"{self.id}-1", purpose="external", ani="+4930123456")
        self.event(
            0, "leg.offered", leg_id=f"{self.id}-a", participant_id=f"{self.id}-1", kind="trunk", direction="inbound",
            external=True, trunk_id="t", trunk_base_id="tb", address="+4930123456", sip_call_id="x",
        )  # fmt: skip
        self.event(
            0, "participant.joined", participant_id=f"{self.id}-2", purpose="user", user_id=self.user_id, name="Ann"
        )
        self.event(
            0, "leg.offered", leg_id=f"{self.id}-b", participant_id=f"{self.id}-2", kind="station",
            direction="outbound", external=False, address="ann",
        )  # fmt: skip
        for leg in "ab":
            self.event(0, "leg.answered", leg_id=f"{self.id}-{leg}")
            types = media.get("payload_types", {"0": ["PCMU", 8000, 1]})
            self.event(0, "leg.media", leg_id=f"{self.id}-{leg}", payload_types=types, telephone_event=101)

    def open(self, at_us: int = 0, audio_format: str = "audio/opus", kind: str = "trunk", **extra: Any) -> None:
        self.opening += 1
        leg = f"{self.id}-{extra.get('leg', 'b' if kind == 'user' else 'a')}"
        self.event(
            at_us, "tape.opened", tape_id=self.tape_id, opening=self.opening, leg_id=leg, kind=kind,
            dual_channel=extra.get("dual_channel", True), audio_format=audio_format, reasons=[],
        )  # fmt: skip

    def next_tape(self) -> str:
        """From now on it is about another tape; gives its id."""
        self.tape_id, self.opening, self.records = str(uuid.uuid4()), -1, 0
        return self.tape_id

    def talk(self, from_us: int, seconds: float, hertz: tuple[float, float] = (440.0, 1000.0)) -> None:
        """Appends tone packets to both channels of the present opening."""
        frames = round(seconds * 50)
        for channel in (0, 1):
            path = self.folder / f"{self.tape_id}.{self.opening}.{channel}.rtpdump"
            head = b"" if path.exists() else encode_header(self.start_us, "127.0.0.1", 5004)
            body = []
            for number, payload in enumerate(tone(hertz[channel], frames)):
                index = self.wire[channel] + self.records + number
                header = bytes([0x80, 0]) + (index & 0xFFFF).to_bytes(2, "big")
                header += (index * FRAME & 0xFFFFFFFF).to_bytes(4, "big") + (77 + channel).to_bytes(4, "big")
                body.append(encode_record(header + payload, from_us // 1000 + number * 20))
            with path.open("ab") as file:
                file.write(head + b"".join(body))
        self.records += frames

    def close(self, at_us: int, row: str = "leg", why: str = "the leg ended") -> None:
        self.event(at_us, "tape.closed", tape_id=self.tape_id, opening=self.opening, reasons=[{"row": row, "why": why}])

    def end(self, at_us: int, cause: str = "hangup") -> None:
        for number, leg in (("1", "a"), ("2", "b")):
            self.event(at_us, "leg.ended", leg_id=f"{self.id}-{leg}", cause="endpoint")
            self.event(at_us, "participant.left", participant_id=f"{self.id}-{number}", cause="endpoint")
        self.event(at_us, "conversation.ended", cause=cause)


@pytest.fixture
def make_call(tmp_path: Path) -> Callable[..., Call]:
    """Makes calls in ``tmp_path/data/spool``."""

    def make(**fields: Any) -> Call:
        call = Call(Path(), **fields)
        call.folder = tmp_path / "data" / "spool" / call.id
        return call

    return make


@pytest.fixture
def simple_call(make_call: Callable[..., Call]) -> Callable[..., Call]:
    """Makes a whole call that was recorded from start to end."""

    def make(seconds: float = 2.0, **fields: Any) -> Call:
        audio_format = fields.pop("audio_format", "audio/opus")
        call = make_call(**fields)
        call.begin()
        call.open(audio_format=audio_format)
        call.talk(0, seconds)
        call.close(int(seconds * 1e6))
        call.end(int(seconds * 1e6))
        return call

    return make


@pytest.fixture
def arguments(tmp_path: Path, database_url: str) -> WorkerArguments:
    """A worker's arguments on a fresh database, with keys made."""
    data = tmp_path / "data"
    (data / "spool").mkdir(parents=True, exist_ok=True)
    create_keys(data / "keys")
    return WorkerArguments(
        database_url=database_url,
        spool=data / "spool",
        vault_url=str(data / "vault"),
        keys=data / "keys",
        workflows_url=f"sqlite:///{data / 'workflows.db'}" if database_url.startswith("sqlite") else "",
        render_processes=1,
        scan_s=0.05,
        log_level="warning",
    )


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[Any]:
    """Database and vault with a clock of the test's own (``kept.py`` beside this file)."""
    spec = importlib.util.spec_from_file_location("worker_kept", Path(__file__).with_name("kept.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["worker_kept"] = module
    spec.loader.exec_module(module)
    made = module.House(database_url, tmp_path)
    yield made
    made.close()
