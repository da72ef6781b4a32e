"""Trunks: what runs by trunk base settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.recording.settings import instance_of
from earwitness.store import trunks as trunk_store
from earwitness.store.tables import Trunk, TrunkBase
from earwitness.web.api import named
from earwitness.web.api.named import ADMINISTERS_TELEPHONY, NamedDocument
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Reference
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.searching import SearchRequest, matches
from earwitness.web.kernel.services import Parts

family = Family("Trunks")
EDGES = "/api/v2/telephony/providers/edges"
PATH = EDGES + "/trunks"
NEEDS = any_of(ADMINISTERS_TELEPHONY)
TrunkType = Annotated[str | None, Query(alias="trunkType", pattern="^(EXTERNAL|PHONE|EDGE)$")]


class TrunkConnectedStatus(Document):
    """Whether the trunk takes calls."""

    connected: bool


class TrunkDocument(NamedDocument):
    """A trunk."""

    trunk_type: str
    trunk_base: Reference
    trunk_metabase: Reference | None = None
    in_service: bool
    enabled: bool
    connected_status: TrunkConnectedStatus
    options_enabled_status: str
    registers_enabled_status: str
    proxy_address_list: list[str]


class TrunkInstanceSearchResponse(Document):
    """What a search found."""

    total: int
    page_count: int
    page_size: int
    page_number: int
    types: list[str]
    results: list[TrunkDocument]


class TrunkRecordingEnabledCount(Document):
    """How many trunks record, and how many do not."""

    enabled_count: int
    disabled_count: int


def trunk_document(session: Session, row: Trunk) -> TrunkDocument:
    """The document of a trunk."""
    base = session.get(TrunkBase, row.trunk_base_id)
    servers = instance_of(base.properties, "trunk_transport_serverProxyList") if base is not None else None
    runs = row.enabled and row.state == "active" and base is not None and base.state == "active"
    metabase = None
    if base is not None:
        metabase = Reference(
            id=base.trunk_metabase_id,
            self_uri=f"{EDGES}/trunkbasesettings/availablemetabases/{base.trunk_metabase_id}",
        )
    return TrunkDocument(
        **named.common(session, row, PATH),
        trunk_type=row.trunk_type,
        trunk_base=Reference(
            id=row.trunk_base_id,
            name=base.name if base is not None else None,
            self_uri=f"{EDGES}/trunkbasesettings/{row.trunk_base_id}",
        ),
        trunk_metabase=metabase,
        in_service=runs,
        enabled=row.enabled,
        connected_status=TrunkConnectedStatus(connected=runs),
        options_enabled_status="DISABLED",
        registers_enabled_status="DISABLED",
        proxy_address_list=servers if isinstance(servers, list) else [],
    )


@family.operation("GET", PATH, "get_telephony_providers_edges_trunks", NEEDS, returns=Listing[TrunkDocument])
def list_trunks(
    caller: Signed,
    parts: Parts,
    page: Paging,
    trunk_base_id: Annotated[str | None, Query(alias="trunkBase.id")] = None,
    edge_id: Annotated[str | None, Query(alias="edge.id")] = None,
    trunk_type: TrunkType = None,
) -> Listing[TrunkDocument]:
    """Trunks, by name."""
    with parts.database.reading() as session:
        found = trunk_store.trunks(
            session, base_id=trunk_base_id, trunk_type=trunk_type, number=page.number, size=page.size
        )
        return page.envelope([trunk_document(session, row) for row in found.items], found.total)


@family.operation(
    "POST",
    PATH + "/search",
    "post_telephony_providers_edges_trunks_search",
    NEEDS,
    returns=TrunkInstanceSearchResponse,
    reads=True,
)
def search(caller: Signed, parts: Parts, body: SearchRequest) -> TrunkInstanceSearchResponse:
    """Trunks whose texts match the query."""
    with parts.database.reading() as session:
        rows = [row for row in trunk_store.trunks(session, size=10_000).items if matches(body, row)]
        part = rows[body.offset : body.offset + body.size]
        return TrunkInstanceSearchResponse(
            total=len(rows),
            page_count=-(-len(rows) // body.size),
            page_size=body.size,
            page_number=body.number,
            types=["trunk"],
            results=[trunk_document(session, row) for row in part],
        )


@family.operation("GET", PATH + "/{trunkId}", "get_telephony_providers_edges_trunk", NEEDS, returns=TrunkDocument)
def one_trunk(caller: Signed, parts: Parts, trunkId: str) -> TrunkDocument:
    """A trunk."""
    with parts.database.reading() as session:
        return trunk_document(session, named.find(session, Trunk, trunkId, "trunk"))


@family.operation(
    "GET",
    EDGES + "/trunkswithrecording",
    "get_telephony_providers_edges_trunkswithrecording",
    any_of("recording:retentionPolicy:view", ADMINISTERS_TELEPHONY),
    returns=TrunkRecordingEnabledCount,
)
def recording_count(caller: Signed, parts: Parts, trunk_type: TrunkType = None) -> TrunkRecordingEnabledCount:
    """How many trunks record, and how many do not (A12)."""
    with parts.database.reading() as session:
        on, off = trunk_store.recording_counts(session, trunk_type)
    return TrunkRecordingEnabledCount(enabled_count=on, disabled_count=off)
