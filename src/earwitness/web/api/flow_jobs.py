"""Uploads of flows: register, put the YAML to the address that comes back, ask what became of it.

The YAML names the flow, its type and its division. A flow of that name and type is changed, else one is made; in both
cases it is published at once, if it may be.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import anyio.to_thread
from fastapi import Query, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.domain.ids import new_id
from earwitness.store import flows as flow_store
from earwitness.store.tables import Flow, FlowJob
from earwitness.web.api import divisions, flow_checking, flow_versions, scoped
from earwitness.web.api.flow_actions import publish_version
from earwitness.web.api.flow_documents import PATH
from earwitness.web.api.flows import ADD, EDIT, PUBLISH, new_flow
from earwitness.web.kernel import changes, uploads
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, Reference, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import PUBLIC, Family, all_of
from earwitness.web.kernel.paging import CommaList
from earwitness.web.kernel.services import Parts, Services, remote_address

family = Family("Flows")
JOBS = PATH + "/jobs"
KEPT_US = 30 * 24 * 3600 * 1_000_000
"""How long it is known what became of an upload."""


class JobInput(RequestBody):
    """An upload to register."""

    create_stubs: bool | None = None
    substitutions: dict[str, str] | None = Field(default=None, max_length=1000)
    """Values of ``{{name}}`` placeholders in the file that will be uploaded."""


class RegisteredJob(Document):
    """Where to put the YAML, with these headers."""

    id: str
    presigned_url: str
    headers: dict[str, str]
    self_uri: str


class JobMessage(Document):
    """Something that was found in an upload."""

    date_time: Moment
    type: str
    text: str


class JobDocument(Document):
    """What became of an upload."""

    id: str
    flow: Reference | None = None
    status: str
    command: str
    messages: list[JobMessage] | None = None
    self_uri: str


@family.operation("POST", JOBS, "post_flows_jobs", all_of("architect:job:create"), returns=RegisteredJob, reads=True)
def register(caller: Signed, request: Request, parts: Parts, body: JobInput | None = None) -> RegisteredJob:
    """Registers an upload. Put the YAML to ``presignedUrl`` within an hour, then ask for the job.

    Each request registers another, however alike they are. ``createStubs`` has no effect: what a flow names must be
    there when it is published.
    """
    now, job_id = parts.clock.now_us(), new_id()
    asked = body or JobInput()
    with parts.database.transaction() as session:
        flow_store.expire_jobs(session, now - KEPT_US)
        session.add(
            FlowJob(
                id=job_id,
                subject_type=caller.subject.type,
                subject_id=caller.subject.id,
                options={"createStubs": bool(asked.create_stubs), "substitutions": asked.substitutions or {}},
                created_at=now,
                expires_at=now + uploads.LIFE_S * 1_000_000,
            )
        )
    url = uploads.address(request, parts, caller.subject, "flows", job_id)
    return RegisteredJob(id=job_id, presigned_url=url, headers={}, self_uri=f"{JOBS}/{job_id}")


@family.operation("GET", JOBS + "/{jobId}", "get_flows_job", all_of("architect:job:view"), returns=JobDocument)
def one_job(caller: Signed, parts: Parts, jobId: str, expand: Annotated[CommaList, Query()] = None) -> JobDocument:
    """What became of an upload; ``messages`` tell every mistake with its line and what to do."""
    with parts.database.reading() as session:
        row = flow_store.job(session, jobId)
        if row is None:
            raise not_found("flow job", jobId)
        own = (row.subject_type, row.subject_id) == (caller.subject.type, caller.subject.id)
        flow = session.get(Flow, row.flow_id) if row.flow_id else None
        if not own and (flow is None or not scoped.sees(caller, flow.division_id, "architect:job:view")):
            raise not_found("flow job", jobId)
        return JobDocument(
            id=row.id,
            flow=None if flow is None else Reference(id=flow.id, name=flow.name, self_uri=f"{PATH}/{flow.id}"),
            status=row.status,
            command=row.command,
            messages=[JobMessage(date_time=item["at"], type=item["type"], text=item["text"]) for item in row.messages],
            self_uri=f"{JOBS}/{row.id}",
        )


@family.operation("PUT", uploads.BASE + "/flows/{jobId}", "put_earwitness_flow_upload", PUBLIC)
async def upload(request: Request, parts: Parts, jobId: str) -> Response:
    """Takes the YAML of a registered upload and publishes it. The address is signed: it needs no token."""
    content = await request.body()
    await anyio.to_thread.run_sync(_take, request, parts, jobId, content)
    return Response(status_code=200)


def _take(request: Request, parts: Services, job_id: str, content: bytes) -> None:
    subject = uploads.subject_of(request, parts)
    digest, now = hashlib.sha256(content).hexdigest(), parts.clock.now_us()
    with parts.database.transaction() as session:
        row = flow_store.job(session, job_id, lock=True)
        if row is None or (row.subject_type, row.subject_id) != (subject.type, subject.id):
            raise not_found("flow job", job_id)
        if row.status != "Registered":
            if row.options.get("sha256") == digest:
                return  # sent again (S20)
            raise conflict("Something has been uploaded for this job; register another.")
        row.status, row.options = "Started", {**row.options, "sha256": digest}
        substitutions = row.options.get("substitutions") or {}
    caller = _caller(request, parts, subject)
    flow_id, messages = None, list[dict[str, Any]]()
    try:
        flow_id, warnings = _publish(parts, caller, content, substitutions)
        messages = [{"at": now, "type": "Warning", "text": text} for text in warnings]
    except ApiError as error:
        lines = [f"{item['fieldName']}: {item['entityName']}" for item in error.details if "entityName" in item]
        messages = [{"at": now, "type": "Error", "text": text} for text in lines or [error.message]]
    finally:
        with parts.database.transaction() as session:
            row = flow_store.job(session, job_id, lock=True)
            if row is not None:
                row.status = "Success" if flow_id is not None else "Failure"
                row.flow_id, row.finished_at = flow_id, now
                row.messages = messages or ([] if flow_id else [{"at": now, "type": "Error", "text": "It failed."}])


def _caller(request: Request, parts: Services, subject: Subject) -> Caller:
    """Whoever registered the upload, with what it may do at this moment."""
    return Caller(subject, uploads.access_of(parts, subject), "", None, (), 0, remote_address(request))


def _publish(parts: Services, caller: Caller, content: bytes, substitutions: dict[str, str]) -> tuple[str, list[str]]:
    """Makes or changes the flow of a text and publishes it; its id, and what will not be acted on.

    :raises ApiError: it cannot be published; nothing has changed.
    """
    try:
        source = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_request("The file is not UTF-8 text.") from error
    read = flow_checking.check(source, substitutions)  # before substitution, so that lines are those of the file
    text, now = flow_checking.read(source, substitutions), parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        flow = flow_store.by_name(session, read.type, read.name)
        asked = _division(session, read.division)
        if flow is None:
            division_id = asked or divisions.home(session).id
            divisions.check(caller, division_id, ADD)
            name = changes.required_text(read.name, "name")
            flow = new_flow(caller, read.type, name, division_id, read.description or None, now)
            session.add(flow)
            session.flush()
        else:
            divisions.check(caller, flow.division_id, EDIT)
            flow_versions.check_lock(flow, caller)
            flow.description = read.description or flow.description
            if asked is not None and asked != flow.division_id:
                divisions.check(caller, asked, EDIT)
                flow.division_id = asked
        if flow.division_id not in scoped.reach(caller, PUBLISH):
            raise missing_permissions([PUBLISH], every=True)
        row = flow_versions.save(session, caller, flow, text, now)
        publish_version(session, caller, flow, row, now)
    return flow.id, [f"line {item.line}: {item.message}" for item in read.warnings]


def _division(session: Session, name: str) -> str | None:
    """The division that a file names; none: it says nothing."""
    if not name:
        return None
    found = flow_store.division_by_name(session, name)
    if found is None:
        raise bad_request(
            f"There is no division {name!r}; make it, or leave division out.", "division", "invalid.value"
        )
    return found.id
