"""Reports of what has become of uploads (I12)."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any

from fastapi import Request, Response

from earwitness.domain.ids import new_id
from earwitness.store import uploads
from earwitness.store.tables import UploadReport
from earwitness.web.api.recording_audit import note, note_subject
from earwitness.web.kernel import uploads as signed
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import DateInput, Document, OneOf, RequestBody, date_text
from earwitness.web.kernel.errors import ApiError, not_found
from earwitness.web.kernel.operations import PUBLIC, Family, all_of
from earwitness.web.kernel.services import Parts, Services, base_url, remote_address

family = Family("Uploads")

PATH = "/api/v2/recording/uploads/reports"
FILES = "/api/v2/earwitness/uploads/reports"
ADD = "recording:uploadReport:add"
VIEW = "recording:uploadReport:view"
KIND = "uploadReport"
LIFE_S = 3600
DATES = ("received", "finished")


class RecordingUploadReportRequest(RequestBody):
    """Which uploads."""

    date_since: DateInput | None = None
    upload_status: Annotated[str, OneOf(*uploads.STATES)] | None = None


class RecordingUploadReport(Document):
    """A report, and where to fetch it: a CSV file."""

    id: str
    name: str
    state: str
    signed_url: str | None = None
    self_uri: str


@family.operation(
    "POST", PATH, "post_recording_uploads_reports", all_of(ADD), returns=RecordingUploadReport, audited=KIND
)
def create_report(
    caller: Signed, request: Request, parts: Parts, body: RecordingUploadReportRequest
) -> RecordingUploadReport:
    """Writes a report of the uploads that came since a date: what has become of each, and what was wrong."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        row = UploadReport(
            id=new_id(),
            name=f"uploads-{date_text(now)[:19].replace(':', '')}.csv",
            subject_type=caller.subject.type,
            subject_id=caller.subject.id,
            created_at=now,
            rows=uploads.rows_since(session, body.date_since, body.upload_status),
        )
        session.add(row)
        session.flush()
        note(parts, caller, "create", KIND, row.id, None, session=session, detail={"rows": len(row.rows)})
    return _document(request, parts, caller, row)


@family.operation(
    "GET",
    PATH + "/{reportId}",
    "get_recording_uploads_report",
    all_of(VIEW),
    returns=RecordingUploadReport,
    audited=KIND,
)
def one_report(caller: Signed, request: Request, parts: Parts, reportId: str) -> RecordingUploadReport:
    """A report. The address of the file ends after an hour; each look makes another."""
    with parts.database.reading() as session:
        row = uploads.report(session, reportId)
    if row is None:
        raise not_found("upload report", reportId)
    return _document(request, parts, caller, row)


@family.operation("GET", FILES + "/{reportId}", "get_earwitness_upload_report", PUBLIC)
def report_file(request: Request, parts: Parts, reportId: str) -> Response:
    """The file of a report. The address is signed: it needs no token, and works for an hour."""
    subject = signed.subject_of(request, parts)
    if not signed.access_of(parts, subject).allows(VIEW):
        raise ApiError(403, "This address is not valid, or no longer.", "not.authorized")
    with parts.database.reading() as session:
        row = uploads.report(session, reportId)
    if row is None:
        raise not_found("upload report", reportId)
    note_subject(parts, subject, remote_address(request), "download", KIND, row.id, None)
    headers = {"Content-Disposition": f'attachment; filename="{row.name}"', "Cache-Control": "private, no-store"}
    return Response(_csv(row.rows), headers=headers, media_type="text/csv; charset=utf-8")


def _document(request: Request, parts: Services, caller: Caller, row: UploadReport) -> RecordingUploadReport:
    expires_s = parts.clock.now_us() // 1_000_000 + LIFE_S
    subject = f"{caller.subject.type}:{caller.subject.id}"
    link = None
    if caller.access.allows(VIEW):
        link = base_url(request, parts) + parts.signer.signed(f"{FILES}/{row.id}", subject, expires_s)
    return RecordingUploadReport(
        id=row.id, name=row.name, state="Completed", signed_url=link, self_uri=f"{PATH}/{row.id}"
    )


COLUMNS = (
    "uploadKey",
    "fileName",
    "status",
    "error",
    "received",
    "finished",
    "size",
    "sha256",
    "conversationId",
    "recordingId",
    "orphanId",
)


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(name, row.get(name)) for name in COLUMNS])
    return out.getvalue()


def _cell(name: str, value: Any) -> str:
    """As text; what a spreadsheet would take for a formula is not one."""
    if value is None:
        return ""
    text = date_text(value) if name in DATES else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
