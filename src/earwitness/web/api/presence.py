"""Presence of users. ``On Queue`` is the one with an effect: calls of the user's queues come to the user's phone."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.store import user_routing, users
from earwitness.web.api.agent_states import check_may_set, set_presence
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Presence")

SOURCE = "PURECLOUD"
"""The only source of presence, in whatever case."""
PRESENCES = (
    *("Available", "Away", "Break", "Busy", "Idle", "Meal", "Meeting", "Offline", user_routing.ON_QUEUE),
    "Training",
)
_SPACE = uuid.UUID("1f0a1b0c-5d3e-4d5a-9f6e-7c0f4a0d9b11")
IDS = {name: str(uuid.uuid5(_SPACE, name)) for name in PRESENCES}
"""Presence -> id of its definition, the same in every installation."""
_BY_WORD = {"".join(char for char in name if char.isalnum()).casefold(): name for name in PRESENCES}


class PresenceDefinition(Document):
    """Which presence."""

    id: str
    system_presence: str
    self_uri: str


class UserPresence(Document):
    """The presence of a user."""

    id: str
    source: str
    primary: bool
    presence_definition: PresenceDefinition
    message: str | None = None
    modified_date: Moment | None = None
    self_uri: str


class PresenceDefinitionInput(RequestBody):
    """Which presence: by ``id`` or by ``systemPresence``."""

    id: str | None = None
    system_presence: str | None = None


class UserPresenceInput(RequestBody):
    """A presence to set; absent fields stay."""

    presence_definition: PresenceDefinitionInput | None = None
    message: str | None = None
    primary: bool | None = None


class SystemPresence(Document):
    """A presence that there is."""

    id: str
    name: str
    self_uri: str


class OrganizationPresence(Document):
    """A definition of a presence."""

    id: str
    name: str
    type: str = "System"
    language_labels: dict[str, str]
    system_presence: str
    deactivated: bool = False
    primary: bool = True
    self_uri: str


class PresenceListing(Document):
    """All definitions."""

    entities: list[OrganizationPresence]
    total: int
    self_uri: str


def _definition(presence: str) -> PresenceDefinition:
    key = IDS[presence]
    return PresenceDefinition(id=key, system_presence=presence, self_uri=f"/api/v2/presence/definitions/{key}")


def _document(session: Session, user_id: str) -> UserPresence:
    row = user_routing.get(session, user_id)
    return UserPresence(
        id=user_id,
        source=SOURCE,
        primary=True,
        presence_definition=_definition(row.presence if row is not None else user_routing.OFFLINE),
        message=row.message if row is not None else None,
        modified_date=row.presence_at if row is not None else None,
        self_uri=f"/api/v2/users/{user_id}/presences/{SOURCE.lower()}",
    )


def _chosen(asked: PresenceDefinitionInput) -> str:
    """The presence that a body means; its id counts first, as with the vendor.

    :raises ApiError: 400, there is none such.
    """
    if asked.id:
        found = next((name for name, key in IDS.items() if key == asked.id), None)
        if found is None:
            raise bad_request(f"There is no presence definition {asked.id}.", "presenceDefinition.id", "invalid.value")
        return found
    word = "".join(char for char in asked.system_presence or "" if char.isalnum()).casefold()
    if word not in _BY_WORD:
        listed = ", ".join(PRESENCES)
        raise bad_request(f"systemPresence is one of: {listed}.", "presenceDefinition.systemPresence", "invalid.value")
    return _BY_WORD[word]


def _source(source_id: str) -> None:
    if source_id.upper() != SOURCE:
        raise not_found("presence source", source_id)


@family.operation(
    "GET", "/api/v2/users/{userId}/presences/{sourceId}", "get_user_presence", SIGNED_IN, returns=UserPresence
)
def presence(caller: Signed, parts: Parts, userId: str, sourceId: str) -> UserPresence:
    """The presence of a user. The source is ``purecloud``."""
    _source(sourceId)
    with parts.database.reading() as session:
        if users.get(session, userId) is None:
            raise not_found("user", userId)
        return _document(session, userId)


@family.operation(
    "PATCH", "/api/v2/users/{userId}/presences/{sourceId}", "patch_user_presence", SIGNED_IN, returns=UserPresence
)
def change_presence(caller: Signed, parts: Parts, userId: str, sourceId: str, body: UserPresenceInput) -> UserPresence:
    """Sets the presence of a user: ``{"presenceDefinition": {"systemPresence": "On Queue"}}``, or by its id.

    Users set their own; that of others who holds ``directory:user:edit`` or ``routing:queueMember:manage`` in their
    division. Going on queue and off it needs the edge: 503 while it does not answer.
    """
    _source(sourceId)
    with parts.database.reading() as session:
        check_may_set(session, caller, userId)
        row = user_routing.get(session, userId)
        message = row.message if row is not None else None
    wanted = _chosen(body.presence_definition) if body.presence_definition is not None else None
    if "message" in body.given():
        message = body.message
    if wanted is not None or "message" in body.given():
        set_presence(parts, userId, presence=wanted, message=message)
    with parts.database.reading() as session:
        return _document(session, userId)


@family.operation("GET", "/api/v2/systempresences", "get_systempresences", SIGNED_IN, returns=list[SystemPresence])
def system_presences(caller: Signed) -> list[SystemPresence]:
    """Every presence that there is."""
    return [SystemPresence(id=IDS[name], name=name, self_uri="/api/v2/systempresences") for name in PRESENCES]


@family.operation("GET", "/api/v2/presence/definitions", "get_presence_definitions", SIGNED_IN, returns=PresenceListing)
def definitions(
    caller: Signed, deactivated: Annotated[str, Query(pattern="(?i)^(true|false)$")] = "false"
) -> PresenceListing:
    """Definitions of presences: one for each system presence."""
    found = [] if deactivated.lower() == "true" else [_organization_presence(name) for name in PRESENCES]
    return PresenceListing(entities=found, total=len(found), self_uri="/api/v2/presence/definitions")


@family.operation(
    "GET", "/api/v2/presencedefinitions", "get_presencedefinitions", SIGNED_IN, returns=Listing[OrganizationPresence]
)
def definitions_paged(caller: Signed, page: Paging) -> Listing[OrganizationPresence]:
    """The same, in pages."""
    return page.envelope([_organization_presence(name) for name in page.cut(PRESENCES)], len(PRESENCES))


def _organization_presence(name: str) -> OrganizationPresence:
    key = IDS[name]
    return OrganizationPresence(
        id=key,
        name=name,
        language_labels={"en_US": name},
        system_presence=name.replace(" ", ""),
        self_uri=f"/api/v2/presence/definitions/{key}",
    )
