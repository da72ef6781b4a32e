"""Whom to call for a destination, in which order: contacts of phones, or servers of trunks. Pure.

``Attempt`` is one INVITE to send. Attempts of a group ring at once; the next group has its turn when all of one have
failed in a way that another trunk may cure. ``verdict`` says what the caller hears in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earwitness.domain.configuration import Station, Trunk, User
from earwitness.edge.sip.registrar import Binding

FAILOVER = frozenset({408, 500, 502, 503, 504})
"""Answers of a trunk after which the next one is tried."""
GLOBAL = frozenset({600, 603, 604, 606})
"""Answers of one phone that speak for all (RFC 3261 §16.7 (5))."""


@dataclass(frozen=True, slots=True)
class ToPhone:
    """Ring a station at one of its contacts."""

    station: Station
    binding: Binding


@dataclass(frozen=True, slots=True)
class ToTrunk:
    """Dial a number over one server of a trunk."""

    trunk: Trunk
    number: str
    host: str
    port: int


Attempt = ToPhone | ToTrunk


@dataclass(frozen=True, slots=True)
class Groups:
    """Attempts in their order, at least one; those of a group ring at once."""

    groups: Sequence[Sequence[Attempt]]
    address: str
    """What was dialled, as the time line shows it."""
    ring_s: float
    user: User | None = None

    @property
    def phones(self) -> bool:
        """Phones of ours ring, not a trunk."""
        return isinstance(self.groups[0][0], ToPhone)

    @property
    def name(self) -> str | None:
        """Who is called, if anybody knows."""
        first = self.groups[0][0]
        if self.user is not None:
            return self.user.name
        return first.station.name if isinstance(first, ToPhone) else None


@dataclass(frozen=True, slots=True)
class Final:
    """What the caller hears."""

    status: int
    reason: str | None
    cause: str
    """Of ``conversation.ended``."""


def verdict(statuses: Sequence[tuple[int, str]], *, phones: bool) -> Final:
    """The best of the failures: a global refusal, else busy, else whatever says most, else no answer.

    :param statuses: (status, reason) of each failed attempt; 408 for those that never answered.
    """
    said = [item for item in statuses if item[0] != 408 and item[0] != 487]
    for wanted in (lambda s: s in GLOBAL, lambda s: s == 486, lambda s: s not in FAILOVER, lambda s: True):
        for status, reason in said:
            if wanted(status):
                ours = phones and status in FAILOVER
                return Final(480, None, "rejected") if ours else _passed_on(status, reason)
    if phones:
        return Final(480, "No Answer", "noanswer")
    return Final(408, None, "noanswer")


def _passed_on(status: int, reason: str) -> Final:
    """What a caller may hear of a callee's answer: redirections, challenges and dialog trouble are our own affair."""
    if status < 400:
        return Final(480, None, "rejected")
    if status in (401, 407, 403):
        return Final(403 if status == 403 else 502, None, "rejected")
    if status in (481, 482, 483, 491, 493, 400, 405, 415, 420, 421, 422):
        return Final(500 if status == 400 else 502, None, "rejected")
    return Final(status, reason or None, "rejected")
