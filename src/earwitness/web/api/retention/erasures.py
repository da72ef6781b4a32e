"""Find and erase one person: a preview of every call with a number, then its erasure, with a receipt."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from earwitness.domain.numbers import NumberError, PhoneNumber
from earwitness.store import audit, erasures, protection, retention
from earwitness.store.tables import Erasure, ErasureItem
from earwitness.store.visibility import ADHOC
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, Reference, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Erasures")

PATH = "/api/v2/earwitness/erasures"
ONE = PATH + "/{erasureId}"
VIEW, ADD, CONFIRM = (f"recording:erasure:{action}" for action in ("view", "add", "confirm"))
LONGEST = 1000


class ErasureInput(RequestBody):
    """Whom to find, and why."""

    number: str | None = None
    country_code: str | None = None
    reason: str | None = None


class ErasureDocument(Document):
    """An erasure. The number is in it until it is done."""

    id: str
    state: str
    number: str | None = None
    spellings: list[str] | None = None
    pseudonym: str
    reason: str
    total_conversations: int
    total_recordings: int
    total_user_recordings: int
    total_held: int
    total_erased: int
    created_by: str
    date_created: Moment
    confirmed_by: str | None = None
    date_confirmed: Moment | None = None
    date_finished: Moment | None = None
    receipt: dict[str, Any] | None = None
    public_keys: dict[str, str] | None = None
    self_uri: str


class ErasedRecording(Document):
    """A recording of such a conversation, and how far it is."""

    id: str
    file_state: str
    destroyed: bool


class ErasureConversation(Document):
    """A conversation in which the person was found.

    Of recordings in inboxes only the number is told: they are their owners' alone.
    """

    conversation: Reference
    date_start: Moment | None = None
    found_as: list[str]
    state: str
    protected: bool
    recordings: list[ErasedRecording]
    user_recordings: int


@family.operation("POST", PATH, "post_earwitness_erasures", any_of(ADD), returns=ErasureDocument, audited="erasure")
def find_person(caller: Signed, parts: Parts, body: ErasureInput) -> ErasureDocument:
    """Finds every conversation with a number, in any spelling, as caller, called or participant. Changes nothing.

    A national number needs ``countryCode``. The list is a preview: confirm it to erase the person in what it shows.
    """
    _everywhere(caller, ADD)
    text = changes.required_text(body.number, "number", 64)
    reason = changes.required_text(body.reason, "reason", LONGEST)
    try:
        number = PhoneNumber.parse(text, body.country_code)
    except NumberError as error:
        raise bad_request(f"number: {error}.", "number", "invalid.value") from error
    with parts.database.transaction() as session:
        by, now = f"{caller.subject.type}:{caller.subject.id}", parts.clock.now_us()
        row = erasures.create(session, number=number, at=now, by=by, reason=reason)
        _note(parts, caller, session, row, "findPerson")
        return _document(parts, session, row)


@family.operation("GET", PATH, "get_earwitness_erasures", any_of(VIEW), returns=Listing[ErasureDocument])
def list_erasures(caller: Signed, parts: Parts, page: Paging) -> Listing[ErasureDocument]:
    """Erasures, newest first."""
    _everywhere(caller, VIEW)
    with parts.database.reading() as session:
        found = erasures.listing(session, page.number, page.size)
        return page.envelope([_document(parts, session, row) for row in found.items], found.total)


@family.operation("GET", ONE, "get_earwitness_erasure", any_of(VIEW), returns=ErasureDocument)
def one_erasure(caller: Signed, parts: Parts, erasureId: str) -> ErasureDocument:
    """An erasure, how far it is, and its receipt once it is done."""
    _everywhere(caller, VIEW)
    with parts.database.reading() as session:
        return _document(parts, session, _get(session, erasureId))


@family.operation(
    "GET",
    ONE + "/conversations",
    "get_earwitness_erasure_conversations",
    any_of(VIEW),
    returns=Listing[ErasureConversation],
    audited="erasure",
)
def erasure_conversations(caller: Signed, parts: Parts, erasureId: str, page: Paging) -> Listing[ErasureConversation]:
    """The conversations of an erasure; those that are protected are left as they are."""
    _everywhere(caller, VIEW)
    with parts.database.transaction() as session:
        row = _get(session, erasureId)
        found = erasures.items(session, row.id, page.number, page.size)
        _note(parts, caller, session, row, "viewErasure")
        return page.envelope(_conversations(session, list(found.items)), found.total)


@family.operation(
    "POST",
    ONE + "/confirm",
    "post_earwitness_erasure_confirm",
    any_of(CONFIRM),
    returns=ErasureDocument,
    audited="erasure",
)
def confirm_erasure(caller: Signed, parts: Parts, erasureId: str) -> ErasureDocument:
    """Erases the person in what the preview shows. There is no way back.

    Recordings are destroyed, those in inboxes too; a pseudonym takes the place of the number. What is protected from
    deletion stays, and is listed as HELD.
    """
    _everywhere(caller, CONFIRM)
    with parts.database.transaction() as session:
        row = _get(session, erasureId, lock=True)
        try:
            by = f"{caller.subject.type}:{caller.subject.id}"
            if erasures.confirm(session, row, at=parts.clock.now_us(), by=by):
                _note(parts, caller, session, row, "confirmErasure")
        except ValueError as error:
            raise conflict(f"It cannot be confirmed: {error}.", "erasure.state") from error
        return _document(parts, session, row)


@family.operation("DELETE", ONE, "delete_earwitness_erasure", any_of(ADD), status=204, audited="erasure")
def cancel_erasure(caller: Signed, parts: Parts, erasureId: str) -> None:
    """Drops a preview, and the number in it."""
    _everywhere(caller, ADD)
    with parts.database.transaction() as session:
        row = _get(session, erasureId, lock=True)
        was = row.state
        if not erasures.cancel(session, row):
            raise conflict("It is confirmed; there is no way back.", "erasure.state")
        if was != row.state:
            _note(parts, caller, session, row, "cancelErasure")


def _everywhere(caller: Caller, permission: str) -> None:
    """One person is erased everywhere or not at all."""
    if not caller.access.divisions_for(permission).every:
        raise ApiError(403, f"{permission} must hold in all divisions.", "not.authorized")


def _get(session: Session, erasure_id: str, *, lock: bool = False) -> Erasure:
    row = erasures.get(session, erasure_id, lock=lock)
    if row is None:
        raise not_found("erasure", erasure_id)
    return row


def _conversations(session: Session, items: list[ErasureItem]) -> list[ErasureConversation]:
    ids = [item.conversation_id for item in items]
    calls, recordings = erasures.calls(session, ids), erasures.recordings(session, ids)
    held = protection.protected_among(session, ids)
    found = []
    for item in items:
        call, rows = calls.get(item.conversation_id), recordings.get(item.conversation_id, [])
        own = set(item.recording_ids)
        there = [row for row in rows if row.file_state != retention.DELETED or row.id in own]
        found.append(
            ErasureConversation(
                conversation=Reference(
                    id=item.conversation_id, self_uri=f"/api/v2/conversations/{item.conversation_id}"
                ),
                date_start=call.started_at if call is not None else None,
                found_as=item.found_as,
                state=item.state,
                protected=item.conversation_id in held,
                recordings=[
                    ErasedRecording(id=row.id, file_state=row.file_state, destroyed=row.receipt is not None)
                    for row in there
                    if row.role != ADHOC
                ],
                user_recordings=sum(row.role == ADHOC for row in there),
            )
        )
    return found


def _note(parts: Services, caller: Caller, session: Session, row: Erasure, action: str) -> None:
    """Who and when; never whom."""
    audit.add(
        session,
        at=parts.clock.now_us(),
        subject=caller.subject,
        action=action,
        entity_type="erasure",
        entity_id=row.id,
        remote_address=caller.remote_address,
        detail={"conversations": erasures.counted(session, row).conversations},
    )


def _document(parts: Services, session: Session, row: Erasure) -> ErasureDocument:
    count = erasures.counted(session, row)
    number = PhoneNumber.parse(row.number) if row.number else None
    return ErasureDocument(
        id=row.id,
        state=row.state,
        number=row.number,
        spellings=list(number.forms) if number is not None else None,
        pseudonym=row.pseudonym,
        reason=row.reason,
        total_conversations=count.conversations,
        total_recordings=count.recordings,
        total_user_recordings=count.user_recordings,
        total_held=count.held,
        total_erased=count.erased,
        created_by=row.created_by,
        date_created=row.created_at,
        confirmed_by=row.confirmed_by,
        date_confirmed=row.confirmed_at,
        date_finished=row.finished_at,
        receipt=row.receipt,
        public_keys=parts.vault.keyring.public_keys() if row.receipt else None,
        self_uri=f"{PATH}/{row.id}",
    )
