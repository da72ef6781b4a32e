"""What a conversation can be found by: a set of terms, each a letter for its kind and a value.

The store keeps them sorted by time, so that the newest conversations of a division, of a user or with a number are
read off, not searched for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earwitness.domain.search.numbers import reversed_digits

LONGEST = 128
"""Characters of a term; ids are far shorter."""
LONGEST_WORD = 40
MOST_WORDS = 48
"""Of one conversation; the rest is not kept. A display name comes from strangers."""
_WORD = re.compile(r"[^\W_]+")


def division(division_id: str) -> str:
    """Calls that touched the division."""
    return f"d:{division_id}"


def user(user_id: str) -> str:
    """Calls that the user took part in, as one of the organisation's people."""
    return f"u:{user_id}"


def queue(queue_id: str) -> str:
    """Calls that were in the queue."""
    return f"q:{queue_id}"


def team(team_id: str) -> str:
    """Calls of people who were in the team then."""
    return f"t:{team_id}"


def wrapup(code: str) -> str:
    """Calls that an agent said this of."""
    return f"c:{code}"


def why(row: str) -> str:
    """Calls of which something was decided by that row of the recording rules."""
    return f"y:{row}"


def number(reversed_number: str) -> str:
    """Calls with that number; see ``numbers``."""
    return f"n:{reversed_number}"


def word(text: str) -> str:
    """Calls with that word in a name or an address."""
    return f"w:{text}"


def words(text: str) -> Iterator[str]:
    """The words of a name, as they are kept and asked for: in small letters, accents and all."""
    for match in _WORD.finditer(text[:512]):
        yield match.group().casefold()[:LONGEST_WORD]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a conversation that it may be found by."""

    divisions: Iterable[str] = ()
    users: Iterable[str] = ()
    queues: Iterable[str] = ()
    teams: Iterable[str] = ()
    wrapups: Iterable[str] = ()
    why: Iterable[str] = ()
    names: Iterable[str] = ()
    addresses: Iterable[str] = ()
    """Numbers and SIP addresses of everybody on it."""


def of(facts: Facts) -> list[str]:
    """The terms of a conversation, each once, sorted."""
    found = {division(key) for key in facts.divisions}
    found |= {user(key) for key in facts.users}
    found |= {queue(key) for key in facts.queues}
    found |= {team(key) for key in facts.teams}
    found |= {wrapup(key) for key in facts.wrapups}
    found |= {why(key) for key in facts.why}
    spoken: dict[str, None] = {}
    for address in facts.addresses:
        digits = reversed_digits(address)
        if digits is not None:
            found.add(number(digits))
        else:
            spoken.update(dict.fromkeys(words(address.partition(":")[2] or address)))
    for name in facts.names:
        spoken.update(dict.fromkeys(words(name)))
    found |= {word(text) for text in list(spoken)[:MOST_WORDS]}
    return sorted({text[:LONGEST] for text in found if "\x00" not in text})


AGENTS = ("user", "agent")
"""Purposes of participants who are the organisation's people."""


def facts_of(
    *,
    ani: str,
    dnis: str,
    timeline: Mapping[str, Any],
    why: Sequence[Mapping[str, Any]],
    users: Iterable[str],
    divisions: Iterable[str],
    queues: Iterable[str],
    teams: Iterable[str],
    wrapups: Iterable[str],
) -> Facts:
    """The facts of a stored conversation.

    :param timeline: its folded document.
    :param why: its decisions, each with ``reasons``.
    :param users: the organisation's people (``AGENTS``) who took part.
    :param wrapups: codes that were given after the call; those in the time line are added.
    """
    people = [person for person in timeline.get("participants") or [] if isinstance(person, dict)]
    legs = [leg for person in people for leg in person.get("legs") or []]
    given = [person["wrapup"].get("code") for person in people if isinstance(person.get("wrapup"), dict)]
    addresses = [ani, dnis, *(part.get("address") for part in [*people, *legs])]
    return Facts(
        divisions=divisions,
        users=users,
        queues=queues,
        teams=teams,
        wrapups={str(code) for code in [*wrapups, *given] if code},
        why={
            str(reason["row"])
            for span in why
            if span.get("kind") != "user"  # what somebody recorded for their own inbox is nobody else's business (E2)
            for reason in span.get("reasons") or []
            if reason.get("row")
        },
        names=[str(person["name"]) for person in people if person.get("name")],
        addresses=[str(address) for address in addresses if address],
    )
