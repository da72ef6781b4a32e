"""Surveys: forms, and customers who answer by an address."""

from __future__ import annotations

from typing import Any

import pytest
from quality_desk import field, question

FORMS = "/api/v2/quality/forms/surveys"
PUBLISHED = "/api/v2/quality/publishedforms/surveys"
SURVEYS = "/api/v2/quality/surveys"
GROUPS: list[dict[str, Any]] = [
    {
        "name": "Us",
        "questions": [
            question("Helped?", 1, 0),
            {"type": "npsQuestion", "text": "Recommend us?", "explanationPrompt": "Why?", "maxResponseCharacters": 20},
            {"type": "freeTextQuestion", "text": "Anything else?"},
        ],
    }
]


def make_form(http, **more):
    draft = http.post(FORMS, json={"name": "After the call", "questionGroups": GROUPS, "language": "en-US", **more})
    assert draft.status_code == 200, draft.text
    reply = http.post(PUBLISHED, json={"id": draft.json()["id"]})
    assert reply.status_code == 200, reply.text
    return draft.json(), reply.json()


def answers(form, pick=0, nps=9, text="Because", **more):
    asked = form["questionGroups"][0]["questions"]
    scores = [
        {"questionId": asked[0]["id"], "answerId": asked[0]["answerOptions"][pick]["id"]},
        {"questionId": asked[1]["id"], "npsScore": nps, "npsTextAnswer": text},
        {"questionId": asked[2]["id"], "freeTextAnswer": "Thanks", **more},
    ]
    return {"questionGroupScores": [{"questionGroupId": form["questionGroups"][0]["id"], "questionScores": scores}]}


def test_j8_survey_forms_have_versions(one_desk):
    http = one_desk.admin
    draft, version = make_form(http)
    assert version["contextId"] == draft["contextId"]
    assert http.put(f"{FORMS}/{version['id']}", json={"name": "Other"}).status_code == 409
    assert http.put(f"{FORMS}/{draft['id']}", json={"header": "Hello", "language": None}).json()["header"] == "Hello"
    second = http.post(PUBLISHED, json={"id": draft["id"], "again": 1}).json()
    listed = lambda path, **params: [x["id"] for x in http.get(path, params=params).json()["entities"]]  # noqa: E731
    assert listed(FORMS) == [draft["id"]]
    assert listed(f"{FORMS}/{draft['id']}/versions") == [second["id"], version["id"]]
    assert listed(PUBLISHED, onlyLatestEnabledPerContext="true") == [second["id"]]
    assert http.get(f"{PUBLISHED}/{draft['id']}").json()["id"] == second["id"]
    assert listed(f"{FORMS}/bulk", id=version["id"]) == [version["id"]]
    context = {"contextId": draft["contextId"]}
    assert http.get(f"{FORMS}/bulk/contexts", params=context).json()[0]["id"] == second["id"]
    assert http.get(f"{FORMS}/bulk/contexts", params={**context, "published": "false"}).json()[0]["id"] == draft["id"]
    assert http.patch(f"{FORMS}/{draft['id']}", json={"disabled": True}).status_code == 409
    assert field(http.patch(f"{FORMS}/{second['id']}", json={})) == "disabled"
    assert http.patch(f"{FORMS}/{second['id']}", json={"disabled": True}).json()["disabled"] is True
    assert listed(PUBLISHED, onlyLatestEnabledPerContext="true") == []
    assert listed(f"{PUBLISHED}/divisionviews", id=f"{version['id']},{second['id']}") == [version["id"]]
    assert http.get(f"{PUBLISHED}/divisionviews/{second['id']}").status_code == 404
    assert http.get(f"{PUBLISHED}/divisionviews/{version['id']}").json()["name"] == "After the call"
    history = http.get(FORMS, params={"expand": "publishHistory"}).json()["entities"][0]["publishedVersions"]
    assert history["total"] == 2
    assert [http.delete(f"{FORMS}/{version['id']}").status_code for _ in range(2)] == [204, 204]
    assert one_desk.agent.get(FORMS).status_code == 403


def test_a_customer_answers(desk):
    draft, form = make_form(desk.admin)
    body = {"conversationId": desk.conversation_id, "surveyFormContextId": draft["contextId"]}
    made = desk.admin.post(SURVEYS, json=body).json()
    assert (made["status"], made["agent"]["id"]) == ("Pending", desk.id("agent"))
    url = {"customerSurveyUrl": made["customerSurveyUrl"]}
    program = desk.site.http(None)  # whoever has the address
    shown = program.get(f"{SURVEYS}/scorable", params=url).json()
    assert shown["surveyForm"]["questionGroups"][0]["questions"][1]["type"] == "npsQuestion"
    put = lambda **more: program.put(f"{SURVEYS}/scorable", params=url, json=more)  # noqa: E731
    begun = {"questionGroupScores": answers(form)["questionGroupScores"][:0]}
    assert put(answers=begun).json()["status"] == "InProgress"
    root = "answers.questionGroupScores.0.questionScores"
    assert field(put(status="Finished", answers=begun)) == f"{root}.0.answerId"
    assert field(put(answers=answers(form, nps=11))) == f"{root}.1.npsScore"
    assert field(put(answers=answers(form, text="x" * 21))) == f"{root}.1.npsTextAnswer"
    assert field(put(answers=answers(draft))) == "answers.questionGroupScores.0.questionGroupId"
    assert field(put(status="Sent")) == "status"
    done = put(status="Finished", answers=answers(form)).json()
    assert (done["answers"]["totalScore"], done["answers"]["npsScore"]) == (100, 100)
    assert put(status="Finished", answers=answers(form)).json() == done
    assert put(status="Finished", answers=answers(form, nps=1)).status_code == 409
    found = desk.admin.get(f"/api/v2/quality/conversations/{desk.conversation_id}/surveys").json()
    assert [(item["id"], item["status"], item["missingRequiredAnswer"]) for item in found] == [
        (made["id"], "Finished", False)
    ]
    assert "customerSurveyUrl" not in desk.admin.get(f"{SURVEYS}/{made['id']}").json()
    scores = found[0]["answers"]["questionGroupScores"][0]["questionScores"]
    assert (scores[1]["npsScore"], scores[1]["npsTextAnswer"], scores[2]["freeTextAnswer"]) == (9, "Because", "Thanks")
    assert desk.agent.get(f"{SURVEYS}/{made['id']}").status_code == 403


def test_surveys_that_are_refused(one_desk):
    desk = one_desk
    draft, form = make_form(desk.admin)
    body = {"conversationId": desk.conversation_id, "surveyFormContextId": draft["contextId"]}
    post = lambda **more: desk.admin.post(SURVEYS, json={**body, **more})  # noqa: E731
    assert field(post(conversationId=None)) == "conversationId"
    assert field(post(surveyFormContextId="none")) == "surveyFormContextId"
    assert field(post(agentId=desk.id("admin"))) == "agentId"
    assert field(post(queueId="none")) == "queueId"
    assert post(conversationId="none").status_code == 404
    made = post().json()
    desk.admin.patch(f"{FORMS}/{form['id']}", json={"disabled": True})
    url = {"customerSurveyUrl": made["customerSurveyUrl"]}
    assert desk.admin.put(f"{SURVEYS}/scorable", params=url, json={"answers": answers(form)}).status_code == 409
    assert field(post()) == "surveyFormContextId"
    for wrong in ("none", "http://[", "https://x/?customerSurveyUrl=none"):
        assert desk.admin.get(f"{SURVEYS}/scorable", params={"customerSurveyUrl": wrong}).status_code == 404
    assert desk.admin.get(f"{SURVEYS}/none").status_code == 404


@pytest.mark.parametrize(
    ("pick", "nps", "total", "mean"), [(0, 10, 100, 100), (1, 7, 0, 0), (0, 6, 100, -100), (0, 0, 100, -100)]
)
def test_surveys_are_scored_without_being_kept(lasting_site, pick, nps, total, mean):
    http = lasting_site.http()
    _, form = make_form(http)
    reply = http.post(f"{SURVEYS}/scoring", json={"surveyForm": form, "answers": answers(form, pick, nps)}).json()
    assert (reply["totalScore"], reply["npsScore"]) == (total, mean)
    assert field(http.post(f"{SURVEYS}/scoring", json={})) == "surveyForm.questionGroups"
    assert field(http.post(f"{SURVEYS}/scoring", json={"surveyForm": form})) == "answers"
    nothing = {"surveyForm": {"questionGroups": GROUPS}, "answers": {}}
    assert field(http.post(f"{SURVEYS}/scoring", json=nothing)) == "questionGroups"
