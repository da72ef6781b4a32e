"""Recording settings of the organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query

from earwitness.store import audit
from earwitness.store import settings as setting_store
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request, missing_permissions
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Recording settings")

RIGHTS = {
    "max_simultaneous_streams": "recording:settings:editScreenRecordings",
    "regional_recording_storage_enabled": "recording:settings:editRegionalStorage",
    "recording_playback_url_ttl": "recording:settings:editUrlExpiration",
    "recording_batch_download_url_ttl": "recording:settings:editUrlExpiration",
    "stop_recording_when_only_external_participants": "recording:settings:editConferenceRecording",
}
"""Field -> the right that covers it."""
MOST_STREAMS = 4


class RecordingSettings(Document):
    """Settings; times to live in minutes."""

    max_simultaneous_streams: int = 1
    max_configurable_screen_recording_streams: int = MOST_STREAMS
    regional_recording_storage_enabled: bool = False
    recording_playback_url_ttl: int = 60
    recording_batch_download_url_ttl: int = 60
    stop_recording_when_only_external_participants: bool = True


class RecordingSettingsInput(RequestBody):
    """Settings to change; absent ones stay."""

    max_simultaneous_streams: int | None = None
    regional_recording_storage_enabled: bool | None = None
    recording_playback_url_ttl: int | None = None
    recording_batch_download_url_ttl: int | None = None
    stop_recording_when_only_external_participants: bool | None = None


def read(stored: Mapping[str, Any] | None) -> RecordingSettings:
    """The stored settings, defaults where nothing is stored."""
    known = {key: value for key, value in (stored or {}).items() if key in RIGHTS}
    return RecordingSettings(**known)


@family.operation("GET", "/api/v2/recording/settings", "get_recording_settings", SIGNED_IN, returns=RecordingSettings)
def settings(
    caller: Signed, parts: Parts, create_default: Annotated[bool, Query(alias="createDefault")] = False
) -> RecordingSettings:
    """The settings; where none were made, the defaults."""
    with parts.database.reading() as session:
        return read(setting_store.get(session, setting_store.RECORDING))


@family.operation(
    "PUT",
    "/api/v2/recording/settings",
    "put_recording_settings",
    any_of(*sorted(set(RIGHTS.values()))),
    returns=RecordingSettings,
)
def change_settings(caller: Signed, parts: Parts, body: RecordingSettingsInput) -> RecordingSettings:
    """Changes settings. Each field has a right of its own; a field that stays as it is needs none."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        current = read(setting_store.get(session, setting_store.RECORDING))
        new = {
            name: value for name, value in body.given().items() if value is not None and value != getattr(current, name)
        }
        lacking = sorted({RIGHTS[name] for name in new if not caller.access.allows(RIGHTS[name])})
        if lacking:
            raise missing_permissions(lacking, every=True)
        for name, value in new.items():
            bounds = (2, 60) if name.endswith("_ttl") else (1, MOST_STREAMS)
            if not isinstance(value, bool) and not bounds[0] <= value <= bounds[1]:
                field = RecordingSettings.model_fields[name].alias or name
                raise bad_request(f"{field} must be {bounds[0]} to {bounds[1]}.", field, "invalid.value")
        if new:
            merged = {key: getattr(current, key) for key in RIGHTS} | new
            setting_store.put(session, setting_store.RECORDING, merged, now)
            audit.add(
                session,
                at=now,
                subject=caller.subject,
                action="change",
                entity_type="recordingSettings",
                remote_address=caller.remote_address,
                detail=new,
            )
            return read(merged)
        return current
