"""How long it takes to hold a conversation against N policies, on one core: find those that match, decide, say why.

Policies ask for users, queues, teams, wrap-up codes, languages, directions, dates, hours and lengths, as many kinds as
people ask for; a hundredth asks for nothing. What the index finds is held against asking each policy itself. Nothing
but the decision is timed; building the index, once whenever somebody changes a policy, is shown beside.

    python -m bench policies [--seconds 2]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "domain"))

from policy_calls import policy, random_actions, random_conditions, random_facts

from earwitness.domain.policy import Facts, Policy, PolicyIndex, evaluate

SIZES = (10, 100, 1000, 10_000)
LIMIT_MS = 2.0
"""For 1,000 policies."""
CALLS = 50
SPREAD = 200
"""Users, queues, teams, codes and languages each."""
PLAIN = 0.01


def make(chance: random.Random, size: int) -> list[Policy]:
    """So many policies."""
    return [
        policy(
            f"p{number:05}",
            {} if chance.random() < PLAIN else _asked(chance),
            random_actions(chance),
            order=number,
        )
        for number in range(size)
    ]


def _asked(chance: random.Random) -> dict[str, object]:
    while not (found := random_conditions(chance, SPREAD, 0.35)):
        pass
    return found


def round_ms(index: PolicyIndex, calls: list[Facts]) -> float:
    """Milliseconds of one core for a conversation."""
    before = time.process_time()
    for call in calls:
        evaluate(index, call)
    return (time.process_time() - before) / len(calls) * 1000


def main() -> int:
    """0 when the limit is kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    chance = random.Random(7)
    calls = [random_facts(chance, SPREAD) for _ in range(CALLS)]
    found: dict[int, float] = {}
    print("policies  matched   median ms  worst round ms  asking each ms  index made in ms")
    for size in SIZES:
        policies = make(chance, size)
        before = time.process_time()
        index = PolicyIndex(policies)
        built_ms = (time.process_time() - before) * 1000
        before = time.process_time()
        asked = [[one for one in policies if one.conditions.matches(call)] for call in calls]
        each_ms = (time.process_time() - before) / CALLS * 1000
        for call, wanted in zip(calls, asked, strict=True):
            if index.matching(call) != sorted(wanted, key=lambda one: one.rank):
                print(f"the index of {size} policies finds others than asking each of them")
                return 1
        rounds: list[float] = []
        until = time.monotonic() + options.seconds
        while time.monotonic() < until:
            rounds.append(round_ms(index, calls))
        found[size] = median(rounds)
        matched = sum(map(len, asked)) / CALLS
        print(f"{size:8,}  {matched:7.1f}  {found[size]:10.4f}  {max(rounds):14.4f}  {each_ms:14.3f}  {built_ms:16.1f}")
    growth = found[10_000] / found[100]
    print(f"1,000 policies: {found[1000]:.3f} ms (limit {LIMIT_MS} ms); 100 times the policies cost {growth:.1f} times")
    return 0 if found[1000] <= LIMIT_MS and growth < 100 else 1


if __name__ == "__main__":
    sys.exit(main())
