"""G.711 by table (ITU-T G.711): a byte a sample, 8000 a second, no state."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I16 = npt.NDArray[np.int16]
U8 = npt.NDArray[np.uint8]


def mu_law(samples: I16) -> U8:
    """Mu-law of samples, same shape."""
    law: U8 = TO_MU_LAW[samples.view(np.uint16)]
    return law


def a_law(samples: I16) -> U8:
    """A-law of samples, same shape."""
    law: U8 = TO_A_LAW[samples.view(np.uint16)]
    return law


def _mu_law_codes(samples: I16) -> U8:
    value = samples.astype(np.int32) >> 2
    sign = np.where(value < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(value) + 33, 8191)
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    coded = segment << 4 | magnitude >> segment + 1 & 0x0F
    law: U8 = (~(sign | coded) & 0xFF).astype(np.uint8)
    return law


def _a_law_codes(samples: I16) -> U8:
    value = samples.astype(np.int32) >> 3
    sign = np.where(value >= 0, 0x80, 0)
    magnitude = np.minimum(np.where(value < 0, -value - 1, value), 4095)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    coded = segment << 4 | magnitude >> np.maximum(segment, 1) & 0x0F
    law: U8 = ((sign | coded) ^ 0x55).astype(np.uint8)
    return law


def _mu_law_values() -> I16:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law_values() -> I16:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_ALL = np.arange(65536, dtype=np.uint16).view(np.int16)
TO_MU_LAW: U8 = _mu_law_codes(_ALL)
"""Code of each sample, by the sample as an unsigned number."""
TO_A_LAW: U8 = _a_law_codes(_ALL)
MU_LAW: I16 = _mu_law_values()
"""Sample of each code."""
A_LAW: I16 = _a_law_values()
