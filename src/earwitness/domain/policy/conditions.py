"""What conversations a policy is for: kinds of conditions AND, values of one kind OR (F6). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from earwitness.domain.policy.facts import Facts
from earwitness.domain.policy.reading import Part
from earwitness.domain.policy.times import (
    Duration,
    Slot,
    read_duration,
    read_ranges,
    read_slot,
    read_zone,
    week_ms,
)

UTC = ZoneInfo("UTC")
MOST_VALUES = 10_000
"""Of one kind."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be true. What is empty, or None, says nothing; all empty match every conversation (F7)."""

    users: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    wrapup_codes: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    directions: frozenset[str] = frozenset()
    media_types: frozenset[str] = frozenset()
    date_ranges: tuple[tuple[int, int], ...] = ()
    slots: tuple[Slot, ...] = ()
    zone: ZoneInfo = UTC
    duration: Duration | None = None
    customer: bool | None = None
    """Somebody from outside talked, or nobody did."""

    def matches(self, facts: Facts) -> bool:
        """Whether the conversation is meant."""
        return not self.misses(facts)

    def misses(self, facts: Facts) -> list[str]:
        """The kinds of conditions that are not met, as people call them."""
        teams = {team for team, user in facts.teams if user in facts.users}
        sets = (
            ("users", self.users, facts.users),
            ("queues", self.queues, facts.queues),
            ("teams", self.teams, teams),
            ("wrap-up codes", self.wrapup_codes, facts.wrapup_codes),
            ("languages", self.languages, facts.languages),
            ("directions", self.directions, {facts.direction}),
            ("media types", self.media_types, {facts.media_type}),
        )
        missed = [name for name, wanted, there in sets if wanted and not wanted & there]
        if self.date_ranges and not any(start <= facts.start < end for start, end in self.date_ranges):
            missed.append("date ranges")
        if self.slots and not self.in_slot(week_ms(facts.start, self.zone)):
            missed.append("time slots")
        if self.duration is not None and not self.duration.holds(facts.duration_us):
            missed.append("duration")
        if self.customer is not None and self.customer != facts.customer:
            missed.append("customer participation")
        return missed

    def in_slot(self, ms: int) -> bool:
        """Whether one of the slots holds a local time of the week."""
        return any(slot.holds(ms) for slot in self.slots)

    def means_agent(self, facts: Facts, user_id: str) -> bool:
        """Whether a user is one whom the conditions on people speak of (F15)."""
        if self.users and user_id not in self.users:
            return False
        return not self.teams or any(team in self.teams for team, user in facts.teams if user == user_id)


def read_conditions(part: Part) -> Conditions:
    """``PolicyConditions`` or ``CallMediaPolicyConditions``.

    :raises PolicyError: contradictory, or not to be understood.
    """

    if not part.values:
        return Conditions()

    def ids(name: str) -> frozenset[str]:
        found = frozenset(part.references(name))
        if len(found) > MOST_VALUES:
            raise part.error(name, f"may name {MOST_VALUES} at most")
        return found

    directions = frozenset(text.upper() for text in part.texts("directions"))
    if not directions <= {"INBOUND", "OUTBOUND"}:
        raise part.error("directions", "must be INBOUND or OUTBOUND")
    allowed = part.part("timeAllowed")
    participation = part.choice("customerParticipation", "YES", "NO")
    return Conditions(
        users=ids("forUsers"),
        queues=ids("forQueues"),
        teams=ids("teams"),
        wrapup_codes=ids("wrapupCodes"),
        languages=ids("languages"),
        directions=directions,
        media_types=frozenset(text.upper() for text in part.texts("mediaTypes")),
        date_ranges=read_ranges(part, "dateRanges"),
        slots=tuple(read_slot(slot) for slot in allowed.parts("timeSlots")),
        zone=read_zone(allowed, "timeZoneId"),
        duration=read_duration(part.part("duration")),
        customer=None if participation is None else participation == "YES",
    )
