"""Protection from deletion, the organisation's maximum, the retention query, bulk jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from earwitness.cli.contract.steps import Context, expect, step

RECORDING, ANALYTICS = "RecordingApi", "AnalyticsApi"
PATIENCE_S = 30.0


def _refused(c: Context, call: Callable[[], object], status: int) -> None:
    """The call is refused with that status."""
    try:
        call()
    except Exception as error:
        expect(getattr(error, "status", None) == status, f"{getattr(error, 'status', error)} instead of {status}")
        return
    raise AssertionError(f"not refused with {status}")


def _conversations(c: Context, *ids: str) -> Any:
    return c.model("ConversationDeletionProtectionQuery", conversation_ids=list(ids))


@step
def put_recordings_deletionprotection(c: Context) -> None:
    """Holds a conversation and lets it go; one that is not there fails."""
    api = c.api(RECORDING)
    done = api.put_recordings_deletionprotection(protect=True, body=_conversations(c, c.kept["conversation"], "none"))
    expect([item.conversation.id for item in done.failed_updates] == ["none"], "the unknown one fails")
    held = api.post_recordings_deletionprotection(_conversations(c, c.kept["conversation"]))
    expect([item.id for item in held] == [c.kept["conversation"]], "held")
    api.put_recordings_deletionprotection(protect=False, body=_conversations(c, c.kept["conversation"]))
    many = _conversations(c, *(str(number) for number in range(101)))
    _refused(c, lambda: api.put_recordings_deletionprotection(protect=True, body=many), 400)


@step
def post_recordings_deletionprotection(c: Context) -> None:
    """Nothing is held any more."""
    found = c.api(RECORDING).post_recordings_deletionprotection(_conversations(c, c.kept["conversation"]))
    expect(found == [], "nothing is held")


@step
def get_analytics_dataretention_settings(c: Context) -> None:
    """No maximum at first."""
    expect(c.api(ANALYTICS).get_analytics_dataretention_settings().retention_days is None, "no maximum")


@step
def put_analytics_dataretention_settings(c: Context) -> None:
    """Ten years; 89 days are too few."""
    api = c.api(ANALYTICS)
    few = c.model("UpdateAnalyticsDataRetentionRequest", retention_days=89)
    _refused(c, lambda: api.put_analytics_dataretention_settings(few), 400)
    body = c.model("UpdateAnalyticsDataRetentionRequest", retention_days=3650)
    expect(api.put_analytics_dataretention_settings(body).retention_days == 3650, "ten years")
    expect(api.get_analytics_dataretention_settings().retention_days == 3650, "kept")


@step
def get_recordings_retention_query(c: Context) -> None:
    """The recording of the call, which has been kept for no day yet."""
    found = c.api(RECORDING).get_recordings_retention_query(0, page_size=100)
    expect(c.kept["recording"] in {item.recording_id for item in found.entities}, "the recording is listed")
    expect(c.api(RECORDING).get_recordings_retention_query(1).entities == [], "nothing older")


def _job(c: Context, action: str, **more: Any) -> Any:
    now = datetime.now(UTC)
    interval = f"{now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}/{now + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    query = c.model("AsyncConversationQuery", interval=interval)
    return c.model("RecordingJobsQuery", action=action, conversation_query=query, **more)


@step
def post_recording_jobs(c: Context) -> None:
    """One that archives in some years; an export needs somewhere to go to."""
    api = c.api(RECORDING)
    _refused(c, lambda: api.post_recording_jobs(_job(c, "EXPORT", action_age=1)), 400)
    made = api.post_recording_jobs(_job(c, "ARCHIVE", action_age=1000))
    expect(made.state in ("PENDING", "READY"), "pending")
    c.kept["job"] = made.id


@step
def get_recording_job(c: Context) -> None:
    """It becomes ready."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := c.api(RECORDING).get_recording_job(c.kept["job"])).state == "PENDING":
        expect(time.monotonic() < deadline, "the job does not become ready")
        time.sleep(0.2)
    expect((found.state, found.total_recordings > 0) == ("READY", True), "ready, with counts")
    _refused(c, lambda: c.api(RECORDING).get_recording_job("none"), 404)


@step
def get_recording_jobs(c: Context) -> None:
    """It is the only one."""
    found = c.api(RECORDING).get_recording_jobs(job_type="ARCHIVE", show_only_my_jobs=True)
    expect([job.id for job in found.entities] == [c.kept["job"]], "one job")


@step
def put_recording_job(c: Context) -> None:
    """Whoever made it lets it go."""
    body = c.model("ExecuteRecordingJobsQuery", state="PROCESSING")
    _refused(c, lambda: c.api(RECORDING, user=True).put_recording_job(c.kept["job"], body), 403)
    expect(c.api(RECORDING).put_recording_job(c.kept["job"], body).state == "PROCESSING", "at work")
    deadline = time.monotonic() + PATIENCE_S
    while (found := c.api(RECORDING).get_recording_job(c.kept["job"])).state == "PROCESSING":
        expect(time.monotonic() < deadline, "the job does not end")
        time.sleep(0.2)
    expect((found.state, found.percent_progress) == ("FULFILLED", 100), "fulfilled")


@step
def get_recording_job_failedrecordings(c: Context) -> None:
    """None failed."""
    expect(c.api(RECORDING).get_recording_job_failedrecordings(c.kept["job"]).entities == [], "none failed")


@step
def delete_recording_job(c: Context) -> None:
    """It goes."""
    c.api(RECORDING).delete_recording_job(c.kept["job"])
    _refused(c, lambda: c.api(RECORDING).get_recording_job(c.kept["job"]), 404)
