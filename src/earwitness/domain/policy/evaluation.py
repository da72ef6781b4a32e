"""From a finished conversation and the policies to a decision: what becomes of its recordings, and what else. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from earwitness.domain.policy.actions import Action, AssignMetered
from earwitness.domain.policy.facts import Facts
from earwitness.domain.policy.index import PolicyIndex
from earwitness.domain.policy.model import Policy
from earwitness.domain.policy.verdict import KEEP, Rules, Verdict, decide

REFUSED = "the caller refused to be recorded, so no policy runs"
MISSING = "the caller was to be asked for consent and never gave it, so no policy runs"


@dataclass(frozen=True, slots=True)
class Planned:
    """Something to be done beside keeping and deleting."""

    policy: Policy
    action: Action
    agent_id: str | None
    """Whom an evaluation is of: the first agent; of a number by agent, the last that the policy means (F15)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """All that follows from the policies."""

    applied: bool
    """False: policies do not run on this conversation (C1, C5)."""
    matched: tuple[Policy, ...]
    missed: tuple[Policy, ...]
    """Those whose conditions are met, enabled or changed only after the conversation began (F1, F2)."""
    verdict: Verdict
    planned: tuple[Planned, ...]
    """In the order of the policies (F14)."""


def evaluate(index: PolicyIndex, facts: Facts, rules: Rules | None = None) -> Decision:
    """The decision about a conversation that is complete."""
    if not facts.recordable:
        why = REFUSED if facts.consent == "refused" else MISSING
        return Decision(False, (), (), Verdict(KEEP, None, None, None, why), ())
    found = index.matching(facts)
    matched = tuple(policy for policy in found if policy.enabled_at <= facts.start)
    missed = tuple(policy for policy in found if policy.enabled_at > facts.start)
    verdict = decide(matched, consent_granted=facts.consent == "granted", rules=rules)
    planned = tuple(
        Planned(policy, action, agent_for(policy, action, facts))
        for policy in matched
        for action in policy.actions.others
    )
    return Decision(True, matched, missed, verdict, planned)


def agent_for(policy: Policy, action: Action, facts: Facts) -> str | None:
    """Whom an evaluation is of; observers never (F15)."""
    agents = [agent.user_id for agent in facts.agents if not agent.observes]
    if isinstance(action, AssignMetered) and action.by_agent:
        meant = [user_id for user_id in agents if policy.conditions.means_agent(facts, user_id)]
        return meant[-1] if meant else None
    return agents[0] if agents else None
