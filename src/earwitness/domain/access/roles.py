"""The built-in roles: what each kind of user may do to begin with.

Two tiers. Whoever has only ``COMMUNICATE`` calls, and records into an inbox of their own; policies, quality and what
was recorded by a trunk begin with the roles of the contact centre. Of those the agent hears a call only by a released
evaluation of themselves, and the evaluator only what was assigned to them (J1); ``OWN_CALLS`` is for who wants agents
to hear every call of their own (J14). No role reaches somebody else's inbox (E2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earwitness.domain.access.condition import evaluations_document, own_calls_document


@dataclass(frozen=True, slots=True)
class DefaultRole:
    """A role that every installation starts with."""

    key: str
    """Stable name, ``DomainOrganizationRole.defaultRoleId``."""
    name: str
    description: str
    permissions: tuple[str, ...]
    policies: tuple[Mapping[str, Any], ...] = ()


def _only(name: str, condition: dict[str, Any], domain: str, entity: str, *actions: str) -> dict[str, Any]:
    return {
        "domain": domain,
        "entityName": entity,
        "policyName": f"{domain}_{entity}_{name.replace(' ', '_')}",
        "policyDescription": {
            "own calls": "Calls that the user took part in",
            "assigned": "Calls of which an evaluation is assigned to the user",
            "released": "Calls of which an evaluation of the user is released",
        }[name],
        "actionSet": list(actions),
        "allowConditions": True,
        "resourceConditionNode": condition,
    }


def _own_calls(domain: str, entity: str, *actions: str) -> dict[str, Any]:
    return _only("own calls", own_calls_document(), domain, entity, *actions)


def _assigned(domain: str, entity: str, *actions: str) -> dict[str, Any]:
    return _only("assigned", evaluations_document("evaluator"), domain, entity, *actions)


def _released(domain: str, entity: str, *actions: str) -> dict[str, Any]:
    return _only("released", evaluations_document("agent"), domain, entity, *actions)


def _each(domain: str, entity: str, *actions: str) -> tuple[str, ...]:
    return tuple(f"{domain}:{entity}:{action}" for action in actions)


_CALLING = (
    *_each("conversation", "call", "add", "record"),
    *_each("conversation", "communication", "blindTransfer", "blindTransferAgent", "blindTransferExternal"),
    *_each("conversation", "communication", "blindTransferExternalContact", "blindTransferQueue"),
    *_each("conversation", "communication", "consultTransfer", "consultTransferAgent", "consultTransferExternal"),
    *_each("conversation", "communication", "consultTransferExternalContact", "consultTransferQueue"),
    *_each("conversation", "conference", "add"),
    *_each("conversation", "recording", "pause", "snippetRecord"),
    *_each("externalContacts", "contact", "view"),
    *_each("telephony", "selfStationAssociation", "edit", "view"),
    *_each("telephony", "station", "disassociateSelf"),
)
"""What a person with a phone needs."""
_LOOKING_UP = (
    *_each("architect", "flow", "search"),
    *_each("directory", "user", "view"),
    *_each("groups", "team", "view"),
    *_each("routing", "queue", "view", "search"),
    *_each("routing", "skill", "view"),
    *_each("routing", "wrapupCode", "view", "search"),
)
"""Who and what calls have to do with."""
_ALL = ("add", "delete", "edit", "view")
_OTHER_KINDS = ("screenRecording", "snippetRecording")
_POLICIES = (
    *_each("recording", "retentionPolicy", *_ALL),
    *_each("recording", "crossPlatformRetentionPolicy", *_ALL),
)
_LISTENING = (
    *_each("conversation", "communication", "view"),
    *_each("recording", "recording", "view", "viewSensitiveData"),
    *(f"recording:{kind}:view" for kind in _OTHER_KINDS),
    *_each("speechAndTextAnalytics", "data", "view"),
)
"""To find calls and hear them."""

COMMUNICATE = DefaultRole(
    "communicate",
    "Communicate user",
    "Sits down at a phone, calls, records calls for the own inbox. Nothing of policies and quality.",
    _CALLING,
    (_own_calls("conversation", "communication", "view", "disconnect"),),
)

AGENT = DefaultRole(
    "agent",
    "Agent",
    "Takes calls of queues, and hears a call again where an evaluation of it is released to them (J1).",
    (
        *_CALLING,
        *_each("conversation", "call", "pull"),
        *_each("conversation", "participant", "wrapup"),
        *_each("quality", "evaluation", "editAgentSignoff"),
        *_each("routing", "queue", "join"),
    ),
    (
        _own_calls("conversation", "communication", "view", "disconnect"),
        _released("quality", "evaluation", "view"),
        _released("recording", "recording", "view"),
        _released("recording", "annotation", "view"),
    ),
)

OWN_CALLS = DefaultRole(
    "ownCalls",
    "Listener to own calls",
    "Hears every recorded call of their own, evaluated or not (J14). Beside the role of an agent.",
    (),
    (
        _own_calls("conversation", "communication", "view"),
        _own_calls("recording", "recording", "view"),
        _own_calls("recording", "annotation", "view"),
    ),
)

EVALUATOR = DefaultRole(
    "evaluator",
    "Evaluator",
    "Scores the evaluations that were assigned to them, and hears those calls (J1).",
    (
        *_each("quality", "calibration", "view"),
        *_each("quality", "evaluation", "edit", "editScore", "view"),
        *_each("quality", "evaluationForm", "view"),
    ),
    (
        _assigned("conversation", "communication", "view"),
        _assigned("recording", "recording", "view", "viewSensitiveData"),
        _assigned("recording", "annotation", "add", "edit", "view"),
    ),
)

SUPERVISOR = DefaultRole(
    "supervisor",
    "Supervisor",
    "Listens to the calls of the granted divisions, looks after the people on them, and evaluates.",
    (
        *_CALLING,
        *_LOOKING_UP,
        *_LISTENING,
        *_each("analytics", "agentConversationDetail", "view"),
        *_each("analytics", "conversationDetail", "view"),
        *_each("analytics", "evaluationAggregate", "view"),
        *_each("audits", "interactionDetails", "view"),
        *_each("conversation", "call", "assign", "barge", "coach", "monitor", "pull"),
        *_each("conversation", "communication", "disconnect"),
        *_each("conversation", "externalTag", "edit"),
        *_each("conversation", "participant", "attributesedit", "attributesview", "wrapup"),
        *_each("conversation", "recording", "pauseOthers"),
        *_each("quality", "calibration", "add", "edit", "view"),
        *_each("quality", "evaluation", "add", "assign", "edit", "editScore", "release", "searchAny", "view"),
        *_each("quality", "evaluationForm", "view"),
        *_each("externalContacts", "contact", "add", "edit"),
        *_each("quality", "survey", "view"),
        *_each("quality", "surveyForm", "view"),
        *_each("recording", "annotation", "add", "edit", "view"),
        *_each("routing", "queue", "join"),
        *_each("routing", "queueMember", "manage"),
    ),
)

QUALITY_ADMINISTRATOR = DefaultRole(
    "qualityAdministrator",
    "Quality administrator",
    "Makes forms and policies, assigns, calibrates and releases evaluations, and hears the calls.",
    (
        *_LOOKING_UP,
        *_LISTENING,
        *_POLICIES,
        *_each("analytics", "conversationDetail", "view"),
        *_each("analytics", "evaluationAggregate", "view"),
        *_each("audits", "interactionDetails", "view"),
        *_each("integrations", "integration", "view"),
        *_each("quality", "calibration", *_ALL),
        *_each("quality", "evaluation", "add", "assign", "delete", "edit", "editScore", "release", "searchAny", "view"),
        *_each("quality", "evaluationForm", *_ALL),
        *_each("quality", "survey", "add", "view"),
        *_each("quality", "surveyForm", *_ALL, "disable"),
        *_each("recording", "annotation", *_ALL),
    ),
)

RECORDING_ADMINISTRATOR = DefaultRole(
    "recordingAdministrator",
    "Recording administrator",
    "Decides how long recordings are kept: policies, dates, jobs, protection, orphans, keys, imports and exports.",
    (
        *_LOOKING_UP,
        *_LISTENING,
        *_POLICIES,
        *_each("analytics", "conversationDetail", "view"),
        *_each("analytics", "dataRetention", "edit", "view"),
        *_each("audits", "audit", "view"),
        *_each("audits", "interactionDetails", "view"),
        *_each("gdpr", "request", "add", "view"),
        *_each("gdpr", "subject", "view"),
        *_each("integrations", "integration", "view"),
        *_each("recording", "annotation", *_ALL),
        *_each("recording", "deletionProtection", "apply", "revoke"),
        *_each("recording", "encryptionKey", "edit", "view"),
        *_each("recording", "job", *_ALL),
        *_each("recording", "orphan", "delete", "edit", "view"),
        *_each("recording", "erasure", "add", "confirm", "view"),
        *_each("recording", "recording", "delete", "editRetention", "restore", "upload"),
        *(f"recording:{kind}:{action}" for kind in _OTHER_KINDS for action in ("editRetention", "restore")),
        *_each("recording", "screenRecording", "stop"),
        *_each("recording", "settings", "editConferenceRecording", "editRegionalStorage"),
        *_each("recording", "settings", "editScreenRecordings", "editUrlExpiration"),
        *_each("recording", "uploadReport", "add", "view"),
    ),
)

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
            "externalContacts",
            "gdpr",
            "groups",
            "integrations",
            "oauth",
            "quality",
            "recording",
            "routing",
            "speechAndTextAnalytics",
            "telephony",
        )
    ),
)

DEFAULT_ROLES = (
    ADMINISTRATOR,
    SUPERVISOR,
    EVALUATOR,
    AGENT,
    COMMUNICATE,
    QUALITY_ADMINISTRATOR,
    RECORDING_ADMINISTRATOR,
    OWN_CALLS,
)
