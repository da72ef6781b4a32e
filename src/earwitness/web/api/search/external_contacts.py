"""People outside the organisation, whom calls can be transferred to and who can be consulted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.domain.search.numbers import reversed_digits
from earwitness.store import named as named_store
from earwitness.store import users
from earwitness.store.tables import ExternalContact
from earwitness.web.api import divisions, scoped
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("External contacts")
PATH = "/api/v2/externalcontacts/contacts"
VIEW, ADD, EDIT, DELETE = (f"externalContacts:contact:{act}" for act in ("view", "add", "edit", "delete"))
PHONES = {"work_phone": "workPhone", "cell_phone": "cellPhone", "home_phone": "homePhone", "other_phone": "otherPhone"}
TEXTS = ("first_name", "middle_name", "last_name", "salutation", "title", "work_email", "personal_email", "other_email")
LONGEST = 256


class PhoneInput(RequestBody):
    """A number."""

    display: str | None = None
    e164: str | None = None
    user_input: str | None = None


class Phone(Document):
    """A number, as it is dialled."""

    display: str
    e164: str | None = None
    user_input: str


class ContactInput(RequestBody):
    """A contact; absent fields stay as they are."""

    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    salutation: str | None = None
    title: str | None = None
    work_phone: PhoneInput | None = None
    cell_phone: PhoneInput | None = None
    home_phone: PhoneInput | None = None
    other_phone: PhoneInput | None = None
    work_email: str | None = None
    personal_email: str | None = None
    other_email: str | None = None
    division: DivisionInput | None = None


class Contact(Document):
    """Somebody outside the organisation."""

    id: str
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    salutation: str | None = None
    title: str | None = None
    work_phone: Phone | None = None
    cell_phone: Phone | None = None
    home_phone: Phone | None = None
    other_phone: Phone | None = None
    work_email: str | None = None
    personal_email: str | None = None
    other_email: str | None = None
    division: DivisionReference
    create_date: Moment
    modify_date: Moment
    self_uri: str


def _phone(number: str | None) -> Phone | None:
    if number is None:
        return None
    return Phone(display=number, e164=number if number.startswith("+") else None, user_input=number)


def _document(session: Session, row: ExternalContact) -> Contact:
    values: dict[str, Any] = {name: _phone(row.phones.get(key)) for name, key in PHONES.items()}
    values |= {name: row.extra.get(name) for name in TEXTS}
    return Contact(
        id=row.id,
        division=divisions.reference(users.division(session, row.division_id), row.division_id),
        create_date=row.created_at,
        modify_date=row.modified_at,
        self_uri=f"{PATH}/{row.id}",
        **values,
    )


def _columns(body: ContactInput, row: ExternalContact | None) -> dict[str, Any]:
    """What the body changes.

    :raises ApiError: 400, no name, or a number that is none.
    """
    given = body.given()
    texts = dict(row.extra) if row is not None else {}
    for name in TEXTS:
        if name in given:
            text = (given[name] or "").strip()
            if len(text) > LONGEST:
                raise bad_request(f"{name} may have {LONGEST} characters.", name, "invalid.value")
            texts[name] = text or None
    phones = dict(row.phones) if row is not None else {}
    for name, key in PHONES.items():
        if name in given:
            phones[key] = _number(given[name], key)
    full = " ".join(texts[name] for name in ("first_name", "last_name") if texts.get(name))
    if not full:
        raise bad_request("firstName or lastName is required.", "lastName")
    return {
        "name": full,
        "extra": {name: text for name, text in texts.items() if text},
        "phones": {key: number for key, number in phones.items() if number},
    }


def _number(phone: PhoneInput | None, key: str) -> str | None:
    text = (phone.e164 or phone.user_input or phone.display or "").strip() if phone is not None else ""
    if not text:
        return None
    if reversed_digits(text) is None or len(text) > 64:
        raise bad_request(f"{key}: {text!r} is no number.", key, "invalid.value")
    return text


@family.operation("POST", PATH, "post_externalcontacts_contacts", any_of(ADD), returns=Contact)
def create(caller: Signed, parts: Parts, body: ContactInput) -> Contact:
    """Adds a contact."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        division_id = divisions.chosen(session, body.division)
        divisions.check(caller, division_id, ADD)
        row = ExternalContact(
            id=new_id(), division_id=division_id, created_at=now, modified_at=now, created_by=caller.subject.id,
            modified_by=caller.subject.id, state="active", **_columns(body, None),
        )  # fmt: skip
        session.add(row)
        session.flush()
        return _document(session, row)


@family.operation("GET", PATH, "get_externalcontacts_contacts", any_of(VIEW), returns=Listing[Contact])
def listing(
    caller: Signed, parts: Parts, page: Paging, q: Annotated[str | None, Query(description="part of the name")] = None
) -> Listing[Contact]:
    """Contacts, by name."""
    reach = scoped.reach(caller, VIEW)
    with parts.database.reading() as session:
        found = named_store.listing(
            session, ExternalContact, divisions=reach, name=q, number=page.number, size=page.size
        )
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation("GET", PATH + "/{contactId}", "get_externalcontacts_contact", any_of(VIEW), returns=Contact)
def one(caller: Signed, parts: Parts, contactId: str) -> Contact:
    """A contact."""
    with parts.database.reading() as session:
        return _document(session, scoped.find(session, caller, ExternalContact, contactId, "contact", VIEW))


@family.operation("PUT", PATH + "/{contactId}", "put_externalcontacts_contact", any_of(EDIT), returns=Contact)
def change(caller: Signed, parts: Parts, contactId: str, body: ContactInput) -> Contact:
    """Changes a contact."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, ExternalContact, contactId, "contact", VIEW, EDIT)
        wanted = _columns(body, row)
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            divisions.check(caller, wanted["division_id"], EDIT)
        if changes.apply(row, wanted, None):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return _document(session, row)


@family.operation("DELETE", PATH + "/{contactId}", "delete_externalcontacts_contact", any_of(DELETE), status=204)
def remove(caller: Signed, parts: Parts, contactId: str) -> None:
    """Removes a contact; twice is once."""
    with changes.changing(parts, caller) as session:
        row = named_store.get(session, ExternalContact, contactId, deleted=True)
        if row is None or not scoped.sees(caller, row.division_id, VIEW, DELETE):
            raise not_found("contact", contactId)
        divisions.check(caller, row.division_id, DELETE)
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)
