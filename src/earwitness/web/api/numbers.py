"""Number ranges (DID pools), numbers and whose they are."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import named as named_store
from earwitness.store import numbers_queries, telephony, users
from earwitness.store.tables import CallRoute, Did, DidPool
from earwitness.web.api import named
from earwitness.web.api.named import ADMINISTERS_TELEPHONY, NamedDocument
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, ReferenceInput, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Numbers")
PATH = "/api/v2/telephony/providers/edges"
NEEDS = any_of(ADMINISTERS_TELEPHONY)
MOST_NUMBERS = 10_000
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")


class DidPoolDocument(NamedDocument):
    """A range of numbers."""

    start_phone_number: str
    end_phone_number: str
    comments: str | None = None
    provider: str


class DidDocument(Document):
    """A number."""

    id: str
    name: str
    version: int
    date_created: Moment
    date_modified: Moment
    state: str
    phone_number: str
    did_pool: Reference | None = None
    owner: Reference | None = None
    owner_type: str | None = None
    self_uri: str


class DidPoolInput(named.NamedInput):
    """A range of numbers to make or change."""

    start_phone_number: str | None = None
    end_phone_number: str | None = None
    comments: str | None = None


class DidInput(RequestBody):
    """Whose a number is."""

    owner: ReferenceInput | None = None
    owner_type: Annotated[str, OneOf("USER", "PHONE", "IVR_CONFIG", "GROUP")] | None = None
    version: int | None = None


def _pool_document(session: Session, row: DidPool) -> DidPoolDocument:
    return DidPoolDocument(
        **named.common(session, row, f"{PATH}/didpools"),
        start_phone_number=row.start_number,
        end_phone_number=row.end_number,
        comments=row.extra.get("comments"),
        provider="PURE_CLOUD",
    )


def _did_document(session: Session, row: Did) -> DidDocument:
    owner = None
    if row.owner_id:
        user = users.get(session, row.owner_id, deleted=True) if row.owner_type == "USER" else None
        route = session.get(CallRoute, row.owner_id) if row.owner_type == "IVR_CONFIG" else None
        found = user or route
        owner = Reference(id=row.owner_id, name=found.name if found is not None else None)
    return DidDocument(
        id=row.id,
        name=row.number,
        version=row.version,
        date_created=row.created_at,
        date_modified=row.modified_at,
        state="active",
        phone_number=row.number,
        did_pool=Reference(id=row.did_pool_id) if row.did_pool_id else None,
        owner=owner,
        owner_type=row.owner_type if owner is not None else None,
        self_uri=f"{PATH}/dids/{row.id}",
    )


@family.operation(
    "GET", PATH + "/didpools", "get_telephony_providers_edges_didpools", NEEDS, returns=Listing[DidPoolDocument]
)
def list_pools(
    caller: Signed, parts: Parts, page: Paging, ids: Annotated[CommaList, Query(alias="id")] = None
) -> Listing[DidPoolDocument]:
    """Number ranges, ascending."""
    with parts.database.reading() as session:
        rows = [row for row in telephony.did_pools(session, size=10_000).items if ids is None or row.id in ids]
        return page.envelope([_pool_document(session, row) for row in page.cut(rows)], len(rows))


@family.operation("POST", PATH + "/didpools", "post_telephony_providers_edges_didpools", NEEDS, returns=DidPoolDocument)
def create_pool(caller: Signed, parts: Parts, body: DidPoolInput) -> DidPoolDocument:
    """Adds a range of numbers, each of which can then be given to a user or be dialled by a call route."""
    start, end = _number(body.start_phone_number, "startPhoneNumber"), _number(body.end_phone_number, "endPhoneNumber")
    first, last = int(start[1:]), int(end[1:])
    if len(start) != len(end) or last < first or last - first >= MOST_NUMBERS:
        raise bad_request(
            f"endPhoneNumber must follow startPhoneNumber, by less than {MOST_NUMBERS} numbers.",
            "endPhoneNumber",
            "invalid.value",
        )
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        for other in telephony.did_pools(session, size=10_000).items:
            if len(other.start_number) == len(start) and other.start_number <= end and start <= other.end_number:
                raise conflict(f"The range overlaps {other.start_number} to {other.end_number}.")
        if body.name is None:
            body.name = start if start == end else f"{start} - {end}"
        row = DidPool(
            **named.new_columns(session, caller, body, now),
            start_number=start,
            end_number=end,
            extra={"comments": body.comments} if body.comments else {},
        )
        session.add(row)
        session.flush()
        for number in range(first, last + 1):
            session.add(Did(id=new_id(), number=f"+{number}", did_pool_id=row.id, created_at=now, modified_at=now))
        session.flush()
        return _pool_document(session, row)


@family.operation(
    "GET",
    PATH + "/didpools/{didPoolId}",
    "get_telephony_providers_edges_didpool",
    NEEDS,
    returns=DidPoolDocument,
)
def one_pool(caller: Signed, parts: Parts, didPoolId: str) -> DidPoolDocument:
    """A number range."""
    with parts.database.reading() as session:
        return _pool_document(session, named.find(session, DidPool, didPoolId, "DID pool"))


@family.operation(
    "DELETE", PATH + "/didpools/{didPoolId}", "delete_telephony_providers_edges_didpool", NEEDS, status=204
)
def delete_pool(caller: Signed, parts: Parts, didPoolId: str) -> None:
    """Removes a range of numbers that belong to nobody."""
    with changes.changing(parts, caller) as session:
        row = named.find_for_delete(session, caller, DidPool, didPoolId, "DID pool")
        if row is None:
            return
        taken = numbers_queries.first_owned(session, row.id)
        if taken is not None:
            raise conflict(f"{taken.number} of the range is in use.")
        numbers_queries.delete_numbers(session, row.id)
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)


@family.operation("GET", PATH + "/dids", "get_telephony_providers_edges_dids", NEEDS, returns=Listing[DidDocument])
def list_numbers(
    caller: Signed,
    parts: Parts,
    page: Paging,
    phone_number: Annotated[str | None, Query(alias="phoneNumber")] = None,
    owner_id: Annotated[str | None, Query(alias="owner.id")] = None,
    did_pool_id: Annotated[str | None, Query(alias="didPool.id")] = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
) -> Listing[DidDocument]:
    """Numbers, ascending."""
    with parts.database.reading() as session:
        if did_pool_id is None and ids is None:
            found = telephony.dids(
                session, owner_id=owner_id, phone_number=phone_number, number=page.number, size=page.size
            )
            return page.envelope([_did_document(session, row) for row in found.items], found.total)
        rows = [
            row
            for row in telephony.dids(session, owner_id=owner_id, phone_number=phone_number, size=1_000_000).items
            if (did_pool_id is None or row.did_pool_id == did_pool_id) and (ids is None or row.id in ids)
        ]
        return page.envelope([_did_document(session, row) for row in page.cut(rows)], len(rows))


@family.operation("GET", PATH + "/dids/{didId}", "get_telephony_providers_edges_did", NEEDS, returns=DidDocument)
def one_number(caller: Signed, parts: Parts, didId: str) -> DidDocument:
    """A number."""
    with parts.database.reading() as session:
        return _did_document(session, _find(session, didId))


@family.operation("PUT", PATH + "/dids/{didId}", "put_telephony_providers_edges_did", NEEDS, returns=DidDocument)
def change_number(caller: Signed, parts: Parts, didId: str, body: DidInput) -> DidDocument:
    """Gives a number to a user, whose phone then rings when it is dialled; without an owner it is free again."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        row = _find(session, didId)
        if row.did_pool_id is not None:
            named.find_for_change(session, caller, DidPool, row.did_pool_id, "DID pool")
        wanted: dict[str, str | None] = {"owner_type": None, "owner_id": None}
        if body.owner is not None and body.owner.id:
            if (body.owner_type or "USER") != "USER":
                raise bad_request("Only users can be given a number here; call routes list theirs.", "ownerType")
            if users.get(session, body.owner.id) is None:
                raise bad_request(f"There is no user {body.owner.id}.", "owner.id", "invalid.value")
            if row.owner_type == "IVR_CONFIG":
                raise conflict("A call route has the number.")
            wanted = {"owner_type": "USER", "owner_id": body.owner.id}
        elif row.owner_type == "IVR_CONFIG":
            raise conflict("A call route has the number; take it away there.")
        if changes.apply(row, wanted, body.version):
            row.version += 1
            row.modified_at, row.modified_by = now, caller.subject.id
            session.flush()
        return _did_document(session, row)


def _find(session: Session, did_id: str) -> Did:
    row = telephony.did(session, did_id)
    if row is None:
        raise not_found("DID", did_id)
    return row


def _number(text: str | None, field_name: str) -> str:
    number = re.sub(r"[\s()./-]", "", (text or "").removeprefix("tel:"))
    if not _E164.fullmatch(number):
        raise bad_request(f"{field_name} must be an E.164 number such as +4930123456.", field_name, "invalid.value")
    return number
