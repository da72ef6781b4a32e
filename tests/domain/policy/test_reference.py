"""The index and the verdict against the slow and obvious reference."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_calls import policy, random_actions, random_conditions, random_facts
from policy_reference import keeps_days, meets

from earwitness.domain.policy import DELETE, DELETE_AFTER, PolicyIndex, Rules, decide

SEEDS = st.integers(0, 1 << 48)


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.integers(1, 5), st.floats(0.05, 0.9))
def test_f6_the_index_finds_what_the_reference_finds(seed: int, spread: int, share: float) -> None:
    chance = random.Random(seed)
    documents = {f"p{n:02}": random_conditions(chance, spread, share) for n in range(chance.randint(0, 40))}
    index = PolicyIndex(policy(key, conditions) for key, conditions in documents.items())
    for _ in range(10):
        call = random_facts(chance, spread)
        wanted = [key for key, conditions in sorted(documents.items()) if meets(conditions, call)]
        assert [found.id for found in index.matching(call)] == wanted
        assert [p.id for p in index.policies if p.conditions.matches(call)] == wanted


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_f11_the_verdict_is_the_reference_s_whatever_the_order(seed: int) -> None:
    chance = random.Random(seed)
    actions = [random_actions(chance) for _ in range(chance.randint(0, 6))]
    policies = [policy(f"p{n}", None, one, order=chance.randint(0, 3)) for n, one in enumerate(actions)]
    verdict = decide(policies)
    days = {DELETE_AFTER: verdict.days, DELETE: 0}.get(verdict.action, float("inf"))
    assert days == keeps_days(actions)
    assert sum(word.won for word in verdict.words) == (verdict.policy is not None)
    assert all(word.why for word in verdict.words)
    shuffled = [policy(p.id, None, actions[int(p.id[1:])], order=chance.randint(0, 9)) for p in policies]
    chance.shuffle(shuffled)
    again = decide(shuffled)
    assert (again.action, again.days, again.archive_days) == (verdict.action, verdict.days, verdict.archive_days)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_f13_one_more_policy_that_keeps_never_shortens(seed: int) -> None:
    chance = random.Random(seed)
    actions = [random_actions(chance) for _ in range(chance.randint(1, 5))]
    more = {"retentionDuration": {"deleteRetention": {"days": chance.randint(1, 20)}}}
    before, after = keeps_days(actions), keeps_days([*actions, more])
    assert after >= before or before == float("inf")  # F12: explicit days beat "forever", the one way to shorten
    shielded = decide([policy("a", None, {"alwaysDelete": True})], consent_granted=True, rules=Rules(True))
    assert shielded.policy is None
