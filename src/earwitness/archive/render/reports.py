"""RTCP sender reports (RFC 3550 §6.4.1): what a sender says of its own clock.

A report names one moment twice: by the sender's wall clock and as an RTP timestamp. Nobody's wall clock need be
right, and the network's delay is not in it, so reports do not say where audio belongs. But two of them say whether
media time ran on with the sender's clock. As long as it did, packets that come later than those before them were
delayed by the network, and not said later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earwitness.archive.render.packets import Packets

SENDER_REPORT = 200
COARSE_US = 40_000.0
"""How far a report may be off: many senders name the timestamp of the packet that they sent last."""
DRIFT = 500e-6
"""Two clocks of one sender differ by no more."""
FRESH_US = 20_000_000.0
"""So long a report is worth something; senders make one about every 5 s."""
SETTLE_US = 60_000_000.0
"""So long after a disagreement nothing is held to be the network's doing: placing follows a sender that paused."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """One report."""

    arrival_us: int
    """UTC µs."""
    ssrc: int
    ntp_us: float
    """The sender's wall clock, µs; since when is its own affair."""
    timestamp: int
    """RTP timestamp of that moment, 32 bit."""


def read_reports(packets: Packets) -> list[SenderReport]:
    """The sender reports in RTCP packets, compound ones too. Never raises; what is none is left out."""
    found = []
    for offset, length, arrival in zip(
        packets.offset.tolist(), packets.length.tolist(), packets.arrival_us.tolist(), strict=True
    ):
        data = packets.buffer[max(0, offset) : max(0, offset) + max(0, length)].tobytes()
        at = 0
        while len(data) - at >= 8 and data[at] >> 6 == 2:
            size = 4 * (1 + int.from_bytes(data[at + 2 : at + 4], "big"))
            if data[at + 1] == SENDER_REPORT and 28 <= size <= len(data) - at:
                ssrc, seconds, fraction, timestamp = np.frombuffer(data, ">u4", 4, at + 4).tolist()
                if seconds or fraction:  # both 0: a sender without a clock (RFC 3550 §6.4.1)
                    found.append(SenderReport(arrival, ssrc, seconds * 1e6 + fraction * 1e6 / 2**32, timestamp))
            at += size
    return found


class SenderClock:
    """Whether the media time of a source runs with its sender's clock."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        """(media µs, sender's µs) of the first report of those that agree."""
        self._agreed_us = -np.inf
        """When a report last agreed with one before it, µs from the opening."""
        self._doubted_us = -np.inf
        """When one last did not."""

    def take(self, media_us: float, ntp_us: float, at_us: float) -> None:
        """A report.

        :param media_us: its RTP timestamp, as media time of the source.
        :param at_us: when it came, from the opening.
        """
        if self._first is not None:
            media, own = media_us - self._first[0], ntp_us - self._first[1]
            if abs(media - own) <= COARSE_US + abs(own) * DRIFT:
                self._agreed_us = at_us
                return
            self._doubted_us = at_us
        self._first, self._agreed_us = (media_us, ntp_us), -np.inf

    def steady(self, at_us: float) -> bool:
        """Whether reports say so of the time before ``at_us``, from the opening."""
        return at_us - self._agreed_us <= FRESH_US and at_us - self._doubted_us >= SETTLE_US
