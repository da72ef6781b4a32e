"""Searching the conversations of the past by everything that they are known by.

Whoever signs in may search; found is what exists for the caller (``store.visibility``). A page may have fewer entries
than ``pageSize`` and still not be the last: it is while ``nextCursor`` is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import after_call_work, divisions_queries, search, search_filters, users
from earwitness.store.search_filters import Filter
from earwitness.store.tables import Conversation, Participant
from earwitness.web.api.divisions import DivisionReference, references
from earwitness.web.api.search import cursors
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import DateInput, Document, Moment, OneOf, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, missing_permissions
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.paging import CommaList
from earwitness.web.kernel.services import Parts, Services

family = Family("Conversation search")
PATH = "/api/v2/earwitness/conversations/search"
VIEW_EVALUATIONS = "quality:evaluation:view"
VIEW_POLICIES = "recording:retentionPolicy:view"
DIRECTIONS = ("inbound", "outbound", "internal")
RECORDING_STATES = ("RECORDED", "NONE", "FAILED")
VERDICTS = ("KEEP", "DELETE_AFTER", "DELETE", "NOT_APPLIED")
EVALUATION_STATES = ("NONE", "PENDING", "INPROGRESS", "FINISHED", "INREVIEW", "RETRACTED")
MOST_VALUES = 50
ENOUGH_S = 0.03
"""After that long a search gives what it has, and says where to go on."""
Ids = Annotated[list[str] | None, Field(max_length=MOST_VALUES)]


class SearchBody(RequestBody):
    """What to find; of each list one value must fit, and every field that is given."""

    start_time: DateInput | None = None
    """Calls that began then or later."""
    end_time: DateInput | None = None
    """Calls that began before."""
    user_ids: Ids = None
    queue_ids: Ids = None
    team_ids: Ids = None
    division_ids: Ids = None
    wrapup_code_ids: Ids = None
    policy_ids: Ids = None
    verdicts: Annotated[list[Annotated[str, OneOf(*VERDICTS)]] | None, Field(max_length=MOST_VALUES)] = None
    directions: Annotated[list[Annotated[str, OneOf(*DIRECTIONS)]] | None, Field(max_length=MOST_VALUES)] = None
    number: str | None = Field(default=None, max_length=64)
    """In any spelling."""
    text: str | None = Field(default=None, max_length=256)
    """Names and numbers."""
    min_duration_ms: int | None = Field(default=None, ge=0, le=1 << 40)
    max_duration_ms: int | None = Field(default=None, ge=0, le=1 << 40)
    recording_states: Annotated[list[Annotated[str, OneOf(*RECORDING_STATES)]] | None, Field(max_length=9)] = None
    playable: bool | None = None
    """There is a recording that was not deleted."""
    why: Ids = None
    """Rows of the recording rules that decided something."""
    evaluation_states: Annotated[list[Annotated[str, OneOf(*EVALUATION_STATES)]] | None, Field(max_length=9)] = None
    sort_order: Annotated[str, OneOf("ascending", "descending")] | None = None
    page_size: int | None = Field(default=None, ge=1, le=200)
    cursor: str | None = None


class Reason(Document):
    """Why something of a call was recorded, or was not."""

    row: str
    why: str
    captured: bool


class PersonFound(Document):
    """Somebody on a call."""

    id: str
    purpose: str
    name: str | None = None
    user: Reference | None = None
    queue: Reference | None = None
    address: str | None = None


class WrapupFound(Document):
    """What an agent said of a call."""

    code: str
    name: str | None = None


class ConversationFound(Document):
    """A call, as a list shows it."""

    id: str
    start_time: Moment
    end_time: Moment
    duration_ms: int
    direction: str
    ani: str
    dnis: str
    external_tag: str | None = None
    participants: list[PersonFound]
    divisions: list[DivisionReference]
    wrapups: list[WrapupFound]
    recording_state: str
    reasons: list[Reason]
    self_uri: str


class SearchReply(Document):
    """A page of calls."""

    entities: list[ConversationFound]
    page_size: int
    next_cursor: str | None = None
    """Where to go on. Absent: this is the last page."""


class CountReply(Document):
    """How many there are."""

    total: int
    exact: bool
    """False: at least so many."""


def filters(session: Session, caller: Caller, body: SearchBody) -> list[Filter]:
    """The filters of a search.

    :raises ApiError: 400, a number that is none; 403, it asks for what the caller may not see of any call.
    """
    if body.evaluation_states is not None and not caller.access.allows(VIEW_EVALUATIONS):
        raise missing_permissions([VIEW_EVALUATIONS], every=True)
    if (body.policy_ids or body.verdicts) and not caller.access.allows(VIEW_POLICIES):
        raise missing_permissions([VIEW_POLICIES], every=True)
    found = []
    for given, make in (
        (body.user_ids, search_filters.users),
        (body.queue_ids, search_filters.queues),
        (body.team_ids, search_filters.teams),
        (body.division_ids, search_filters.divisions),
        (body.wrapup_code_ids, search_filters.wrapups),
        (body.why, search_filters.why),
        (body.directions, search_filters.directions),
        (body.recording_states, search_filters.recording_states),
        (body.policy_ids, search_filters.policies),
        (body.verdicts, search_filters.verdicts),
    ):
        if given is not None:
            found.append(make(given))
    if body.evaluation_states is not None:
        found.append(search_filters.evaluation_states(body.evaluation_states, caller.access))
    if body.number is not None:
        try:
            found.append(search_filters.number(session, body.number))
        except ValueError as error:
            raise bad_request(str(error), "number", "invalid.value") from error
    if body.text is not None:
        found += search_filters.text(session, body.text)
    if body.min_duration_ms is not None or body.max_duration_ms is not None:
        found.append(search_filters.duration(body.min_duration_ms, body.max_duration_ms))
    if body.playable is not None:
        found.append(search_filters.audible(body.playable))
    return found


@family.operation("POST", PATH, "post_earwitness_conversations_search", SIGNED_IN, returns=SearchReply, reads=True)
def search_conversations(caller: Signed, parts: Parts, body: SearchBody) -> SearchReply:
    """Calls of the past that exist for the caller, newest first (``sortOrder`` ascending: oldest first).

    ``number`` and ``text`` know a number in any spelling: with or without country code, zeros, spaces. Every word of
    ``text`` must be the beginning of a word of a name. ``policyIds`` and ``verdicts`` need
    recording:retentionPolicy:view, ``evaluationStates`` quality:evaluation:view.
    """
    return _search(caller, parts, body)


@family.operation("GET", PATH, "get_earwitness_conversations_search", SIGNED_IN, returns=SearchReply)
def list_conversations(
    caller: Signed,
    parts: Parts,
    start_time: Annotated[DateInput | None, Query(alias="startTime")] = None,
    end_time: Annotated[DateInput | None, Query(alias="endTime")] = None,
    user_ids: Annotated[CommaList, Query(alias="userIds")] = None,
    queue_ids: Annotated[CommaList, Query(alias="queueIds")] = None,
    number: Annotated[str | None, Query(max_length=64)] = None,
    text: Annotated[str | None, Query(max_length=256)] = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=200)] = 25,
    cursor: str | None = None,
) -> SearchReply:
    """The same with what is asked for most, as an address."""
    body = SearchBody()
    for name, value in (("start_time", start_time), ("end_time", end_time), ("user_ids", user_ids),
                        ("queue_ids", queue_ids), ("number", number), ("text", text), ("page_size", page_size),
                        ("cursor", cursor)):  # fmt: skip
        setattr(body, name, value)
    return _search(caller, parts, body)


def _enough(parts: Services) -> Callable[[], bool]:
    """True once the request has taken its time."""
    start = parts.clock.monotonic()
    return lambda: parts.clock.monotonic() - start > ENOUGH_S


def _search(caller: Caller, parts: Parts, body: SearchBody) -> SearchReply:
    size = body.page_size or 25
    with parts.database.reading() as session:
        found = search.page(
            session,
            caller.access,
            filters(session, caller, body),
            since=body.start_time,
            until=body.end_time,
            after=cursors.from_text(body.cursor),
            size=size,
            newest_first=body.sort_order != "ascending",
            enough=_enough(parts),
        )
        return SearchReply(entities=documents(session, found), page_size=size, next_cursor=cursors.to_text(found.next))


@family.operation(
    "POST", PATH + "/count", "post_earwitness_conversations_search_count", SIGNED_IN, returns=CountReply, reads=True
)
def count_conversations(caller: Signed, parts: Parts, body: SearchBody) -> CountReply:
    """How many calls a search finds: exactly while they are few, else at least how many. Never counts them all."""
    with parts.database.reading() as session:
        wanted = filters(session, caller, body)
        counted = search.count(
            session, caller.access, wanted, since=body.start_time, until=body.end_time, enough=_enough(parts)
        )
    return CountReply(total=counted.total, exact=counted.exact)


def documents(session: Session, found: search.Found) -> list[ConversationFound]:
    """What a list shows of the calls of a page."""
    people, touched = search.people(session, found.rows), search.touched(session, found.rows)
    ids = {key for keys in touched.values() for key in keys}
    loaded = divisions_queries.load(session, ids)  # kept, so that the session knows them
    known = references(session, ids | {row.id for row in loaded})
    user_ids = {item.user_id for items in people.values() for item in items if item.user_id is not None}
    names = {row.id: row.name for row in users.by_ids(session, sorted(user_ids))}
    work = after_call_work.of_conversations(session, [row.id for row in found.rows])
    return [
        ConversationFound(
            id=row.id,
            start_time=row.started_at,
            end_time=row.ended_at,
            duration_ms=(row.ended_at - row.started_at) // 1000,
            direction=row.direction,
            ani=row.ani,
            dnis=row.dnis,
            external_tag=row.external_tag,
            participants=[_person(item, names) for item in people[row.id]],
            divisions=[known[key] for key in touched[row.id]],
            wrapups=[WrapupFound(code=item.code_id, name=item.code_name) for item in work[row.id] if item.code_id],
            recording_state=row.recording_state,
            reasons=_reasons(row),
            self_uri=f"/api/v2/conversations/{row.id}",
        )
        for row in found.rows
    ]


def _person(item: Participant, names: dict[str, str]) -> PersonFound:
    user = queue = None
    if item.user_id is not None:
        user = Reference(id=item.user_id, name=names.get(item.user_id), self_uri=f"/api/v2/users/{item.user_id}")
    if item.queue_id is not None:
        queue = Reference(id=item.queue_id, self_uri=f"/api/v2/routing/queues/{item.queue_id}")
    return PersonFound(
        id=item.id,
        purpose=item.purpose,
        name=item.name or (names.get(item.user_id) if item.user_id is not None else None),
        user=user,
        queue=queue,
        address=item.address,
    )


def _reasons(row: Conversation) -> list[Reason]:
    """Each reason once; what somebody recorded for their own inbox is left out (E2)."""
    found: dict[tuple[str, bool], Reason] = {}
    for span in row.why:
        if span.get("kind") == "user":
            continue
        for reason in span.get("reasons") or []:
            key = (str(reason.get("row")), bool(span.get("captured")))
            found.setdefault(key, Reason(row=key[0], why=str(reason.get("why", "")), captured=key[1]))
    return list(found.values())
