"""Where a call may go: a user, a queue or an address, as the edge's control API takes it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from earwitness.domain.access import Divisions
from earwitness.store import named as named_store
from earwitness.store import users
from earwitness.store.tables import ExternalContact
from earwitness.store.wrapup_queries import queue_exists
from earwitness.web.kernel.errors import bad_request

Target = dict[str, str]
LONGEST_ADDRESS = 256


def one(
    session: Session,
    *,
    user_id: str | None = None,
    user_name: str | None = None,
    address: str | None = None,
    queue_id: str | None = None,
) -> Target:
    """The one target that was named.

    :param user_name: the email of a user.
    :raises ApiError: 400, none, more than one, or one that is not there.
    """
    given = [name for name in (user_id or user_name, address, queue_id) if name]
    if len(given) != 1:
        raise bad_request("One target is needed: a user, a queue or an address.")
    if user_id or user_name:
        user = users.get(session, user_id) if user_id else users.by_email(session, user_name or "")
        if user is None or user.state != "active":
            raise bad_request(f"No user {given[0]}.", "userId", "invalid.value")
        return {"user": user.id}
    if queue_id:
        if not queue_exists(session, queue_id):
            raise bad_request(f"No queue {queue_id}.", "queueId", "invalid.value")
        return {"queue": queue_id}
    assert address is not None
    text = address.strip()
    if not text or len(text) > LONGEST_ADDRESS or not text.isprintable():
        raise bad_request("address must be a number or a SIP address.", "address", "invalid.value")
    return {"address": text}


CONTACT_PHONES = {"WorkPhone": "workPhone", "CellPhone": "cellPhone", "HomePhone": "homePhone",
                  "OtherPhone": "otherPhone"}  # fmt: skip


def contact(session: Session, divisions: Divisions, contact_id: str | None, phone_type: str | None) -> Target:
    """The number of an external contact.

    :param divisions: where the caller may see contacts.
    :param phone_type: one of ``CONTACT_PHONES``; None: the first that the contact has.
    :raises ApiError: 400, no such contact, or it has no such number.
    """
    if not contact_id:
        raise bad_request("contactId is required.", "contactId")
    row = named_store.get(session, ExternalContact, contact_id)
    if row is None or row.division_id not in divisions:
        raise bad_request(f"No contact {contact_id}.", "contactId", "invalid.value")
    kinds = [CONTACT_PHONES[phone_type]] if phone_type else list(CONTACT_PHONES.values())
    number = next((row.phones[kind] for kind in kinds if row.phones.get(kind)), None)
    if number is None:
        raise bad_request(f"{row.name} has no such number.", "phoneType", "invalid.value")
    return one(session, address=number)
