"""The life of an evaluation: its states, who drives it, and who may set which field (J3, J5, J6).

::

    PENDING ──► INPROGRESS ──► FINISHED ──► INREVIEW ──► FINISHED
       └────────────────────────▲  │ ▲          └──────► RETRACTED
                                   │ └─ a rescore (reopened: INPROGRESS)
                                   └──► RETRACTED, when a rescore makes a new version

An evaluator answers (``PENDING`` becomes ``INPROGRESS`` with the first answer) and finishes. Whoever may release sets
from when on the agent sees it; the agent reads, comments, or disputes it (``INREVIEW``), as often as the form allows.
Whoever the dispute is assigned to scores it anew, declines, or retracts it. What must change with the state: the agent
sees it only while it is finished or in review, so reopening hides it, and finishing shows it again if its date has
come.

Nobody has a say in an evaluation of oneself but to sign it off, whatever one's role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PENDING, INPROGRESS, FINISHED, INREVIEW, RETRACTED = STATUSES = (
    "PENDING",
    "INPROGRESS",
    "FINISHED",
    "INREVIEW",
    "RETRACTED",
)
SEEN_BY_AGENT = (FINISHED, INREVIEW)
LONGEST_AHEAD_US = 45 * 86_400 * 1_000_000
"""How far ahead a release date may be (J6)."""
MOST_BY_HAND = 50
"""Evaluations of one agent that people may make within ``BY_HAND_WITHIN_US`` (J10)."""
BY_HAND_WITHIN_US = 86_400 * 1_000_000

ASSIGN, EDIT, EDIT_SCORE, SIGN_OFF, DELETE, RELEASE, VIEW_AUDIT = ACTIONS = (
    "assign",
    "edit",
    "editScore",
    "editAgentSignoff",
    "delete",
    "release",
    "viewAudit",
)
"""As ``authorizedActions`` names them (J15)."""

TRANSITIONS: dict[tuple[str, str], tuple[str, ...]] = {
    (PENDING, INPROGRESS): (EDIT, EDIT_SCORE),
    (PENDING, FINISHED): (EDIT, EDIT_SCORE),
    (INPROGRESS, FINISHED): (EDIT, EDIT_SCORE),
    (FINISHED, INPROGRESS): (EDIT, EDIT_SCORE),
    (FINISHED, INREVIEW): (SIGN_OFF,),
    (FINISHED, RETRACTED): (EDIT,),
    (INREVIEW, FINISHED): (EDIT, EDIT_SCORE),
    (INREVIEW, RETRACTED): (EDIT,),
}
"""From, to -> actions of which one is needed."""

FIELDS: dict[str, tuple[str, ...]] = {
    "answers": (EDIT, EDIT_SCORE),
    "declined_review": (EDIT, EDIT_SCORE),
    "evaluator": (ASSIGN,),
    "assignee": (ASSIGN,),
    "release": (RELEASE,),
    "agent": (SIGN_OFF,),
}
"""Part of a PUT -> actions of which one makes it stick; the rest of the body is passed over (J5)."""


class LifeError(ValueError):
    """Something that cannot be done to an evaluation as it is."""

    def __init__(self, field: str, message: str, *, in_this_state: bool = False) -> None:
        self.field, self.message, self.in_this_state = field, message, in_this_state
        super().__init__(f"{field}: {message}")


@dataclass(frozen=True, slots=True)
class Standing:
    """Who somebody is to an evaluation."""

    held: frozenset[str]
    """Actions that their permissions give in the divisions of the call."""
    is_agent: bool = False
    is_evaluator: bool = False
    """Or assignee."""
    released: bool = False
    """The agent sees it."""

    @property
    def actions(self) -> tuple[str, ...]:
        """What they may do with it, in the contract's order (J5, J15)."""
        if self.is_agent:
            found = self.held & ({SIGN_OFF} if self.released else frozenset())
        else:
            found = self.held - ({SIGN_OFF} if self.is_evaluator else {SIGN_OFF, EDIT_SCORE})
        return tuple(action for action in ACTIONS if action in found)

    def may(self, part: str) -> bool:
        """Whether a part of a PUT sticks."""
        return any(action in FIELDS[part] for action in self.actions)


def next_status(now: str, wanted: str | None, standing: Standing) -> str:
    """The status after a PUT that asks for ``wanted``; what the caller has no say in stays as it is.

    :raises LifeError: no way leads there from here.
    """
    if wanted is None or wanted == now:
        return now
    needed = TRANSITIONS.get((now, wanted))
    if needed is None:
        if standing.may("answers") or standing.may("agent"):
            raise LifeError("status", f"an evaluation that is {now} cannot become {wanted}", in_this_state=True)
        return now
    return wanted if any(action in needed for action in standing.actions) else now


@dataclass(frozen=True, slots=True)
class Release:
    """From when on the agent may see an evaluation."""

    date: int | None = None
    """UTC microseconds; None: not until somebody says."""
    never: bool = False

    def released_at(self, status: str, since: int | None, now: int) -> int | None:
        """Since when the agent sees an evaluation of that status; ``since``: as it was before."""
        if self.never or self.date is None or self.date > now or status not in SEEN_BY_AGENT:
            return None
        return now if since is None else since


def release_of(before: Release, given: Mapping[str, Any], now: int) -> Release:
    """The release after a PUT.

    :param given: ``release_date`` and ``never_release``, those of them that the body has.
    :raises LifeError: both, or a date more than 45 days ahead (J6).
    """
    never = before.never if given.get("never_release") is None else bool(given["never_release"])
    date = given.get("release_date", before.date)
    if never and given.get("release_date") is not None:
        raise LifeError("releaseDate", "an evaluation that is never released has no release date")
    if date is not None and date != before.date and date > now + LONGEST_AHEAD_US:
        raise LifeError("releaseDate", "must be within 45 days")
    return Release(None if never else date, never)


@dataclass(frozen=True, slots=True)
class Disputes:
    """What a form says of disputes and revisions."""

    enabled: bool = False
    allowed: int = 0
    assignees: tuple[tuple[str, str | None], ...] = ()
    """Of the first dispute, the second…: ``Original``, ``Individual`` or ``None``, and the user."""
    revisions: bool = False
    """A rescore makes a new version and retracts the one before."""


def read_settings(document: Mapping[str, Any]) -> Disputes:
    """Reads ``EvaluationSettings``.

    :raises LifeError: as many assignees as disputes are needed; an individual needs a user.
    """
    enabled = bool(document.get("disputesEnabled"))
    allowed = document.get("disputesAllowedPerEvaluation") or 0
    assignees = []
    for number, item in enumerate(document.get("disputesAssignees") or []):
        kind, user = item.get("type") or "Original", (item.get("user") or {}).get("id")
        if kind == "Individual" and not user:
            field = f"evaluationSettings.disputesAssignees.{number}.user.id"
            raise LifeError(field, "an individual assignee needs a user")
        assignees.append((kind, user if kind == "Individual" else None))
    if not 0 <= allowed <= 10:
        raise LifeError("evaluationSettings.disputesAllowedPerEvaluation", "must be from 0 to 10")
    if enabled and assignees and len(assignees) != allowed:
        raise LifeError(
            "evaluationSettings.disputesAssignees", f"there must be {allowed}, one for each dispute that is allowed"
        )
    return Disputes(enabled, allowed, tuple(assignees), bool(document.get("revisionsEnabled")))


def dispute(settings: Disputes, count: int, evaluator: str | None, *, calibration: bool) -> str | None:
    """Who looks into the next dispute of an evaluation that was disputed ``count`` times; None: whoever takes it.

    :raises LifeError: it cannot be disputed, or not again.
    """
    if not settings.enabled or calibration:
        raise LifeError("status", "the form allows no dispute", in_this_state=True)
    if count >= settings.allowed:
        raise LifeError("status", f"the evaluation was disputed {count} times, which is all", in_this_state=True)
    kind, user = settings.assignees[count] if count < len(settings.assignees) else ("Original", None)
    return {"Original": evaluator, "Individual": user}.get(kind)
