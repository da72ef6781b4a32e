"""libopus, called directly: many frames a call-out, no object per frame.

The library is the one that the PyAV wheel carries, else the system's. Packets cost nothing but libopus's own work
here; the
``ffmpeg`` command adds 7 CPU s for an hour of call, PyAV 4, whose price is an object per frame.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

I16 = NDArray[np.int16]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

RATES = (8000, 12000, 16000, 24000, 48000)
"""Sampling rates that libopus takes."""

VOIP = 2048
_SET_BITRATE, _SET_VBR_CONSTRAINT, _SET_COMPLEXITY, _GET_LOOKAHEAD, _RESET = 4002, 4020, 4010, 4027, 4028
_SET_PREDICTION_DISABLED = 4042
_MAX_PACKET = 1275 * 6 + 7


class OpusError(RuntimeError):
    """libopus is missing or refused; the message says which."""


@cache
def library() -> ctypes.CDLL:
    """The loaded library.

    :raises OpusError: neither PyAV's wheel nor the system has one.
    """
    package = Path(av.__file__).parent
    bundled = [*package.parent.glob("av.libs/libopus-*"), *package.glob(".dylibs/libopus*")]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("opus")
    if not name:
        raise OpusError("libopus not found: install PyAV from its wheel, or the system package libopus0")
    lib = ctypes.CDLL(name)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    lib.opus_encoder_create.restype = lib.opus_decoder_create.restype = pointer
    lib.opus_encode.argtypes = [pointer, pointer, number, pointer, number]
    lib.opus_decode.argtypes = [pointer, ctypes.c_char_p, number, pointer, number, number]
    lib.opus_multistream_decoder_create.restype = pointer
    lib.opus_multistream_decode.argtypes = lib.opus_decode.argtypes
    for name in ("opus_encoder_destroy", "opus_decoder_destroy", "opus_multistream_decoder_destroy"):
        destroy = getattr(lib, name)
        destroy.argtypes, destroy.restype = [pointer], None
    lib.opus_strerror.restype = ctypes.c_char_p
    return lib


class Encoder:
    """16 bit samples to Opus packets of a fixed duration."""

    def __init__(self, rate: int, channels: int, *, bitrate: int, complexity: int, frame_ms: int) -> None:
        """
        :param rate: one of ``RATES``, Hz.
        :param bitrate: bit/s of all channels together.
        :param frame_ms: duration of a packet: 20, 40 or 60.
        :raises OpusError: a parameter that libopus refuses.
        """
        self.lib = library()
        error = ctypes.c_int()
        self.channels = channels
        self.frame = rate * frame_ms // 1000
        self.handle = self.lib.opus_encoder_create(rate, channels, VOIP, ctypes.byref(error))
        if error.value or not self.handle:
            raise OpusError(f"encoder: {self.lib.opus_strerror(error).decode()}")
        self._bitrate, self._complexity = bitrate, complexity
        for request, value in ((_SET_BITRATE, bitrate), (_SET_COMPLEXITY, complexity), (_SET_VBR_CONSTRAINT, 0)):
            self._control(request, value)
        lookahead = ctypes.c_int()
        _check(
            self.lib,
            self.lib.opus_encoder_ctl(ctypes.c_void_p(self.handle), _GET_LOOKAHEAD, ctypes.byref(lookahead)),
        )
        self.lookahead = lookahead.value
        """Samples by which the output lags (RFC 7845 pre-skip, at ``rate``)."""
        self._out = ctypes.create_string_buffer(_MAX_PACKET)

    def set_bitrate(self, bitrate: int) -> None:
        """Bit/s from here on."""
        if bitrate != self._bitrate:
            self._control(_SET_BITRATE, bitrate)
            self._bitrate = bitrate

    def set_complexity(self, complexity: int) -> None:
        """0 to 10, from here on."""
        if complexity != self._complexity:
            self._control(_SET_COMPLEXITY, complexity)
            self._complexity = complexity

    def predict(self, allowed: bool) -> None:
        """Whether packets from here on may depend on those before them; at first they may.

        Without prediction, in packets of 60 ms, ffmpeg's own decoder distorts steady tones (libopus does not).
        """
        self._control(_SET_PREDICTION_DISABLED, int(not allowed))

    def _control(self, request: int, value: int) -> None:
        _check(self.lib, self.lib.opus_encoder_ctl(ctypes.c_void_p(self.handle), request, ctypes.c_int(value)))

    def encode(self, samples: I16) -> list[bytes]:
        """Packets of samples (n, channels); n must be a multiple of ``frame``."""
        pcm = np.ascontiguousarray(samples, dtype=np.int16)
        address, step = pcm.ctypes.data, self.frame * self.channels * 2
        encode, handle, frame = self.lib.opus_encode, self.handle, self.frame
        out, copy = ctypes.addressof(self._out), ctypes.string_at
        packets = []
        for position in range(address, address + len(pcm) // frame * step, step):
            size = encode(handle, position, frame, out, _MAX_PACKET)
            if size < 0:
                _check(self.lib, size)
            packets.append(copy(out, size))
        return packets

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.lib.opus_encoder_destroy(self.handle)
            self.handle = None


class Decoder:
    """Opus packets to 16 bit samples."""

    def __init__(self, rate: int, channels: int, *, uncoupled: bool = False) -> None:
        """
        :param uncoupled: packets hold a mono stream for each channel (RFC 7845 §5.1.1).
        """
        self.lib = library()
        error = ctypes.c_int()
        self.rate, self.channels = rate, channels
        if uncoupled:
            self._decode, self._destroy = self.lib.opus_multistream_decode, self.lib.opus_multistream_decoder_destroy
            create, mapping = self.lib.opus_multistream_decoder_create, bytes(range(channels))
            self.handle = create(rate, channels, channels, 0, mapping, ctypes.byref(error))
        else:
            self._decode, self._destroy = self.lib.opus_decode, self.lib.opus_decoder_destroy
            self.handle = self.lib.opus_decoder_create(rate, channels, ctypes.byref(error))
        if error.value or not self.handle:
            raise OpusError(f"decoder: {self.lib.opus_strerror(error).decode()}")
        self._out = np.zeros((rate * 120 // 1000, channels), dtype=np.int16)

    def decode(self, packets: list[bytes]) -> I16:
        """Samples (n, channels). A damaged packet is silence of the length that its first byte claims."""
        parts: list[I16] = []
        address, room, decode = self._out.ctypes.data, len(self._out), self._decode
        for packet in packets:
            count = decode(self.handle, packet, len(packet), address, room, 0) if packet else 0
            if count < 0:
                parts.append(np.zeros((packet_length(packet, self.rate), self.channels), dtype=np.int16))
            elif count:
                parts.append(self._out[:count].copy())
        return np.concatenate(parts) if parts else np.zeros((0, self.channels), dtype=np.int16)

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._destroy(self.handle)
            self.handle = None


def decoder(rate: int, channels: int, *, uncoupled: bool = False) -> Decoder:
    """A fresh decoder; rate is one of ``RATES``."""
    return Decoder(rate, channels, uncoupled=uncoupled)


def _check(lib: ctypes.CDLL, code: int) -> None:
    if code < 0:
        raise OpusError(lib.opus_strerror(code).decode())


def _frame_table() -> I64:
    """RFC 6716 table 2: configuration 0..31 -> samples of one frame at 48 kHz."""
    silk = [480, 960, 1920, 2880] * 3
    hybrid = [480, 960] * 2
    celt = [120, 240, 480, 960] * 4
    return np.array(silk + hybrid + celt, dtype=np.int64)


_FRAME_48K = _frame_table()


def packet_samples(length: I64, buffer: U8, offset: I64, rate: int) -> I64:
    """Samples that each packet holds at ``rate`` (RFC 6716 §3.1); 0 for empty or impossible (over 120 ms) ones."""
    filled = length > 0
    last = max(len(buffer) - 1, 0)
    if not len(buffer):
        return np.zeros_like(length)
    toc = buffer[np.where(filled, offset, 0)]
    second = buffer[np.minimum(offset + 1, last)]
    code = toc & 3
    frames = np.where(code == 0, 1, np.where(code < 3, 2, np.where(length > 1, second & 63, 0))).astype(np.int64)
    total = frames * _FRAME_48K[toc >> 3]
    return np.where(filled & (total <= 5760), total * rate // 48000, 0)


def packet_length(packet: bytes, rate: int) -> int:
    """Samples of one packet at ``rate``; see ``packet_samples``."""
    if not packet:
        return 0
    size, at = np.array([len(packet)], dtype=np.int64), np.zeros(1, dtype=np.int64)
    return int(packet_samples(size, np.frombuffer(packet, dtype=np.uint8), at, rate)[0])
