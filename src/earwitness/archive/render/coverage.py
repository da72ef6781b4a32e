"""What of a channel is covered by audio, and the gaps in between."""

from __future__ import annotations

from earwitness.archive.render.sheet import MAX_GAPS, ChannelSheet, Gap

MIN_GAP_MS = 60
"""Shorter ones count in ``missing_ms`` alone."""
BRIDGE_MS = 10
"""Steps of the time line up to this are bridged, and no gap."""


class Coverage:
    """Takes runs of audio in order of time; tells the sheet what lies between them."""

    def __init__(
        self,
        rate: int,
        from_us: int,
        sheet: ChannelSheet,
        *,
        recorded_ms: int,
        events: tuple[tuple[int, int, str], ...],
    ) -> None:
        """
        :param from_us: start of the opening, UTC µs.
        :param recorded_ms: length of earlier openings.
        :param events: (from µs, to µs, cause) of gaps that the media engine reported.
        """
        self._rate, self._from_us, self._sheet = rate, from_us, sheet
        self._recorded_ms, self._events = recorded_ms, events
        self.end = 0
        """Sample after the last one covered."""
        self._source: int | None = None

    def add(self, start: int, end: int, source: int, *, after_loss: bool) -> None:
        """A run of audio, samples [start, end) of the opening.

        :param source: who sent it.
        :param after_loss: sequence numbers are missing before it.
        """
        if start > self.end:
            if self._source is None:
                cause = "none"
            elif source != self._source:
                cause = "source"
            else:
                cause = "loss" if after_loss else "silence"
            self._gap(start, cause)
        if end > self.end:
            self.end, self._source = end, source

    def conclude(self, length: int) -> None:
        """The opening ended."""
        if length > self.end:
            self._gap(length, "none")

    def _gap(self, end: int, cause: str) -> None:
        begin_ms, end_ms = self.end * 1000 // self._rate, end * 1000 // self._rate
        if end_ms - begin_ms > BRIDGE_MS:
            self._sheet.missing_ms += end_ms - begin_ms
        if end_ms - begin_ms < MIN_GAP_MS:
            return
        begin_us, end_us = self._from_us + begin_ms * 1000, self._from_us + end_ms * 1000
        cause = next((why for since, until, why in self._events if since < end_us and until > begin_us), cause)
        if len(self._sheet.gaps) < MAX_GAPS:
            self._sheet.gaps.append(Gap(self._recorded_ms + begin_ms, self._recorded_ms + end_ms, cause))
        else:
            self._sheet.gaps_omitted += 1
