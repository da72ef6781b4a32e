"""Phones. Each line of a phone is a station: a SIP account and the user who sits at it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.domain.recording.settings import SettingsError, instance_of
from earwitness.store import named as named_store
from earwitness.store import telephony, telephony_queries, users
from earwitness.store.tables import Phone, PhoneBase, Site, Station
from earwitness.web.api import named
from earwitness.web.api.named import ADMINISTERS_TELEPHONY, NamedDocument, NamedInput
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, Reference, ReferenceInput, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Phones")
PATH = "/api/v2/telephony/providers/edges/phones"
NEEDS = any_of(ADMINISTERS_TELEPHONY)
EXTENSION = "earwitness_extension"
"""Property of a line: the short number at which colleagues dial it."""
MOST_LINES = 16
_EXTENSION = re.compile(r"[0-9]{2,10}")


class LineDocument(Document):
    """A line of a phone; its id is that of the station."""

    id: str
    name: str
    state: str
    properties: dict[str, Any]
    line_base_settings: Reference | None = None
    logged_in_user: Reference | None = None
    default_for_user: Reference | None = None
    self_uri: str


class PhoneDocument(NamedDocument):
    """A phone."""

    site: Reference | None = None
    phone_base_settings: Reference | None = None
    phone_meta_base: Reference | None = None
    lines: list[LineDocument]
    properties: dict[str, Any]
    capabilities: dict[str, Any]
    web_rtc_user: Reference | None = None
    stand_alone: bool


class PhoneTemplate(Document):
    """What a new phone begins with."""

    name: str
    state: str
    phone_base_settings: Reference
    lines: list[dict[str, Any]]
    properties: dict[str, Any]


class LineInput(RequestBody):
    """A line to make or change."""

    id: str | None = None
    name: str | None = None
    properties: dict[str, Any] | None = None
    line_base_settings: ReferenceInput | None = None
    default_for_user: ReferenceInput | None = None


class PhoneInput(NamedInput):
    """A phone to make or change."""

    site: ReferenceInput | None = None
    phone_base_settings: ReferenceInput | None = None
    lines: list[LineInput] | None = None
    properties: dict[str, Any] | None = None
    state: Annotated[str, OneOf("active", "inactive", "deleted")] | None = None


def _user(session: Session, user_id: str | None) -> Reference | None:
    if user_id is None:
        return None
    user = users.get(session, user_id, deleted=True)
    return Reference(id=user_id, name=user.name if user is not None else None, self_uri=f"/api/v2/users/{user_id}")


def _document(session: Session, row: Phone) -> PhoneDocument:
    base = session.get(PhoneBase, row.phone_base_id) if row.phone_base_id else None
    stored = {line["id"]: line for line in row.lines}
    lines = [
        LineDocument(
            id=station.id,
            name=station.name,
            state=station.state,
            properties=stored.get(station.id, {}).get("properties") or {},
            line_base_settings=_line_base(stored.get(station.id, {}).get("lineBaseId")),
            logged_in_user=_user(session, station.user_id),
            default_for_user=_user(session, station.default_user_id),
            self_uri=f"/api/v2/telephony/providers/edges/lines/{station.id}",
        )
        for station in telephony.stations_of_phone(session, row.id)
    ]
    return PhoneDocument(
        **named.common(session, row, PATH),
        site=named.site_reference(row.site_id),
        phone_base_settings=_base_reference(base) if base is not None else None,
        phone_meta_base=Reference(id=base.phone_metabase_id) if base is not None else None,
        lines=lines,
        properties=row.properties,
        capabilities={"provisions": False, "registers": True, "dualRegisters": False, "allowReboot": False},
        stand_alone=False,
    )


def _line_base(line_base_id: str | None) -> Reference | None:
    return Reference(id=line_base_id) if line_base_id else None


def _base_reference(base: PhoneBase) -> Reference:
    return Reference(
        id=base.id, name=base.name, self_uri=f"/api/v2/telephony/providers/edges/phonebasesettings/{base.id}"
    )


@family.operation("GET", PATH, "get_telephony_providers_edges_phones", NEEDS, returns=Listing[PhoneDocument])
def list_phones(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    site_id: Annotated[str | None, Query(alias="site.id")] = None,
    phone_base_id: Annotated[str | None, Query(alias="phoneBaseSettings.id")] = None,
    line_id: Annotated[str | None, Query(alias="lines.id")] = None,
    logged_in_user_id: Annotated[str | None, Query(alias="lines.loggedInUser.id")] = None,
    default_user_id: Annotated[str | None, Query(alias="lines.defaultForUser.id")] = None,
) -> Listing[PhoneDocument]:
    """Phones, by name."""
    with parts.database.reading() as session:
        found = telephony_queries.phones(
            session,
            name=name,
            site_id=site_id,
            phone_base_id=phone_base_id,
            station_id=line_id,
            user_id=logged_in_user_id,
            default_user_id=default_user_id,
            number=page.number,
            size=page.size,
        )
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation("POST", PATH, "post_telephony_providers_edges_phones", NEEDS, returns=PhoneDocument)
def create_phone(caller: Signed, parts: Parts, body: PhoneInput) -> PhoneDocument:
    """Makes a phone with its lines. SIP credentials: ``POST /api/v2/earwitness/stations/{stationId}/credentials``."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        base_id = body.phone_base_settings.id if body.phone_base_settings is not None else None
        base = (
            session.get(PhoneBase, named.must_exist(session, PhoneBase, base_id, "phoneBaseSettings.id"))
            if base_id
            else None
        )
        row = Phone(
            **named.new_columns(session, caller, body, now),
            phone_base_id=base_id or None,
            site_id=_site(session, body),
            properties=body.properties or {},
            lines=[],
        )
        session.add(row)
        session.flush()
        _set_lines(session, caller, row, body.lines or _lines_of(base, row.name), now)
        return _document(session, row)


@family.operation(
    "GET", PATH + "/template", "get_telephony_providers_edges_phones_template", NEEDS, returns=PhoneTemplate
)
def template(
    caller: Signed, parts: Parts, phone_base_id: Annotated[str, Query(alias="phoneBaseSettingsId", min_length=1)]
) -> PhoneTemplate:
    """What a new phone of a base begins with. Lines without a name are called like the phone."""
    with parts.database.reading() as session:
        base = named.find(session, PhoneBase, phone_base_id, "phone base")
        lines = [
            {"name": "", "properties": line.get("properties") or {}, "lineBaseSettings": {"id": line["id"]}}
            for line in base.lines
        ]
        return PhoneTemplate(
            name="",
            state="active",
            phone_base_settings=_base_reference(base),
            lines=lines,
            properties=base.properties,
        )


@family.operation("GET", PATH + "/{phoneId}", "get_telephony_providers_edges_phone", NEEDS, returns=PhoneDocument)
def one_phone(caller: Signed, parts: Parts, phoneId: str) -> PhoneDocument:
    """A phone."""
    with parts.database.reading() as session:
        return _document(session, named.find(session, Phone, phoneId, "phone"))


@family.operation("PUT", PATH + "/{phoneId}", "put_telephony_providers_edges_phone", NEEDS, returns=PhoneDocument)
def change_phone(caller: Signed, parts: Parts, phoneId: str, body: PhoneInput) -> PhoneDocument:
    """Changes a phone. Lines that the body no longer lists go, and their SIP accounts with them."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        row = named.find_for_change(session, caller, Phone, phoneId, "phone")
        wanted = named.changed_columns(session, caller, body)
        if body.properties is not None:
            wanted["properties"] = body.properties
        if body.site is not None:
            wanted["site_id"] = _site(session, body)
        if body.phone_base_settings is not None and body.phone_base_settings.id:
            wanted["phone_base_id"] = named.must_exist(
                session, PhoneBase, body.phone_base_settings.id, "phoneBaseSettings.id"
            )
        if body.state in ("active", "inactive"):
            wanted["state"] = body.state
        before = row.lines
        if body.lines is not None:
            if changes.differing(row, wanted):
                changes.check_version(row.version, body.version)
            _set_lines(session, caller, row, body.lines, now)
        if changes.apply(row, wanted, body.version) or row.lines != before:
            for station in telephony.stations_of_phone(session, row.id):
                if station.state != row.state:
                    station.state = row.state
                    named_store.touch(station, now, caller.subject.id)
            named_store.touch(row, now, caller.subject.id)
            session.flush()
        return _document(session, row)


@family.operation("DELETE", PATH + "/{phoneId}", "delete_telephony_providers_edges_phone", NEEDS, status=204)
def delete_phone(caller: Signed, parts: Parts, phoneId: str) -> None:
    """Marks a phone and its stations deleted; they can no longer register."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        row = named.find_for_delete(session, caller, Phone, phoneId, "phone")
        if row is None:
            return
        for station in telephony.stations_of_phone(session, row.id):
            _retire(session, caller, station, now)
        named_store.delete(row, now, caller.subject.id)


def _retire(session: Session, caller: Caller, station: Station, now: int) -> None:
    telephony.associate(session, station, None, now, caller.subject.id)
    telephony.set_default_user(session, station, None, now, caller.subject.id)
    station.ha1_md5 = station.ha1_sha256 = ""
    named_store.delete(station, now, caller.subject.id)


def _lines_of(base: PhoneBase | None, name: str) -> list[LineInput]:
    lines = base.lines if base is not None and base.lines else [{"name": name}]
    return [
        LineInput.model_validate(
            {
                "name": name if len(lines) == 1 else f"{name} {position + 1}",
                "properties": line.get("properties") or {},
                **({"lineBaseSettings": {"id": line["id"]}} if line.get("id") else {}),
            }
        )
        for position, line in enumerate(lines)
    ]


def _site(session: Session, body: PhoneInput) -> str | None:
    if body.site is not None and body.site.id:
        return named.must_exist(session, Site, body.site.id, "site.id")
    site = telephony.default_site(session)
    return site.id if site is not None else None


def _set_lines(session: Session, caller: Caller, row: Phone, lines: list[LineInput], now: int) -> None:
    """Makes the stations of a phone what ``lines`` say."""
    if not 1 <= len(lines) <= MOST_LINES:
        raise bad_request(f"A phone has 1 to {MOST_LINES} lines.", "lines", "invalid.value")
    stations = {station.id: station for station in telephony.stations_of_phone(session, row.id)}
    documents = []
    for position, line in enumerate(lines):
        station = stations.pop(line.id, None) if line.id else None
        name = (line.name or "").strip() or (row.name if len(lines) == 1 else f"{row.name} {position + 1}")
        extension = _extension(session, line, station)
        if station is None:
            station = _new_station(session, caller, row, name, now)
        if (station.name, station.extension) != (name, extension):
            station.name, station.extension = name, extension
            named_store.touch(station, now, caller.subject.id)
        session.flush()
        if line.default_for_user is not None:
            user_id = line.default_for_user.id
            if user_id and users.get(session, user_id) is None:
                raise bad_request(f"There is no user {user_id}.", "lines.defaultForUser.id", "invalid.value")
            telephony.set_default_user(session, station, user_id or None, now, caller.subject.id)
        base_id = line.line_base_settings.id if line.line_base_settings is not None else None
        document: dict[str, Any] = {"id": station.id, "name": name, "properties": line.properties or {}}
        documents.append(document | ({"lineBaseId": base_id} if base_id else {}))
    for station in stations.values():
        _retire(session, caller, station, now)
    row.lines = documents
    session.flush()


def _new_station(session: Session, caller: Caller, phone: Phone, name: str, now: int) -> Station:
    station_id = new_id()
    row = Station(
        id=station_id,
        name=name,
        division_id=phone.division_id,
        state=phone.state,
        created_at=now,
        modified_at=now,
        created_by=caller.subject.id,
        modified_by=caller.subject.id,
        phone_id=phone.id,
        line_id=station_id,
        username=_free_username(session, name),
    )
    session.add(row)
    return row


def _free_username(session: Session, name: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "phone"
    candidate, count = stem, 1
    while telephony.station_by_username(session, candidate) is not None:
        count += 1
        candidate = f"{stem}-{count}"
    return candidate


def _extension(session: Session, line: LineInput, station: Station | None) -> str:
    try:
        value = instance_of(line.properties or {}, EXTENSION)
    except SettingsError as error:
        raise bad_request(f"lines.properties.{error}", f"lines.properties.{EXTENSION}", "invalid.value") from error
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not _EXTENSION.fullmatch(value):
        raise bad_request(
            f"lines.properties.{EXTENSION}: 2 to 10 digits.", f"lines.properties.{EXTENSION}", "invalid.value"
        )
    owner = telephony_queries.station_by_extension(session, value)
    if owner is not None and (station is None or owner.id != station.id):
        raise conflict(f"Extension {value} is taken by station {owner.name}.")
    return value
