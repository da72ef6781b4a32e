"""Flows and their versions as documents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from earwitness.store import flows as flow_store
from earwitness.store import oauth, users
from earwitness.store.tables import Flow, FlowVersion
from earwitness.web.api import divisions
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.kernel.documents import Document, Moment, Reference
from earwitness.web.kernel.errors import not_found

PATH = "/api/v2/flows"
_VERSION = re.compile(r"([1-9][0-9]{0,8})(?:\.0)?")


class SupportedLanguage(Document):
    """A language of a flow."""

    language: str
    is_default: bool


class FlowVersionDocument(Document):
    """One text of a flow. These dates are milliseconds since 1970 (S27), except ``datePublished…``."""

    id: str
    name: str
    commit_version: str
    configuration_version: str
    type: str
    secure: bool = False
    debug: bool = False
    created_by: Reference | None = None
    created_by_client: Reference | None = None
    configuration_uri: str
    date_created: int
    date_checked_in: int | None = None
    date_saved: int
    date_published: Moment | None = None
    date_published_end: Moment | None = None
    virtual_agent_enabled: bool = False
    supported_languages: list[SupportedLanguage]
    compatible_flow_types: list[str]
    self_uri: str


class Operation(Document):
    """Something that was done with a flow."""

    id: str
    complete: bool
    user: Reference | None = None
    client: Reference | None = None
    action_name: str
    action_status: str


class FlowDocument(Document):
    """A flow."""

    id: str
    name: str
    division: DivisionReference
    description: str | None = None
    type: str
    locked_user: Reference | None = None
    locked_client: Reference | None = None
    active: bool
    system: bool = False
    deleted: bool
    published_version: FlowVersionDocument | None = None
    saved_version: FlowVersionDocument | None = None
    checked_in_version: FlowVersionDocument | None = None
    published_by: Reference | None = None
    current_operation: Operation | None = None
    supported_languages: list[SupportedLanguage] | None = None
    compatible_flow_types: list[str]
    virtual_agent_enabled: bool = False
    self_uri: str


class FlowDigest(Document):
    """A flow in few words."""

    id: str
    name: str
    division: DivisionReference
    description: str | None = None
    type: str
    published_version: FlowVersionDocument | None = None
    supported_languages: list[SupportedLanguage] | None = None
    self_uri: str


def documents(session: Session, rows: Iterable[Flow]) -> list[FlowDocument]:
    """Documents of flows."""
    found = list(rows)
    heads = flow_store.heads(session, found)
    mentions = divisions.references(session, {row.division_id for row in found})
    return [_document(session, row, heads, mentions[row.division_id]) for row in found]


def document(session: Session, row: Flow) -> FlowDocument:
    """The document of one flow."""
    return documents(session, [row])[0]


def digests(session: Session, rows: Iterable[Flow]) -> list[FlowDigest]:
    """Flows in few words."""
    return [
        FlowDigest(
            id=item.id,
            name=item.name,
            division=item.division,
            description=item.description,
            type=item.type,
            published_version=item.published_version,
            supported_languages=item.supported_languages,
            self_uri=f"{PATH}/divisionviews/{item.id}",
        )
        for item in documents(session, rows)
    ]


def _document(
    session: Session, row: Flow, heads: dict[tuple[str, int], FlowVersion], division: DivisionReference
) -> FlowDocument:
    def head(number: int | None) -> FlowVersionDocument | None:
        known = heads.get((row.id, number)) if number is not None else None
        return version_document(session, row, known) if known is not None else None

    published, saved = head(row.published_number), head(row.saved_number)
    operation = dict(row.operation) if row.operation else None
    if operation is not None:
        operation["user"] = user_reference(session, operation.get("user"))
        operation["client"] = client_reference(session, operation.get("client"))
    shown = published or saved
    return FlowDocument(
        id=row.id,
        name=row.name,
        division=division,
        description=row.description,
        type=row.type.upper(),
        locked_user=user_reference(session, row.locked_by_user),
        locked_client=client_reference(session, row.locked_by_client),
        active=row.published_number is not None and row.state == "active",
        deleted=row.state == "deleted",
        published_version=published,
        saved_version=saved,
        checked_in_version=head(row.checked_in_number),
        published_by=user_reference(session, row.published_by),
        current_operation=Operation(**operation) if operation is not None else None,
        supported_languages=shown.supported_languages if shown is not None else None,
        compatible_flow_types=[row.type],
        self_uri=f"{PATH}/{row.id}",
    )


def version_document(session: Session, flow: Flow, row: FlowVersion) -> FlowVersionDocument:
    """The document of a version."""
    number = f"{row.number}.0"
    return FlowVersionDocument(
        id=number,
        name=number,
        commit_version=str(row.number),
        configuration_version=number,
        type=row.type,
        created_by=user_reference(session, row.created_by),
        created_by_client=client_reference(session, row.created_by_client),
        configuration_uri=f"{PATH}/{flow.id}/versions/{number}/configuration",
        date_created=row.created_at // 1000,
        date_saved=row.created_at // 1000,
        date_checked_in=row.checked_in_at // 1000 if row.checked_in_at is not None else None,
        date_published=row.published_at,
        date_published_end=row.published_until,
        supported_languages=[
            SupportedLanguage(language=language, is_default=place == 0) for place, language in enumerate(row.languages)
        ],
        compatible_flow_types=[flow.type],
        self_uri=f"{PATH}/{flow.id}/versions/{number}",
    )


def version_number(flow_id: str, version_id: str) -> int:
    """The number of a version by its id, ``3.0`` or ``3``.

    :raises ApiError: 404, no version has such an id.
    """
    match = _VERSION.fullmatch(version_id)
    if match is None:
        raise not_found(f"version of flow {flow_id}", version_id)
    return int(match[1])


def user_reference(session: Session, user_id: Any) -> Reference | None:
    """How a document mentions a user."""
    if not isinstance(user_id, str) or not user_id:
        return None
    user = users.get(session, user_id, deleted=True)
    return Reference(id=user_id, name=user.name if user else None, self_uri=f"/api/v2/users/{user_id}")


def client_reference(session: Session, client_id: Any) -> Reference | None:
    """How a document mentions a program."""
    if not isinstance(client_id, str) or not client_id:
        return None
    client = oauth.client(session, client_id)
    return Reference(id=client_id, name=client.name if client else None, self_uri=f"/api/v2/oauth/clients/{client_id}")
