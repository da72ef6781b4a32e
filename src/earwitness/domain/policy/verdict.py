"""One verdict about the recordings of a conversation, out of all policies that matched (F8-F13). Pure.

In this order: a policy that always deletes; the longest explicit number of days; a policy that keeps; a policy that
deletes. No policy, or none that says anything, keeps (F10). Protection and the maximum of the organisation come on top
of it, where recordings are destroyed. The order of policies changes nothing but which of two that say the same is
named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earwitness.domain.policy.actions import Retention, Says
from earwitness.domain.policy.model import Policy

KEEP, DELETE_AFTER, DELETE = "KEEP", "DELETE_AFTER", "DELETE"
_RANKS = (Says.NOTHING, Says.DELETE, Says.KEEP, Says.DELETE_AFTER, Says.ALWAYS_DELETE)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an organisation may decide differently."""

    consent_shields: bool = False
    """A caller's yes to being recorded keeps a policy from deleting at once (C2, the other reading)."""
    keep_wins: bool = False
    """A policy that keeps without end beats one with explicit days (against F12)."""


@dataclass(frozen=True, slots=True)
class Word:
    """What became of one policy that matched."""

    policy: Policy
    won: bool
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to the recordings."""

    action: str
    """``KEEP``, ``DELETE_AFTER`` or ``DELETE``."""
    policy: Policy | None
    """The one whose word counts; None: none said anything."""
    days: int | None
    archive_days: int | None
    why: str
    words: tuple[Word, ...] = ()
    """One for each policy that matched, in order."""


def decide(matched: Sequence[Policy], *, consent_granted: bool = False, rules: Rules | None = None) -> Verdict:
    """The verdict; ``matched`` in whatever order."""
    rules = rules or Rules()
    shielded = rules.consent_shields and consent_granted
    ordered = sorted(matched, key=lambda policy: policy.rank)
    standing = [p for p in ordered if not (shielded and p.actions.retention.says in (Says.ALWAYS_DELETE, Says.DELETE))]
    speaking = [p for p in standing if p.actions.retention.says is not Says.NOTHING]
    winner = min(
        speaking, key=lambda p: (*(-part for part in _weight(p.actions.retention, rules)), p.rank), default=None
    )
    words = tuple(Word(p, p is winner, _why(p, winner, shielded, rules)) for p in ordered)
    if winner is None:
        return Verdict(KEEP, None, None, None, "no policy says for how long to keep it", words)
    retention = winner.actions.retention
    action = {Says.KEEP: KEEP, Says.DELETE_AFTER: DELETE_AFTER}.get(retention.says, DELETE)
    why = next(word.why for word in words if word.won)
    return Verdict(action, winner, retention.delete_days, retention.archive_days, why, words)


def _weight(retention: Retention, rules: Rules) -> tuple[int, int, int]:
    """What counts more comes later. Of two that keep equally long, the one that archives later is named."""
    rank = _RANKS.index(retention.says)
    if rules.keep_wins and retention.says is Says.KEEP:
        rank = _RANKS.index(Says.DELETE_AFTER)
        return rank, 1 << 40, retention.archive_days or 0
    return rank, retention.delete_days or 0, retention.archive_days or 0


def says(retention: Retention) -> str:
    """What a policy says, in words."""
    words = {
        Says.ALWAYS_DELETE: "always delete",
        Says.KEEP: "keep",
        Says.DELETE: "delete at once",
        Says.NOTHING: "nothing about keeping",
        Says.DELETE_AFTER: f"delete after {retention.delete_days} {_days(retention.delete_days)}",
    }[retention.says]
    if retention.archive_days:
        words += f", archive after {retention.archive_days} {_days(retention.archive_days)}"
    return words


def _days(days: int | None) -> str:
    return "day" if days == 1 else "days"


def _why(policy: Policy, winner: Policy | None, shielded: bool, rules: Rules) -> str:
    mine = policy.actions.retention
    if mine.says is Says.NOTHING:
        return "it says neither keep nor delete"
    if shielded and mine.says in (Says.ALWAYS_DELETE, Says.DELETE):
        return "the caller agreed to being recorded, and here consent keeps recordings from being deleted at once"
    if winner is None or policy is winner:
        return {
            Says.ALWAYS_DELETE: "it always deletes, whatever the others say",
            Says.DELETE_AFTER: "it has the longest explicit number of days",
            Says.KEEP: "it keeps without end, and here that beats any number of days"
            if rules.keep_wins
            else "it keeps, and no policy names a number of days",
            Says.DELETE: "it deletes, and no policy keeps",
        }[mine.says]
    theirs, named = winner.actions.retention, f'policy "{winner.name}"'
    if theirs.says is Says.ALWAYS_DELETE:
        return f"{named} always deletes" + (", and comes first" if mine.says is Says.ALWAYS_DELETE else "")
    if mine.says is Says.DELETE:
        return f"{named} {'comes first' if theirs.says is Says.DELETE else 'keeps longer'}"
    if mine.says is Says.KEEP:
        if theirs.says is Says.DELETE_AFTER:
            return f"it names no number of days, and {named} names {theirs.delete_days} (10,000 days would beat it)"
        return f"{named} keeps as well, and {_first(mine, theirs)}"
    if theirs.says is Says.KEEP:
        return f"{named} keeps without end"
    if theirs.delete_days == mine.delete_days:
        return f"{named} names as many days, and {_first(mine, theirs)}"
    return f"{named} names {theirs.delete_days} days, which is longer"


def _first(mine: Retention, theirs: Retention) -> str:
    return "comes first" if (mine.archive_days or 0) == (theirs.archive_days or 0) else "archives later"
