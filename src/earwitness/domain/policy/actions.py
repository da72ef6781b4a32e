"""What a policy does: with recordings (one verdict of all policies), and beside (adds up, F14). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from earwitness.domain.policy.reading import Part
from earwitness.domain.policy.times import read_zone

MOST_DAYS = 1_000_000
MOST_ASSIGNMENTS = 1000
MOST_EVALUATIONS = 1_000_000


class Says(StrEnum):
    """What a policy says about keeping recordings."""

    ALWAYS_DELETE = "ALWAYS_DELETE"
    """At once, whatever the others say (F8)."""
    DELETE_AFTER = "DELETE_AFTER"
    """Explicit days (F11)."""
    KEEP = "KEEP"
    """Keep, and no word of when to delete (F12)."""
    DELETE = "DELETE"
    """At once, unless another keeps them (F13)."""
    NOTHING = "NOTHING"
    """Neither keep nor delete."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What a policy says about keeping recordings."""

    says: Says = Says.KEEP
    delete_days: int | None = None
    """Days from the making of the recording, with ``DELETE_AFTER``."""
    archive_days: int | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """An evaluation form: one published version of it, or whichever was published last."""

    id: str | None
    context_id: str | None
    latest: bool = False
    """The version that was published last, whatever ``id`` says."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A ``TimeInterval``; all zero means: ever."""

    months: int = 0
    weeks: int = 0
    days: int = 0
    hours: int = 0


@dataclass(frozen=True, slots=True)
class AssignEvaluation:
    """One evaluator is to evaluate the first agent (F15)."""

    form: Form
    evaluator_id: str


@dataclass(frozen=True, slots=True)
class AssignMetered:
    """One of some evaluators is to evaluate, up to a number in an interval (F16)."""

    form: Form
    evaluator_ids: tuple[str, ...]
    most: int
    interval: Interval
    by_agent: bool
    """The number is of evaluations of the agent, the last that matches; False: of each evaluator."""
    active_only: bool = False
    zone: ZoneInfo | None = None
    """Where days, weeks and months begin; None: the interval ends now."""
    meter: str = ""
    """Tells it from the other metered assignments of its policy: each counts what it has assigned itself."""


@dataclass(frozen=True, slots=True)
class AssignCalibration:
    """Several evaluators are to evaluate the same."""

    form: Form
    calibrator_id: str
    evaluator_ids: tuple[str, ...]
    expert_id: str | None


@dataclass(frozen=True, slots=True)
class Export:
    """Recordings are to go to an integration."""

    integration_id: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Something that is kept and given back, and never done."""

    name: str
    why: str


Action = AssignEvaluation | AssignMetered | AssignCalibration | Export | Unsupported


@dataclass(frozen=True, slots=True)
class Actions:
    """All that a policy does."""

    retention: Retention = Retention()
    others: tuple[Action, ...] = ()


def read_actions(part: Part) -> Actions:
    """``PolicyActions``.

    :raises PolicyError: contradictory, or not to be understood.
    """
    if not part.values:
        return Actions()
    others: list[Action] = [
        *(AssignEvaluation(_form(item), _user(item, "user")) for item in part.parts("assignEvaluations")),
        *(_metered(item, f"e{number}") for number, item in enumerate(part.parts("assignMeteredEvaluations"))),
        *(_metered(item, f"a{number}") for number, item in enumerate(part.parts("assignMeteredAssignmentByAgent"))),
        *(_calibration(item) for item in part.parts("assignCalibrations")),
    ]
    export = part.part("integrationExport")
    if export.values:
        integration_id = export.reference("integration")
        if integration_id is None:
            raise export.error("integration", "is required")
        export.flag("shouldExportScreenRecordings", False)
        others.append(Export(integration_id))
    if part.parts("assignSurveys"):
        others.append(Unsupported("assignSurveys", "Earwitness sends no surveys"))
    screen = part.part("initiateScreenRecording")
    if screen.values:
        _days(screen, longest_delete=366)  # F21
        others.append(Unsupported("initiateScreenRecording", "Earwitness records no screens"))
    if part.parts("mediaTranscriptions"):
        others.append(Unsupported("mediaTranscriptions", "Earwitness transcribes nothing"))
    if len(others) > MOST_ASSIGNMENTS:
        raise part.error("", f"may have {MOST_ASSIGNMENTS} actions at most")
    return Actions(_retention(part), tuple(others))


def _retention(part: Part) -> Retention:
    retain, delete = part.flag("retainRecording", True), part.flag("deleteRecording", False)
    always = part.flag("alwaysDelete", False)
    archive_days, delete_days = _days(part.part("retentionDuration"))
    if always:
        return Retention(Says.ALWAYS_DELETE)
    if delete and not retain:
        if delete_days:
            raise part.error(
                "deleteRecording",
                f"deletes at once, but retentionDuration.deleteRetention keeps for {delete_days} days: "
                "say retainRecording true for that, or leave the days out",
            )
        if archive_days:
            raise part.error("deleteRecording", "deletes at once, so that nothing is left to archive")
        return Retention(Says.DELETE)
    if delete_days:
        return Retention(Says.DELETE_AFTER, delete_days, archive_days)
    return Retention(Says.KEEP if retain else Says.NOTHING, None, archive_days)


def _days(part: Part, longest_delete: int = MOST_DAYS) -> tuple[int | None, int | None]:
    """``RetentionDuration``: days to the archive, and to the end; 0 is none."""
    archive, delete = part.part("archiveRetention"), part.part("deleteRetention")
    archive_days, delete_days = archive.number("days", MOST_DAYS), delete.number("days", longest_delete)
    archive.choice("storageMedium", "CLOUDARCHIVE")
    if archive_days and delete_days and archive_days >= delete_days:
        raise archive.error(
            "days", f"archives on day {archive_days}, but the recording is deleted on day {delete_days}"
        )
    return archive_days or None, delete_days or None


def _form(part: Part) -> Form:
    mentioned = part.part("evaluationForm")
    context_id, form_id = part.text("evaluationContextId"), mentioned.text("id")
    form = Form(form_id, context_id or mentioned.text("contextId"), context_id is not None or form_id is None)
    if form.id is None and form.context_id is None:
        raise part.error("evaluationForm", "is required: the id of a published form")
    return form


def _user(part: Part, name: str) -> str:
    found = part.reference(name)
    if found is None:
        raise part.error(name, "is required")
    return found


def _evaluators(part: Part) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.references("evaluators")))
    if not found:
        raise part.error("evaluators", "is required")
    return found


def _metered(part: Part, meter: str) -> AssignMetered:
    most = part.number("maxNumberEvaluations", MOST_EVALUATIONS, 1)
    if most is None:
        raise part.error("maxNumberEvaluations", "is required")
    interval = part.part("timeInterval")
    names = {"months": 1200, "weeks": 5200, "days": 36_500, "hours": 876_000}
    return AssignMetered(
        form=_form(part),
        evaluator_ids=_evaluators(part),
        most=most,
        interval=Interval(**{name: interval.number(name, bound) or 0 for name, bound in names.items()}),
        by_agent=meter.startswith("a"),
        meter=meter,
        active_only=part.flag("assignToActiveUser", False),
        zone=read_zone(part, "timeZone") if part.text("timeZone") else None,
    )


def _calibration(part: Part) -> AssignCalibration:
    return AssignCalibration(
        _form(part), _user(part, "calibrator"), _evaluators(part), part.reference("expertEvaluator")
    )
