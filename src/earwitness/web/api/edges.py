"""Edges: the processes that run the calls. One answers this web process."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.store import telephony, users
from earwitness.store import trunks as trunk_store
from earwitness.web.api import named
from earwitness.web.api.named import ADMINISTERS_TELEPHONY
from earwitness.web.api.trunks import TrunkDocument, TrunkType, trunk_document
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Reference
from earwitness.web.kernel.errors import not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Edges")
PATH = "/api/v2/telephony/providers/edges"
NEEDS = any_of(ADMINISTERS_TELEPHONY)


class EdgeDocument(Document):
    """An edge."""

    id: str
    name: str
    state: str
    status_code: str
    online_status: str
    physical_edge: bool
    managed: bool
    edge_deployment_type: str
    site: Reference | None = None
    conversation_count: int | None = None
    self_uri: str


def _edge_id(session: Session) -> str:
    organization = users.organization(session)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"earwitness:edge:{organization.id if organization else ''}"))


def _document(parts: Services, session: Session) -> EdgeDocument:
    health: dict[str, Any] | None = parts.edge.health()
    site = telephony.default_site(session)
    count = health.get("conversations") if health is not None else None
    edge_id = _edge_id(session)
    return EdgeDocument(
        id=edge_id,
        name="edge",
        state="active",
        status_code="ACTIVE" if health is not None else "INACTIVE",
        online_status="ONLINE" if health is not None else "OFFLINE",
        physical_edge=False,
        managed=False,
        edge_deployment_type="LDM",
        site=named.site_reference(site.id if site is not None else None),
        conversation_count=count if isinstance(count, int) else None,
        self_uri=f"{PATH}/{edge_id}",
    )


@family.operation("GET", PATH, "get_telephony_providers_edges", NEEDS, returns=Listing[EdgeDocument])
def list_edges(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    site_id: Annotated[str | None, Query(alias="site.id")] = None,
    managed: bool | None = None,
) -> Listing[EdgeDocument]:
    """Edges."""
    with parts.database.reading() as session:
        found = [_document(parts, session)]
    found = [
        edge
        for edge in found
        if (not name or name.casefold().strip("*") in edge.name)
        and (site_id is None or (edge.site is not None and edge.site.id == site_id))
        and not managed
    ]
    return page.envelope(page.cut(found), len(found))


@family.operation("GET", PATH + "/{edgeId}", "get_telephony_providers_edge", NEEDS, returns=EdgeDocument)
def one_edge(caller: Signed, parts: Parts, edgeId: str) -> EdgeDocument:
    """An edge."""
    with parts.database.reading() as session:
        if edgeId != _edge_id(session):
            raise not_found("edge", edgeId)
        return _document(parts, session)


@family.operation(
    "GET", PATH + "/{edgeId}/trunks", "get_telephony_providers_edge_trunks", NEEDS, returns=Listing[TrunkDocument]
)
def trunks_of_edge(
    caller: Signed,
    parts: Parts,
    edgeId: str,
    page: Paging,
    trunk_base_id: Annotated[str | None, Query(alias="trunkBase.id")] = None,
    trunk_type: TrunkType = None,
) -> Listing[TrunkDocument]:
    """The trunks of an edge: all of them."""
    with parts.database.reading() as session:
        if edgeId != _edge_id(session):
            raise not_found("edge", edgeId)
        found = trunk_store.trunks(
            session, base_id=trunk_base_id, trunk_type=trunk_type, number=page.number, size=page.size
        )
        return page.envelope([trunk_document(session, row) for row in found.items], found.total)
