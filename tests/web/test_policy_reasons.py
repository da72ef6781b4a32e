"""Why recordings are kept or gone, and what a draft policy would have done."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from earwitness.store import after_call_work, policy_applying
from earwitness.store import settings as setting_store
from earwitness.store.retention import MAXIMUM
from earwitness.store.tables import (
    AuditEntry,
    Base,
    Conversation,
    DeletionProtection,
    PolicyDecision,
    Recording,
    RetentionPolicy,
)

PATH = "/api/v2/recording/mediaretentionpolicies"
SIMULATE = "/api/v2/earwitness/policies/simulate"
START = 1_795_353_600_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
INTERVAL = "2026-11-22T00:00:00Z/2026-11-23T00:00:00Z"


def days(number: int, **more: Any) -> dict[str, Any]:
    return {"retentionDuration": {"deleteRetention": {"days": number}, **more}}


def make(site: Any, name: str, actions: Any = None, conditions: Any = None, *, since: int = 0) -> str:
    block = {"callPolicy": {"actions": actions or {}, "conditions": conditions or {}}}
    reply = site.http().post(PATH, json={"name": name, "enabled": True, "mediaPolicies": block})
    assert reply.status_code == 200, reply.text
    with site.world.database.transaction() as session:
        session.get_one(RetentionPolicy, reply.json()["id"]).enabled_at = since
    return str(reply.json()["id"])


def apply(site: Any, conversation_id: str, now: int = START + 10 * SECOND) -> None:
    with site.world.database.transaction() as session:
        policy_applying.apply(session, conversation_id, now)


def explained(site: Any, conversation_id: str, name: str = "admin") -> Any:
    reply = site.http(name).get(f"/api/v2/earwitness/conversations/{conversation_id}/policies")
    assert reply.status_code == 200, reply.text
    return reply.json()


def change(site: Any, recording_id: str, **fields: Any) -> None:
    with site.world.database.transaction() as session:
        row = session.get_one(Recording, recording_id)
        for name, value in fields.items():
            setattr(row, name, value)


def test_w2_which_policies_matched_and_which_one_won(site: Any, recorded: Any) -> None:
    conversation_id, recording_id = recorded.store_call(site)
    make(site, "Short", days(30))
    winner = make(site, "Long", days(100, archiveRetention={"days": 10}))
    make(site, "Late", days(500), since=START + 1)
    make(site, "Other", days(900), {"directions": ["OUTBOUND"]})
    before = explained(site, conversation_id)
    assert (before["state"], before["recordings"][0]["sentence"]) == ("COMPLETE", "Kept without end.")
    apply(site, conversation_id)
    found = explained(site, conversation_id)
    assert (found["state"], found["verdict"]["action"], found["verdict"]["policyId"]) == (
        "APPLIED", "DELETE_AFTER", winner,
    )  # fmt: skip
    assert [(item["name"], item["won"], item["why"]) for item in found["matched"]] == [
        ("Short", False, 'policy "Long" names 100 days, which is longer'),
        ("Long", True, "it has the longest explicit number of days"),
    ]
    assert [item["name"] for item in found["missed"]] == ["Late"]
    assert found["sentence"] == (
        'To be deleted on 2 March 2027 because policy "Long" says delete after 100 days, archive after 10 days; '
        'over "Short" (delete after 30 days): it has the longest explicit number of days. '
        "To be archived on 2 December 2026."
    )
    assert found["recordings"][0]["id"] == recording_id
    assert found["recordings"][0]["deleteDate"].startswith("2027-03-02")
    # Who sees the call hears the verdict; which policies matched is for those who may view policies.
    supervisor = explained(site, conversation_id, "supervisor")
    assert (supervisor["sentence"], "matched" in supervisor, "actions" in supervisor) == (
        found["sentence"], False, False,
    )  # fmt: skip
    assert site.http("nobody").get(f"/api/v2/earwitness/conversations/{conversation_id}/policies").status_code == 404
    assert site.http().get("/api/v2/earwitness/conversations/unknown/policies").status_code == 404


def test_f20_i2_maximum_protection_and_dates_by_hand_are_told(sqlite_site: Any, recorded: Any) -> None:
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    make(sqlite_site, "Long", days(500))
    apply(sqlite_site, conversation_id)
    with sqlite_site.world.database.transaction() as session:
        setting_store.put(session, MAXIMUM, {"days": 90, "createdAt": 1, "modifiedAt": 1}, 1)
        session.add(DeletionProtection(conversation_id=conversation_id, at=1, by="user:x"))
    found = explained(sqlite_site, conversation_id)["recordings"][0]
    assert found["protected"]
    assert found["sentence"].startswith(
        "To be deleted on 20 February 2027 because the organisation keeps nothing longer than 90 days; "
        'without that, on 5 April 2028 because policy "Long" says delete after 500 days.'
    )
    assert "protected" in found["sentence"]
    change(sqlite_site, recording_id, delete_date=START + 3 * DAY)
    told = explained(sqlite_site, conversation_id)["recordings"][0]["sentence"]
    assert told.startswith("To be deleted on 25 November 2026, a date that was set by hand")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"deleted_at": START + 101 * DAY},
         'Deleted on 3 March 2027 because policy "Long" says delete after 100 days.'),
        ({"deleted_at": START + 7 * DAY},
         "Deleted on 29 November 2026, which no policy asked for: the receipt tells who did, and why."),
        ({}, 'Deleted because policy "Long" says delete after 100 days; its audio is being destroyed.'),
    ],
)  # fmt: skip
def test_why_is_it_gone(sqlite_site: Any, recorded: Any, fields: Any, sentence: str) -> None:
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    make(sqlite_site, "Long", days(100))
    apply(sqlite_site, conversation_id)
    change(sqlite_site, recording_id, file_state="DELETED", **fields)
    assert explained(sqlite_site, conversation_id)["recordings"][0]["sentence"] == sentence


def test_f3_states_before_policies_are_applied(sqlite_site: Any, recorded: Any) -> None:
    site = sqlite_site
    conversation_id, _ = recorded.store_call(site)
    with site.world.database.transaction() as session:
        after_call_work.add(session, conversation_id=conversation_id, participant_id="p2", queue_id="q",
                            user_id=site.world.users["agent"], started_at=START, deadline_at=1 << 60)  # fmt: skip
    assert explained(site, conversation_id)["state"] == "AFTER_CALL_WORK"
    apply(site, conversation_id)
    assert explained(site, conversation_id)["state"] == "AFTER_CALL_WORK"
    old, _ = recorded.store_call(site)
    with site.world.database.transaction() as session:
        session.get_one(Conversation, old).completed_at = START
    found = explained(site, old)
    assert (found["state"], found["sentence"]) == (
        "NOT_APPLIED", "The conversation was complete before there were policies; they are never retroactive.",
    )  # fmt: skip
    live = recorded.new_id()
    events = recorded.call_events(live, site.world.users["agent"], "t", ended=False)
    site.edge.conversations[live] = recorded.live_document(events)
    assert explained(site, live)["state"] == "IN_PROGRESS"


def test_c1_consent_refused_is_told(sqlite_site: Any, recorded: Any) -> None:
    conversation_id, _ = recorded.store_call(sqlite_site)
    with sqlite_site.world.database.transaction() as session:
        row = session.get_one(Conversation, conversation_id)
        row.timeline = {**row.timeline, "consent": "refused"}
    make(sqlite_site, "P", days(3))
    apply(sqlite_site, conversation_id)
    found = explained(sqlite_site, conversation_id)
    assert (found["state"], found["sentence"]) == (
        "NOT_APPLIED", "The caller refused to be recorded, so no policy runs.",
    )  # fmt: skip


def test_e2_e8_inbox_items_are_nobody_s_business(sqlite_site: Any, recorded: Any) -> None:
    conversation_id, recording_id = recorded.store_call(sqlite_site, role="ADHOC")
    make(sqlite_site, "P", days(3))
    apply(sqlite_site, conversation_id)
    assert explained(sqlite_site, conversation_id)["recordings"] == []
    assert explained(sqlite_site, conversation_id, "agent")["recordings"] == []
    found = sqlite_site.http().post(SIMULATE, json={"interval": INTERVAL, "policy": {"actions": days(3)}}).json()
    assert (found["matched"], found["recordings"]["deletedAfterDays"]) == (1, 0)
    with sqlite_site.world.database.reading() as session:
        assert session.get_one(Recording, recording_id).delete_date is None


def everything(site: Any) -> dict[str, list[Any]]:
    """Every row of every table that policies could touch."""
    with site.world.database.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table))]
            for table in Base.metadata.sorted_tables
            if table.name not in ("access_tokens",)
        }


def test_w1_a_dry_run_tells_all_and_changes_nothing(site: Any, recorded: Any) -> None:
    calls = [recorded.store_call(site)[0] for _ in range(3)]
    recorded.store_call(site, user="admin", divisions=[site.world.home])
    make(site, "Keep sales longer", days(365), {"forUsers": [{"id": site.world.users["agent"]}]})
    export = {"integrationExport": {"integration": {"id": "gone"}}}
    draft = {"name": "Draft", "actions": {**days(30), **export}, "conditions": {"directions": ["INBOUND"]}}
    before = everything(site)
    reply = site.http().post(SIMULATE, json={"policy": draft, "interval": INTERVAL, "pageSize": 2})
    assert reply.status_code == 200, reply.text
    assert everything(site) == before
    found = reply.json()
    assert (found["looked"], found["matched"], found["cut"]) == (4, 4, False)
    assert (found["won"], found["lost"], found["conversationsDeletedAfterDays"]) == (1, 3, 4)
    assert found["recordings"] == {
        "kept": 0, "deletedAtOnce": 0, "deletedAfterDays": 4, "goneByNow": 0, "archived": 0,
    }  # fmt: skip
    assert found["actions"] == [
        {"action": "integrationExport", "done": 0, "notDone": 4, "whyNot": {"what it mentions is not there": 4}}
    ]
    assert found["policyErrors"]["policyErrorMessages"][0]["userMessage"] == "There is no integration gone."
    assert (len(found["entities"]), found["pageCount"], found["total"]) == (2, 2, 4)
    second = site.http().post(
        SIMULATE, json={"policy": draft, "interval": INTERVAL, "pageSize": 2, "pageNumber": 2}
    ).json()  # fmt: skip
    entities = {item["id"]: item for item in found["entities"] + second["entities"]}
    one = entities[calls[0]]
    assert (one["won"], one["action"], one["recordings"]) == (False, "DELETE_AFTER", 1)
    assert one["sentence"].startswith('To be deleted on 22 November 2027 because policy "Keep sales longer" says')
    alone = site.http().post(SIMULATE, json={"policy": draft, "interval": INTERVAL, "alone": True}).json()
    assert (alone["won"], alone["lost"]) == (4, 0)
    cut = site.http().post(SIMULATE, json={"policy": draft, "interval": INTERVAL, "limit": 2}).json()
    assert (cut["looked"], cut["cut"], cut["matched"]) == (2, True, 2)
    nothing = site.http().post(
        SIMULATE, json={"policy": draft, "interval": "2026-11-21T00:00:00Z/2026-11-22T00:00:00Z"}
    ).json()  # fmt: skip
    assert (nothing["looked"], nothing["entities"]) == (0, [])


def test_a_dry_run_of_a_stored_policy_changed(sqlite_site: Any, recorded: Any) -> None:
    recorded.store_call(sqlite_site)
    policy_id = make(sqlite_site, "P", days(365))
    body = {"policyId": policy_id, "interval": INTERVAL}
    http = sqlite_site.http()
    assert http.post(SIMULATE, json=body).json()["conversationsDeletedAfterDays"] == 1
    changed = {"mediaPolicies": {"callPolicy": {"actions": {"alwaysDelete": True}}}}
    found = http.post(SIMULATE, json={**body, "policy": changed}).json()
    assert (found["won"], found["recordings"]["deletedAtOnce"], found["recordings"]["goneByNow"]) == (1, 1, 1)
    assert len(found["entities"][0]["matched"]) == 1
    assert http.post(SIMULATE, json={**body, "policyId": "unknown"}).status_code == 404


def test_a_dry_run_shows_only_what_the_caller_may_see(sqlite_site: Any, recorded: Any) -> None:
    from earwitness.store.tables import Grant, Role

    world = sqlite_site.world
    recorded.store_call(sqlite_site)
    recorded.store_call(sqlite_site, user="admin", divisions=[world.home])
    body = {"policy": {"actions": days(3)}, "interval": INTERVAL}
    assert sqlite_site.http("supervisor").post(SIMULATE, json=body).status_code == 403
    with world.database.transaction() as session:
        session.add(Role(id="r", name="r", permissions=["recording:retentionPolicy:view"], permission_policies=[],
                         created_at=1, modified_at=1))  # fmt: skip
        session.flush()
        session.add(Grant(id="g", subject_type="user", subject_id=world.users["supervisor"], role_id="r",
                          division_id=world.home, granted_at=1))  # fmt: skip
    found = sqlite_site.http("supervisor").post(SIMULATE, json=body).json()
    assert (found["looked"], found["recordings"]["deletedAfterDays"]) == (1, 1)
    assert sqlite_site.http().post(SIMULATE, json=body).json()["looked"] == 2


def test_f16_a_dry_run_meters(sqlite_site: Any, recorded: Any) -> None:
    from earwitness.store.tables import EvaluationForm

    for _ in range(5):
        recorded.store_call(sqlite_site)
    stamp = {"created_at": 1, "modified_at": 1}
    with sqlite_site.world.database.transaction() as session:
        session.add(EvaluationForm(id="f", name="F", division_id=sqlite_site.world.home, context_id="k", published_at=1,
                                   **stamp))  # fmt: skip
    evaluators = [{"id": sqlite_site.world.users[name]} for name in ("supervisor", "admin")]
    metered = {"evaluators": evaluators, "maxNumberEvaluations": 2, "evaluationForm": {"id": "f"},
               "timeInterval": {"days": 1}}  # fmt: skip
    actions = {
        "assignMeteredEvaluations": [metered],
        "assignMeteredAssignmentByAgent": [{**metered, "maxNumberEvaluations": 1}],
        "assignEvaluations": [{"evaluationForm": {"id": "f"}, "user": evaluators[0]}],
    }
    found = sqlite_site.http().post(SIMULATE, json={"policy": {"actions": actions}, "interval": INTERVAL}).json()
    assert {item["action"]: (item["done"], item["notDone"]) for item in found["actions"]} == {
        "assignEvaluations": (5, 0),
        "assignMeteredEvaluations": (4, 1),
        "assignMeteredAssignmentByAgent": (1, 4),
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"policy": {}},
        {"interval": INTERVAL},
        {"policy": {}, "interval": "yesterday"},
        {"policy": {}, "interval": "2026-11-23T00:00:00Z/2026-11-22T00:00:00Z"},
        {"policy": {"actions": days(-3)}, "interval": INTERVAL},
        {"policy": {}, "interval": INTERVAL, "limit": 0},
        {"policy": {}, "interval": INTERVAL, "limit": 1_000_000},
        {"policy": [], "interval": INTERVAL},
    ],
)
def test_dry_runs_that_make_no_sense_are_refused(lasting_site: Any, body: Any) -> None:
    assert lasting_site.http().post(SIMULATE, json=body).status_code == 400


def test_nothing_but_the_decision_is_written_when_nothing_matches(sqlite_site: Any, recorded: Any) -> None:
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    apply(sqlite_site, conversation_id)
    with sqlite_site.world.database.reading() as session:
        assert session.get_one(PolicyDecision, conversation_id).outcome == "KEEP"
        assert session.get_one(Recording, recording_id).version == 1
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "policies.apply")).all() == []
    found = explained(sqlite_site, conversation_id)
    assert found["sentence"] == "Kept without end because no policy says for how long to keep it."


def test_a_dry_run_that_takes_too_long_says_that_it_was_cut(
    sqlite_site: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        recorded.store_call(sqlite_site)
    monkeypatch.setattr("earwitness.web.api.policies.simulating.PATIENCE_S", -1.0)
    found = sqlite_site.http().post(SIMULATE, json={"policy": {}, "interval": INTERVAL}).json()
    assert (found["looked"], found["cut"]) == (0, True)
