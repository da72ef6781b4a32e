"""What policies decide, written slowly and plainly from the rules, on raw documents: held against the real thing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from earwitness.domain.policy import Facts


def meets(conditions: dict[str, Any], call: Facts) -> bool:
    """F6: kinds AND, values of a kind OR; nothing asked is met."""
    users = {agent.user_id for agent in call.agents if not agent.observes}
    for field, there in (
        ("forUsers", users),
        ("forQueues", call.queues),
        ("teams", {team for team, user in call.teams if user in users}),
        ("wrapupCodes", call.wrapup_codes),
        ("languages", call.languages),
    ):
        wanted = conditions.get(field)
        if wanted and not any(item["id"] in there for item in wanted):
            return False
    if conditions.get("directions") and call.direction not in conditions["directions"]:
        return False
    start = datetime.fromtimestamp(call.start / 1e6, UTC)
    ranges = conditions.get("dateRanges")
    if ranges and not any(_in_range(text, start) for text in ranges):
        return False
    allowed = conditions.get("timeAllowed") or {}
    local = start.astimezone(ZoneInfo(allowed.get("timeZoneId") or "UTC")).replace(tzinfo=None)
    if allowed.get("timeSlots") and not any(_in_slot(slot, local) for slot in allowed["timeSlots"]):
        return False
    duration = conditions.get("duration")
    return not duration or _long_enough(duration, (call.end - call.start) / 1e6)


def _in_range(text: str, moment: datetime) -> bool:
    first, last = (datetime.fromisoformat(part) for part in text.split("/"))
    return first <= moment < last


def _in_slot(slot: dict[str, Any], local: datetime) -> bool:
    """On that day of this week, the last one or the next one."""
    monday = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=local.weekday())
    for week in (-1, 0, 1):
        day = monday + timedelta(weeks=week, days=slot["day"] - 1)
        first = day + _clock(slot["startTime"])
        last = day + _clock(slot["stopTime"])
        if last < first:
            last += timedelta(days=1)
        if first <= local < last:
            return True
    return False


def _clock(text: str) -> timedelta:
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))


def _long_enough(duration: dict[str, Any], seconds: float) -> bool:
    bounds = [float(part.removeprefix("PT").removesuffix("S")) for part in duration["durationRange"].split("/")]
    if duration["durationMode"] == "Over":
        return seconds > bounds[0]
    if duration["durationMode"] == "Under":
        return seconds < bounds[0]
    return bounds[0] <= seconds <= bounds[1]


def keeps_days(actions: list[dict[str, Any]]) -> float:
    """F8-F13 as a number: for how many days the recordings are kept."""
    days: list[int] = []
    keeps = deletes = False
    for one in actions:
        retain, delete = one.get("retainRecording", True), one.get("deleteRecording", False)
        if one.get("alwaysDelete"):
            return 0
        named = one.get("retentionDuration", {}).get("deleteRetention", {}).get("days", 0)
        if named > 0:
            days.append(named)
        elif retain:
            keeps = True
        elif delete:
            deletes = True
    if days:
        return max(days)
    return 0 if deletes and not keeps else float("inf")
