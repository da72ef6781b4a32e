"""Facts and policies for tests and the benchmark: random, and made to order."""

from __future__ import annotations

import random
from typing import Any
from zoneinfo import ZoneInfo

from earwitness.domain.policy import Agent, Facts, Policy, read_policy

DAY = 86_400_000_000
START = 1_795_353_600_000_000
"""2026-11-22T13:20:00Z, a Sunday."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


def facts(**fields: Any) -> Facts:
    """A call of ten minutes that Ann answered in queue q1."""
    values: dict[str, Any] = {
        "conversation_id": "c",
        "start": START,
        "end": START + 600_000_000,
        "direction": "INBOUND",
        "agents": (Agent("ann", START + 1_000_000),),
        "queues": frozenset({"q1"}),
        "customer": True,
    }
    return Facts(**{**values, **fields})


def policy(policy_id: str = "p", conditions: Any = None, actions: Any = None, **fields: Any) -> Policy:
    """A policy of the per-media form."""
    block = {"conditions": conditions or {}, "actions": actions or {}}
    values = {"name": policy_id.upper(), "order": 0, "enabled_at": 0, **fields}
    return read_policy(policy_id, document={"mediaPolicies": {"callPolicy": block}}, **values)


def ids(kind: str, numbers: Any) -> list[dict[str, str]]:
    """References."""
    return [{"id": f"{kind}{number}"} for number in numbers]


def random_conditions(chance: random.Random, spread: int, share: float = 0.3) -> dict[str, Any]:
    """Conditions of several kinds, each with some probability; ids out of ``spread``."""
    found: dict[str, Any] = {}
    for field, kind in (
        ("forUsers", "u"),
        ("forQueues", "q"),
        ("teams", "t"),
        ("wrapupCodes", "w"),
        ("languages", "l"),
    ):
        if chance.random() < share:
            found[field] = ids(kind, chance.sample(range(spread), min(spread, chance.randint(1, 3))))
    if chance.random() < share:
        found["directions"] = [chance.choice(["INBOUND", "OUTBOUND"])]
    if chance.random() < share / 2:
        days = sorted(chance.sample(range(1, 28), 2))
        found["dateRanges"] = [f"2026-11-{days[0]:02}T00:00:00Z/2026-11-{days[1]:02}T12:00:00Z"]
    if chance.random() < share / 2:
        slots = [
            {"day": chance.randint(1, 7), "startTime": f"{start:02}:00:00.000", "stopTime": f"{stop:02}:30:00.000"}
            for start, stop in [(chance.randint(0, 23), chance.randint(0, 23)) for _ in range(chance.randint(1, 3))]
        ]
        found["timeAllowed"] = {"timeSlots": slots, "timeZoneId": chance.choice(ZONES)}
    if chance.random() < share / 2:
        least = chance.randint(0, 900)
        text = {"Over": f"PT{least}S", "Under": f"PT{least + 1}S", "Between": f"PT{least}S/PT{least + 300}S"}
        mode = chance.choice(list(text))
        found["duration"] = {"durationMode": mode, "durationRange": text[mode]}
    return found


def random_actions(chance: random.Random) -> dict[str, Any]:
    """What is done with recordings."""
    kind = chance.choice(["days", "days", "keep", "delete", "always", "nothing"])
    days = chance.randint(2, 9)
    return {
        "days": {"retentionDuration": {"deleteRetention": {"days": days}, "archiveRetention": {"days": days // 2}}},
        "keep": {"retainRecording": True, "deleteRecording": chance.random() < 0.5},
        "delete": {"retainRecording": False, "deleteRecording": True},
        "always": {"alwaysDelete": True},
        "nothing": {"retainRecording": False},
    }[kind]


def random_facts(chance: random.Random, spread: int) -> Facts:
    """A call of November 2026."""
    users = [f"u{n}" for n in chance.sample(range(spread), min(spread, chance.randint(0, 3)))]
    start = START + chance.randint(-15 * DAY, 5 * DAY)
    return Facts(
        conversation_id="c",
        start=start,
        end=start + chance.randint(0, 1200) * 1_000_000,
        direction=chance.choice(["INBOUND", "OUTBOUND", "INTERNAL"]),
        agents=tuple(Agent(user, start + n, chance.random() < 0.2) for n, user in enumerate(users)),
        queues=frozenset(f"q{n}" for n in chance.sample(range(spread), chance.randint(0, 1))),
        teams=frozenset((f"t{chance.randrange(spread)}", user) for user in users),
        wrapup_codes=frozenset(f"w{chance.randrange(spread)}" for _ in users),
        languages=frozenset({f"l{chance.randrange(spread)}"}),
        customer=chance.random() < 0.8,
    )


def zone(name: str) -> ZoneInfo:
    """A time zone."""
    return ZoneInfo(name)
