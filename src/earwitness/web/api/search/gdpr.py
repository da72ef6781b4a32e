"""The contract's data protection requests: a front over find-and-erase (``web.api.retention.erasures``).

A person is known here by a number. A request to delete erases that number; requests to export or to change somebody's
data are refused, there is nothing here that could carry them out.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.numbers import NumberError, PhoneNumber
from earwitness.store import audit, erasures, search, search_filters, users
from earwitness.store.tables import Erasure
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Data protection")
PATH = "/api/v2/gdpr"
VIEW, ADD, VIEW_SUBJECTS = "gdpr:request:view", "gdpr:request:add", "gdpr:subject:view"
SEARCH_TYPES = (
    "NAME",
    "ADDRESS",
    "PHONE",
    "EMAIL",
    "TWITTER",
    "INSTAGRAM",
    "FACEBOOK",
    "APPLE_MESSAGES",
    "EXTERNAL_ID",
)
STATUS = {
    erasures.PREVIEW: "INITIATED", erasures.CONFIRMED: "DELETING", erasures.DONE: "COMPLETED",
    erasures.CANCELLED: "ERROR",
}  # fmt: skip
REASON = "data protection request"


class SubjectInput(RequestBody):
    """Whom a request is about."""

    name: str | None = None
    user_id: str | None = None
    phone_numbers: list[str] | None = None
    addresses: list[str] | None = None
    email_addresses: list[str] | None = None


class RequestInput(RequestBody):
    """A request."""

    request_type: Annotated[str, OneOf("GDPR_EXPORT", "GDPR_UPDATE", "GDPR_DELETE")] | None = None
    subject: SubjectInput | None = None
    replacement_terms: list[dict[str, Any]] | None = None


class Subject(Document):
    """A person."""

    name: str | None = None
    user_id: str | None = None
    phone_numbers: list[str] | None = None
    email_addresses: list[str] | None = None


class GdprRequest(Document):
    """A request and how far it is. The number is in it until it is done."""

    id: str
    request_type: str
    status: str
    created_date: Moment
    created_by: Reference
    subject: Subject
    self_uri: str


def _everywhere(caller: Caller, permission: str) -> None:
    """One person is erased everywhere or not at all."""
    if not caller.access.divisions_for(permission).every:
        raise ApiError(403, f"{permission} must hold in all divisions.", "not.authorized")


def _document(row: Erasure) -> GdprRequest:
    return GdprRequest(
        id=row.id,
        request_type="GDPR_DELETE",
        status=STATUS[row.state],
        created_date=row.created_at,
        created_by=Reference(id=row.created_by.rpartition(":")[2]),
        subject=Subject(phone_numbers=[row.number] if row.number else None),
        self_uri=f"{PATH}/requests/{row.id}",
    )


@family.operation("POST", PATH + "/requests", "post_gdpr_requests", any_of(ADD), returns=GdprRequest, audited="erasure")
def create(
    caller: Signed,
    parts: Parts,
    body: RequestInput,
    confirmed: Annotated[bool, Query(alias="deleteConfirmed")] = False,
) -> GdprRequest:
    """Erases a number from every call it took part in, with all recordings of those calls; there is no way back.

    ``requestType`` GDPR_DELETE, ``subject.phoneNumbers`` one international number, ``deleteConfirmed`` true. What is
    protected from deletion stays. A preview is at /api/v2/earwitness/erasures.
    """
    _everywhere(caller, ADD)
    if body.request_type != "GDPR_DELETE":
        raise bad_request("Only GDPR_DELETE can be carried out here.", "requestType", "invalid.value")
    given = (body.subject.phone_numbers if body.subject is not None else None) or []
    if len(given) != 1:
        raise bad_request("subject.phoneNumbers names one number.", "subject.phoneNumbers", "invalid.value")
    if not confirmed:
        raise bad_request("deleteConfirmed=true is needed: there is no way back.", "deleteConfirmed")
    try:
        number = PhoneNumber.parse(given[0])
    except NumberError as error:
        raise bad_request(f"subject.phoneNumbers: {error}.", "subject.phoneNumbers", "invalid.value") from error
    by, now = f"{caller.subject.type}:{caller.subject.id}", parts.clock.now_us()
    with parts.database.transaction() as session:
        row = erasures.create(session, number=number, at=now, by=by, reason=REASON)
        erasures.confirm(session, row, at=now, by=by)
        audit.add(
            session,
            at=now,
            subject=caller.subject,
            action="confirmErasure",
            entity_type="erasure",
            entity_id=row.id,
            remote_address=caller.remote_address,
            detail={"conversations": erasures.counted(session, row).conversations},
        )
        return _document(row)


@family.operation("GET", PATH + "/requests", "get_gdpr_requests", any_of(VIEW), returns=Listing[GdprRequest])
def listing(caller: Signed, parts: Parts, page: Paging) -> Listing[GdprRequest]:
    """Requests, newest first, those that were made as erasures too."""
    _everywhere(caller, VIEW)
    with parts.database.reading() as session:
        found = erasures.listing(session, page.number, page.size)
        return page.envelope([_document(row) for row in found.items], found.total)


@family.operation("GET", PATH + "/requests/{requestId}", "get_gdpr_request", any_of(VIEW), returns=GdprRequest)
def one(caller: Signed, parts: Parts, requestId: str) -> GdprRequest:
    """A request, and how far it is."""
    _everywhere(caller, VIEW)
    with parts.database.reading() as session:
        row = erasures.get(session, requestId)
        if row is None:
            raise not_found("request", requestId)
        return _document(row)


@family.operation("GET", PATH + "/subjects", "get_gdpr_subjects", any_of(VIEW_SUBJECTS), returns=Listing[Subject])
def subjects(
    caller: Signed,
    parts: Parts,
    page: Paging,
    search_type: Annotated[str, OneOf(*SEARCH_TYPES), Query(alias="searchType")],
    search_value: Annotated[str, Query(alias="searchValue", max_length=256)],
) -> Listing[Subject]:
    """Who is known by a number that took part in a call, or by the name or email of a user."""
    _everywhere(caller, VIEW_SUBJECTS)
    with parts.database.reading() as session:
        found = _found(session, caller, search_type, search_value.strip())
    return page.envelope(page.cut(found), len(found))


def _found(session: Session, caller: Caller, kind: str, value: str) -> list[Subject]:
    if not value:
        raise bad_request("searchValue is required.", "searchValue")
    if kind == "PHONE":
        try:
            wanted = search_filters.number(session, value)
        except ValueError as error:
            raise bad_request(f"searchValue: {error}", "searchValue", "invalid.value") from error
        there = search.page(session, caller.access, [wanted], size=1)
        return [Subject(phone_numbers=[value])] if there.rows else []
    if kind in ("NAME", "EMAIL"):
        rows = users.listing(session, state="any", text=value, size=500).items
        return [Subject(name=row.name, user_id=row.id, email_addresses=[row.email]) for row in rows]
    return []
