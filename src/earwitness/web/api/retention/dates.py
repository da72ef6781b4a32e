"""Changing the dates of a recording (G2–G5), and restoring an archived one (G4)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from earwitness.store import recordings as recording_store
from earwitness.store import retention
from earwitness.store.tables import Recording
from earwitness.store.visibility import ADHOC
from earwitness.web.api.recording_audit import note
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.documents import date_text
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.services import Services

EDIT_RETENTION = "recording:recording:editRetention"
RESTORE = "recording:recording:restore"
SLACK_US = 60_000_000
"""A date may be so long past: "now" takes its time to get here, and clocks differ."""
NAMES = {"archive_date": "archiveDate", "delete_date": "deleteDate", "export_date": "exportDate"}
SHELVED = ("ARCHIVED", "RESTORING", "RESTORED")


def change(
    parts: Services,
    caller: Caller,
    session: Session,
    conversation_id: str,
    recording_id: str,
    wanted: Mapping[str, int | None],
) -> Recording:
    """Changes dates; what is given as it is already changes nothing and needs no right (clients send back what they
    got, S15).

    :param wanted: column -> UTC microseconds, or None to remove it.
    :raises ApiError: 404, 403; 400, a date that is past or contradicts another; 409, not in this state.
    """
    row = recording_store.get(session, caller.access, recording_id)
    if row is None or row.conversation_id != conversation_id:
        raise not_found("recording", recording_id)
    session.refresh(row, with_for_update=True)
    if row.file_state == retention.DELETED or row.role == ADHOC:  # no retention reaches an inbox (E8)
        raise not_found("recording", recording_id)
    new = {name: value for name, value in wanted.items() if not _same(getattr(row, name), value)}
    until = new.get("archive_date")
    restores = "archive_date" in new and row.file_state in SHELVED
    needed = [RESTORE] if restores else []
    if not restores or len(new) > 1:
        needed.append(EDIT_RETENTION)
    for permission in needed:
        if recording_store.get(session, caller.access, recording_id, permission) is None:
            raise missing_permissions((permission,), every=True)
    if not new:
        return row
    now = parts.clock.now_us()
    check(row, new, now)
    detail = {"before": {key: getattr(row, key) for key in new}, "after": new}
    if restores and until is not None:
        retention.begin_restoring(session, row, until, by=f"{caller.subject.type}:{caller.subject.id}", at=now)
        new = {name: value for name, value in new.items() if name != "archive_date"}
    changes.apply(row, new, None)
    row.version += 1
    row.modified_at = now
    action = "restore" if restores else "editRetention"
    note(parts, caller, action, "recording", row.id, conversation_id, session=session, detail=detail)
    session.flush()
    return row


def check(row: Recording, new: Mapping[str, int | None], now: int) -> None:
    """Holds new dates against the clock, and against those that stay.

    :raises ApiError: 400 naming the field and what it contradicts; 409, an archived recording without a date.
    """
    for name, value in new.items():
        if value is not None and value < now - SLACK_US:
            raise _wrong(name, f"{NAMES[name]} {date_text(value)} is in the past.")
    if row.file_state in SHELVED and "archive_date" in new and new["archive_date"] is None:
        raise conflict(
            "The recording is archived. Give the date until which it is to be restored, or delete it.", "archived"
        )
    after = {name: new.get(name, getattr(row, name)) for name in NAMES}
    deleted = after["delete_date"]
    pending = {"archive_date": after["archive_date"]}
    if "export_date" in new or row.exported_date is None or row.exported_date < (row.export_date or 0):
        pending["export_date"] = after["export_date"]
    for name, value in pending.items():
        if value is None or deleted is None or not {name, "delete_date"} & new.keys():
            continue
        if value >= deleted:
            blamed = name if name in new else "delete_date"
            raise _wrong(
                blamed,
                f"deleteDate {date_text(deleted)} must be later than {NAMES[name]} {date_text(value)}; "
                "change both, or remove one with null.",
            )


def _same(one: int | None, other: int | None) -> bool:
    """Whether two dates are the same as they are written: to the millisecond."""
    return one == other or (one is not None and other is not None and one // 1000 == other // 1000)


def _wrong(name: str, message: str) -> ApiError:
    return bad_request(message, NAMES[name], "invalid.date")
