"""The retention query: what has been kept for how long, and until when it will be."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query

from earwitness.store import recordings as recording_store
from earwitness.store import retention
from earwitness.store.recordings import Position
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment
from earwitness.web.kernel.errors import ApiError, bad_request
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Retention query")

PATH = "/api/v2/recordings/retention/query"


class RecordingRetention(Document):
    """The dates of a recording."""

    conversation_id: str
    recording_id: str
    archive_date: Moment | None = None
    archive_medium: str | None = None
    delete_date: Moment | None = None
    export_date: Moment | None = None
    exported_date: Moment | None = None
    creation_time: Moment


class RetentionListing(Document):
    """Some of them, oldest first; ``nextUri`` is there as long as there are more."""

    entities: list[RecordingRetention]
    next_uri: str | None = None
    self_uri: str


@family.operation(
    "GET",
    PATH,
    "get_recordings_retention_query",
    any_of("recording:recording:view"),
    returns=RetentionListing,
    audited="recording",
)
def kept_longer(
    caller: Signed,
    parts: Parts,
    threshold_days: Annotated[int, Query(alias="retentionThresholdDays", ge=0, le=100_000)],
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=500)] = 25,
) -> RetentionListing:
    """Recordings that have been kept for more days than that, oldest first. Inboxes are left out."""
    after = _position(cursor)
    until = parts.clock.now_us() - threshold_days * retention.DAY_US
    with parts.database.reading() as session:
        rows = recording_store.created_before(session, caller.access, until, after=after, size=page_size + 1)
        entities = [
            RecordingRetention(
                conversation_id=row.conversation_id,
                recording_id=row.id,
                archive_date=row.archive_date,
                archive_medium=row.archive_medium,
                delete_date=row.delete_date,
                export_date=row.export_date,
                exported_date=row.exported_date,
                creation_time=row.created_at,
            )
            for row in rows[:page_size]
        ]
    more = len(rows) > page_size
    last = rows[page_size - 1] if more else None
    return RetentionListing(
        entities=entities,
        next_uri=None if last is None else _uri(threshold_days, page_size, f"{last.created_at}:{last.id}"),
        self_uri=_uri(threshold_days, page_size, None if cursor is None else _text(cursor)),
    )


def _uri(days: int, size: int, position: str | None) -> str:
    query: dict[str, str | int] = {"retentionThresholdDays": days, "pageSize": size}
    if position is not None:
        query["cursor"] = base64.urlsafe_b64encode(position.encode()).decode()
    return f"{PATH}?{urlencode(query)}"


def _position(cursor: str | None) -> Position | None:
    if not cursor:
        return None
    try:
        at, _, recording_id = _text(cursor).partition(":")
        if not recording_id:
            raise ValueError(cursor)
        return Position(int(at), recording_id)
    except ValueError as error:
        raise _unknown() from error


def _text(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error


def _unknown() -> ApiError:
    return bad_request("cursor is none of ours.", "cursor", "invalid.value")
