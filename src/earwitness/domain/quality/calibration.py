"""What a calibration shows: how far apart evaluators are, and how far from the expert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """Totals of the evaluations that are finished, 0 to 100; None: none is."""

    average: float | None
    high: float | None
    low: float | None


def compare(totals: Sequence[float | None]) -> Comparison:
    """Compares totals; those without one (nothing scored, not finished) do not count."""
    known = [total for total in totals if total is not None]
    if not known:
        return Comparison(None, None, None)
    return Comparison(sum(known) / len(known), max(known), min(known))
