"""Queues, flows and prompts as the edge gets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earwitness.domain.configuration import Flow as KnownFlow
from earwitness.domain.configuration import Prompt as KnownPrompt
from earwitness.domain.configuration import Snapshot, WrapupCode
from earwitness.store import settings, snapshot
from earwitness.store.database import Database
from earwitness.store.secret_box import KeyFileBox
from earwitness.store.tables import (
    Division,
    Flow,
    FlowVersion,
    Organization,
    Prompt,
    PromptResource,
    Queue,
    QueueMember,
    QueueWrapupCode,
    User,
)
from earwitness.store.tables import WrapupCode as Code

STAMP: dict[str, Any] = {"created_at": 1, "modified_at": 1}
AT: dict[str, Any] = {**STAMP, "division_id": "home"}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.transaction() as session:
        session.add(Organization(id="o", name="Acme", created_at=1))
        session.add(Division(id="home", name="Home", home=True, **STAMP))
        session.flush()
        for name, state in (("ann", "active"), ("bob", "active"), ("cid", "active"), ("eve", "inactive")):
            session.add(User(id=name, name=name, email=f"{name}@x", state=state, **AT))
    yield database
    database.dispose()


def build(database: Database) -> Snapshot:
    with database.reading() as session:
        found = snapshot.build(session, KeyFileBox(bytes(32)), Path("/data/prompts"))
    assert Snapshot.from_document(found.to_document()) == found
    return found


def add(database: Database, *rows: Any) -> None:
    """Adds rows; the edge is to notice."""
    before = build(database).version
    with database.transaction() as session:
        for row in rows:
            session.add(row)
            session.flush()
    assert build(database).version == before + 1


def test_b4_a_queue_of_few_words_suppresses_its_wait(database: Database) -> None:
    add(database, Queue(id="q", name="Sales", **AT))
    (queue,) = build(database).queues
    assert (queue.suppress_recording, queue.alerting_s, queue.acw, queue.acw_s) == (True, 8.0, "OPTIONAL", 300.0)
    assert (queue.members, queue.hold_music, queue.in_queue_flow_id) == ((), "", None)


def test_a_queue_with_everything(database: Database) -> None:
    add(
        database,
        Prompt(id="m", name="Waltz", **AT),
        Flow(id="f", name="Wait", type="inqueuecall", **AT),
        Code(id="k2", name="Sold", **AT),
        Code(id="k1", name="Again", **AT),
        Code(id="k3", name="Gone", state="deleted", **AT),
        Queue(
            id="q",
            name="Sales",
            suppress_in_queue_call_recording=False,
            media_settings={"call": {"alertingTimeoutSeconds": 20}},
            wrapup_prompt="MANDATORY_TIMEOUT",
            wrapup_timeout_ms=30_000,
            queue_flow_id="f",
            on_hold_prompt_id="m",
            **AT,
        ),
        *(QueueWrapupCode(queue_id="q", code_id=code_id, added_at=1) for code_id in ("k1", "k2", "k3")),
        QueueMember(queue_id="q", user_id="bob", added_at=1),
        QueueMember(queue_id="q", user_id="ann", added_at=2),
        QueueMember(queue_id="q", user_id="cid", joined=False, added_at=3),
        QueueMember(queue_id="q", user_id="eve", added_at=4),
    )
    (queue,) = build(database).queues
    assert queue.members == ("bob", "ann")
    assert not queue.suppress_recording
    assert (queue.alerting_s, queue.acw, queue.acw_s) == (20.0, "MANDATORY_TIMEOUT", 30.0)
    assert queue.wrapup_codes == (WrapupCode("k1", "Again"), WrapupCode("k2", "Sold"))
    assert (queue.hold_music, queue.in_queue_flow_id) == ("Waltz", None)
    with database.transaction() as session:
        session.add(FlowVersion(flow_id="f", number=1, source="text", created_at=1))
        flow = session.get(Flow, "f")
        assert flow is not None
        flow.published_number = 1
    assert build(database).queues[0].in_queue_flow_id == "f"


def test_flows_are_those_published_as_they_were_published(database: Database) -> None:
    add(
        database,
        Flow(id="f", name="Hotline", type="inboundcall", published_number=2, saved_number=3, **AT),
        Flow(id="draft", name="Draft", type="inboundcall", saved_number=1, **AT),
        Flow(id="gone", name="Gone", type="inboundcall", published_number=1, state="deleted", **AT),
        *(FlowVersion(flow_id="f", number=n, source=f"text {n}", created_at=n) for n in (1, 2, 3)),
        FlowVersion(flow_id="draft", number=1, source="x", created_at=1),
        FlowVersion(flow_id="gone", number=1, source="x", created_at=1),
    )
    assert build(database).flows == (KnownFlow("f", "Hotline", "inboundcall", "2.0", "text 2"),)


def test_prompts_with_their_files(database: Database) -> None:
    add(
        database,
        Prompt(id="p", name="Welcome", **AT),
        Prompt(id="e", name="Empty", **AT),
        PromptResource(prompt_id="p", language="de-de", file="p.de-de.1.wav", **STAMP),
        PromptResource(prompt_id="p", language="en-us", file="p.en-us.2.wav", **STAMP),
        PromptResource(prompt_id="p", language="fr-fr", tts_string="Bonjour", **STAMP),
    )
    files = {"de-de": "/data/prompts/p.de-de.1.wav", "en-us": "/data/prompts/p.en-us.2.wav"}
    assert build(database).prompts == (KnownPrompt("Welcome", files),)


def test_settings_that_calls_go_by(database: Database) -> None:
    found = build(database)
    assert (found.record_code, found.stop_when_only_external, found.ring_timeout_s) == ("*1", True, 30.0)
    with database.transaction() as session:
        settings.put(session, settings.TELEPHONY, {"ringTimeoutSeconds": 12, "recordCode": ""}, 5)
        settings.put(session, settings.RECORDING, {settings.STOP_WHEN_ONLY_EXTERNAL: False}, 5)
    changed = build(database)
    assert (changed.record_code, changed.stop_when_only_external, changed.ring_timeout_s) == ("", False, 12.0)
    assert changed.version == found.version + 1
