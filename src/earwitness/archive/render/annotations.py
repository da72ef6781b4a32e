"""Pauses as annotations, with the offsets of contract B10-B13."""

from __future__ import annotations

from dataclasses import dataclass, replace

from earwitness.archive.render.plan import Pause, Reasons, TapePlan

REASON_OF_ROW = (("pause", "SecurePause"), ("hold", "Hold"), ("flow", "FlowOrQueue"), ("queue", "FlowOrQueue"))
"""Row of the recording rules -> ``reason`` of the annotation (B10); where several spoke, the first here names it."""


@dataclass(frozen=True, slots=True)
class PauseAnnotation:
    """One pause. All in ms; locations from the start of the recording (B12)."""

    reason: str
    """``Hold``, ``SecurePause``, ``FlowOrQueue`` or ``Pause``."""
    start_us: int
    """When it began, UTC µs."""
    realtime_location_ms: int
    """With earlier pauses still in."""
    absolute_location_ms: int
    """With earlier pauses taken out: where to find it in the file."""
    duration_ms: int
    """How long nothing was recorded."""
    why: tuple[str, ...]
    """What the rules said, for people."""

    def to_document(self) -> dict[str, int | str]:
        """The location fields of the API's ``Annotation``; ids are the caller's (B11).

        The pause itself is not in the file, hence ``recordingDurationMs`` 0.
        """
        return {
            "type": "pause",
            "reason": self.reason,
            "location": self.absolute_location_ms,
            "durationMs": self.duration_ms,
            "realtimeLocation": self.realtime_location_ms,
            "absoluteLocation": self.absolute_location_ms,
            "absoluteDurationMs": self.duration_ms,
            "recordingLocation": self.absolute_location_ms,
            "recordingDurationMs": 0,
        }


def annotate(plan: TapePlan) -> list[PauseAnnotation]:
    """The pauses of a tape in order of time. One before the first opening is at 0 (B13).

    Pauses that follow one another for the same reason, such as a flow and then a queue, are one.
    """
    found: list[PauseAnnotation] = []
    until = None
    for pause in plan.pauses:
        told = _annotation(plan, pause)
        if found and until == pause.from_us and found[-1].reason == told.reason:
            before = found.pop()
            told = replace(
                before,
                duration_ms=round((pause.to_us - before.start_us) / 1000),
                why=tuple(dict.fromkeys((*before.why, *told.why))),
            )
        found.append(told)
        until = pause.to_us
    return found


def _annotation(plan: TapePlan, pause: Pause) -> PauseAnnotation:
    return PauseAnnotation(
        reason=reason_of(pause.reasons),
        start_us=pause.from_us,
        realtime_location_ms=max(0, round((pause.from_us - plan.start_us) / 1000)),
        absolute_location_ms=round(pause.before_us / 1000),
        duration_ms=round((pause.to_us - pause.from_us) / 1000),
        why=tuple(str(reason.get("why", "")) for reason in pause.reasons),
    )


def reason_of(reasons: Reasons) -> str:
    """The annotation reason for what the rows said (B10)."""
    rows = {str(reason.get("row", "")).replace(" ", "_").partition("_")[0] for reason in reasons}
    return next((name for row, name in REASON_OF_ROW if row in rows), "Pause")
