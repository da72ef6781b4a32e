"""Phone base settings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import named as named_store
from earwitness.store.tables import PhoneBase
from earwitness.web.api import named
from earwitness.web.api.named import ADMINISTERS_TELEPHONY, NamedDocument, NamedInput
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Reference, ReferenceInput, RequestBody
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Phone base settings")
PATH = "/api/v2/telephony/providers/edges/phonebasesettings"
NEEDS = any_of(ADMINISTERS_TELEPHONY)
METABASES = {"generic_sip.json": "SIP phone", "inin_webrtc_softphone.json": "WebRTC phone"}
MOST_LINES = 16


class LineBaseDocument(Document):
    """A line that phones of this base have."""

    id: str
    name: str
    properties: dict[str, Any]
    self_uri: str


class PhoneBaseDocument(NamedDocument):
    """Phone base settings."""

    phone_meta_base: Reference
    lines: list[LineBaseDocument]
    properties: dict[str, Any]
    capabilities: dict[str, Any]


class PhoneBaseTemplate(Document):
    """What new phone base settings begin with."""

    name: str
    state: str
    phone_meta_base: Reference
    lines: list[dict[str, Any]]
    properties: dict[str, Any]


class LineBaseInput(RequestBody):
    """A line."""

    id: str | None = None
    name: str | None = None
    properties: dict[str, Any] | None = None


class PhoneBaseInput(NamedInput):
    """Phone base settings to make or change."""

    phone_meta_base: ReferenceInput | None = None
    lines: list[LineBaseInput] | None = None
    properties: dict[str, Any] | None = None


class PhoneMetabase(Document):
    """A kind of phone."""

    id: str
    name: str
    version: int
    state: str
    self_uri: str


def _metabase_uri(metabase_id: str) -> str:
    return f"{PATH}/availablemetabases/{metabase_id}"


def _reference(metabase_id: str) -> Reference:
    return Reference(id=metabase_id, name=METABASES.get(metabase_id), self_uri=_metabase_uri(metabase_id))


def _document(session: Session, row: PhoneBase) -> PhoneBaseDocument:
    return PhoneBaseDocument(
        **named.common(session, row, PATH),
        phone_meta_base=_reference(row.phone_metabase_id),
        lines=[
            LineBaseDocument(
                id=line["id"],
                name=line["name"],
                properties=line.get("properties") or {},
                self_uri=f"/api/v2/telephony/providers/edges/linebasesettings/{line['id']}",
            )
            for line in row.lines
        ],
        properties=row.properties,
        capabilities={"provisions": False, "registers": True, "dualRegisters": False, "allowReboot": False},
    )


def _lines(body: PhoneBaseInput, old: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    asked = body.lines or [LineBaseInput.model_validate({"name": f"{name} line"})]
    if len(asked) > MOST_LINES:
        raise bad_request(f"A phone may have {MOST_LINES} lines.", "lines", "invalid.value")
    known = {line["id"] for line in old}
    return [
        {
            "id": line.id if line.id in known else new_id(),
            "name": line.name or f"{name} line {position + 1}",
            "properties": line.properties or {},
        }
        for position, line in enumerate(asked)
    ]


@family.operation(
    "GET", PATH, "get_telephony_providers_edges_phonebasesettings", NEEDS, returns=Listing[PhoneBaseDocument]
)
def list_phone_bases(caller: Signed, parts: Parts, page: Paging, name: str | None = None) -> Listing[PhoneBaseDocument]:
    """Phone base settings, by name."""
    with parts.database.reading() as session:
        found = named_store.listing(session, PhoneBase, name=name, number=page.number, size=page.size)
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation("POST", PATH, "post_telephony_providers_edges_phonebasesettings", NEEDS, returns=PhoneBaseDocument)
def create_phone_base(caller: Signed, parts: Parts, body: PhoneBaseInput) -> PhoneBaseDocument:
    """Makes phone base settings."""
    metabase_id = (body.phone_meta_base.id if body.phone_meta_base is not None else None) or "generic_sip.json"
    if metabase_id not in METABASES:
        raise bad_request(f"There is no metabase {metabase_id}.", "phoneMetaBase.id", "invalid.value")
    with changes.changing(parts, caller) as session:
        columns = named.new_columns(session, caller, body, parts.clock.now_us())
        row = PhoneBase(
            **columns,
            phone_metabase_id=metabase_id,
            properties=body.properties or {},
            lines=_lines(body, [], columns["name"]),
        )
        session.add(row)
        session.flush()
        return _document(session, row)


@family.operation(
    "GET",
    PATH + "/availablemetabases",
    "get_telephony_providers_edges_phonebasesettings_availablemetabases",
    NEEDS,
    returns=Listing[PhoneMetabase],
)
def list_metabases(caller: Signed, page: Paging) -> Listing[PhoneMetabase]:
    """The kinds of phones."""
    found = [
        PhoneMetabase(id=key, name=name, version=1, state="active", self_uri=_metabase_uri(key))
        for key, name in METABASES.items()
    ]
    return page.envelope(page.cut(found), len(found))


@family.operation(
    "GET",
    PATH + "/template",
    "get_telephony_providers_edges_phonebasesettings_template",
    NEEDS,
    returns=PhoneBaseTemplate,
)
def template(
    caller: Signed, phone_metabase_id: Annotated[str, Query(alias="phoneMetabaseId", min_length=1)]
) -> PhoneBaseTemplate:
    """What new phone base settings begin with."""
    if phone_metabase_id not in METABASES:
        raise bad_request(f"There is no metabase {phone_metabase_id}.", "phoneMetabaseId", "invalid.value")
    return PhoneBaseTemplate(
        name="",
        state="active",
        phone_meta_base=_reference(phone_metabase_id),
        lines=[{"name": "Line", "properties": {}}],
        properties={},
    )


@family.operation(
    "GET",
    PATH + "/{phoneBaseId}",
    "get_telephony_providers_edges_phonebasesetting",
    NEEDS,
    returns=PhoneBaseDocument,
)
def one_phone_base(caller: Signed, parts: Parts, phoneBaseId: str) -> PhoneBaseDocument:
    """Phone base settings."""
    with parts.database.reading() as session:
        return _document(session, named.find(session, PhoneBase, phoneBaseId, "phone base"))


@family.operation(
    "PUT",
    PATH + "/{phoneBaseId}",
    "put_telephony_providers_edges_phonebasesetting",
    NEEDS,
    returns=PhoneBaseDocument,
)
def change_phone_base(caller: Signed, parts: Parts, phoneBaseId: str, body: PhoneBaseInput) -> PhoneBaseDocument:
    """Changes phone base settings."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_change(session, caller, PhoneBase, phoneBaseId, "phone base")
        wanted = named.changed_columns(session, caller, body)
        if body.properties is not None:
            wanted["properties"] = body.properties
        if body.lines:
            wanted["lines"] = _lines(body, row.lines, wanted.get("name", row.name))
        if changes.apply(row, wanted, body.version):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return _document(session, row)


@family.operation(
    "DELETE", PATH + "/{phoneBaseId}", "delete_telephony_providers_edges_phonebasesetting", NEEDS, status=204
)
def delete_phone_base(caller: Signed, parts: Parts, phoneBaseId: str) -> None:
    """Marks phone base settings deleted; phones made by them stay."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_delete(session, caller, PhoneBase, phoneBaseId, "phone base")
        if row is not None:
            named_store.delete(row, parts.clock.now_us(), caller.subject.id)
