"""A media retention policy, read from the contract's document. Pure.

Two forms say the same (F5): ``mediaPolicies`` has conditions and actions for each medium; top-level ``conditions`` and
``actions`` are the older form. Where a policy has both, what ``mediaPolicies.callPolicy`` says counts for calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earwitness.domain.policy.actions import Actions, read_actions
from earwitness.domain.policy.conditions import Conditions, read_conditions
from earwitness.domain.policy.errors import PolicyError
from earwitness.domain.policy.reading import Part

PARTS = ("mediaPolicies", "conditions", "actions")
"""Of the document; all else of a policy is columns."""
OTHER_MEDIA = ("chatPolicy", "emailPolicy", "messagePolicy")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as far as it is about calls."""

    id: str
    name: str
    order: int
    enabled_at: int
    """Conversations that began before are none of its business (F2)."""
    conditions: Conditions
    actions: Actions
    calls: bool = True
    """It says something about calls."""
    cross_platform: bool = False
    """It is for conversations that another platform carried, and for no other."""

    @property
    def rank(self) -> tuple[int, str]:
        """Its place in the order."""
        return self.order, self.id


def read_policy(
    policy_id: str,
    name: str,
    order: int,
    enabled_at: int,
    document: Mapping[str, Any],
    *,
    cross_platform: bool = False,
) -> Policy:
    """The policy of a document with ``mediaPolicies``, ``conditions`` and ``actions``.

    :raises PolicyError: contradictory, or not to be understood.
    """
    whole = Part(document, "")
    media = whole.part("mediaPolicies")
    for medium in OTHER_MEDIA:
        other = media.part(medium)
        if other.values:
            other.part("conditions")
            read_actions(other.part("actions"))
    old = read_conditions(whole.part("conditions")), read_actions(whole.part("actions"))
    call = media.part("callPolicy")
    if media.values.get("callPolicy") is not None:
        conditions, actions = read_conditions(call.part("conditions")), read_actions(call.part("actions"))
        return Policy(policy_id, name, order, enabled_at, conditions, actions, True, cross_platform)
    legacy = document.get("conditions") is not None or document.get("actions") is not None
    calls = legacy or not any(media.values.get(medium) is not None for medium in OTHER_MEDIA)
    return Policy(policy_id, name, order, enabled_at, *old, calls, cross_platform)


def check(document: Mapping[str, Any]) -> Policy:
    """Holds a policy that somebody wants to save against what policies can say.

    :raises PolicyError: contradictory, or not to be understood.
    """
    return read_policy("", "", 0, 0, document)


__all__ = ["PARTS", "Policy", "PolicyError", "check", "read_policy"]
