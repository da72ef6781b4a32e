"""Text to speech for prompts, by espeak-ng (the wheel of espeakng-loader carries the library and its voices)."""

from __future__ import annotations

import ctypes
import io
import threading
import wave
from pathlib import Path
from typing import BinaryIO

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_EVENT_LIST_END = 0
_LOCK = threading.Lock()
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class SpeechError(RuntimeError):
    """The voice does not exist, or the synthesiser failed."""


class _Synthesiser:
    """The process's one espeak-ng; it is not thread-safe, so callers hold ``_LOCK``."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(Path(espeakng_loader.get_data_path()).parent).encode()
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if self.rate <= 0:
            raise SpeechError(f"espeak-ng does not start ({self.rate})")
        self._blocks: list[NDArray[np.int16]] = []
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16, copy=True))
        return 0

    def say(self, text: str, voice: str) -> NDArray[np.int16]:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechError(f"no voice {voice!r}")
        self._blocks.clear()
        data = text.encode() + b"\0"
        if self._library.espeak_Synth(data, len(data), 0, 0, 0, _CHARS_UTF8, None, None) != 0:
            raise SpeechError("espeak-ng could not speak the text")
        return np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)


_synthesiser: list[_Synthesiser] = []


def speak(text: str, *, voice: str = "en", rate: int = 8000) -> NDArray[np.int16]:
    """Speech for ``text``: mono samples ``(n,)`` at ``rate`` Hz.

    :param voice: an espeak-ng voice name: a language code (``en``, ``de``), optionally a variant (``en+f3``).
    :raises SpeechError: no such voice, or the synthesiser failed.
    """
    with _LOCK:
        if not _synthesiser:
            _synthesiser.append(_Synthesiser())
        spoken = _synthesiser[0].say(text, voice)
        native = _synthesiser[0].rate
    if native == rate or not len(spoken):
        return spoken
    resampled: NDArray[np.int16] = soxr.resample(spoken, native, rate)
    return resampled


def speak_wav(text: str, voice: str) -> bytes:
    """Speech for ``text`` as an 8 kHz mono WAV file. Parameters and errors as ``speak``."""
    file = io.BytesIO()
    write_wav(file, speak(text, voice=voice), 8000)
    return file.getvalue()


def write_wav(path: Path | BinaryIO, samples: NDArray[np.int16], rate: int) -> None:
    """Writes mono samples ``(n,)`` as 16-bit PCM WAV."""
    with wave.open(str(path) if isinstance(path, Path) else path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
