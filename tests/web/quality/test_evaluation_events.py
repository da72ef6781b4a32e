"""Live events of evaluations, and releases whose date comes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from earwitness.domain.access import Subject
from earwitness.store import access, audit
from earwitness.web.notify import topics
from earwitness.web.notify.evaluations import Evaluations
from earwitness.worker.release_evaluations import release_due

NAME = "v2.quality.evaluations"


@dataclass
class Listener:
    access: Any
    told: list[dict[str, Any]] = field(default_factory=list)

    def wants(self, *kinds: str) -> list[topics.Topic]:
        topic = topics.parse(NAME)
        assert topic is not None
        return [topic] if topic.kind in kinds else []

    def put(self, frame: str) -> None:
        self.told.append(json.loads(frame)["eventBody"])


def test_whoever_may_see_an_evaluation_is_told_of_it(one_desk):
    desk, events, parts = one_desk, Evaluations(), one_desk.site.app.state.services
    with desk.world.database.reading() as session:
        everybody = {
            name: Listener(access.access_of(session, Subject("user", desk.id(name))))
            for name in ("admin", "evaluator", "agent", "other")
        }

    def look() -> dict[str, list[str]]:
        with desk.world.database.reading() as session:
            events.deliver(parts, session, list(everybody.values()), parts.clock.now_us())
        found = {name: [body["status"] for body in item.told] for name, item in everybody.items() if item.told}
        for item in everybody.values():
            item.told.clear()
        return found

    look()
    made = desk.make()
    assert look() == {"admin": ["Pending"], "evaluator": ["Pending"]}
    assert look() == {}
    desk.finish(made, 0, None, 0)
    assert look() == {"admin": ["Finished"], "evaluator": ["Finished"]}
    desk.release(made)
    assert look() == {"admin": ["Finished"], "evaluator": ["Finished"], "agent": ["Finished"]}
    desk.admin.delete(f"{desk.path}/{made['id']}")
    with desk.world.database.reading() as session:
        events.deliver(parts, session, list(everybody.values()), parts.clock.now_us())
    assert [body["eventType"] for body in everybody["admin"].told] == ["DELETE"]
    assert everybody["agent"].told == []
    assert topics.missing(topics.parse(NAME), everybody["other"].access) is None
    assert topics.missing(topics.parse(NAME), access_of_nobody()) == ("quality:evaluation:view",)


def access_of_nobody() -> Any:
    from earwitness.domain.access import resolve

    return resolve(Subject("user", "nobody"), [])


def test_j6_evaluations_are_released_when_their_date_has_come(desk):
    made = desk.make()
    desk.finish(made, 0, None, 0)
    later = datetime.now(UTC) + timedelta(days=3)
    desk.release(made, later.isoformat())
    at = int(later.timestamp() * 1_000_000) + 1
    assert release_due(desk.world.database, at - 10) == 0
    assert desk.get(desk.agent, made).status_code == 404
    assert release_due(desk.world.database, at) == 1
    assert release_due(desk.world.database, at) == 0
    assert desk.get(desk.agent, made).status_code == 200
    with desk.world.database.reading() as session:
        rows = audit.listing(session, entity_id=made["id"], action="release").items
        assert [(row.subject_type, row.conversation_id) for row in rows] == [("system", desk.conversation_id)]
