"""A plain page that plays a recording: who, when, why. Nothing on it comes from elsewhere."""

from __future__ import annotations

import secrets
from html import escape

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.domain.conversation.timeline import Timeline
from earwitness.store import access as access_store
from earwitness.store import conversations as conversation_store
from earwitness.store import recordings as recording_store
from earwitness.store import settings as setting_store
from earwitness.store.tables import Recording
from earwitness.web.api import media, recording_settings
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.recording_audit import note, note_subject
from earwitness.web.api.recordings import VIEW
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, date_text
from earwitness.web.kernel.errors import not_found
from earwitness.web.kernel.operations import PUBLIC, Family
from earwitness.web.kernel.services import Parts, Services, base_url, remote_address

family = Family("Play")

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1a1a2e;"
    "background:#fff}audio{width:100%}svg{width:100%;height:4rem;background:#f2f4f8;margin:.25rem 0}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .75rem .25rem 0;"
    "vertical-align:top;border-bottom:1px solid #dde}.no{color:#a33}.yes{color:#175}"
)


class PageLink(Document):
    """Where the page of a recording is, for a while."""

    recording_id: str
    page_uri: str
    expires: Moment


@family.operation(
    "GET",
    "/api/v2/earwitness/recordings/{recordingId}/page",
    "get_earwitness_recording_page",
    VIEW,
    returns=PageLink,
    audited="recording",
)
def page_link(request: Request, caller: Signed, parts: Parts, recordingId: str) -> PageLink:
    """The address of a page that plays the recording; it needs no token, works for a while, and for the caller."""
    with parts.database.reading() as session:
        row = recording_store.get(session, caller.access, recordingId)
        found = row is not None and row.file_state in documents.PLAYABLE
        conversation_id = row.conversation_id if row is not None else None
        expires_s = _expires(parts, session)
    note(parts, caller, "viewRecording", "recording", recordingId, conversation_id, allowed=found)
    if not found:
        raise not_found("recording", recordingId)
    subject = f"{caller.subject.type}:{caller.subject.id}"
    link = parts.signer.signed(f"/play/{recordingId}", subject, expires_s)
    return PageLink(recording_id=recordingId, page_uri=base_url(request, parts) + link, expires=expires_s * 1_000_000)


@family.operation("GET", "/play/{recordingId}", "get_play", PUBLIC)
def play(request: Request, parts: Parts, recordingId: str) -> HTMLResponse:
    """A page with a player. The address is signed."""
    subject = media.signed_subject(request, parts, "viewRecording", recordingId)
    expires_s = int(request.query_params["expires"])  # signed; what is on the page lives no longer than the page
    with parts.database.reading() as session:
        found = media.find(parts, session, subject, recordingId)
        row = documents.shown(found.row, found.cut) if found is not None else None
        nonce = secrets.token_urlsafe(16)
        page = _page(parts, session, subject, row, nonce, expires_s) if row is not None else None
        conversation_id = row.conversation_id if row is not None else None
    note_subject(
        parts,
        subject,
        remote_address(request),
        "viewRecording",
        "recording",
        recordingId,
        conversation_id,
        allowed=page is not None,
    )
    if page is None:
        raise not_found("recording", recordingId)
    policy = f"default-src 'none'; media-src 'self'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _expires(parts: Services, session: Session) -> int:
    stored = setting_store.get(session, setting_store.RECORDING)
    return parts.clock.now_us() // 1_000_000 + recording_settings.read(stored).recording_playback_url_ttl * 60


def _page(parts: Services, session: Session, subject: Subject, row: Recording, nonce: str, expires_s: int) -> str:
    key = documents.STEREO if row.channels == 2 else "0"
    text = f"{subject.type}:{subject.id}"
    sources = "".join(
        f'<source src="{escape(parts.signer.signed(media.path_of(row.id, key, name), text, expires_s))}" type="{kind}">'
        for name, kind in (("WEBM", "audio/webm"), ("MP3", "audio/mpeg"))
    )
    access = access_store.access_of(session, subject)
    conversation = conversation_store.get(session, access, row.conversation_id, "recording:recording:view")
    timeline = Timeline.from_document(conversation.timeline) if conversation is not None else None
    waves = "".join(_wave(row, name) for name in documents.channel_keys(row) if name != documents.STEREO)
    title = f"{timeline.ani} → {timeline.dnis}" if timeline is not None else "Recording"
    why = conversation.why if conversation is not None else []
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · Earwitness</title>'
        f'<meta name="viewport" content="width=device-width"><style nonce="{nonce}">{STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{date_text(row.started_at)} · {_clock(row.duration_ms)} · "
        f"{'external party left, internal side right' if row.channels == 2 else 'one channel'}</p>"
        f'<audio controls preload="metadata">{sources}</audio>{waves}'
        f"{_people(timeline) if timeline is not None else ''}{_why(row, why)}</body></html>"
    )


def _wave(row: Recording, key: str) -> str:
    heights = documents.waveform(row, key)
    if not heights:
        return ""
    bars = "".join(f"M{n} {50 - 48 * height:.0f}V{50 + 48 * height:.0f}" for n, height in enumerate(heights))
    return (
        f'<svg viewBox="0 0 {len(heights)} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="wave form of channel {escape(key)}"><path d="{bars}" stroke="#3454d1" fill="none"/></svg>'
    )


def _people(timeline: Timeline) -> str:
    rows = "".join(
        f"<tr><td>{escape(item.name or item.address or item.purpose)}</td><td>{escape(item.purpose)}</td>"
        f"<td>{date_text(item.start)}</td><td>{escape(item.cause or '')}</td></tr>"
        for item in timeline.participants
    )
    return f"<h2>Who</h2><table><tr><th>Name<th>Purpose<th>Joined<th>Ended by</tr>{rows}</table>"


def _why(row: Recording, why: list[dict[str, object]]) -> str:
    rows = []
    for span in why:
        if span.get("tapeId") not in (row.id, None):
            continue
        start, end, reasons = span.get("start"), span.get("end"), span.get("reasons")
        if not isinstance(start, int) or not isinstance(end, int) or not isinstance(reasons, list):
            continue
        said = "; ".join(str(reason.get("why", "")) for reason in reasons if isinstance(reason, dict))
        word = '<span class="yes">recorded</span>' if span.get("captured") else '<span class="no">not recorded</span>'
        length = _clock((end - start) // 1000)
        rows.append(f"<tr><td>{date_text(start)}</td><td>{length}</td><td>{word}</td><td>{escape(said)}</td></tr>")
    return f"<h2>Why</h2><table><tr><th>From<th>Length<th>What<th>Reasons</tr>{''.join(rows)}</table>" if rows else ""


def _clock(ms: int) -> str:
    minutes, seconds = divmod(ms / 1000, 60)
    return f"{int(minutes)}:{seconds:04.1f}"
