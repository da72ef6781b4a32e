"""Why a recording is there, or gone, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from earwitness.domain.policy.times import EPOCH

DAY_US = 86_400_000_000
MOST_NAMED = 3
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a recording. Times UTC microseconds."""

    created_at: int
    delete_date: int | None = None
    archive_date: int | None = None
    deleted_at: int | None = None
    deleted: bool = False
    """It is gone for everybody, be it destroyed yet or not."""
    protected: bool = False
    by_hand: bool = False
    """Its dates were set by a person."""
    maximum_days: int | None = None
    """Of the organisation (F20)."""


def day(us: int) -> str:
    """A date in UTC, ``3 March 2027``."""
    moment = EPOCH + timedelta(microseconds=us)
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def reason(verdict: Mapping[str, Any], matched: Sequence[Mapping[str, Any]]) -> str:
    """``because …``: the policy that won, what it says, and whom it beat."""
    name = verdict.get("policyName")
    if name is None:
        return f"because {verdict.get('why') or 'no policy matched'}"
    text = f'because policy "{name}" says {verdict.get("says")}'
    beaten = [item for item in matched if not item["won"]]
    if beaten:
        named = [f'"{item["name"]}" ({item["says"]})' for item in beaten[:MOST_NAMED]]
        more = max(int(verdict.get("matched") or 0) - 1, len(beaten)) - len(named)
        text += f"; over {', '.join(named)}" + (f" and {more} more" if more > 0 else "")
        text += f": {verdict.get('why')}"
    return text


def tell(kept: Kept, verdict: Mapping[str, Any] | None, matched: Sequence[Mapping[str, Any]], now: int) -> str:
    """The sentence about one recording; ``verdict`` None: policies have not been applied."""
    why = reason(verdict, matched) if verdict is not None else None
    limit = None if kept.maximum_days is None else kept.created_at + kept.maximum_days * DAY_US
    if kept.deleted:
        return _gone(kept, limit, why)
    capped = limit is not None and (kept.delete_date is None or limit < kept.delete_date)
    date = limit if capped else kept.delete_date
    if date is None:
        text = "Kept without end"
        if kept.by_hand:
            text += ", its dates having been set by hand"
        elif why is not None:
            text += f" {why}"
    else:
        text = "Due to be deleted since" if date <= now else "To be deleted on"
        text += f" {day(date)}"
        if capped:
            text += f" because the organisation keeps nothing longer than {kept.maximum_days} days"
            text += f"; without that, {_otherwise(kept)} {why}" if why is not None else ""
        elif kept.by_hand:
            text += ", a date that was set by hand"
        elif why is not None:
            text += f" {why}"
    if kept.archive_date is not None:
        text += f". {'Archived' if kept.archive_date <= now else 'To be archived'} on {day(kept.archive_date)}"
    if kept.protected:
        text += ". It is protected: as long as that lasts, nothing deletes it"
    return text + "."


def _gone(kept: Kept, limit: int | None, why: str | None) -> str:
    if kept.deleted_at is None:
        return f"Deleted{' ' + why if why and not kept.by_hand else ''}; its audio is being destroyed."
    text = f"Deleted on {day(kept.deleted_at)}"
    if kept.delete_date is not None and kept.deleted_at >= kept.delete_date:
        return text + (", a date that was set by hand." if kept.by_hand else f" {why}." if why else ".")
    if limit is not None and kept.deleted_at >= limit:
        return f"{text} because the organisation keeps nothing longer than {kept.maximum_days} days."
    return f"{text}, which no policy asked for: the receipt tells who did, and why."


def _otherwise(kept: Kept) -> str:
    return "kept without end" if kept.delete_date is None else f"on {day(kept.delete_date)}"
