"""How long the organisation keeps anything at the most (F20)."""

from __future__ import annotations

from earwitness.store import audit, retention
from earwitness.store import settings as setting_store
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Data retention")

PATH = "/api/v2/analytics/dataretention/settings"


class DataRetention(Document):
    """The maximum in days; none: recordings are kept until a date, a policy or somebody deletes them."""

    retention_days: int | None = None
    date_created: Moment | None = None
    date_modified: Moment | None = None


class DataRetentionInput(RequestBody):
    """The maximum; null removes it."""

    retention_days: int | None = None


@family.operation(
    "GET",
    PATH,
    "get_analytics_dataretention_settings",
    any_of("analytics:dataRetention:view"),
    returns=DataRetention,
)
def data_retention(caller: Signed, parts: Parts) -> DataRetention:
    """How many days recordings are kept at the most, counted from their creation."""
    with parts.database.reading() as session:
        return _document(setting_store.get(session, retention.MAXIMUM))


@family.operation(
    "PUT",
    PATH,
    "put_analytics_dataretention_settings",
    any_of("analytics:dataRetention:edit"),
    returns=DataRetention,
)
def change_data_retention(caller: Signed, parts: Parts, body: DataRetentionInput) -> DataRetention:
    """Changes the maximum: 90 days at least. What is older is deleted within minutes, whatever policies say."""
    if "retention_days" not in body.given():
        raise bad_request("retentionDays is required; null keeps recordings without limit.", "retentionDays")
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        before = retention.maximum_days(session)
        if body.retention_days != before:
            try:
                retention.set_maximum(session, body.retention_days, now)
            except ValueError as error:
                raise bad_request(f"retentionDays: {error}.", "retentionDays", "invalid.value") from error
            audit.add(
                session,
                at=now,
                subject=caller.subject,
                action="change",
                entity_type="dataRetention",
                remote_address=caller.remote_address,
                detail={"before": before, "after": body.retention_days},
            )
        return _document(setting_store.get(session, retention.MAXIMUM))


def _document(stored: dict[str, int | None] | None) -> DataRetention:
    found = stored or {}
    return DataRetention(
        retention_days=found.get("days"),
        date_created=found.get("createdAt"),
        date_modified=found.get("modifiedAt"),
    )
