"""The built-in roles: what an administrator, a supervisor, an evaluator and an agent may do to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earwitness.domain.access.condition import own_calls_document


@dataclass(frozen=True, slots=True)
class DefaultRole:
    """A role that every installation starts with."""

    key: str
    """Stable name, ``DomainOrganizationRole.defaultRoleId``."""
    name: str
    description: str
    permissions: tuple[str, ...]
    policies: tuple[Mapping[str, Any], ...] = ()


def _own_calls(domain: str, entity: str, *actions: str) -> dict[str, Any]:
    return {
        "domain": domain,
        "entityName": entity,
        "policyName": f"{domain}_{entity}_own_calls",
        "policyDescription": "Calls that the user took part in",
        "actionSet": list(actions),
        "allowConditions": True,
        "resourceConditionNode": own_calls_document(),
    }


ADMINISTRATOR = DefaultRole(
    "administrator",
    "Administrator",
    "Everything in the granted divisions. User recordings stay with their owners.",
    tuple(
        f"{domain}:*:*"
        for domain in (
            "analytics",
            "architect",
            "audits",
            "authorization",
            "conversation",
            "directory",
            "groups",
            "oauth",
            "quality",
            "recording",
            "routing",
            "telephony",
        )
    ),
)

SUPERVISOR = DefaultRole(
    "supervisor",
    "Supervisor",
    "Listens to the calls of the granted divisions, looks after the people on them, and evaluates.",
    (
        "analytics:agentConversationDetail:view",
        "analytics:conversationDetail:view",
        "analytics:evaluationAggregate:view",
        "audits:interactionDetails:view",
        "conversation:call:assign",
        "conversation:call:monitor",
        "conversation:call:record",
        "conversation:communication:disconnect",
        "conversation:communication:view",
        "conversation:participant:wrapup",
        "conversation:recording:pause",
        "conversation:recording:pauseOthers",
        "conversation:recording:snippetRecord",
        "directory:user:view",
        "quality:calibration:view",
        "quality:evaluation:add",
        "quality:evaluation:assign",
        "quality:evaluation:edit",
        "quality:evaluation:editScore",
        "quality:evaluation:release",
        "quality:evaluation:view",
        "quality:evaluationForm:view",
        "recording:annotation:add",
        "recording:annotation:edit",
        "recording:annotation:view",
        "recording:recording:view",
        "recording:recording:viewSensitiveData",
        "routing:queue:view",
        "routing:wrapupCode:view",
    ),
)

EVALUATOR = DefaultRole(
    "evaluator",
    "Evaluator",
    "Scores evaluations that were assigned; listens to calls of the granted divisions.",
    (
        "conversation:communication:view",
        "quality:calibration:view",
        "quality:evaluation:edit",
        "quality:evaluation:editScore",
        "quality:evaluation:view",
        "quality:evaluationForm:view",
        "recording:annotation:add",
        "recording:annotation:view",
        "recording:recording:view",
    ),
)

AGENT = DefaultRole(
    "agent",
    "Agent",
    "Sits down at a phone, takes calls, records them for the own inbox, pauses recording, listens to own calls (J14).",
    (
        "conversation:call:add",
        "conversation:call:pull",
        "conversation:call:record",
        "conversation:communication:blindTransfer",
        "conversation:communication:consultTransfer",
        "conversation:conference:add",
        "conversation:participant:wrapup",
        "conversation:recording:pause",
        "conversation:recording:snippetRecord",
        "quality:evaluation:editAgentSignoff",
        "routing:queue:join",
        "telephony:selfStationAssociation:edit",
        "telephony:selfStationAssociation:view",
        "telephony:station:disassociateSelf",
    ),
    (
        _own_calls("conversation", "communication", "view", "disconnect"),
        _own_calls("recording", "recording", "view"),
        _own_calls("recording", "annotation", "view"),
    ),
)

DEFAULT_ROLES = (ADMINISTRATOR, SUPERVISOR, EVALUATOR, AGENT)
