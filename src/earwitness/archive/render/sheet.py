"""The quality sheet: what arrived of a recording, and what did not."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

MAX_GAPS = 1000


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without audio on one channel."""

    from_ms: int
    """In the recording, pauses cut out."""
    to_ms: int
    cause: str
    """``loss`` packets missing; ``silence`` the sender paused (DTX, comfort noise, digits); ``source`` one source
    ended, another began; ``none`` no packets at all, at the start or the end; else the cause that a gap event gave."""


@dataclass(slots=True)
class ChannelSheet:
    """One channel. Percentages 0..100, times in ms of the recording."""

    packets: int = 0
    """RTP packets on the tape, duplicates included."""
    lost: int = 0
    """Sequence numbers that never came."""
    loss_percent: float = 0.0
    reordered: int = 0
    duplicates: int = 0
    late: int = 0
    """Came so late (over 10 s) that their place was already written; left out."""
    malformed: int = 0
    unknown_payload: int = 0
    """Packets whose codec nobody negotiated or we cannot decode; silence."""
    comfort_noise: int = 0
    telephone_events: int = 0
    sources: int = 0
    """Different SSRCs."""
    source_changes: int = 0
    codec_changes: int = 0
    time_base_changes: int = 0
    """Jumps of the RTP timestamp that arrival times do not explain."""
    codecs: list[str] = field(default_factory=list)
    """In order of appearance."""
    gaps: list[Gap] = field(default_factory=list)
    """Of 60 ms and more, the first 1,000."""
    gaps_omitted: int = 0
    missing_ms: int = 0
    """Length of everything without audio, short gaps included."""
    one_way: bool = False
    """No audio on this channel though there is on the other."""
    silence_percent: float = 0.0
    """Share of 20 ms spans whose peak stays below -50 dBFS."""
    clipped_samples: int = 0
    level_dbfs: float | None = None
    """Root mean square of the spans that are not silent; None where all are."""
    peak_dbfs: float | None = None
    drift_ppm: float | None = None
    """Sender's clock against ours; None below one minute of evidence."""
    jitter_mean_ms: float = 0.0
    """Mean change of transit from packet to packet (RFC 3550 §6.4.1, unfiltered)."""
    delay_max_ms: float = 0.0
    """Greatest lateness against the quickest packets."""


@dataclass(slots=True)
class QualitySheet:
    """A whole recording."""

    length_ms: int
    rate: int
    """Samples per second of the rendering."""
    channels: list[ChannelSheet]

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values, names as above."""
        return asdict(self)
