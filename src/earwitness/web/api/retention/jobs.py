"""Bulk jobs: delete, archive or export the recordings of all conversations that a query finds (I7–I9)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.store import audit, detail_query, integrations, recording_jobs
from earwitness.store.detail_query import QueryError
from earwitness.store.tables import RecordingJob
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import DateInput, Document, Moment, OneOf, Reference, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.free_documents import kept
from earwitness.web.kernel.operations import Family, all_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Bulk jobs")

PATH = "/api/v2/recording/jobs"
ONE = PATH + "/{jobId}"
SENSITIVE = "recording:recording:viewSensitiveData"
ACTIONS = ("ARCHIVE", "DELETE", "EXPORT")
STATES = ("FULFILLED", "PENDING", "READY", "PROCESSING", "CANCELLED", "FAILED")
KINDS = ("recording", "screenRecording", "snippetRecording")
EXECUTE = all_of("recording:job:edit", *(f"recording:{kind}:editRetention" for kind in KINDS))
OLD_DAYS = 5 * 365
LONGEST_AGE = 36_500
SLACK_US = 60_000_000
DAY_US = 86_400_000_000
LONGEST_AGED_US = 184 * DAY_US


class JobQuery(RequestBody):
    """What a job is to do with which recordings."""

    action: Annotated[str, OneOf(*ACTIONS)] | None = None
    action_date: DateInput | None = None
    action_age: int | None = None
    screen_recording_action_date: DateInput | None = None
    screen_recording_action_age: int | None = None
    integration_id: str | None = None
    include_recordings_with_sensitive_data: bool | None = None
    include_screen_recordings: bool | None = None
    include_policy_based_recordings: bool | None = None
    include_snippet_recordings: bool | None = None
    clear_export: bool | None = None
    conversation_query: dict[str, Any] | None = None
    aged_conversation_interval: str | None = None


class Execution(RequestBody):
    """Lets a job go."""

    state: Annotated[str, OneOf("PROCESSING")] | None = None


class Job(Document):
    """A bulk job."""

    id: str
    user: Reference
    state: str
    recording_jobs_query: dict[str, Any]
    date_created: Moment
    total_conversations: int
    total_recordings: int
    total_skipped_recordings: int
    total_failed_recordings: int
    total_processed_recordings: int
    percent_progress: int
    error_message: str | None = None
    failed_recordings: str
    self_uri: str


class FailedRecording(Document):
    """A recording that a job failed with."""

    conversation: Reference
    recording: Reference


@family.operation("POST", PATH, "post_recording_jobs", all_of("recording:job:add"), returns=Job)
def create_job(caller: Signed, parts: Parts, body: JobQuery) -> Job:
    """Makes a job, which selects its recordings at once. When it is READY, its counts are what it would do.

    Inboxes, deleted recordings and those that the caller may not change are not selected. There may be two jobs that
    are pending or processing.
    """
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        query = _query(caller, session, body, now)
        _room(session)
        row = recording_jobs.create(session, caller.subject, query, now)
        _note(parts, caller, session, row, "create")
        return _document(row)


@family.operation("GET", PATH, "get_recording_jobs", all_of("recording:job:view"), returns=Listing[Job])
def list_jobs(
    caller: Signed,
    parts: Parts,
    page: Paging,
    sort_by: Annotated[str, OneOf("userId", "dateCreated"), Query(alias="sortBy")] = "dateCreated",
    state: Annotated[str | None, Query()] = None,
    show_only_my_jobs: Annotated[bool, Query(alias="showOnlyMyJobs")] = False,
    job_type: Annotated[str | None, Query(alias="jobType")] = None,
) -> Listing[Job]:
    """Jobs, newest first."""
    with parts.database.reading() as session:
        found = recording_jobs.listing(
            session,
            state=_one_of(state, STATES, "state"),
            action=_one_of(job_type, ACTIONS, "jobType"),
            subject_id=caller.subject.id if show_only_my_jobs else None,
            by_user=sort_by == "userId",
            number=page.number,
            size=page.size,
        )
        return page.envelope([_document(row) for row in found.items], found.total)


@family.operation("GET", ONE, "get_recording_job", all_of("recording:job:view"), returns=Job)
def one_job(caller: Signed, parts: Parts, jobId: str) -> Job:
    """A job, and how far it has come."""
    with parts.database.reading() as session:
        return _document(_get(session, jobId))


@family.operation("PUT", ONE, "put_recording_job", EXECUTE, returns=Job)
def execute_job(caller: Signed, parts: Parts, jobId: str, body: Execution) -> Job:
    """Lets a job go, once it is READY. Only who made it may (I7)."""
    if body.state is None:
        raise bad_request("state is required: PROCESSING.", "state")
    with parts.database.transaction() as session:
        row = _get(session, jobId, lock=True)
        if row.subject_id != caller.subject.id:
            raise ApiError(403, "Only who made the job may execute it.", "not.authorized")
        if row.state == recording_jobs.PROCESSING:
            return _document(row)
        if row.state != recording_jobs.READY:
            raise conflict(f"The job is {row.state}; it can be executed when it is READY.", "job.state")
        _room(session)
        row.state, row.next_at = recording_jobs.PROCESSING, 0
        _note(parts, caller, session, row, "execute")
        return _document(row)


@family.operation("DELETE", ONE, "delete_recording_job", all_of("recording:job:delete"), status=204)
def delete_job(caller: Signed, parts: Parts, jobId: str) -> None:
    """Cancels a job that is not over; what it has done stays done. A job that is over is removed."""
    with parts.database.transaction() as session:
        row = _get(session, jobId, lock=True)
        if row.state != recording_jobs.CANCELLED:
            _note(parts, caller, session, row, "delete")
        recording_jobs.cancel(session, row, parts.clock.now_us())


@family.operation(
    "GET",
    ONE + "/failedrecordings",
    "get_recording_job_failedrecordings",
    all_of("recording:job:view"),
    returns=Listing[FailedRecording],
)
def failed_recordings(caller: Signed, parts: Parts, jobId: str, page: Paging) -> Listing[FailedRecording]:
    """The recordings that a job failed with."""
    with parts.database.reading() as session:
        found = recording_jobs.failures(session, _get(session, jobId), page.number, page.size)
        rows = [
            FailedRecording(
                conversation=Reference(
                    id=item.conversation_id, self_uri=f"/api/v2/conversations/{item.conversation_id}"
                ),
                recording=Reference(
                    id=item.recording_id,
                    self_uri=f"/api/v2/conversations/{item.conversation_id}/recordings/{item.recording_id}",
                ),
            )
            for item in found.items
        ]
        return page.envelope(rows, found.total)


def _query(caller: Caller, session: Session, body: JobQuery, now: int) -> dict[str, Any]:
    """The query as it is kept.

    :raises ApiError: 400, 403.
    """
    if body.action is None:
        raise bad_request(f"action is required: {', '.join(ACTIONS)}.", "action")
    if (body.action_date is None) == (body.action_age is None):
        raise bad_request("Give either actionDate or actionAge.", "actionDate")
    if body.action_age is not None and not 0 <= body.action_age <= LONGEST_AGE:
        raise bad_request(f"actionAge must be 0 to {LONGEST_AGE} days.", "actionAge", "invalid.value")
    if body.action_date is not None and body.action_date < now - SLACK_US:
        raise bad_request("actionDate is in the past.", "actionDate", "invalid.date")
    if body.action == "EXPORT":
        if not body.integration_id:
            raise bad_request("integrationId is required to export.", "integrationId")
        if integrations.get(session, body.integration_id) is None:
            raise bad_request(f"There is no integration {body.integration_id}.", "integrationId", "invalid.value")
    if body.include_recordings_with_sensitive_data and not caller.access.allows(SENSITIVE):
        raise missing_permissions((SENSITIVE,), every=True)
    _check_conversations(caller, session, body, now)
    query = body.model_dump(by_alias=True, exclude_none=True)
    query = {key: kept(value, key) for key, value in query.items()}
    if body.action_date is not None:
        query["_actionDate"] = body.action_date
    for name in ("actionDate", "screenRecordingActionDate"):
        if name in query:
            query[name] = Moments(at=query[name]).model_dump(by_alias=True)["at"]
    return query


class Moments(Document):
    """A time as it is written."""

    at: Moment


def _check_conversations(caller: Caller, session: Session, body: JobQuery, now: int) -> None:
    if (body.conversation_query is None) == (body.aged_conversation_interval is None):
        raise bad_request("Give either conversationQuery or agedConversationInterval.", "conversationQuery")
    try:
        if body.conversation_query is not None:
            if not body.conversation_query.get("interval"):
                raise bad_request("conversationQuery.interval is required.", "conversationQuery.interval")
            detail_query.read(session, body.conversation_query, caller.access)
            return
        since, until = detail_query.interval(body.aged_conversation_interval)
    except QueryError as error:
        raise bad_request(str(error), error.field, "invalid.value") from error
    field = "agedConversationInterval"
    if since is None or until is None:
        raise bad_request(f"{field} is start/end.", field, "invalid.value")
    if until > now - OLD_DAYS * DAY_US:
        raise bad_request(f"{field} must end more than five years ago; use conversationQuery.", field, "invalid.value")
    if until - since > LONGEST_AGED_US:
        raise bad_request(f"{field} may last six months.", field, "invalid.value")


def _room(session: Session) -> None:
    if recording_jobs.at_work(session) >= recording_jobs.MOST_AT_WORK:
        raise conflict(
            f"{recording_jobs.MOST_AT_WORK} jobs are pending or processing; wait until one is done.", "job.limit"
        )


def _get(session: Session, job_id: str, *, lock: bool = False) -> RecordingJob:
    row = recording_jobs.get(session, job_id, lock=lock)
    if row is None:
        raise not_found("recording job", job_id)
    return row


def _one_of(value: str | None, known: tuple[str, ...], field: str) -> str | None:
    if value is None:
        return None
    if value.upper() not in known:
        raise bad_request(f"{field} must be one of {', '.join(known)}.", field, "invalid.value")
    return value.upper()


def _note(parts: Services, caller: Caller, session: Session, row: RecordingJob, action: str) -> None:
    audit.add(
        session,
        at=parts.clock.now_us(),
        subject=caller.subject,
        action=action,
        entity_type="recordingJob",
        entity_id=row.id,
        remote_address=caller.remote_address,
        detail={"action": row.action, "state": row.state, "recordings": row.recordings},
    )


def _document(row: RecordingJob) -> Job:
    seen = row.processed + row.skipped + row.failed
    over = row.state == recording_jobs.FULFILLED
    uri = f"{PATH}/{row.id}"
    return Job(
        id=row.id,
        user=Reference(id=row.subject_id, self_uri=f"/api/v2/users/{row.subject_id}"),
        state=row.state,
        recording_jobs_query={key: value for key, value in row.query.items() if not key.startswith("_")},
        date_created=row.created_at,
        total_conversations=row.conversations,
        total_recordings=row.recordings,
        total_skipped_recordings=row.skipped,
        total_failed_recordings=row.failed,
        total_processed_recordings=row.processed,
        percent_progress=100 if over else min(100, 100 * seen // row.recordings) if row.recordings else 0,
        error_message=row.error,
        failed_recordings=f"{uri}/failedrecordings",
        self_uri=uri,
    )
