"""Bulk jobs through the vendor's SDK and the worker's chore."""

from __future__ import annotations

import datetime as dt
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store.tables import Grant, Integration, Recording, RecordingJob, Role
from earwitness.web.kernel.documents import date_text
from earwitness.worker import jobs
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench
from earwitness.worker.purge import Purge
from earwitness.worker.steady import SteadyClock

DAY = 86_400_000_000
PATH = "/api/v2/recording/jobs"
ALWAYS = "2026-11-01T00:00:00Z/2026-12-31T00:00:00Z"


def now_us() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp() * 1e6)


def bench(site: Any, ahead_us: int = 0) -> Bench:
    arguments = WorkerArguments(
        database_url=site.arguments.database_url,
        spool=site.arguments.spool_dir,
        vault_url=site.arguments.vault_url,
        keys=site.arguments.keys_dir,
    )
    return Bench(site.world.database, arguments, lambda: now_us() + ahead_us)


def body(action: str = "DELETE", **more: Any) -> dict[str, Any]:
    return {"action": action, "actionAge": 0, "conversationQuery": {"interval": ALWAYS}, **more}


def row(site: Any, recording_id: str) -> Recording:
    with site.world.database.reading() as session:
        return session.get_one(Recording, recording_id)


def test_i7_i9_a_job_selects_waits_and_is_let_go_by_the_same_user(site, recorded):
    calls = [recorded.store_call(site) for _ in range(3)]
    recorded.store_call(site, role="ADHOC")
    held = calls[2][0]
    protect = {"conversationIds": [held]}
    assert site.http().put("/api/v2/recordings/deletionprotection", json=protect).status_code == 200
    api = sdk.RecordingApi(site.sdk("admin"))
    query = sdk.RecordingJobsQuery()
    query.action, query.action_age = "DELETE", 0
    query.conversation_query = sdk.AsyncConversationQuery()
    query.conversation_query.interval = ALWAYS
    made = api.post_recording_jobs(query)
    assert (made.state, made.total_recordings, made.user.id) == ("PENDING", 0, site.world.users["admin"])
    assert made.recording_jobs_query.conversation_query.interval == ALWAYS
    go = sdk.ExecuteRecordingJobsQuery()
    go.state = "PROCESSING"
    with pytest.raises(ApiException) as early:
        api.put_recording_job(made.id, go)
    assert early.value.status == 409
    assert jobs.go_on(bench(site)) > 0
    ready = api.get_recording_job(made.id)
    assert (ready.state, ready.total_conversations, ready.total_recordings, ready.total_skipped_recordings) == (
        "READY", 3, 3, 1)  # fmt: skip
    assert row(site, calls[0][1]).file_state == "AVAILABLE"
    with pytest.raises(ApiException) as other:
        sdk.RecordingApi(site.sdk("client")).put_recording_job(made.id, go)
    assert other.value.status == 403
    assert api.put_recording_job(made.id, go).state == "PROCESSING"
    assert api.put_recording_job(made.id, go).state == "PROCESSING"
    assert jobs.go_on(bench(site)) > 0
    done = api.get_recording_job(made.id)
    assert (done.state, done.percent_progress, done.total_processed_recordings) == ("FULFILLED", 100, 2)
    assert row(site, calls[2][1]).file_state == "AVAILABLE"
    assert Purge(SteadyClock(lambda: 0.0))(bench(site)) == 2
    gone = row(site, calls[0][1])
    assert gone.receipt["receipt"]["by"] == f"user:{site.world.users['admin']}"
    assert gone.receipt["receipt"]["reason"] == f"bulk job {made.id}"
    listed = api.get_recording_jobs(state="FULFILLED", job_type="DELETE", show_only_my_jobs=True)
    assert [item.id for item in listed.entities] == [made.id]
    assert sdk.RecordingApi(site.sdk("client")).get_recording_jobs(show_only_my_jobs=True).entities == []
    assert api.get_recording_job_failedrecordings(made.id).entities == []
    api.delete_recording_job(made.id)
    assert site.http().get(f"{PATH}/{made.id}").status_code == 404


def test_i7_at_most_two_at_work(sqlite_site):
    http = sqlite_site.http()
    ids = [http.post(PATH, json=body(clearExport=flag)).json()["id"] for flag in (True, False)]
    third = http.post(PATH, json=body("ARCHIVE"))
    assert (third.status_code, third.json()["code"]) == (409, "job.limit")
    assert http.delete(f"{PATH}/{ids[0]}").status_code == 204
    assert http.delete(f"{PATH}/{ids[0]}").status_code == 204
    assert http.get(f"{PATH}/{ids[0]}").json()["state"] == "CANCELLED"
    assert http.post(PATH, json=body("ARCHIVE")).status_code == 200
    jobs.go_on(bench(sqlite_site))
    assert http.get(f"{PATH}/{ids[0]}").json()["state"] == "CANCELLED"
    assert {item["state"] for item in http.get(PATH).json()["entities"]} == {"READY", "CANCELLED"}


def test_i8_dates_by_day_or_by_age(site, recorded):
    http = site.http("client")
    _, recording_id = recorded.store_call(site)
    created = row(site, recording_id).created_at

    def run(**query: Any) -> dict[str, Any]:
        job = http.post(PATH, json=body(**query)).json()["id"]
        jobs.go_on(bench(site))
        assert http.put(f"{PATH}/{job}", json={"state": "PROCESSING"}).status_code == 200
        jobs.go_on(bench(site))
        return http.get(f"{PATH}/{job}").json()

    assert run(action="ARCHIVE", actionAge=30)["totalProcessedRecordings"] == 1
    assert row(site, recording_id).archive_date == created + 30 * DAY
    day = now_us() // 1000 * 1000 + 20 * DAY
    assert run(actionAge=None, actionDate=date_text(day))["totalProcessedRecordings"] == 1
    assert (row(site, recording_id).delete_date, row(site, recording_id).archive_date) == (day, None)
    failed = run(action="ARCHIVE", actionAge=30)
    assert (failed["state"], failed["totalFailedRecordings"]) == ("FAILED", 1)
    entries = http.get(failed["failedRecordings"]).json()["entities"]
    assert [item["recording"]["id"] for item in entries] == [recording_id]
    stamp = {"created_at": 1, "modified_at": 1}
    with site.world.database.transaction() as session:
        session.add(Integration(id="i1", name="Folder", type="earwitness-folder", config={}, **stamp))
    assert run(action="EXPORT", integrationId="i1")["state"] == "FULFILLED"
    assert row(site, recording_id).export_integration_id == "i1"
    assert run(clearExport=True, actionAge=15)["state"] == "FULFILLED"
    assert row(site, recording_id).export_date is None
    assert row(site, recording_id).delete_date == created + 15 * DAY
    assert run(includePolicyBasedRecordings=False)["totalRecordings"] == 0


def test_i8_wrong_jobs_are_refused(sqlite_site):
    http = sqlite_site.http()
    wrong = [
        {},
        body("BURN"),
        {"action": "DELETE", "conversationQuery": {"interval": ALWAYS}},
        body(actionDate=date_text(now_us() + DAY)),
        body(actionAge=-1),
        body(actionAge=None, actionDate="2001-01-01T00:00:00Z"),
        body("EXPORT"),
        body("EXPORT", integrationId="nowhere"),
        body(conversationQuery={}),
        body(conversationQuery={"interval": "yesterday"}),
        body(conversationQuery=None),
        body(agedConversationInterval=ALWAYS),
        body(conversationQuery=None, agedConversationInterval=ALWAYS),
        body(conversationQuery=None, agedConversationInterval="2010-01-01T00:00:00Z/2012-01-01T00:00:00Z"),
        body(conversationQuery={"interval": ALWAYS, "segmentFilters": [{"type": "and", "predicates": [
            {"dimension": "moonPhase", "value": "full"}]}]}),
    ]  # fmt: skip
    for document in wrong:
        reply = http.post(PATH, json=document)
        assert reply.status_code == 400, (document, reply.text)
    aged = body(conversationQuery=None, agedConversationInterval="2010-01-01T00:00:00Z/2010-03-01T00:00:00Z")
    assert http.post(PATH, json=aged).status_code == 200
    assert sqlite_site.http("supervisor").post(PATH, json=body()).status_code == 403
    assert http.get(f"{PATH}/none").status_code == 404
    assert http.get(PATH, params={"state": "LOST"}).status_code == 400


def test_a_job_acts_with_the_rights_of_its_maker_and_goes_on_after_a_crash(site, recorded, monkeypatch):
    world = site.world
    ours = [recorded.store_call(site)[1] for _ in range(5)]
    theirs = recorded.store_call(site, divisions=[world.home])[1]
    with world.database.transaction() as session:
        stamp = {"created_at": 1, "modified_at": 1}
        rights = ["recording:*:*", "conversation:*:*"]
        session.add(Role(id="recorder", name="recorder", permissions=rights, permission_policies=[], **stamp))
        session.flush()
        session.add(Grant(id="recorder", subject_type="user", subject_id=world.users["other"], role_id="recorder",
                          division_id=world.sales, granted_at=1))  # fmt: skip
    monkeypatch.setattr("earwitness.store.recording_jobs.CONVERSATIONS", 2)
    monkeypatch.setattr("earwitness.store.recording_jobs.ITEMS", 2)
    http = site.http("other")
    job = http.post(PATH, json=body()).json()["id"]
    jobs.go_on(bench(site), turn_s=0.0)
    assert http.get(f"{PATH}/{job}").json()["state"] == "PENDING", "one step, then another worker"
    jobs.go_on(bench(site))
    assert http.get(f"{PATH}/{job}").json()["totalRecordings"] == 5
    assert http.put(f"{PATH}/{job}", json={"state": "PROCESSING"}).status_code == 200
    jobs.go_on(bench(site), turn_s=0.0)
    assert http.get(f"{PATH}/{job}").json()["totalProcessedRecordings"] == 2

    def dies(*_arguments: Any, **_more: Any) -> None:
        raise RuntimeError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr("earwitness.store.recording_jobs.retention.ask_to_delete", dies)
        jobs.go_on(bench(site))
    halted = http.get(f"{PATH}/{job}").json()
    assert (halted["state"], halted["totalProcessedRecordings"]) == ("PROCESSING", 2), "a step is done or not done"
    jobs.go_on(bench(site, 60_000_000))
    assert http.get(f"{PATH}/{job}").json()["state"] == "FULFILLED"
    assert {row(site, recording_id).file_state for recording_id in ours} == {"DELETED"}
    assert row(site, theirs).file_state == "AVAILABLE"
    with world.database.transaction() as session:
        session.delete(session.get_one(RecordingJob, job))
