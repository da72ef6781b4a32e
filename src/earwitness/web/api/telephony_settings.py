"""What the contract has no place for: how long phones ring, and the code that starts a user's recording."""

from __future__ import annotations

import re

from pydantic import Field

from earwitness.domain.configuration import RING_TIMEOUT_S
from earwitness.store import audit
from earwitness.store import settings as setting_store
from earwitness.web.api.named import ADMINISTERS_TELEPHONY
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Telephony settings")
PATH = "/api/v2/earwitness/telephony/settings"
_CODE = re.compile(r"(?:[*#][0-9*#]{1,7})?")


class TelephonySettings(Document):
    """Settings of calls."""

    ring_timeout_seconds: int
    record_code: str
    """Pressed on a phone of ours in a call: starts and stops the user's recording. Empty: none does."""


class TelephonySettingsInput(RequestBody):
    """Settings to change; absent ones stay."""

    ring_timeout_seconds: int | None = Field(default=None, ge=1, le=3600)
    record_code: str | None = None


def _read(stored: dict[str, object]) -> TelephonySettings:
    ring, code = stored.get("ringTimeoutSeconds"), stored.get("recordCode", setting_store.RECORD_CODE)
    return TelephonySettings(
        ring_timeout_seconds=int(ring) if isinstance(ring, int | float) and ring else int(RING_TIMEOUT_S),
        record_code=str(code),
    )


@family.operation("GET", PATH, "get_earwitness_telephony_settings", SIGNED_IN, returns=TelephonySettings)
def settings(caller: Signed, parts: Parts) -> TelephonySettings:
    """How long phones ring, and the code that starts and stops a user's recording."""
    with parts.database.reading() as session:
        return _read(setting_store.get(session, setting_store.TELEPHONY, {}))


@family.operation(
    "PUT", PATH, "put_earwitness_telephony_settings", any_of(ADMINISTERS_TELEPHONY), returns=TelephonySettings
)
def change_settings(caller: Signed, parts: Parts, body: TelephonySettingsInput) -> TelephonySettings:
    """Changes them. ``recordCode`` is * or # and one to seven of 0-9 * #, or empty for none."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        stored = dict(setting_store.get(session, setting_store.TELEPHONY, {}))
        new: dict[str, object] = {}
        if body.ring_timeout_seconds is not None:
            new["ringTimeoutSeconds"] = body.ring_timeout_seconds
        if body.record_code is not None:
            if not _CODE.fullmatch(body.record_code):
                raise bad_request("recordCode is like *1, or empty.", "recordCode", "invalid.value")
            new["recordCode"] = body.record_code
        changed = {key: value for key, value in new.items() if stored.get(key) != value}
        if changed:
            setting_store.put(session, setting_store.TELEPHONY, {**stored, **changed}, now)
            audit.add(
                session,
                at=now,
                subject=caller.subject,
                action="change",
                entity_type="telephonySettings",
                remote_address=caller.remote_address,
                detail=changed,
            )
        return _read({**stored, **changed})
