"""What is told of an exported recording, beside its audio. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from earwitness.archive.vault import Manifest
from earwitness.store.exports import Facts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORMAT = "earwitness/export/1"


def path_of(facts: Facts, extension: str) -> str:
    """Where the audio goes: by day (UTC), conversation, recording."""
    day = (EPOCH + timedelta(microseconds=facts.recording.started_at)).strftime("%Y/%m/%d")
    return f"{day}/{facts.conversation.id}/{facts.recording.id}.{extension}"


def metadata_of(
    facts: Facts, manifest: Manifest, file: Mapping[str, Any], public_keys: Mapping[str, str], now: int
) -> dict[str, Any]:
    """The document; times are ISO 8601, UTC."""
    recording, conversation = facts.recording, facts.conversation
    return {
        "format": FORMAT,
        "exportedDate": text(now),
        "file": dict(file),
        "recording": {
            "id": recording.id,
            "mediaSubtype": recording.media_subtype,
            "startTime": text(recording.started_at),
            "endTime": text(recording.ended_at),
            "durationMs": recording.duration_ms,
            "channels": recording.channels,
            "sampleRate": recording.sample_rate,
            "audioFormat": recording.audio_format,
            "annotations": recording.annotations,
            "archiveDate": text(recording.archive_date),
            "deleteDate": text(recording.delete_date),
        },
        "conversation": {
            "id": conversation.id,
            "organizationId": conversation.organization_id,
            "startTime": text(conversation.started_at),
            "endTime": text(conversation.ended_at),
            "direction": conversation.direction,
            "ani": conversation.ani,
            "dnis": conversation.dnis,
            "externalTag": conversation.external_tag,
            "participants": [
                {
                    "purpose": person.purpose,
                    "name": person.name,
                    "address": person.address,
                    "userId": person.user_id,
                    "queueId": person.queue_id,
                    "startTime": text(person.joined_at),
                    "endTime": text(person.left_at),
                }
                for person in facts.participants
            ],
        },
        "proof": {
            "master": {item.name: item.sha256 for item in manifest.items},
            "manifestSha256": manifest.sha256,
            "sealedDate": text(manifest.sealed_at_us),
            "publicKeys": dict(public_keys),
        },
    }


def text(us: int | None) -> str | None:
    """UTC microseconds as ISO 8601 with milliseconds."""
    if us is None:
        return None
    return (EPOCH + timedelta(microseconds=us)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
