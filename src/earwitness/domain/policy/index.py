"""Which of many policies match a conversation, without asking each of them. Pure.

Every policy is a bit. For each kind of condition there is, for each value, the set of policies that ask for it, as one
big integer, and the set of those that ask for nothing. What a conversation has is OR-ed within a kind and AND-ed across
kinds (F6), so a thousand policies cost a few dozen operations on integers of a thousand bits. Conditions on time and
length are sorted into coarse boxes the same way; the few policies that are left are asked themselves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from zoneinfo import ZoneInfo

from earwitness.domain.policy.conditions import Conditions
from earwitness.domain.policy.facts import Facts
from earwitness.domain.policy.model import Policy
from earwitness.domain.policy.times import WEEK_MS, week_ms

HOUR_MS = 3_600_000
HOURS = WEEK_MS // HOUR_MS
BOXES = 256
"""Of a scale, at most."""


class _Sets:
    """Value -> policies that ask for it, and those that ask for no value of this kind."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, list[int]] = {}
        self._masks: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._free_mask: int | None = None

    def add(self, number: int, values: Iterable[Hashable]) -> None:
        """Notes what a policy asks for."""
        empty = True
        for value in values:
            self._numbers.setdefault(value, []).append(number)
            empty = False
        if empty:
            self._free.append(number)

    def mask(self, values: Iterable[Hashable]) -> int:
        """Policies that are content with these values."""
        if self._free_mask is None:
            self._free_mask = _mask(self._free)
        found = self._free_mask
        for value in values:
            mask = self._masks.get(value)
            if mask is None:
                numbers = self._numbers.get(value)
                if numbers is None:
                    continue
                mask = self._masks[value] = _mask(numbers)
            found |= mask
        return found

    @property
    def used(self) -> bool:
        """Any policy asks for anything of this kind."""
        return bool(self._numbers)


class _Scale:
    """Spans of a scale -> policies that ask for it, in boxes: what is in none of a policy's boxes it does not want."""

    def __init__(self, spans: Sequence[Sequence[tuple[float, float]]]) -> None:
        edges = sorted({edge for several in spans for span in several for edge in span})
        step = -(-len(edges) // BOXES) or 1
        self._edges = edges[::step]
        self._sets = _Sets()
        for number, several in enumerate(spans):
            boxes: set[int] = set()
            for first, last in several:
                boxes.update(range(bisect_right(self._edges, first), bisect_right(self._edges, last) + 1))
            self._sets.add(number, boxes)

    def mask(self, value: float) -> int:
        """Policies that may be content with a value."""
        return self._sets.mask((bisect_right(self._edges, value),))

    @property
    def used(self) -> bool:
        """Any policy asks for anything on this scale."""
        return self._sets.used


def _mask(numbers: Sequence[int]) -> int:
    if not numbers:
        return 0
    bits = bytearray(max(numbers) // 8 + 1)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(bits, "little")


_IDS: tuple[tuple[Callable[[Conditions], Iterable[str]], Callable[[Facts], Iterable[str]]], ...] = (
    (lambda c: c.users, lambda f: f.users),
    (lambda c: c.queues, lambda f: f.queues),
    (lambda c: c.teams, lambda f: {team for team, user in f.teams if user in f.users}),
    (lambda c: c.wrapup_codes, lambda f: f.wrapup_codes),
    (lambda c: c.languages, lambda f: f.languages),
    (lambda c: c.directions, lambda f: (f.direction,)),
    (lambda c: c.media_types, lambda f: (f.media_type,)),
)


class PolicyIndex:
    """Policies, ready to be asked about conversations. Safe to share between threads that only ask."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = sorted((policy for policy in policies if policy.calls), key=lambda policy: policy.rank)
        wanted = [policy.conditions for policy in self.policies]
        self._ids: list[tuple[_Sets, Callable[[Facts], Iterable[str]]]] = []
        for asked, there in _IDS:
            sets = _Sets()
            for number, conditions in enumerate(wanted):
                sets.add(number, asked(conditions))
            if sets.used:
                self._ids.append((sets, there))
        self._customer = _Sets()
        for number, conditions in enumerate(wanted):
            self._customer.add(number, () if conditions.customer is None else (conditions.customer,))
        self._platform = _Sets()
        for number, policy in enumerate(self.policies):
            self._platform.add(number, (policy.cross_platform,))
        self._dates = _Scale([conditions.date_ranges for conditions in wanted])
        forever = float("inf")
        lengths = [conditions.duration for conditions in wanted]
        self._lengths = _Scale(
            [
                [] if length is None else [(length.least or 0, forever if length.most is None else length.most)]
                for length in lengths
            ]
        )
        self._hours = _Sets()
        zones: dict[str, ZoneInfo] = {}
        for number, conditions in enumerate(wanted):
            hours: set[tuple[str, int]] = set()
            for slot in conditions.slots:
                zones.setdefault(conditions.zone.key, conditions.zone)
                first, last = slot.start // HOUR_MS, -(-slot.end // HOUR_MS)
                hours.update((conditions.zone.key, hour % HOURS) for hour in range(first, last))
            self._hours.add(number, hours)
        self._zones = list(zones.items())
        self._exact = [bool(c.date_ranges or c.slots or c.duration is not None) for c in wanted]
        self._all = _mask(range(len(wanted)))

    def matching(self, facts: Facts) -> list[Policy]:
        """Policies whose conditions the conversation meets, in their order, whenever they were enabled."""
        left = self._all & self._platform.mask((facts.other_platform,))
        for sets, there in self._ids:
            left &= sets.mask(there(facts))
            if not left:
                return []
        if self._customer.used:
            left &= self._customer.mask((facts.customer,))
        if self._dates.used:
            left &= self._dates.mask(facts.start)
        if self._lengths.used:
            left &= self._lengths.mask(facts.duration_us)
        if self._zones and left:
            hours = [(key, week_ms(facts.start, zone) // HOUR_MS) for key, zone in self._zones]
            left &= self._hours.mask(hours)
        return [
            self.policies[number]
            for number in _bits(left)
            if not self._exact[number] or self.policies[number].conditions.matches(facts)
        ]


def _bits(mask: int) -> list[int]:
    """Numbers of the bits that are set, ascending."""
    found = []
    for place, byte in enumerate(mask.to_bytes((mask.bit_length() + 7) // 8, "little")):
        if byte:
            found += [place * 8 + bit for bit in range(8) if byte >> bit & 1]
    return found
