"""Events of recordings and of the inbox, from what the audit log says has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from earwitness.store import conversations as conversation_store
from earwitness.store import recording_changes, users
from earwitness.store import recordings as recording_store
from earwitness.store import settings as setting_store
from earwitness.store.tables import Recording
from earwitness.web.api import media, recording_settings
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.user_recordings import name_of
from earwitness.web.kernel.documents import date_text
from earwitness.web.kernel.services import Services
from earwitness.web.notify import frames, topics
from earwitness.web.notify.connection import Connection

KINDS = (topics.CONVERSATION_RECORDINGS, topics.ONE_RECORDING, topics.RECORDINGS, topics.USER_RECORDINGS)
SETTLED_US = 5_000_000
"""So long after its time an entry of the audit log is sure to be visible, and so are those with lower numbers."""


@dataclass(slots=True)
class RecordingChanges:
    """Reads on in the audit log."""

    floor: int | None = None
    _seen: dict[int, int] = field(default_factory=dict)

    def begin(self, session: Session) -> None:
        """Starts at what happens from now on."""
        if self.floor is None:
            self.floor = recording_changes.latest(session)

    def forget(self) -> None:
        """Nobody listens any more."""
        self.floor, self._seen = None, {}

    def new(self, session: Session, now_us: int) -> list[str]:
        """Ids of the recordings that have changed, each once."""
        assert self.floor is not None
        changes, marks = recording_changes.since(session, self.floor)
        fresh = [change.recording_id for change in changes if change.id not in self._seen]
        self._seen.update(marks)
        settled = [number for number, at in self._seen.items() if at < now_us - SETTLED_US]
        if settled:
            self.floor = max(settled)
            self._seen = {number: at for number, at in self._seen.items() if number > self.floor}
        return list(dict.fromkeys(fresh))


def deliver(parts: Services, session: Session, recording_ids: list[str], listeners: list[Connection]) -> None:
    """Tells whoever wants to know and may see it of each recording."""
    for recording_id in recording_ids:
        for listener in listeners:
            wanted = listener.wants(*KINDS)
            row = recording_store.get(session, listener.access, recording_id) if wanted else None
            if row is None:
                continue
            for topic in wanted:
                if _is_about(session, listener, topic, row):
                    listener.put(frames.event(topic.name, frames.body(_body(parts, session, listener, topic, row))))


def _is_about(session: Session, listener: Connection, topic: topics.Topic, row: Recording) -> bool:
    if topic.kind == topics.USER_RECORDINGS:
        return row.role == "ADHOC" and row.owner_user_id == topic.about and row.file_state != "DELETED"
    if row.role == "ADHOC":
        return False
    if topic.kind == topics.ONE_RECORDING:
        return topic.ids[1:] == (row.conversation_id, row.id)
    if topic.kind == topics.CONVERSATION_RECORDINGS:
        return topic.ids[1] == row.conversation_id
    conversation = conversation_store.get(session, listener.access, row.conversation_id)
    people = conversation_store.participants(session, conversation) if conversation is not None else ()
    return any(person.user_id == topic.about for person in people)


def _body(
    parts: Services, session: Session, listener: Connection, topic: topics.Topic, row: Recording
) -> dict[str, Any]:
    return (
        _inbox_body(session, row)
        if topic.kind == topics.USER_RECORDINGS
        else _event_body(parts, session, listener, row)
    )


def _event_body(parts: Services, session: Session, listener: Connection, row: Recording) -> dict[str, Any]:
    """``RecordingEventRecording``; addresses are signed for the subscriber."""
    uris = []
    if row.file_state in documents.PLAYABLE:
        stored = setting_store.get(session, setting_store.RECORDING)
        ttl_s = recording_settings.read(stored).recording_playback_url_ttl * 60
        expires_s = parts.clock.now_us() // 1_000_000 + ttl_s
        subject = f"{listener.subject.type}:{listener.subject.id}"
        for key in documents.channel_keys(row):
            path = media.path_of(row.id, key, documents.DEFAULT_FORMAT)
            link = listener.base_url + parts.signer.signed(path, subject, expires_s)
            uris.append({"channelId": key, "mediaUri": link})
    return {
        "id": row.id,
        "conversationId": row.conversation_id,
        "fileState": row.file_state,
        "mediaUris": uris,
        "estimatedTranscodeTimeMs": 0,
        "actualTranscodeTimeMs": 0,
    }


def _inbox_body(session: Session, row: Recording) -> dict[str, Any]:
    """``AdhocRecordingTopicRecordingDataV2``, the vendor's spelling of the duration included (E12)."""
    owner = users.get(session, row.owner_user_id or "", deleted=True)
    person = {"id": row.owner_user_id, "name": owner.name if owner is not None else ""}
    return {
        "id": row.id,
        "name": name_of(row),
        "dateCreated": date_text(row.created_at),
        "dateModified": date_text(row.modified_at),
        "createdBy": person,
        "contentType": row.mime_type,
        "contentLength": row.size,
        "filename": name_of(row),
        "changeNumber": row.version,
        "dateUploaded": date_text(row.created_at),
        "uploadedBy": person,
        "selfUri": f"/api/v2/userrecordings/{row.id}",
        "durationMillieconds": row.duration_ms,
        "conversation": {"id": row.conversation_id},
        "read": row.read,
    }
