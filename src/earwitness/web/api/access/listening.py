"""Who can hear a recording, and by what: for the people who give rights, and for those who answer for them."""

from __future__ import annotations

from typing import Any

from earwitness.store import listeners as listener_store
from earwitness.store import recordings as recording_store
from earwitness.store import users
from earwitness.store.listeners import Listener, Way
from earwitness.web.api.recording_audit import note
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Reference
from earwitness.web.kernel.errors import not_found
from earwitness.web.kernel.operations import Family, all_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Who can hear")

PATH = "/api/v2/earwitness/recordings/{recordingId}/access"


class Stretch(Document):
    """A part of the file, ms."""

    start_ms: int
    end_ms: int


class WayDocument(Document):
    """One reason why somebody hears the recording."""

    kind: str
    permission: str | None = None
    role: Reference | None = None
    division: Reference | None = None
    condition: dict[str, Any] | None = None
    role_conditions: list[dict[str, Any]] | None = None
    evaluation: Reference | None = None
    part: str | None = None


class ListenerDocument(Document):
    """Somebody who hears the recording: all of it, or the stretches."""

    id: str
    name: str
    type: str
    whole: bool
    stretches: list[Stretch] | None = None
    ways: list[WayDocument]
    self_uri: str


@family.operation(
    "GET",
    PATH,
    "get_earwitness_recording_access",
    all_of("authorization:grant:view"),
    returns=Listing[ListenerDocument],
    audited="recording",
)
def who_can_hear(caller: Signed, parts: Parts, page: Paging, recordingId: str) -> Listing[ListenerDocument]:
    """Everybody who can hear a recording that exists for the caller, and through which grant or evaluation.

    Of a user recording that is its owner, and nobody but the owner may ask (E2).
    """
    with parts.database.reading() as session:
        row = recording_store.get(session, caller.access, recordingId)
        found = listener_store.listeners(session, row) if row is not None and row.file_state != "DELETED" else []
        names = {division.id: division.name for division in users.divisions(session, size=10_000).items}
    conversation_id = row.conversation_id if row is not None else None
    note(parts, caller, "viewAccess", "recording", recordingId, conversation_id, allowed=row is not None)
    if row is None:
        raise not_found("recording", recordingId)
    return page.envelope([_document(item, row.conversation_id, names) for item in page.cut(found)], len(found))


def _document(listener: Listener, conversation_id: str, divisions: dict[str, str]) -> ListenerDocument:
    subject, cut = listener.subject, listener.cut
    path = "users" if subject.type == "user" else "oauth/clients"
    stretches = None if cut is None else [Stretch(start_ms=start, end_ms=end) for start, end in cut.stretches]
    return ListenerDocument(
        id=subject.id,
        name=listener.name,
        type=subject.type,
        whole=cut is None,
        stretches=stretches,
        ways=[_way(way, conversation_id, divisions) for way in listener.ways],
        self_uri=f"/api/v2/{path}/{subject.id}",
    )


def _way(way: Way, conversation_id: str, divisions: dict[str, str]) -> WayDocument:
    if way.evaluation_id is not None:
        uri = f"/api/v2/quality/conversations/{conversation_id}/evaluations/{way.evaluation_id}"
        return WayDocument(kind=way.kind, evaluation=Reference(id=way.evaluation_id, self_uri=uri), part=way.part)
    if way.grant is None or way.role is None:
        return WayDocument(kind=way.kind)
    conditions = [
        policy["resourceConditionNode"]
        for policy in way.role.permission_policies
        if policy.get("resourceConditionNode") and policy.get("domain") in ("recording", "*")
    ]
    division_id = way.grant.division_id
    return WayDocument(
        kind=way.kind,
        permission=way.permission,
        role=Reference(id=way.role.id, name=way.role.name, self_uri=f"/api/v2/authorization/roles/{way.role.id}"),
        division=Reference(
            id=division_id,
            name=divisions.get(division_id, division_id),
            self_uri=f"/api/v2/authorization/divisions/{division_id}",
        ),
        condition=way.grant.condition,
        role_conditions=conditions or None,
    )
