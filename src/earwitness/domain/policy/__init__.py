"""What happens to recordings of which conversations, and why: conditions, actions, one verdict. Pure (rules F1-F22)."""

from earwitness.domain.policy.actions import (
    Action,
    AssignCalibration,
    AssignEvaluation,
    AssignMetered,
    Export,
    Form,
    Interval,
    Says,
    Unsupported,
)
from earwitness.domain.policy.errors import PolicyError
from earwitness.domain.policy.evaluation import Decision, Planned, evaluate
from earwitness.domain.policy.facts import Agent, Facts, facts_of
from earwitness.domain.policy.index import PolicyIndex
from earwitness.domain.policy.model import PARTS, Policy, check, read_policy
from earwitness.domain.policy.verdict import DELETE, DELETE_AFTER, KEEP, Rules, Verdict, decide, says

__all__ = [
    "DELETE",
    "DELETE_AFTER",
    "KEEP",
    "PARTS",
    "Action",
    "Agent",
    "AssignCalibration",
    "AssignEvaluation",
    "AssignMetered",
    "Decision",
    "Export",
    "Facts",
    "Form",
    "Interval",
    "Planned",
    "Policy",
    "PolicyError",
    "PolicyIndex",
    "Rules",
    "Says",
    "Unsupported",
    "Verdict",
    "check",
    "decide",
    "evaluate",
    "facts_of",
    "read_policy",
    "says",
]
