"""What of a contact centre call should be in its recording, and what is: by tones, and by the length.

Nothing here asks Earwitness what it recorded: ``captured_s`` folds who was where (legs and segments), not the events
of tapes, and tones are looked for in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from bench.handsets import FRAME_S, STEP_HZ

from peers.tones import Audio

TOLERANCE_S = 0.1
"""Of the length, and of how long each tone sounds."""
LEVEL, FAINT = 0.25, 0.25
"""The amplitude of our tones, and the share of it that counts as one."""
PURE = 0.6
"""Share of a block's energy that makes a pure tone of it; of DTMF and ringback each of two has half."""
TRACE, STRAY = 3, 15
"""Blocks of 20 ms in a row that prove a tone: one that was said in the call; one that nobody said, which speech and
music may hold for a moment."""
BREAK = 6
"""Blocks; parties are silent for more than that between two tones."""
MACHINES = ("ivr", "queue")


@dataclass(frozen=True)
class Phase:
    """A tone that was said in a call."""

    name: str
    channel: int
    """0: by the party outside, 1: to it."""
    hz: int
    seconds: float
    """As it was sent."""
    captured: bool


class Spectrum:
    """A channel in blocks of 20 ms, into each of which every tone of ours fits a whole number of times."""

    def __init__(self, audio: Audio, channel: int) -> None:
        block = round(audio.rate * FRAME_S)
        count = audio.samples.shape[0] // block
        blocks = audio.samples[: count * block, channel].astype(np.float64).reshape(count, block)
        self._power = np.abs(np.fft.rfft(blocks, axis=1) * 2 / block) ** 2
        self._power[:, 0] = 0

    def stretch(self, hz: int) -> tuple[int, int]:
        """First block of the longest stretch of a tone, and how many blocks it has.

        Opus adds noise to a tone and makes holes in it, so it counts whatever else there is, and across ``BREAK``.
        """
        there = np.flatnonzero(self._power[:, hz // STEP_HZ] >= (FAINT * LEVEL) ** 2)
        parts = np.split(there, np.flatnonzero(np.diff(there) > BREAK) + 1)
        return max(((int(p[0]), int(p[-1] - p[0]) + 1) for p in parts if len(p)), key=lambda p: p[1], default=(0, 0))

    def pure(self) -> list[int]:
        """The tone of every block, Hz; 0: none, or not a pure one."""
        peak = np.argmax(self._power, axis=1)
        highest = self._power[np.arange(len(peak)), peak]
        found = (highest >= PURE * self._power.sum(axis=1)) & (highest >= (FAINT * LEVEL) ** 2)
        return [int(hz) for hz in np.where(found, peak * STEP_HZ, 0)]


def wrong_spans(audio: Audio, phases: Sequence[Phase]) -> list[str]:
    """What is in the file and should not be, and what is missing; empty when all is right."""
    wrong = []
    for channel in range(2):
        spectrum = Spectrum(audio, channel)
        runs = [(hz, len(list(group))) for hz, group in groupby(spectrum.pure())]
        middles: list[int] = []
        mine = [phase for phase in phases if phase.channel == channel]
        for phase in mine:
            first, blocks = spectrum.stretch(phase.hz)
            seconds = blocks * FRAME_S
            longest = max((length for hz, length in runs if hz == phase.hz), default=0)
            about = f"{phase.name} ({phase.hz} Hz, channel {channel}, said for {phase.seconds:.2f} s)"
            if not phase.captured and longest >= TRACE:
                wrong.append(f"{about} is suppressed, but sounds for {seconds:.2f} s")
            elif phase.captured and blocks < TRACE:
                wrong.append(f"{about} is missing")
            elif phase.captured:
                middles.append(first + blocks // 2)
                if abs(seconds - phase.seconds) > TOLERANCE_S:
                    wrong.append(f"{about} sounds for {seconds:.2f} s")
        known = {0, *(phase.hz for phase in mine)}
        strays = {hz for hz, length in runs if hz not in known and length >= STRAY}
        wrong += [f"{hz} Hz on channel {channel}, which nobody in this call said" for hz in sorted(strays)]
        if middles != sorted(middles):
            wrong.append(f"channel {channel} is in another order than it was said in")
    return wrong


def captured_s(events: Sequence[Mapping[str, Any]], flow_suppresses: bool) -> float:
    """Seconds that the caller's tape should have: answered, not in a flow or queue that suppresses, nobody of ours on
    hold, and somebody of ours, a flow or a queue on the call. The queue suppresses; holds and what follows an external
    transfer are not recorded.
    """
    legs: dict[str, Mapping[str, Any]] = {}
    up: set[str] = set()
    holds: set[str] = set()
    caller, place, total, since = "", "", 0, None
    for at, group in groupby(events, lambda event: int(event["at"])):
        for event in group:
            data = event["data"]
            match event["type"]:
                case "leg.offered":
                    legs[data["leg_id"]] = data
                    caller = caller or data["leg_id"]
                case "leg.answered":
                    up.add(data["leg_id"])
                    place = "people" if legs[data["leg_id"]]["kind"] == "station" else place
                case "leg.ended":
                    up.discard(data["leg_id"])
                case "segment.started" if data["kind"] in MACHINES:
                    place = data["kind"]
                case "segment.started" if data["kind"] == "hold":
                    holds.add(data["segment_id"])
                case "segment.ended":
                    holds.discard(data["segment_id"])
        ours = place in MACHINES or any(legs[leg]["kind"] == "station" for leg in up)
        suppressed = place == "queue" or (place == "ivr" and flow_suppresses)
        is_open = caller in up and ours and not suppressed and not holds
        if is_open and since is None:
            since = at
        elif not is_open and since is not None:
            total, since = total + at - since, None
    return total / 1e6
