"""Entries of the audit log as the contract's messages, and the services that it sorts them into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from earwitness.store import oauth, users
from earwitness.store.tables import AuditEntry
from earwitness.web.kernel.documents import Document, Moment

SERVICES: dict[str, tuple[str, ...]] = {
    "Architect": ("flow", "prompt"),
    "ContactCenter": ("language", "queue", "queueMembers", "routingSettings", "skill", "wrapupCode"),
    "Conversation": ("conversation",),
    "Directory": ("group", "team", "user"),
    "PeoplePermissions": ("client", "division", "oauthClient", "role"),
    "Quality": ("calibration", "evaluation", "evaluationForm", "survey", "surveyForm"),
    "Recording": (
        *("batchDownload", "dataRetention", "deletionProtection", "erasure", "integration", "orphanRecording"),
        *("policy", "policySettings", "recording", "recordingJob", "recordingKey", "recordingSettings"),
        "recordingUpload",
    ),
    "Telephony": (
        *("callRoute", "did", "didPool", "phone", "phoneBase", "site", "station", "telephonySettings", "trunkBase"),
    ),
}
"""Service -> kinds of objects."""
PLATFORM = "Platform"
"""Service of all other kinds."""
SERVICE_OF = {kind: service for service, kinds in SERVICES.items() for kind in kinds}
ACTIONS = ("change", "create", "delete")
"""What is done to an object of any kind."""


class EntityReference(Document):
    """Something or somebody that an entry speaks of."""

    id: str
    name: str | None = None
    self_uri: str | None = None


class MessageInfo(Document):
    """What happened, for people."""

    message: str
    message_with_params: str
    message_params: dict[str, str]


class PropertyChange(Document):
    """A property before and after."""

    property: str
    old_values: list[str]
    new_values: list[str]


class AuditMessage(Document):
    """An entry of the audit log."""

    id: str
    user_home_org_id: str | None = None
    user: EntityReference | None = None
    client: EntityReference | None = None
    remote_ip: list[str]
    service_name: str
    level: str
    event_date: Moment
    message: MessageInfo
    action: str
    entity: EntityReference | None = None
    entity_type: str
    status: str
    transaction_initiator: bool
    property_changes: list[PropertyChange]
    context: dict[str, str]


class QualityAuditMessage(Document):
    """An entry about a conversation. ``action`` and ``entityType`` are words of the contract, ours in ``context``."""

    id: str
    user_home_org_id: str | None = None
    user: EntityReference | None = None
    client: EntityReference | None = None
    remote_ips: list[str]
    service_name: str
    level: str
    status: str
    event_date: Moment
    message_info: MessageInfo
    action: str
    entity: EntityReference | None = None
    entity_type: str
    property_changes: list[PropertyChange]
    context: dict[str, str]


def service_of(entity_type: str) -> str:
    """The service that a kind of object belongs to."""
    return SERVICE_OF.get(entity_type, PLATFORM)


def messages(session: Session, entries: Sequence[AuditEntry]) -> list[AuditMessage]:
    """Entries as messages."""
    people = _names(session, entries)
    organization = users.organization(session)
    home = organization.id if organization is not None else None
    return [
        AuditMessage(
            id=str(entry.id),
            user_home_org_id=home,
            user=_who(entry, "user", people),
            client=_who(entry, "client", people),
            remote_ip=[entry.remote_address] if entry.remote_address else [],
            service_name=service_of(entry.entity_type),
            level="USER" if entry.subject_type in ("user", "client") else "SYSTEM",
            event_date=entry.at,
            message=_message(entry),
            action=entry.action,
            entity=EntityReference(id=entry.entity_id) if entry.entity_id else None,
            entity_type=entry.entity_type,
            status="SUCCESS" if entry.result == "allowed" else "FAILURE",
            transaction_initiator=True,
            property_changes=_changes(entry),
            context=_context(entry),
        )
        for entry in entries
    ]


QUALITY_KINDS = {"recording": "Recording", "conversation": "Recording", "evaluation": "Evaluation"} | {
    "calibration": "Calibration",
    "survey": "Survey",
}
"""Kind of object -> ``entityType`` of the contract, in audits of conversations."""
_WORDS = (
    (("listen", "view", "list", "play", "see"), "Read"),
    (("download", "batchdownload"), "Download"),
    (("editretention", "archive"), "UpdateRetention"),
    (("protect", "applyprotection"), "ApplyProtection"),
    (("unprotect", "revoke"), "RevokeProtection"),
    (("restore",), "RestoreRequest"),
    (("export",), "Export"),
    (("delete", "destroy", "purge", "remove", "erase"), "Delete"),
    (("add", "create", "assign", "make"), "Create"),
)
"""Beginnings of our actions, in lower case -> ``action`` of the contract."""


def quality_action(action: str) -> str:
    """The contract's word for one of our actions."""
    text = action.casefold().removeprefix("get_conversation_")
    if text.startswith("recording"):
        return "Read"
    return next((word for starts, word in _WORDS if text.startswith(starts)), "Update")


def quality_messages(session: Session, entries: Sequence[AuditEntry]) -> list[QualityAuditMessage]:
    """Entries about conversations as messages."""
    found = []
    for entry, plain in zip(entries, messages(session, entries), strict=True):
        annotation = "annotation" in entry.action.casefold()
        found.append(
            QualityAuditMessage(
                id=plain.id,
                user_home_org_id=plain.user_home_org_id,
                user=plain.user,
                client=plain.client,
                remote_ips=plain.remote_ip,
                service_name="QualityService" if plain.service_name == "Quality" else "RecordingService",
                level=plain.level.title(),
                status=plain.status.title(),
                event_date=plain.event_date,
                message_info=plain.message,
                action=quality_action(entry.action),
                entity=plain.entity,
                entity_type="Annotation" if annotation else QUALITY_KINDS.get(entry.entity_type, "Recording"),
                property_changes=plain.property_changes,
                context={**plain.context, "action": entry.action, "entityType": entry.entity_type},
            )
        )
    return found


def _names(session: Session, entries: Sequence[AuditEntry]) -> Mapping[str, str]:
    ids = sorted({entry.subject_id for entry in entries if entry.subject_id})
    found = {user.id: user.name for user in users.by_ids(session, ids)}
    for key in ids:
        client = oauth.client(session, key) if key not in found else None
        if client is not None:
            found[key] = client.name
    return found


def _who(entry: AuditEntry, kind: str, names: Mapping[str, str]) -> EntityReference | None:
    if entry.subject_type != kind or not entry.subject_id:
        return None
    path = "users" if kind == "user" else "oauth/clients"
    return EntityReference(
        id=entry.subject_id, name=names.get(entry.subject_id), self_uri=f"/api/v2/{path}/{entry.subject_id}"
    )


def _message(entry: AuditEntry) -> MessageInfo:
    text = f"{entry.action} {entry.entity_type} {entry.entity_id or ''}: {entry.result}"
    params = {"action": entry.action, "entityType": entry.entity_type, "result": entry.result}
    return MessageInfo(message=text, message_with_params=text, message_params=params)


def _changes(entry: AuditEntry) -> list[PropertyChange]:
    before, after = entry.detail.get("before"), entry.detail.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return [
        PropertyChange(property=name, old_values=_texts(before, name), new_values=_texts(after, name))
        for name in sorted(before.keys() | after.keys())
    ]


def _texts(values: Mapping[str, Any], name: str) -> list[str]:
    return [_text(values[name])] if name in values else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _context(entry: AuditEntry) -> dict[str, str]:
    told = {name: _text(value) for name, value in entry.detail.items() if name not in ("before", "after")}
    return told | ({"conversationId": entry.conversation_id} if entry.conversation_id else {})
