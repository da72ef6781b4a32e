"""The organisation."""

from __future__ import annotations

from earwitness.store import tables, users
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.errors import not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.services import Parts

family = Family("Organization")


class Organization(Document):
    """The one organisation of this installation."""

    id: str
    name: str
    default_language: str
    default_country_code: str | None = None
    domain: str | None = None
    features: dict[str, bool]
    version: int
    state: str
    voicemail_enabled: bool
    self_uri: str


def organization_document(row: tables.Organization) -> Organization:
    """The document of the organisation."""
    return Organization(
        id=row.id,
        name=row.name,
        default_language=str(row.extra.get("defaultLanguage", "en-us")),
        default_country_code=row.extra.get("defaultCountryCode"),
        domain=row.extra.get("domain"),
        features={"callRecording": True, "telephony": True},
        version=1,
        state="active",
        voicemail_enabled=False,
        self_uri=f"/api/v2/organizations/{row.id}",
    )


@family.operation("GET", "/api/v2/organizations/me", "get_organizations_me", SIGNED_IN, returns=Organization)
def organization(caller: Signed, parts: Parts) -> Organization:
    """The caller's organisation."""
    with parts.database.reading() as session:
        row = users.organization(session)
        if row is None:
            raise not_found("organization", "me")
        return organization_document(row)
