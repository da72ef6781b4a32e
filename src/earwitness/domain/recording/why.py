"""Why was a stretch of a call recorded, or not? Answered from the time line alone (idea 5 of the design)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from earwitness.domain.conversation.timeline import Tape, Timeline, Word

NO_ANSWER = {"row": "leg", "why": "the call was not answered, so there was nothing to record"}
INTERNAL = {"row": "external", "why": "a call between internal users is not recorded unless one of them records it"}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one tape."""

    tape_id: str | None
    kind: str
    start: int
    """UTC microseconds."""
    end: int
    captured: bool
    reasons: tuple[dict[str, str], ...]

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "tapeId": self.tape_id,
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "captured": self.captured,
            "reasons": list(self.reasons),
        }


def spans(timeline: Timeline, now: int) -> list[Span]:
    """Every stretch of every tape of the conversation, in order, up to its end or ``now`` (UTC microseconds).

    A conversation that never had a tape gives one span that says why.
    """
    end = timeline.end if timeline.end is not None else now
    if not timeline.tapes:
        reason = INTERNAL if timeline.answered is not None and not timeline.external else NO_ANSWER
        return [Span(None, "trunk", timeline.start, end, captured=False, reasons=(reason,))]
    return [span for tape in timeline.tapes for span in _tape_spans(tape, timeline, end)]


def _tape_spans(tape: Tape, timeline: Timeline, end: int) -> list[Span]:
    leg = timeline.leg(tape.leg_id)
    last = leg.ended if leg is not None and leg.ended is not None else end
    ends = [word.at for word in tape.words[1:]] + [max(last, tape.words[-1].at)] if tape.words else []
    return [
        Span(tape.tape_id, tape.kind, word.at, until, word.captured, tuple(word.reasons))
        for word, until in zip(tape.words, ends, strict=True)
        if (until > word.at and not _only_over(word)) or len(tape.words) == 1
    ]


def _only_over(word: Word) -> bool:
    """Whether the word says no more than that the leg ended."""
    return not word.captured and all(reason.get("row") == "leg" for reason in word.reasons)
