"""libopus for live audio: a frame in, a frame out, at any of its rates, mono.

The library is the one that the PyAV wheel carries, else the system's; PyAV itself is not imported.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

I16 = npt.NDArray[np.int16]

_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_DTX = 4002, 4010, 4016
BITRATE = 32_000
COMPLEXITY = 3
_MAX_PACKET = 1275


class OpusError(RuntimeError):
    """libopus is missing or refused; the message says which."""


@cache
def library() -> ctypes.PyDLL:
    """The loaded library; calls keep the interpreter's lock, as each takes well under a millisecond.

    :raises OpusError: neither PyAV's wheel nor the system has one.
    """
    spec = importlib.util.find_spec("av")
    package = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    bundled = [*package.parent.glob("av.libs/libopus-*"), *package.glob(".dylibs/libopus*")]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("opus")
    if not name:
        raise OpusError("libopus not found: install PyAV from its wheel, or the system package libopus0")
    lib = ctypes.PyDLL(name)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    lib.opus_encoder_create.restype = lib.opus_decoder_create.restype = pointer
    lib.opus_encode.argtypes = [pointer, pointer, number, pointer, number]
    lib.opus_decode.argtypes = [pointer, ctypes.c_char_p, number, pointer, number, number]
    lib.opus_encoder_destroy.argtypes = lib.opus_decoder_destroy.argtypes = [pointer]
    lib.opus_encoder_destroy.restype = lib.opus_decoder_destroy.restype = None
    return lib


class Encoder:
    """Samples to packets (RFC 7587)."""

    def __init__(self, rate: int) -> None:
        self._lib = library()
        error = ctypes.c_int()
        self._handle = self._lib.opus_encoder_create(rate, 1, _VOIP, ctypes.byref(error))
        if error.value or not self._handle:
            raise OpusError(f"encoder: error {error.value}")
        for request, value in ((_SET_BITRATE, BITRATE), (_SET_COMPLEXITY, COMPLEXITY), (_SET_DTX, 0)):
            self._lib.opus_encoder_ctl(ctypes.c_void_p(self._handle), request, ctypes.c_int(value))
        self._out = ctypes.create_string_buffer(_MAX_PACKET)

    def encode(self, samples: I16) -> bytes:
        """A packet of samples, shape (n,): 2.5, 5, 10, 20, 40 or 60 ms. Raises OpusError."""
        pcm = np.ascontiguousarray(samples, np.int16)
        size = self._lib.opus_encode(self._handle, pcm.ctypes.data, len(pcm), self._out, _MAX_PACKET)
        if size < 0:
            raise OpusError(f"encoder: error {size}")
        return self._out.raw[:size]

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.opus_encoder_destroy(self._handle)
            self._handle = None


class Decoder:
    """Packets to samples, mixed to mono."""

    def __init__(self, rate: int) -> None:
        self._lib = library()
        error = ctypes.c_int()
        self._handle = self._lib.opus_decoder_create(rate, 1, ctypes.byref(error))
        if error.value or not self._handle:
            raise OpusError(f"decoder: error {error.value}")
        self._out = np.zeros(rate * 120 // 1000, np.int16)

    def decode(self, packet: bytes) -> I16:
        """Samples of a packet, shape (n,); none when it is damaged."""
        if not packet:
            return self._out[:0]
        count = self._lib.opus_decode(self._handle, packet, len(packet), self._out.ctypes.data, len(self._out), 0)
        return self._out[: max(count, 0)].copy()

    def conceal(self, count: int) -> I16:
        """What may have been said in the place of a lost packet, shape (count,); a multiple of 2.5 ms."""
        got = self._lib.opus_decode(self._handle, None, 0, self._out.ctypes.data, min(count, len(self._out)), 0)
        return self._out[: max(got, 0)].copy()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.opus_decoder_destroy(self._handle)
            self._handle = None
