"""What tables of recording rules are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from earwitness.domain.recording.facts import Facts, Leg
from earwitness.domain.recording.settings import TrunkRecording


@dataclass(frozen=True, slots=True)
class Reason:
    """What one row said."""

    row: str
    """Name of the row in ``TRUNK_ROWS``, ``STATION_ROWS`` or ``USER_ROWS``, or ``leg`` for the end of the leg."""
    why: str
    """For people."""
    setting: str = ""
    """The setting behind it, with its value at that moment, by the name that the API gives it; empty: there is none."""

    def to_document(self) -> dict[str, str]:
        """As it stands in events."""
        document = {"row": self.row, "why": self.why}
        return {**document, "setting": self.setting} if self.setting else document


No = Callable[[Facts, Leg, TrunkRecording], Reason | None]
"""Why not, or None for yes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    name: str
    contract: str
    """Rules of the contract that it carries out."""
    no: No
    """Settings are those of the leg's trunk or station; for user tapes, of the caller's."""


REFUSED = Reason("consent", "the caller refused consent")
PAUSE = Reason("pause", "secure pause")
