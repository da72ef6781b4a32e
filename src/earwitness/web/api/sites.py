"""Sites."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from earwitness.store import named as named_store
from earwitness.store.tables import Site
from earwitness.web.api import named
from earwitness.web.api.named import ADMINISTERS_TELEPHONY, NamedDocument, NamedInput
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Reference
from earwitness.web.kernel.errors import conflict
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Sites")
PATH = "/api/v2/telephony/providers/edges/sites"
ECHOED = ("callerId", "callerName", "mediaModel")


class SiteDocument(NamedDocument):
    """A site."""

    primary_sites: list[Reference]
    secondary_sites: list[Reference]
    addresses: list[dict[str, Any]]
    edges: list[Reference]
    managed: bool
    core_site: bool
    media_regions_use_latency_based: bool
    location: dict[str, Any] | None = None
    caller_id: str | None = None
    caller_name: str | None = None


class SiteInput(NamedInput):
    """A site to make or change."""

    location: dict[str, Any] | None = None
    caller_id: str | None = None
    caller_name: str | None = None


def _document(session: Session, row: Site) -> SiteDocument:
    own = Reference(id=row.id, name=row.name, self_uri=f"{PATH}/{row.id}")
    return SiteDocument(
        **named.common(session, row, PATH),
        primary_sites=[own],
        secondary_sites=[],
        addresses=[],
        edges=[],
        managed=False,
        core_site=False,
        media_regions_use_latency_based=False,
        location=row.extra.get("location"),
        caller_id=row.extra.get("caller_id"),
        caller_name=row.extra.get("caller_name"),
    )


def _extra(body: SiteInput) -> dict[str, Any]:
    return {key: value for key, value in body.given().items() if key in {"location", "caller_id", "caller_name"}}


@family.operation("GET", PATH, "get_telephony_providers_edges_sites", SIGNED_IN, returns=Listing[SiteDocument])
def list_sites(
    caller: Signed, parts: Parts, page: Paging, name: str | None = None, managed: bool | None = None
) -> Listing[SiteDocument]:
    """Sites, by name."""
    with parts.database.reading() as session:
        found = named_store.listing(session, Site, name=name, number=page.number, size=page.size)
        if managed:
            return page.envelope([], 0)
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation(
    "POST", PATH, "post_telephony_providers_edges_sites", any_of(ADMINISTERS_TELEPHONY), returns=SiteDocument
)
def create_site(caller: Signed, parts: Parts, body: SiteInput) -> SiteDocument:
    """Adds a site."""
    with changes.changing(parts, caller) as session:
        row = Site(**named.new_columns(session, caller, body, parts.clock.now_us()), extra=_extra(body))
        session.add(row)
        session.flush()
        return _document(session, row)


@family.operation(
    "GET",
    PATH + "/{siteId}",
    "get_telephony_providers_edges_site",
    any_of(ADMINISTERS_TELEPHONY, "telephony:sites:view"),
    returns=SiteDocument,
)
def one_site(caller: Signed, parts: Parts, siteId: str) -> SiteDocument:
    """A site."""
    with parts.database.reading() as session:
        return _document(session, named.find(session, Site, siteId, "site"))


@family.operation(
    "PUT",
    PATH + "/{siteId}",
    "put_telephony_providers_edges_site",
    any_of(ADMINISTERS_TELEPHONY),
    returns=SiteDocument,
)
def change_site(caller: Signed, parts: Parts, siteId: str, body: SiteInput) -> SiteDocument:
    """Changes a site."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_change(session, caller, Site, siteId, "site")
        wanted = named.changed_columns(session, caller, body)
        wanted["extra"] = {**row.extra, **_extra(body)}
        if changes.apply(row, wanted, body.version):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return _document(session, row)


@family.operation(
    "DELETE",
    PATH + "/{siteId}",
    "delete_telephony_providers_edges_site",
    any_of(ADMINISTERS_TELEPHONY),
    status=204,
)
def delete_site(caller: Signed, parts: Parts, siteId: str) -> None:
    """Marks a site deleted. One must stay."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_delete(session, caller, Site, siteId, "site")
        if row is None:
            return
        if named_store.listing(session, Site).total < 2:
            raise conflict("One site must stay.")
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)
