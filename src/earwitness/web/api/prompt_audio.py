"""Recordings of prompts on the disk: whatever somebody uploads, or a text that is spoken, as a WAV that edges play.

A file's name has the hash of its content in it, so it never changes: a call that began with the former configuration
plays the former file, which stays for a day after nothing names it any more.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import wave
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from earwitness.web.kernel.errors import bad_request

log = structlog.get_logger()

LONGEST_S = 1800
LONGEST_TEXT = 4000
MOST_BYTES = 128 * 1024 * 1024
"""Of an upload."""
KEPT_S = 24 * 3600
_KINDS = ((b"RIFF", "wav"), (b"OggS", "ogg"), (b"fLaC", "flac"), (b"ID3", "mp3"))


@dataclass(frozen=True, slots=True)
class Audio:
    """A file in the folder of prompts."""

    file: str
    duration_ms: int
    sample_rate: int
    size: int
    sha256: str


def store_upload(folder: Path, prompt_id: str, language: str, upload: Path) -> Audio:
    """Reads an upload (WAV, Ogg, FLAC or MP3) and keeps it as mono 16-bit WAV of 8 or 16 kHz.

    :raises ApiError: 400, it cannot be read as audio, is empty, or too long.
    """
    samples, rate = _read(upload)
    return _store(folder, prompt_id, language, samples, rate)


def store_speech(folder: Path, prompt_id: str, language: str, text: str) -> Audio:
    """Speaks a text and keeps it.

    :raises ApiError: 400, there is no voice of that language, or nothing to speak.
    """
    from earwitness.media import speech

    if not text.strip() or len(text) > LONGEST_TEXT:
        raise bad_request(f"ttsString may have 1 to {LONGEST_TEXT} characters.", "ttsString", "invalid.value")
    for voice in (language, language.partition("-")[0]):
        try:
            samples = speech.speak(text, voice=voice, rate=16000)
        except speech.SpeechError as error:
            log.info("web.no_voice", voice=voice, error=str(error))
            continue
        if len(samples):
            return _store(folder, prompt_id, language, samples, 16000)
    raise bad_request(f"There is no voice for {language}, or nothing to speak.", "ttsString", "invalid.value")


def _read(upload: Path) -> tuple[Any, int]:
    """Samples (n,) and their rate."""
    import av
    import numpy as np

    with upload.open("rb") as file:
        head = file.read(4)
        kind = next((name for magic, name in _KINDS if head.startswith(magic)), None)
        if kind is None and len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
            kind = "mp3"
        if kind is None:
            raise bad_request("The file is no WAV, Ogg, FLAC or MP3.", code="invalid.value")
        file.seek(0)
        blocks, length = [], 0
        try:
            with av.open(file, "r", format=kind) as container:
                stream = next(iter(container.streams.audio), None)
                if stream is None:
                    raise bad_request("There is no audio in the file.", code="invalid.value")
                rate = 16000 if (stream.rate or 0) >= 16000 else 8000
                resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
                for frame in container.decode(stream):
                    for part in resampler.resample(frame):
                        blocks.append(part.to_ndarray().reshape(-1))
                        length += part.samples
                    if length > LONGEST_S * rate:
                        raise bad_request(f"A prompt may last {LONGEST_S} seconds.", code="invalid.value")
                for part in resampler.resample(None):
                    blocks.append(part.to_ndarray().reshape(-1))
                    length += part.samples
        except (av.FFmpegError, ValueError) as error:
            raise bad_request(f"The file cannot be read as audio: {error}", code="invalid.value") from error
    if not length:
        raise bad_request("There is no audio in the file.", code="invalid.value")
    return np.concatenate(blocks).astype(np.int16), rate


def _store(folder: Path, prompt_id: str, language: str, samples: Any, rate: int) -> Audio:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{secrets.token_hex(8)}"
    try:
        with draft.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            with wave.open(file, "wb") as writer:
                writer.setnchannels(1)
                writer.setsampwidth(2)
                writer.setframerate(rate)
                writer.writeframes(samples.astype("<i2").tobytes())
            file.flush()
            os.fsync(file.fileno())
        content = draft.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        name = f"{prompt_id}.{language}.{digest[:16]}.wav"
        draft.replace(folder / name)
    finally:
        draft.unlink(missing_ok=True)
    return Audio(name, round(len(samples) * 1000 / rate), rate, len(content), digest)


def sweep(folder: Path, named: Collection[str], now_s: float | None = None) -> None:
    """Removes files that nothing has named for a day."""
    now_s = time.time() if now_s is None else now_s
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        try:
            if path.name not in named and now_s - path.stat().st_mtime > KEPT_S:
                path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("web.prompt_not_removed", file=path.name, error=str(error))
