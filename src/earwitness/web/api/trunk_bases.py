"""Trunk base settings: how trunks are configured, the recording keys of contract 1A included."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import trunks as trunk_store
from earwitness.store.tables import Site, TrunkBase
from earwitness.web.api import named, trunk_properties
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.api.named import ADMINISTERS_TELEPHONY, NamedDocument, NamedInput
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, ReferenceInput
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.searching import SearchRequest, matches
from earwitness.web.kernel.services import Parts

family = Family("Trunk base settings")
PATH = "/api/v2/telephony/providers/edges/trunkbasesettings"
NEEDS = any_of(ADMINISTERS_TELEPHONY)


class TrunkBaseFields(Document):
    """What a trunk base has, be it real or a template."""

    trunk_metabase: Reference
    properties: dict[str, Any]
    trunk_type: str
    managed: bool
    site: Reference | None = None
    inbound_site: Reference | None = None


class TrunkBaseDocument(NamedDocument, TrunkBaseFields):
    """Trunk base settings."""


class TrunkBaseTemplate(TrunkBaseFields):
    """What new trunk base settings begin with."""

    name: str
    state: str


class TrunkBaseInput(NamedInput):
    """Trunk base settings to make or change."""

    trunk_metabase: ReferenceInput | None = None
    properties: dict[str, Any] | None = None
    trunk_type: Annotated[str, OneOf("EXTERNAL", "PHONE", "EDGE")] | None = None
    state: Annotated[str, OneOf("active", "inactive", "deleted")] | None = None
    site: ReferenceInput | None = None
    inbound_site: ReferenceInput | None = None


class MetabaseDocument(Document):
    """A kind of trunk."""

    id: str
    name: str
    division: DivisionReference | None = None
    type: str
    version: int
    state: str
    date_created: Moment | None = None
    self_uri: str


class TrunkBasesSearchResponse(Document):
    """What a search found."""

    total: int
    page_count: int
    page_size: int
    page_number: int
    types: list[str]
    results: list[TrunkBaseDocument]


def _metabase_reference(metabase_id: str) -> Reference:
    known = trunk_properties.metabase(metabase_id)
    return Reference(
        id=metabase_id,
        name=known.name if known is not None else None,
        self_uri=f"{PATH}/availablemetabases/{metabase_id}",
    )


def _document(session: Session, row: TrunkBase) -> TrunkBaseDocument:
    site = named.site_reference(row.site_id)
    return TrunkBaseDocument(
        **named.common(session, row, PATH),
        trunk_metabase=_metabase_reference(row.trunk_metabase_id),
        properties=trunk_properties.shown(row.properties, row.secrets),
        trunk_type=row.trunk_type,
        managed=False,
        site=site,
        inbound_site=site,
    )


@family.operation(
    "GET", PATH, "get_telephony_providers_edges_trunkbasesettings", NEEDS, returns=Listing[TrunkBaseDocument]
)
def list_trunk_bases(
    caller: Signed,
    parts: Parts,
    page: Paging,
    recording_enabled: Annotated[bool | None, Query(alias="recordingEnabled")] = None,
    ignore_hidden: Annotated[bool | None, Query(alias="ignoreHidden")] = None,
    managed: bool | None = None,
    name: str | None = None,
) -> Listing[TrunkBaseDocument]:
    """Trunk base settings, by name; ``recordingEnabled`` keeps those that record, or those that do not (A12)."""
    if managed:
        return page.envelope([], 0)
    with parts.database.reading() as session:
        found = trunk_store.bases(session, recording=recording_enabled, name=name, number=page.number, size=page.size)
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation("POST", PATH, "post_telephony_providers_edges_trunkbasesettings", NEEDS, returns=TrunkBaseDocument)
def create_trunk_base(caller: Signed, parts: Parts, body: TrunkBaseInput) -> TrunkBaseDocument:
    """Makes trunk base settings, and the trunk that runs by them. Take the template as a start.

    Keys that are absent take their value of the template; keys that we do not know are kept.
    """
    metabase = _metabase(body)
    properties = {**trunk_properties.template(), **_properties(body)}
    trunk_properties.check(properties)
    with changes.changing(parts, caller) as session:
        row = TrunkBase(
            **named.new_columns(session, caller, body, parts.clock.now_us()),
            trunk_metabase_id=metabase.id,
            trunk_type=body.trunk_type or metabase.trunk_type,
            site_id=_site(session, body),
            state="inactive" if body.state == "inactive" else "active",
        )
        trunk_store.set_properties(row, properties, parts.box)
        trunk_store.add_base(session, row, new_id)
        return _document(session, row)


@family.operation(
    "GET",
    PATH + "/availablemetabases",
    "get_telephony_providers_edges_trunkbasesettings_availablemetabases",
    NEEDS,
    returns=Listing[MetabaseDocument],
)
def list_metabases(
    caller: Signed, page: Paging, kind: Annotated[str | None, Query(alias="type")] = None
) -> Listing[MetabaseDocument]:
    """The kinds of trunks that can be made."""
    found = [
        MetabaseDocument(
            id=item.id,
            name=item.name,
            type=item.type,
            version=1,
            state="active",
            self_uri=f"{PATH}/availablemetabases/{item.id}",
        )
        for item in trunk_properties.METABASES
        if kind is None or kind.upper() in (item.type, item.trunk_type)
    ]
    return page.envelope(page.cut(found), len(found))


@family.operation(
    "GET",
    PATH + "/template",
    "get_telephony_providers_edges_trunkbasesettings_template",
    NEEDS,
    returns=TrunkBaseTemplate,
)
def template(
    caller: Signed, trunk_metabase_id: Annotated[str, Query(alias="trunkMetabaseId", min_length=1)]
) -> TrunkBaseTemplate:
    """What new trunk base settings begin with: every key of contract 1A and every SIP key that we act on."""
    metabase = trunk_properties.metabase(trunk_metabase_id)
    if metabase is None:
        raise bad_request(f"There is no metabase {trunk_metabase_id}.", "trunkMetabaseId", "invalid.value")
    return TrunkBaseTemplate(
        name="",
        state="active",
        trunk_metabase=_metabase_reference(metabase.id),
        properties=trunk_properties.template(),
        trunk_type=metabase.trunk_type,
        managed=False,
    )


@family.operation(
    "POST",
    PATH + "/search",
    "post_telephony_providers_edges_trunkbasesettings_search",
    NEEDS,
    returns=TrunkBasesSearchResponse,
    reads=True,
)
def search(caller: Signed, parts: Parts, body: SearchRequest) -> TrunkBasesSearchResponse:
    """Trunk base settings whose texts match the query."""
    with parts.database.reading() as session:
        rows = [row for row in trunk_store.bases(session, size=10_000).items if matches(body, row)]
        part = rows[body.offset : body.offset + body.size]
        return TrunkBasesSearchResponse(
            total=len(rows),
            page_count=-(-len(rows) // body.size),
            page_size=body.size,
            page_number=body.number,
            types=["trunkBase"],
            results=[_document(session, row) for row in part],
        )


@family.operation(
    "GET",
    PATH + "/site/{siteId}",
    "get_telephony_providers_edges_trunkbasesettings_site_site_id",
    NEEDS,
    returns=Listing[TrunkBaseDocument],
)
def of_site(caller: Signed, parts: Parts, siteId: str, page: Paging) -> Listing[TrunkBaseDocument]:
    """The trunk base settings of a site."""
    with parts.database.reading() as session:
        named.find(session, Site, siteId, "site")
        rows = [row for row in trunk_store.bases(session, size=10_000).items if row.site_id == siteId]
        return page.envelope([_document(session, row) for row in page.cut(rows)], len(rows))


@family.operation(
    "GET",
    PATH + "/{trunkBaseSettingsId}",
    "get_telephony_providers_edges_trunkbasesetting",
    NEEDS,
    returns=TrunkBaseDocument,
)
def one_trunk_base(
    caller: Signed,
    parts: Parts,
    trunkBaseSettingsId: str,
    ignore_hidden: Annotated[bool | None, Query(alias="ignoreHidden")] = None,
) -> TrunkBaseDocument:
    """Trunk base settings."""
    with parts.database.reading() as session:
        return _document(session, named.find(session, TrunkBase, trunkBaseSettingsId, "trunk base"))


@family.operation(
    "PUT",
    PATH + "/{trunkBaseSettingsId}",
    "put_telephony_providers_edges_trunkbasesetting",
    NEEDS,
    returns=TrunkBaseDocument,
)
def change_trunk_base(
    caller: Signed, parts: Parts, trunkBaseSettingsId: str, body: TrunkBaseInput
) -> TrunkBaseDocument:
    """Changes trunk base settings. The edge follows within a second; calls in progress keep what they began with.

    Of ``properties``, keys that are absent stay and those that are null go, a password as any other (S14); a masked
    password stays.
    """
    with changes.changing(parts, caller) as session:
        row = named.find_for_change(session, caller, TrunkBase, trunkBaseSettingsId, "trunk base")
        wanted = named.changed_columns(session, caller, body)
        if body.state in ("active", "inactive"):
            wanted["state"] = body.state
        if body.site is not None or body.inbound_site is not None:
            wanted["site_id"] = _site(session, body)
        before = (row.properties, row.secrets)
        if body.properties is not None:
            properties = trunk_properties.merged(row.properties, row.secrets, body.properties)
            trunk_properties.check(properties)
            if trunk_properties.differ(properties, row.properties):
                changes.check_version(row.version, body.version)
                trunk_store.set_properties(row, properties, parts.box)
        if changes.apply(row, wanted, body.version) or (row.properties, row.secrets) != before:
            trunk_store.base_changed(session, row, parts.clock.now_us(), caller.subject.id)
        return _document(session, row)


@family.operation(
    "DELETE",
    PATH + "/{trunkBaseSettingsId}",
    "delete_telephony_providers_edges_trunkbasesetting",
    NEEDS,
    status=204,
)
def delete_trunk_base(caller: Signed, parts: Parts, trunkBaseSettingsId: str) -> None:
    """Marks trunk base settings and their trunks deleted. Calls in progress go on."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_delete(session, caller, TrunkBase, trunkBaseSettingsId, "trunk base")
        if row is not None:
            trunk_store.delete_base(session, row, parts.clock.now_us(), caller.subject.id)


def _metabase(body: TrunkBaseInput) -> trunk_properties.Metabase:
    metabase_id = body.trunk_metabase.id if body.trunk_metabase is not None else None
    if not metabase_id:
        raise bad_request("trunkMetabase.id is required; see availablemetabases.", "trunkMetabase.id")
    known = trunk_properties.metabase(metabase_id)
    if known is None:
        raise bad_request(f"There is no metabase {metabase_id}.", "trunkMetabase.id", "invalid.value")
    return known


def _properties(body: TrunkBaseInput) -> dict[str, Any]:
    return {key: value for key, value in (body.properties or {}).items() if value is not None}


def _site(session: Session, body: TrunkBaseInput) -> str | None:
    reference = body.site or body.inbound_site
    if reference is None or not reference.id:
        return None
    return named.must_exist(session, Site, reference.id, "site.id")
