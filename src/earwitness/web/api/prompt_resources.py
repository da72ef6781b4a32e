"""Prompts in their languages: a recording that is uploaded, or a text that is spoken."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import Request, Response
from fastapi.responses import FileResponse
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import access as access_store
from earwitness.store import named as named_store
from earwitness.store import prompts as prompt_store
from earwitness.store.tables import Prompt, PromptResource
from earwitness.web.api import prompt_audio, scoped
from earwitness.web.kernel import changes, uploads
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, not_found
from earwitness.web.kernel.operations import PUBLIC, Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts, Services, base_url, remote_address

family = Family("Prompts")
PROMPTS = "/api/v2/architect/prompts"
RESOURCES = PROMPTS + "/{promptId}/resources"
ONE = RESOURCES + "/{languageCode}"
AUDIO = "/api/v2/earwitness/prompts"
VIEW, EDIT = "architect:userPrompt:view", "architect:userPrompt:edit"
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}")


class AudioFormat(Document):
    """How a recording is kept."""

    channels: int
    bits_per_sample: int
    sample_rate: int
    encoding: str


class ResourceDocument(Document):
    """A prompt in one language."""

    id: str
    name: str
    prompt_id: str
    language: str
    media_uri: str | None = None
    audio_format: AudioFormat | None = None
    tts_string: str | None = None
    text: str | None = None
    upload_status: str
    upload_uri: str | None = None
    language_default: bool
    tags: dict[str, list[str]] | None = None
    duration_seconds: float | None = None
    self_uri: str


class UploadDocument(Document):
    """Where to put a recording, with these headers."""

    url: str
    headers: dict[str, str]


class ResourceInput(RequestBody):
    """A prompt in a language, to make or change."""

    language: str | None = None
    tts_string: str | None = None
    text: str | None = None
    language_default: bool | None = None
    tags: Annotated[dict[str, list[str]], Field(max_length=100)] | None = None


def language_of(text: str | None) -> str:
    """A language code in lower case.

    :raises ApiError: 400.
    """
    code = (text or "").strip().lower().replace("_", "-")
    if not _LANGUAGE.fullmatch(code):
        raise bad_request("language is a code such as en-us.", "language", "invalid.value")
    return code


def languages_of(asked: list[str] | None) -> list[str] | None:
    """Language codes of a query."""
    return None if asked is None else [text.strip().lower() for text in asked]


def resource_document(
    request: Request,
    parts: Services,
    caller: Caller,
    prompt: Prompt,
    row: PromptResource,
    *,
    media: bool = True,
    upload: bool = False,
) -> ResourceDocument:
    """The document of a resource; addresses are for the caller and end after an hour."""
    kept = None
    if row.sample_rate is not None:
        kept = AudioFormat(channels=1, bits_per_sample=16, sample_rate=row.sample_rate, encoding="PCM")
    name = f"{prompt.id}.{row.language}"
    heard = None
    if media and row.file is not None:
        subject, expires = caller.subject, parts.clock.now_us() // 1_000_000 + uploads.LIFE_S
        signed = parts.signer.signed(f"{AUDIO}/{row.file}", f"{subject.type}:{subject.id}", expires)
        heard = base_url(request, parts) + signed
    return ResourceDocument(
        id=row.language,
        name=row.language,
        prompt_id=prompt.id,
        language=row.language,
        media_uri=heard,
        audio_format=kept,
        tts_string=row.tts_string,
        text=row.text,
        upload_status=row.upload_status,
        upload_uri=uploads.address(request, parts, caller.subject, "prompts", name) if upload else None,
        language_default=row.is_default,
        tags=row.tags or None,
        duration_seconds=row.duration_ms / 1000 if row.duration_ms is not None else None,
        self_uri=f"{PROMPTS}/{prompt.id}/resources/{row.language}",
    )


@family.operation("GET", RESOURCES, "get_architect_prompt_resources", any_of(VIEW), returns=Listing[ResourceDocument])
def list_resources(
    caller: Signed, request: Request, parts: Parts, page: Paging, promptId: str
) -> Listing[ResourceDocument]:
    """A prompt in each of its languages."""
    with parts.database.reading() as session:
        prompt = scoped.find(session, caller, Prompt, promptId, "prompt", VIEW)
        rows = prompt_store.resources(session, prompt.id)
        shown = [resource_document(request, parts, caller, prompt, row) for row in page.cut(rows)]
        return page.envelope(shown, len(rows))


@family.operation("POST", RESOURCES, "post_architect_prompt_resources", any_of(EDIT), returns=ResourceDocument)
def create_resource(
    caller: Signed, request: Request, parts: Parts, promptId: str, body: ResourceInput
) -> ResourceDocument:
    """Adds a language. ``ttsString`` is spoken until a recording is uploaded: put it to ``uploadUri``."""
    language, now = language_of(body.language), parts.clock.now_us()
    spoken = _speech(parts, promptId, language, body.tts_string)
    with changes.changing(parts, caller) as session:
        prompt = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        if prompt_store.resource(session, prompt.id, language) is not None:
            raise conflict(f"The prompt {prompt.name} has {language} already.", "general.conflict")
        first = not prompt_store.resources(session, prompt.id)
        row = PromptResource(
            prompt_id=prompt.id, language=language, created_at=now, modified_at=now, created_by=caller.subject.id
        )
        row.text, row.tts_string, row.tags = body.text, body.tts_string, body.tags or {}
        row.is_default, row.upload_status, row.version = False, "created", 1
        session.add(row)
        session.flush()
        if spoken is not None:
            _attach(row, spoken)
        if first or body.language_default:
            _make_default(session, row)
        _touch(session, prompt, row, caller, now)
        return resource_document(request, parts, caller, prompt, row, upload=True)


@family.operation("GET", ONE, "get_architect_prompt_resource", any_of(VIEW), returns=ResourceDocument)
def one_resource(caller: Signed, request: Request, parts: Parts, promptId: str, languageCode: str) -> ResourceDocument:
    """A prompt in one language."""
    with parts.database.reading() as session:
        prompt = scoped.find(session, caller, Prompt, promptId, "prompt", VIEW)
        row = _find(session, prompt, languageCode)
        may = scoped.sees(caller, prompt.division_id, EDIT)
        return resource_document(request, parts, caller, prompt, row, upload=may)


@family.operation("PUT", ONE, "put_architect_prompt_resource", any_of(EDIT), returns=ResourceDocument)
def change_resource(
    caller: Signed, request: Request, parts: Parts, promptId: str, languageCode: str, body: ResourceInput
) -> ResourceDocument:
    """Changes the texts of a language; a new ``ttsString`` is spoken where there is no recording."""
    given, now = body.given(), parts.clock.now_us()
    with parts.database.reading() as session:
        prompt = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        row = _find(session, prompt, languageCode)
        speaks = "tts_string" in given and body.tts_string != row.tts_string and row.upload_status == "created"
    spoken = _speech(parts, prompt.id, row.language, body.tts_string) if speaks else None
    with changes.changing(parts, caller) as session:
        prompt = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        row = _find(session, prompt, languageCode)
        wanted: dict[str, Any] = {name: given[name] for name in ("text", "tts_string") if name in given}
        if "tags" in given:
            wanted["tags"] = body.tags or {}
        if body.language_default and not row.is_default:
            _make_default(session, row)
            _touch(session, prompt, row, caller, now)
        if changes.apply(row, wanted, None):
            if speaks and row.upload_status == "created":
                _attach(row, spoken)
            _touch(session, prompt, row, caller, now)
        return resource_document(request, parts, caller, prompt, row, upload=True)


@family.operation("DELETE", ONE, "delete_architect_prompt_resource", any_of(EDIT), status=204)
def delete_resource(caller: Signed, parts: Parts, promptId: str, languageCode: str) -> None:
    """Removes a language."""
    with changes.changing(parts, caller) as session:
        prompt = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        row = prompt_store.resource(session, prompt.id, language_of(languageCode))
        if row is not None:
            session.delete(row)
            named_store.touch(prompt, parts.clock.now_us(), caller.subject.id)


@family.operation("DELETE", ONE + "/audio", "delete_architect_prompt_resource_audio", any_of(EDIT), status=204)
def delete_audio(caller: Signed, parts: Parts, promptId: str, languageCode: str) -> None:
    """Removes the recording of a language; where there is a ``ttsString``, that is spoken again."""
    with parts.database.reading() as session:
        prompt = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        row = _find(session, prompt, languageCode)
        if row.upload_status == "created":
            return
    spoken = _speech(parts, prompt.id, row.language, row.tts_string)
    with changes.changing(parts, caller) as session:
        prompt = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        row = _find(session, prompt, languageCode)
        _attach(row, spoken)
        row.upload_status = "created"
        _touch(session, prompt, row, caller, parts.clock.now_us())


@family.operation(
    "POST", ONE + "/uploads", "post_architect_prompt_resource_uploads", any_of(EDIT), returns=UploadDocument, reads=True
)
def upload_address(caller: Signed, request: Request, parts: Parts, promptId: str, languageCode: str) -> UploadDocument:
    """Where to put a recording: WAV, Ogg, FLAC or MP3, at most 30 minutes. The address ends after an hour."""
    with parts.database.reading() as session:
        prompt = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        row = _find(session, prompt, languageCode)
        url = uploads.address(request, parts, caller.subject, "prompts", f"{prompt.id}.{row.language}")
        return UploadDocument(url=url, headers={})


@family.operation("PUT", uploads.BASE + "/prompts/{name}", "put_earwitness_prompt_upload", PUBLIC)
async def upload(request: Request, parts: Parts, name: str) -> Response:
    """Takes a recording and keeps it as mono 16-bit WAV of 8 or 16 kHz. The address is signed: it needs no token."""
    subject = await anyio.to_thread.run_sync(uploads.subject_of, request, parts)
    folder = parts.arguments.prompts_dir
    await anyio.to_thread.run_sync(_make_folder, folder)
    draft = folder / f".upload-{secrets.token_hex(8)}"
    try:
        size = 0
        async with await anyio.open_file(draft, "xb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > prompt_audio.MOST_BYTES:
                    raise ApiError(413, f"A recording may have {prompt_audio.MOST_BYTES} bytes.")
                await file.write(piece)
        access = await anyio.to_thread.run_sync(uploads.access_of, parts, subject)
        caller = Caller(subject, access, "", None, (), 0, remote_address(request))
        await anyio.to_thread.run_sync(_take, parts, caller, name, draft)
    finally:
        await anyio.to_thread.run_sync(_remove, draft)
    return Response(status_code=200)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _take(parts: Services, caller: Caller, name: str, draft: Path) -> None:
    prompt_id, _, language = name.partition(".")
    folder, now = parts.arguments.prompts_dir, parts.clock.now_us()
    with parts.database.reading() as session:
        prompt = scoped.find_for_change(session, caller, Prompt, prompt_id, "prompt", VIEW, EDIT)
        _find(session, prompt, language)
    made = prompt_audio.store_upload(folder, prompt_id, language, draft)
    with changes.changing(parts, caller) as session:
        prompt = scoped.find_for_change(session, caller, Prompt, prompt_id, "prompt", VIEW, EDIT)
        row = _find(session, prompt, language)
        if row.sha256 != made.sha256 or row.upload_status != "transcoded":
            _attach(row, made)
            row.upload_status = "transcoded"
            _touch(session, prompt, row, caller, now)
        named = prompt_store.files(session)
    prompt_audio.sweep(folder, named, now / 1e6)


@family.operation("GET", AUDIO + "/{file}", "get_earwitness_prompt_audio", PUBLIC)
def audio(request: Request, parts: Parts, file: str) -> Response:
    """The WAV file of a prompt. The address is signed: it needs no token, and works for an hour."""
    subject = uploads.subject_of(request, parts)
    with parts.database.reading() as session:
        known = file in prompt_store.files(session) and access_store.access_of(session, subject).allows(VIEW)
    path = parts.arguments.prompts_dir / file
    if not known or not path.is_file():
        raise not_found("recording of a prompt", file)
    return FileResponse(path, media_type="audio/wav", headers={"Cross-Origin-Resource-Policy": "cross-origin"})


def _find(session: Session, prompt: Prompt, language: str) -> PromptResource:
    row = prompt_store.resource(session, prompt.id, language.strip().lower())
    if row is None:
        raise not_found(f"resource of the prompt {prompt.name}", language)
    return row


def _speech(parts: Services, prompt_id: str, language: str, text: str | None) -> prompt_audio.Audio | None:
    return prompt_audio.store_speech(parts.arguments.prompts_dir, prompt_id, language, text) if text else None


def _attach(row: PromptResource, made: prompt_audio.Audio | None) -> None:
    row.file = made.file if made is not None else None
    row.duration_ms = made.duration_ms if made is not None else None
    row.sample_rate = made.sample_rate if made is not None else None
    row.size = made.size if made is not None else None
    row.sha256 = made.sha256 if made is not None else None


def _make_default(session: Session, row: PromptResource) -> None:
    for other in prompt_store.resources(session, row.prompt_id):
        other.is_default = other.language == row.language


def _touch(session: Session, prompt: Prompt, row: PromptResource, caller: Caller, now: int) -> None:
    row.version, row.modified_at, row.modified_by = (row.version or 0) + 1, now, caller.subject.id
    named_store.touch(prompt, now, caller.subject.id)
    session.flush()
