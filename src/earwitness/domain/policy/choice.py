"""Who is to evaluate, of several who could (F16). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from earwitness.domain.policy.actions import AssignMetered

Count = Callable[[str], int]


def choose(action: AssignMetered, evaluators: Iterable[str], per_evaluator: Count, agent_count: int) -> str | None:
    """The evaluator who gets the evaluation, or None: there are enough already.

    Of those who may have more, the one who had the fewest in the interval, so that they share the work; of several, the
    first that the policy names.

    :param evaluators: those of the action who can be given any, in its order.
    :param per_evaluator: how many each had from this policy in the interval.
    :param agent_count: how many there were of the agent.
    """
    if action.by_agent and agent_count >= action.most:
        return None
    counted = [(per_evaluator(user_id), number, user_id) for number, user_id in enumerate(evaluators)]
    if not action.by_agent:
        counted = [item for item in counted if item[0] < action.most]
    return min(counted)[2] if counted else None
