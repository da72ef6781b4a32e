"""Batch downloads (I10): up to 100 recordings asked for at once, each answered by an address or by what is wrong."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from pydantic import BeforeValidator

from earwitness.domain.ids import new_id
from earwitness.store import batch_downloads
from earwitness.store import recordings as recording_store
from earwitness.store import settings as setting_store
from earwitness.store.batch_downloads import Wanted
from earwitness.store.tables import BatchDownloadItem
from earwitness.web.api import media, recording_settings
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.recording_audit import note
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts, Services, base_url

family = Family("Batch downloads")

PATH = "/api/v2/recording/batchrequests"
VIEW = any_of(
    *(f"recording:{kind}:view" for kind in ("recording", "recordingSegment", "snippetRecording", "screenRecording"))
)
LONGEST_ID = 64
FORMATS = tuple(name for name in documents.FORMATS if name != "NONE")
GONE = "The recording is not there any more, or not for you."


class BatchDownloadRequest(RequestBody):
    """A recording, or every recording of a conversation."""

    conversation_id: str | None = None
    recording_id: str | None = None


def _requests(value: object) -> object:
    return [] if value is None else value


class BatchDownloadJobSubmission(RequestBody):
    """What is asked for."""

    batch_download_request_list: Annotated[list[BatchDownloadRequest], BeforeValidator(_requests)] = []  # noqa: RUF012
    format_id: Annotated[str, OneOf(*FORMATS)] | None = None
    """Ours: a format for all of them; absent: each as it was recorded."""


class BatchDownloadJobSubmissionResult(Document):
    """Where to ask how it goes."""

    id: str
    self_uri: str


class BatchDownloadJobResult(Document):
    """What has become of one recording."""

    conversation_id: str
    recording_id: str | None = None
    result_url: str | None = None
    content_type: str | None = None
    error_msg: str | None = None


class BatchDownloadJobStatusResult(Document):
    """How it goes."""

    id: str
    job_id: str
    expected_result_count: int
    result_count: int
    error_count: int
    status: str
    results: list[BatchDownloadJobResult]
    self_uri: str


@family.operation(
    "POST",
    PATH,
    "post_recording_batchrequests",
    VIEW,
    returns=BatchDownloadJobSubmissionResult,
    audited="recording",
)
def submit(caller: Signed, parts: Parts, body: BatchDownloadJobSubmission) -> BatchDownloadJobSubmissionResult:
    """Asks for up to 100 recordings. Items without a recording stand for all of their conversation.

    What the caller may hear is looked at when the batch is worked on, and again at each download.
    """
    asked = body.batch_download_request_list
    field = "batchDownloadRequestList"
    if not asked:
        raise bad_request(f"{field} is empty.", field)
    if len(asked) > batch_downloads.MOST_ITEMS:
        raise bad_request(f"{field} may have {batch_downloads.MOST_ITEMS} items.", field, "invalid.value")
    wanted: dict[Wanted, None] = {}
    for item in asked:
        ids = (item.conversation_id or "", item.recording_id or "")
        if not ids[0]:
            raise bad_request("Each item needs a conversationId.", f"{field}.conversationId")
        if any(len(each) > LONGEST_ID for each in ids):
            raise bad_request(f"Ids have {LONGEST_ID} characters at the most.", field, "invalid.value")
        wanted[Wanted(ids[0], ids[1] or None)] = None
    job_id = new_id()
    with parts.database.transaction() as session:
        batch_downloads.add(session, job_id, caller.subject, list(wanted), parts.clock.now_us(), body.format_id)
        detail = {"items": [[item.conversation_id, item.recording_id] for item in wanted]}
        note(parts, caller, "batchDownload", "batchDownload", job_id, None, session=session, detail=detail)
    return BatchDownloadJobSubmissionResult(id=job_id, self_uri=f"{PATH}/{job_id}")


@family.operation(
    "GET", PATH + "/{jobId}", "get_recording_batchrequest", SIGNED_IN, returns=BatchDownloadJobStatusResult
)
def status(request: Request, caller: Signed, parts: Parts, jobId: str) -> BatchDownloadJobStatusResult:
    """How a batch of one's own goes. Addresses are made at each look, and end after
    ``recordingBatchDownloadUrlTtl`` minutes, or with the right to hear the recording."""
    with parts.database.reading() as session:
        job = batch_downloads.get(session, caller.subject, jobId)
        if job is None:
            raise not_found("batch", jobId)
        items = batch_downloads.items(session, job.id)
        stored = setting_store.get(session, setting_store.RECORDING)
        minutes = recording_settings.read(stored).recording_batch_download_url_ttl
        expires_s = parts.clock.now_us() // 1_000_000 + minutes * 60
        heard = {
            row.id: row.channels
            for item in items
            if item.error is None and item.recording_id is not None and item.done_at is not None
            for row in [recording_store.get(session, caller.access, item.recording_id)]
            if row is not None and row.file_state in documents.PLAYABLE
        }
    results = [_result(request, parts, caller, item, heard, expires_s) for item in items if item.done_at is not None]
    return BatchDownloadJobStatusResult(
        id=job.id,
        job_id=job.id,
        expected_result_count=len(items),
        result_count=len(results),
        error_count=sum(result.error_msg is not None for result in results),
        status="InProgress" if job.finished_at is None else "Completed",
        results=results,
        self_uri=f"{PATH}/{job.id}",
    )


def _result(
    request: Request,
    parts: Services,
    caller: Caller,
    item: BatchDownloadItem,
    heard: dict[str, int],
    expires_s: int,
) -> BatchDownloadJobResult:
    made = BatchDownloadJobResult(conversation_id=item.conversation_id, recording_id=item.recording_id)
    if item.error is not None:
        made.error_msg = item.error
    elif item.recording_id not in heard or item.format_id is None or item.recording_id is None:
        made.error_msg = GONE
    else:
        key = documents.STEREO if heard[item.recording_id] == 2 else "0"
        path = media.path_of(item.recording_id, key, item.format_id)
        subject = f"{caller.subject.type}:{caller.subject.id}"
        made.result_url = base_url(request, parts) + parts.signer.signed(
            path, subject, expires_s, download=item.recording_id
        )
        made.content_type = item.content_type
    return made
