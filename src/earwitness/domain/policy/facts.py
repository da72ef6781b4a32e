"""What policies look at: the facts of a conversation that is over. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OURS = ("agent", "user")
"""Purposes of participants who are the organisation's people."""
OBSERVING = ("monitor", "coach")
"""Kinds of segment in which somebody listens, and is not the agent (F15)."""

AT_ONCE_US = 1_000_000
"""Who monitors is made silent when the phone is answered."""
SIPREC = "siprec"
"""Kind of the legs by which another platform sends us what it records."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A user who talked."""

    user_id: str
    connected_at: int
    observes: bool = False
    """Listened in or coached; was never the agent of the call."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A conversation as conditions see it. Times UTC microseconds."""

    conversation_id: str
    start: int
    end: int
    direction: str
    """``INBOUND``, ``OUTBOUND`` or ``INTERNAL``."""
    agents: tuple[Agent, ...] = ()
    """In the order in which they were connected (F15)."""
    queues: frozenset[str] = frozenset()
    teams: frozenset[tuple[str, str]] = frozenset()
    """(team, user): who was in which team at the time of the call."""
    wrapup_codes: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    """Names, lower case, and ids."""
    customer: bool = False
    """Somebody from outside talked."""
    consent: str = "unset"
    """``granted``, ``refused``, ``missing`` (asked for, and never given, C5), or ``unset``: nobody needed it."""
    media_type: str = "CALL"
    other_platform: bool = False
    """Another platform carried it, and we recorded it (SIPREC)."""

    @property
    def duration_us(self) -> int:
        """From the first ring to the last hang-up."""
        return max(0, self.end - self.start)

    @property
    def users(self) -> frozenset[str]:
        """Users who took part, observers apart."""
        return frozenset(agent.user_id for agent in self.agents if not agent.observes)

    @property
    def recordable(self) -> bool:
        """Policies run: consent was given, or nobody needed it (C1, C5)."""
        return self.consent in ("granted", "unset")


def facts_of(
    timeline: Mapping[str, Any],
    *,
    teams: Iterable[tuple[str, str]] = (),
    wrapup_codes: Mapping[str, str | None] | None = None,
    languages: Iterable[str] = (),
    events: Iterable[Mapping[str, Any]] = (),
) -> Facts:
    """The facts of a conversation that has ended.

    :param timeline: the document of ``domain.conversation.timeline.Timeline``.
    :param teams: (team, user) at the time of the call.
    :param wrapup_codes: participant -> code, as given after the call; those of the timeline where it has none.
    :param languages: names and ids beside those of the timeline.
    :param events: of the call, where ``may_listen_in`` says that they are needed.
    """
    given = dict(wrapup_codes or {})
    listeners = _listeners(timeline, events)
    agents: list[Agent] = []
    queues: set[str] = set()
    codes: set[str] = set()
    spoken = {name.casefold() for name in languages} | set(languages)
    customer = other_platform = False
    for person in timeline["participants"]:
        queues.update(part["queue_id"] for part in (person, *person["segments"]) if part.get("queue_id") is not None)
        code = given.get(person["participant_id"]) or (person.get("wrapup") or {}).get("code")
        if code:
            codes.add(str(code))
        other_platform = other_platform or any(leg.get("kind") == SIPREC for leg in person["legs"])
        connected = person.get("connected")
        if connected is None:
            continue
        customer = customer or any(leg["external"] and leg["answered"] is not None for leg in person["legs"])
        if person["purpose"] in OURS and person.get("user_id"):
            kinds = {segment["kind"] for segment in person["segments"]}
            observes = person["participant_id"] in listeners or (bool(kinds) and kinds <= set(OBSERVING))
            agents.append(Agent(person["user_id"], connected, observes))
    for name in (*timeline.get("languages", ()), (timeline.get("consent_given") or {}).get("language")):
        if name:
            spoken.add(str(name).casefold())
    end = timeline["end"]
    return Facts(
        conversation_id=timeline["conversation_id"],
        start=timeline["start"],
        end=end if end is not None else timeline["start"],
        direction=str(timeline["direction"]).upper(),
        agents=tuple(sorted(agents, key=lambda agent: agent.connected_at)),
        queues=frozenset(queues),
        teams=frozenset(teams),
        wrapup_codes=frozenset(codes),
        languages=frozenset(spoken),
        customer=customer,
        consent=_consent(timeline),
        other_platform=other_platform,
    )


def may_listen_in(timeline: Mapping[str, Any]) -> bool:
    """Whether somebody was silent at the end, who may have been so from the beginning: the events tell."""
    return any(person.get("muted") for person in timeline["participants"])


def _listeners(timeline: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> set[str]:
    """Participants who monitored: silent of their own will from the moment that they came, to the end."""
    came = {
        person["participant_id"]: (person["connected"], person.get("user_id"))
        for person in timeline["participants"]
        if person.get("muted") and person.get("connected") is not None
    }
    found = set()
    for event in events:
        data = event["data"]
        if event["type"] == "participant.muted" and data["participant_id"] in came:
            connected, user_id = came[data["participant_id"]]
            if not data["muted"]:
                found.discard(data["participant_id"])
            elif event["at"] <= connected + AT_ONCE_US and data.get("by") == user_id:
                found.add(data["participant_id"])
    return found


def _consent(timeline: Mapping[str, Any]) -> str:
    """What the recording rules said: a caller who never gave the consent that the trunk requires is as one who refused.

    Where something was captured all the same (C7), nobody lacked it.
    """
    said = str(timeline.get("consent", "unset"))
    tapes = [tape for tape in timeline.get("tapes", ()) if tape["kind"] != "user"]
    if said != "unset" or any(tape["openings"] for tape in tapes):
        return said
    lacking = any(
        not word["captured"] and any(reason.get("row") == "consent" for reason in word["reasons"])
        for tape in tapes
        if tape["kind"] == "trunk"
        for word in tape["words"]
    )
    return "missing" if lacking else said
