"""Documents of settings, by key."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from earwitness.store.tables import Setting

RECORDING = "recording"
"""``RecordingSettings`` of the contract, by the names of its attributes."""
STOP_WHEN_ONLY_EXTERNAL = "stop_recording_when_only_external_participants"
"""Of ``RECORDING`` (D3). The contract tells no default; ours is true, as for transfers (D1)."""
TELEPHONY = "telephony"
"""``{"ringTimeoutSeconds": 30, "recordCode": "*1"}``."""
RECORD_CODE = "*1"
"""Pressed on a phone of ours: starts and stops the user's recording. Empty: nothing does."""
ROUTING = "routing"
"""``RoutingSettings`` of the contract."""


def get(session: Session, key: str, default: Any = None) -> Any:
    """The document of that key, or ``default``."""
    row = session.get(Setting, key)
    return default if row is None else row.value


def put(session: Session, key: str, value: Any, at: int) -> None:
    """Replaces the document of that key."""
    row = session.get(Setting, key)
    if row is None:
        session.add(Setting(key=key, value=value, modified_at=at))
    elif row.value != value:
        row.value = value
        row.modified_at = at
    session.flush()
