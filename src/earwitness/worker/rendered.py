"""What rendering a tape leaves in its spool folder for the step that stores it: ``<tape id>.rendered.json``.

The file appears once the recording is sealed in the vault, all at once (written aside, then renamed). Finding it means
that a tape need not be rendered again, whatever crashed in between.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SealedObject:
    """An object in the vault."""

    role: str
    """``master``, ``peaks`` or ``derived``."""
    key: str
    """``<vault id>/<item>``; see ``archive.vault.object_key``."""
    media_type: str
    size: int
    """Bytes, plain."""
    sha256: str
    """Of the plain bytes, hexadecimal."""


@dataclass(frozen=True, slots=True)
class RenderedTape:
    """One tape, rendered and sealed. Times UTC microseconds."""

    tape_id: str
    leg_id: str
    kind: str
    audio_format: str
    mime_type: str
    channels: int
    sample_rate: int
    start_us: int
    end_us: int
    duration_ms: int
    openings: list[dict[str, int]]
    annotations: list[dict[str, Any]]
    quality: dict[str, Any]
    peaks: bytes
    objects: list[SealedObject]

    @property
    def master(self) -> SealedObject:
        """The master's object."""
        return next(item for item in self.objects if item.role == "master")


def path_of(folder: Path, tape_id: str) -> Path:
    """Where the file of a tape is."""
    return folder / f"{tape_id}.rendered.json"


def write(folder: Path, tape: RenderedTape) -> None:
    """Writes the file, all at once. Nobody waits for the disk: should a power cut lose it, the tape is rendered again,
    and the vault gives the recording that it has.
    """
    document: dict[str, Any] = {item.name: getattr(tape, item.name) for item in dataclasses.fields(tape)}
    document["objects"] = [dataclasses.asdict(item) for item in tape.objects]
    document["peaks"] = base64.b64encode(tape.peaks).decode()
    path = path_of(folder, tape.tape_id)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(document))
    aside.replace(path)


def read(folder: Path, tape_id: str) -> RenderedTape | None:
    """Reads the file of a tape; None if it is not there, or empty: that is what a power cut leaves.

    :raises ValueError, KeyError, TypeError: the file is damaged.
    """
    try:
        text = path_of(folder, tape_id).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    if not text:
        return None
    document = json.loads(text)
    document["peaks"] = base64.b64decode(document["peaks"])
    document["objects"] = [SealedObject(**item) for item in document["objects"]]
    return RenderedTape(**document)
