"""A form, a call, and the people who have to do with its evaluation."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import delete

from earwitness.store.tables import Grant

FORMS = "/api/v2/quality/forms/evaluations"
PUBLISHED = "/api/v2/quality/publishedforms/evaluations"
QUERY = "/api/v2/quality/evaluations/query"


def option(text: str, value: int) -> dict[str, Any]:
    return {"text": text, "value": value}


def question(text: str, *values: int, **more: Any) -> dict[str, Any]:
    options = [option(f"{text} {n}", value) for n, value in enumerate(values)]
    return {"type": "multipleChoiceQuestion", "text": text, "answerOptions": options, **more}


GROUPS = [
    {
        "name": "Manners",
        "questions": [
            question("Greeted?", 1, 0, isCritical=True),
            question(
                "Why not?",
                2,
                0,
                visibilityCondition={
                    "combiningOperation": "AND",
                    "predicates": ["/form/questionGroup/0/question/0/answer/1"],
                },
            ),
        ],
    },
    {"name": "Law", "naEnabled": True, "questions": [question("Told the price?", 1, 0, isKill=True, naEnabled=True)]},
]


def make_form(http: httpx.Client, groups: Any = None, **more: Any) -> dict[str, Any]:
    """A published form."""
    body = {"name": "Form", "questionGroups": groups or GROUPS, **more}
    draft = http.post(FORMS, json=body)
    assert draft.status_code == 200, draft.text
    reply = http.post(PUBLISHED, json={"id": draft.json()["id"], "published": True})
    assert reply.status_code == 200, reply.text
    return reply.json()


def answers(form: dict[str, Any], *picks: int | str | None) -> dict[str, Any]:
    """One pick a question, in order: number of the answer, "na" or None."""
    left = list(picks)
    groups = []
    for group in form["questionGroups"]:
        scores = []
        for asked in group["questions"]:
            pick = left.pop(0) if left else None
            said: dict[str, Any] = {"questionId": asked["id"]}
            if pick == "na":
                said["markedNA"] = True
            elif pick is not None:
                said["answerId"] = asked["answerOptions"][pick]["id"]
            scores.append(said)
        groups.append({"questionGroupId": group["id"], "questionScores": scores})
    return {"questionGroupScores": groups}


class Desk:
    """A form, a call of the agent, and who has to do with it: ``admin``, ``evaluator``, ``agent``."""

    def __init__(self, site: Any, recorded: Any, **form: Any) -> None:
        self.site, self.world = site, site.world
        self.conversation_id, self.recording_id = recorded.store_call(site)
        with self.world.database.transaction() as session:
            own_calls = {"role_id": self.world.roles["ownCalls"], "subject_id": self.world.users["agent"]}
            session.execute(delete(Grant).filter_by(**own_calls))
            session.merge(
                Grant(
                    id="evaluator",
                    subject_type="user",
                    subject_id=self.world.users["nobody"],
                    role_id=self.world.roles["evaluator"],
                    division_id=self.world.sales,
                    granted_at=1,
                )
            )
        self.admin, self.evaluator, self.agent = (site.http(name) for name in ("admin", "nobody", "agent"))
        self.form = make_form(self.admin, **form)
        self.path = f"/api/v2/quality/conversations/{self.conversation_id}/evaluations"

    def id(self, name: str) -> str:
        return self.world.users["nobody" if name == "evaluator" else name]

    def body(self, **more: Any) -> dict[str, Any]:
        return {
            "evaluationForm": {"id": self.form["id"]},
            "evaluator": {"id": self.id("evaluator")},
            "agent": {"id": self.id("agent")},
            **more,
        }

    def make(self, **more: Any) -> dict[str, Any]:
        reply = self.admin.post(self.path, json=self.body(**more))
        assert reply.status_code == 200, reply.text
        return reply.json()

    def put(self, who: httpx.Client, made: dict[str, Any], **body: Any) -> httpx.Response:
        return who.put(f"{self.path}/{made['id']}", json=body)

    def finish(self, made: dict[str, Any], *picks: Any) -> dict[str, Any]:
        reply = self.put(self.evaluator, made, status="FINISHED", answers=answers(self.form, *picks))
        assert reply.status_code == 200, reply.text
        return reply.json()

    def get(self, who: httpx.Client, made: dict[str, Any]) -> httpx.Response:
        return who.get(f"{self.path}/{made['id']}")

    def release(self, made: dict[str, Any], at: str = "2026-01-01T00:00:00Z") -> None:
        assert self.put(self.admin, made, releaseDate=at).status_code == 200


def field(reply: httpx.Response, status: int = 400) -> str:
    """The first field that a refusal names."""
    assert reply.status_code == status, reply.text
    return str(reply.json()["details"][0]["fieldName"])
