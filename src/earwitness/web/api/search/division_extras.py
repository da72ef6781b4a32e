"""Divisions beyond making and changing them: deleted ones, how many there may be, and in which one may do what."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query

from earwitness.domain.access import Subject
from earwitness.store import access as access_store
from earwitness.store import deleted_divisions as store
from earwitness.store import oauth, users
from earwitness.store.tables import Division
from earwitness.web.api.division_operations import MOST, PATH, DivisionBody, DivisionDocument, document, free_name
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.errors import bad_request, missing_permissions, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Page, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Divisions")
VIEW_GRANTS = "authorization:grant:view"


class DivisionCursorListing(Document):
    """Divisions by id."""

    entities: list[DivisionDocument]
    next_uri: str | None = None
    previous_uri: str | None = None
    self_uri: str


class PermittedListing(Listing[DivisionDocument]):
    """Divisions in which somebody holds a permission."""

    all_divs_permitted: bool


@family.operation(
    "GET",
    PATH + "/deleted",
    "get_authorization_divisions_deleted",
    any_of("authorization:divisionDeleted:view"),
    returns=Listing[DivisionDocument],
)
def deleted(caller: Signed, parts: Parts, page: Paging) -> Listing[DivisionDocument]:
    """Divisions that were deleted, by name; each can be made again."""
    with parts.database.reading() as session:
        found = store.listing(session, number=page.number, size=page.size)
        entities = [
            DivisionDocument(
                id=row.id, name=row.name, description=row.description, home_division=False, self_uri=f"{PATH}/{row.id}"
            )
            for row in found.items
        ]
        return page.envelope(entities, found.total)


@family.operation("GET", PATH + "/limit", "get_authorization_divisions_limit", SIGNED_IN, returns=int)
def limit(caller: Signed) -> int:
    """How many divisions there may be."""
    return MOST


@family.operation("GET", PATH + "/query", "get_authorization_divisions_query", SIGNED_IN, returns=DivisionCursorListing)
def query(
    caller: Signed,
    parts: Parts,
    before: str | None = None,
    after: str | None = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=500)] = 25,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    name: str | None = None,
) -> DivisionCursorListing:
    """Divisions by id, a page after or before one of them."""
    if before is not None and after is not None:
        raise bad_request("before or after, not both.", "before", "invalid.value")
    with parts.database.reading() as session:
        rows = store.between(session, after=after, before=before, size=page_size, ids=ids, name=name)
        more = len(rows) > page_size
        rows = rows[-page_size:] if before is not None else rows[:page_size]
        entities = [document(row) for row in rows]

    def uri(**place: str) -> str:
        others = {"pageSize": page_size, "id": ",".join(ids or ()), "name": name}
        return f"{PATH}/query?{urlencode({key: value for key, value in {**others, **place}.items() if value})}"

    follows = bool(rows) and (more or before is not None)
    precedes = bool(rows) and (after is not None or (before is not None and more))
    return DivisionCursorListing(
        entities=entities,
        next_uri=uri(after=rows[-1].id) if follows else None,
        previous_uri=uri(before=rows[0].id) if precedes else None,
        self_uri=uri(**{key: value for key, value in (("after", after), ("before", before)) if value}),
    )


@family.operation(
    "POST",
    PATH + "/{divisionId}/restore",
    "post_authorization_division_restore",
    any_of("authorization:division:add"),
    returns=DivisionDocument,
)
def restore(caller: Signed, parts: Parts, divisionId: str, body: DivisionBody) -> DivisionDocument:
    """Makes a deleted division again, under its id, and by another name if one is given."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        there = users.division(session, divisionId)
        if there is not None:
            return document(there)
        row = store.get(session, divisionId)
        if row is None:
            raise not_found("deleted division", divisionId)
        made = Division(
            id=row.id,
            name=free_name(session, body.name or row.name, None),
            description=body.description if "description" in body.given() else row.description,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(made)
        session.delete(row)
        session.flush()
        return document(made)


PERMITTED = "/api/v2/authorization/divisionspermitted/paged"


@family.operation(
    "GET",
    PERMITTED + "/me",
    "get_authorization_divisionspermitted_paged_me",
    SIGNED_IN,
    returns=PermittedListing,
)
def permitted_to_me(
    caller: Signed, parts: Parts, page: Paging, permission: Annotated[str, Query()]
) -> PermittedListing:
    """The divisions in which the caller holds a permission, by name."""
    return _permitted(parts, page, caller.subject, permission)


@family.operation(
    "GET",
    PERMITTED + "/{subjectId}",
    "get_authorization_divisionspermitted_paged_subject_id",
    SIGNED_IN,
    returns=PermittedListing,
)
def permitted_to(
    caller: Signed, parts: Parts, page: Paging, subjectId: str, permission: Annotated[str, Query()]
) -> PermittedListing:
    """The divisions in which a subject holds a permission: the caller, or anybody for who may view grants."""
    if subjectId == caller.subject.id:
        return _permitted(parts, page, caller.subject, permission)
    if not caller.access.allows(VIEW_GRANTS):
        raise missing_permissions([VIEW_GRANTS], every=True)
    with parts.database.reading() as session:
        if users.get(session, subjectId) is not None:
            kind = "user"
        elif oauth.client(session, subjectId) is not None:
            kind = "client"
        else:
            raise not_found("subject", subjectId)
    return _permitted(parts, page, Subject(kind, subjectId), permission)


def _permitted(parts: Services, page: Page, subject: Subject, permission: str) -> PermittedListing:
    with parts.database.reading() as session:
        reach = access_store.access_of(session, subject).divisions_for(permission)
        found = users.divisions(session, within=reach, number=page.number, size=page.size)
        listed = page.envelope([document(row) for row in found.items], found.total)
    return PermittedListing(**dict(listed), all_divs_permitted=reach.every)
