"""Find and erase one person: preview, holds, inboxes, pseudonym, receipt."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import text
from sqlalchemy.orm import undefer

from earwitness.archive.vault.keys import verify
from earwitness.archive.vault.log import canonical
from earwitness.store import after_call_work, search_index
from earwitness.store.tables import AuditEntry, Conversation, Erasure, Participant, Recording
from earwitness.worker import erasures
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench
from earwitness.worker.purge import Purge
from earwitness.worker.steady import SteadyClock

PATH = "/api/v2/earwitness/erasures"
PERSON = {"number": "030 / 111", "countryCode": "49", "reason": "asked by mail, call back +49 30 111"}


def bench(site: Any, ahead_us: int = 0) -> Bench:
    arguments = WorkerArguments(
        database_url=site.arguments.database_url,
        spool=site.arguments.spool_dir,
        vault_url=site.arguments.vault_url,
        keys=site.arguments.keys_dir,
    )
    return Bench(site.world.database, arguments, lambda: int(dt.datetime.now(dt.UTC).timestamp() * 1e6) + ahead_us)


def call(site: Any, recorded: Any, ani: str, dnis: str = "+4930999", **more: Any) -> tuple[str, str]:
    """A call with these numbers; its time line and events speak of ``+4930111`` where ``ani`` is that person's."""
    conversation_id, recording_id = recorded.store_call(site, **more)
    with site.world.database.transaction() as session:
        search_index.forget(session, conversation_id)
        row = session.get_one(Conversation, conversation_id, options=[undefer(Conversation.events)])
        row.ani, row.dnis = ani, dnis
        for column in ("timeline", "events"):
            plain = json.dumps(getattr(row, column)).replace("+4930111", ani or dnis)
            setattr(row, column, json.loads(plain))
        session.flush()
        search_index.write(session, conversation_id)
    return conversation_id, recording_id


def everything_stored(site: Any) -> str:
    """Every text in the database, the audit log included."""
    found = []
    with site.world.database.reading() as session:
        for table in (
            "conversations",
            "participants",
            "after_call_work",
            "erasures",
            "audit_log",
            "conversation_terms",
        ):
            found += [str(row) for row in session.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(found)


def test_w5_one_person_is_found_in_any_spelling_and_erased(site, recorded):
    caller, called = call(site, recorded, "0049 30 111"), call(site, recorded, "+49301119", "(030) 111")
    stranger = call(site, recorded, "+49301119")
    inbox = call(site, recorded, "+4930111", role="ADHOC")
    held = call(site, recorded, "030111")
    transferred = call(site, recorded, "+49301119")
    with site.world.database.transaction() as session:
        person = session.get_one(Participant, (transferred[0], "p1"))
        search_index.forget(session, transferred[0])
        person.address, person.attributes = "sip:+4930111@carrier", {"callerId": "030-111", "mood": "fine"}
        session.flush()
        search_index.write(session, transferred[0])
        work = after_call_work.add(session, conversation_id=caller[0], participant_id="p2", user_id="u", queue_id="q",
                                   started_at=1, deadline_at=2)  # fmt: skip
        after_call_work.give(session, work, at=2, code_id=None, code_name=None, notes="ring 030 111 back")
    http = site.http()
    assert http.put("/api/v2/recordings/deletionprotection", json={"conversationIds": [held[0]]}).status_code == 200
    made = http.post(PATH, json=PERSON).json()
    assert (made["state"], made["number"], made["totalConversations"]) == ("PREVIEW", "+4930111", 5)
    assert (made["totalRecordings"], made["totalUserRecordings"], made["totalHeld"]) == (4, 1, 1)
    assert {"+4930111", "004930111", "030111"} <= set(made["spellings"])
    shown = {
        item["conversation"]["id"]: item for item in http.get(f"{PATH}/{made['id']}/conversations").json()["entities"]
    }
    assert set(shown) == {caller[0], called[0], inbox[0], held[0], transferred[0]}
    assert (shown[caller[0]]["foundAs"], shown[called[0]]["foundAs"]) == (["caller"], ["called"])
    assert "participant" in shown[transferred[0]]["foundAs"]
    assert (shown[inbox[0]]["recordings"], shown[inbox[0]]["userRecordings"]) == ([], 1)
    assert inbox[1] not in json.dumps(shown), "whose inbox item it is, and which, is its owner's business"
    assert shown[held[0]]["protected"] is True
    assert erasures.go_on(bench(site)) == 0, "a preview changes nothing"
    assert http.get(f"/api/v2/conversations/{caller[0]}/recordings").json() != []

    assert http.post(f"{PATH}/{made['id']}/confirm").json()["state"] == "CONFIRMED"
    assert http.post(f"{PATH}/{made['id']}/confirm").json()["state"] == "CONFIRMED"
    assert http.delete(f"{PATH}/{made['id']}").status_code == 409
    assert erasures.go_on(bench(site)) == 5
    assert http.get(f"{PATH}/{made['id']}").json()["state"] == "CONFIRMED", "not done before all is destroyed"
    assert Purge(SteadyClock(lambda: 0.0))(bench(site)) == 4
    assert erasures.go_on(bench(site)) == 0

    done = http.get(f"{PATH}/{made['id']}").json()
    assert (done["state"], done["totalErased"], done["totalHeld"], done.get("number")) == ("DONE", 4, 1, None)
    body = done["receipt"]["receipt"]
    assert body["recordings"] == sorted([caller[1], called[1], inbox[1], transferred[1]])
    assert (body["held"], body["confirmed_by"]) == ([held[0]], f"user:{site.world.users['admin']}")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(done["publicKeys"][done["receipt"]["key"]]))
    verify(key, "erasure", canonical(body), base64.b64decode(done["receipt"]["signature"]))
    with site.world.database.reading() as session:
        states = {
            name: session.get_one(Recording, name).file_state for name in (caller[1], inbox[1], held[1], stranger[1])
        }
        assert list(states.values()) == ["DELETED", "DELETED", "AVAILABLE", "AVAILABLE"]
        assert session.get_one(Recording, inbox[1]).receipt["receipt"]["reason"] == f"erasure {made['id']}"
        assert session.get_one(Conversation, held[0]).ani == "030111"
        assert session.get_one(Conversation, called[0]).dnis == done["pseudonym"]
        person = session.get_one(Participant, (transferred[0], "p1"))
        assert person.address == f"sip:{done['pseudonym']}@carrier"
        assert person.attributes == {"callerId": done["pseudonym"], "mood": "fine"}
        who = {row.action: row.subject_id for row in session.query(AuditEntry).filter_by(entity_type="erasure")}
    assert who.keys() >= {"findPerson", "confirmErasure", "erasure.done"}
    assert set(who.values()) == {site.world.users["admin"]}
    assert http.put(
        "/api/v2/recordings/deletionprotection?protect=false", json={"conversationIds": [held[0]]}
    ).is_success
    again = http.post(PATH, json=PERSON).json()
    assert again["totalConversations"] == 1
    http.post(f"{PATH}/{again['id']}/confirm")
    erasures.go_on(bench(site))
    Purge(SteadyClock(lambda: 0.0))(bench(site))
    erasures.go_on(bench(site))
    stored = everything_stored(site)
    for spelling in (
        "+4930111'",
        '+4930111"',
        "4930111@",
        "030111",
        "030 111",
        "30 111",
        "030-111",
        "n:1110394'",
        "n:11103'",
    ):
        assert spelling not in stored, spelling


def test_wrong_erasures_are_refused_and_previews_can_be_dropped(sqlite_site, recorded):
    http = sqlite_site.http()
    for wrong in ({}, {**PERSON, "countryCode": None}, {**PERSON, "number": "Anna"}, {**PERSON, "reason": ""},
                  {**PERSON, "countryCode": "4"}, {"number": "+49 30 111"}):  # fmt: skip
        assert http.post(PATH, json=wrong).status_code == 400, wrong
    assert sqlite_site.http("supervisor").post(PATH, json=PERSON).status_code == 403
    assert http.get(f"{PATH}/nowhere").status_code == 404
    made = http.post(PATH, json=PERSON).json()
    assert made["totalConversations"] == 0
    assert http.delete(f"{PATH}/{made['id']}").status_code == 204
    assert http.delete(f"{PATH}/{made['id']}").status_code == 204
    assert http.post(f"{PATH}/{made['id']}/confirm").status_code == 409
    assert [item["state"] for item in http.get(PATH).json()["entities"]] == ["CANCELLED"]
    forgotten = http.post(PATH, json={**PERSON, "reason": "another"}).json()
    erasures.go_on(bench(sqlite_site, 31 * 86_400_000_000))
    with sqlite_site.world.database.reading() as session:
        row = session.get_one(Erasure, forgotten["id"])
        assert (row.state, row.number) == ("CANCELLED", None)


def test_an_erasure_goes_on_after_a_crash(site, recorded, monkeypatch):
    for _ in range(3):
        call(site, recorded, "+4930111")
    http = site.http()
    made = http.post(PATH, json=PERSON).json()
    http.post(f"{PATH}/{made['id']}/confirm")
    monkeypatch.setattr(erasures, "BATCH", 1)
    original = erasures.erasures.pseudonymise
    calls = []

    def dies_the_second_time(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("killed")
        original(*arguments)

    monkeypatch.setattr(erasures.erasures, "pseudonymise", dies_the_second_time)
    with pytest.raises(RuntimeError):
        erasures.go_on(bench(site))
    assert http.get(f"{PATH}/{made['id']}").json()["totalErased"] == 1
    with site.world.database.reading() as session:
        assert session.query(Recording).filter_by(file_state="DELETED").count() == 1
    assert erasures.go_on(bench(site)) == 2
    Purge(SteadyClock(lambda: 0.0))(bench(site))
    erasures.go_on(bench(site))
    assert http.get(f"{PATH}/{made['id']}").json()["state"] == "DONE"
