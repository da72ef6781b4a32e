"""Calibrations and activity over the API."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
from quality_desk import answers, field

PATH = "/api/v2/quality/calibrations"
AGENTS = "/api/v2/quality/agents/activity"
EVALUATORS = "/api/v2/quality/evaluators/activity"


def make(desk, **more):
    body = {
        "conversation": {"id": desk.conversation_id},
        "evaluationForm": {"id": desk.form["id"]},
        "agent": {"id": desk.id("agent")},
        "calibrator": {"id": desk.id("admin")},
        "evaluators": [{"id": desk.id("evaluator")}, {"id": desk.id("supervisor")}],
        "expertEvaluator": {"id": desk.id("supervisor")},
        **more,
    }
    return desk.admin.post(PATH, json=body)


def get(desk, http, made):
    return http.get(f"{PATH}/{made['id']}", params={"conversationId": desk.conversation_id})


def finish(desk, http, made, user, *picks):
    mine = next(item for item in made["evaluations"] if item["evaluator"]["id"] == user)
    body = {"status": "FINISHED", "answers": answers(desk.form, *picks)}
    reply = http.put(f"{desk.path}/{mine['id']}", json=body)
    assert reply.status_code == 200, reply.text
    return mine


def test_evaluators_are_compared(desk):
    made = make(desk).json()
    assert {item["evaluator"]["id"] for item in made["evaluations"]} == {desk.id("evaluator"), desk.id("supervisor")}
    assert made["scoringIndex"]["evaluator"]["id"] == desk.id("supervisor")
    assert "averageScore" not in made
    supervisor = desk.site.http("supervisor")
    finish(desk, supervisor, made, desk.id("supervisor"), 0, None, 0)
    blind = get(desk, desk.evaluator, made).json()
    assert [item["evaluator"]["id"] for item in blind["evaluations"]] == [desk.id("evaluator")]
    assert "averageScore" not in blind
    theirs = next(item for item in made["evaluations"] if item["evaluator"]["id"] == desk.id("supervisor"))
    assert desk.evaluator.get(f"{desk.path}/{theirs['id']}").status_code == 404
    finish(desk, desk.evaluator, made, desk.id("evaluator"), 1, 0, 0)
    for http in (desk.admin, desk.evaluator, supervisor):
        found = get(desk, http, made).json()
        assert (found["averageScore"], found["highScore"], found["lowScore"]) == (88, 100, 75)
        assert len(found["evaluations"]) == 2


def test_a_calibration_is_nothing_for_the_agent(one_desk):
    desk = one_desk
    made = make(desk).json()
    mine = finish(desk, desk.evaluator, made, desk.id("evaluator"), 0, None, 0)
    released = desk.admin.put(
        f"{desk.path}/{mine['id']}", json={"neverRelease": False, "releaseDate": "2026-01-01T00:00:00Z"}
    )
    assert field(released) == "neverRelease"
    assert desk.agent.get(f"{desk.path}/{mine['id']}").status_code == 404
    agents = desk.admin.get(AGENTS, params={"agentUserId": desk.id("agent")}).json()["entities"]
    assert agents[0]["numEvaluations"] == 0


def test_what_a_calibration_needs(one_desk):
    desk = one_desk
    refused = {
        "conversation.id": {"conversation": None},
        "evaluationForm.id": {"evaluationForm": {"id": "none"}},
        "agent.id": {"agent": {"id": desk.id("admin")}},
        "calibrator.id": {"calibrator": {"id": "none"}},
        "evaluators": {"evaluators": [], "expertEvaluator": None},
        "evaluators.0.id": {"evaluators": [{"id": desk.id("agent")}]},
        "expertEvaluator.id": {"expertEvaluator": {"id": "none"}},
    }
    for name, change in refused.items():
        assert field(make(desk, **change)) == name
    assert make(desk, conversation={"id": "none"}).status_code == 404
    found = make(desk, agent=None, calibrator=None).json()
    assert (found["agent"]["id"], found["calibrator"]["id"]) == (desk.id("agent"), desk.id("admin"))
    assert field(desk.admin.get(f"{PATH}/{found['id']}")) == "calibratorId"
    assert desk.admin.get(f"{PATH}/{found['id']}", params={"calibratorId": "other"}).status_code == 404
    assert desk.agent.get(f"{PATH}/{found['id']}", params={"calibratorId": "x"}).status_code == 403


def test_people_of_a_calibration_change(one_desk):
    desk = one_desk
    made = make(desk).json()
    put = lambda **body: desk.admin.put(f"{PATH}/{made['id']}", json=body)  # noqa: E731
    more = put(evaluators=[{"id": desk.id("evaluator")}, {"id": desk.id("admin")}]).json()
    assert len(more["evaluations"]) == 3
    fewer = put(evaluators=[{"id": desk.id("evaluator")}]).json()
    assert len(fewer["evaluations"]) == 2
    finish(desk, desk.evaluator, fewer, desk.id("evaluator"), 0, None, 0)
    assert put(evaluators=[{"id": desk.id("admin")}]).status_code == 409
    assert field(put(evaluators=[], expertEvaluator=None)) == "evaluators"
    index = next(item for item in fewer["evaluations"] if item["evaluator"]["id"] == desk.id("evaluator"))
    assert put(scoringIndex={"id": index["id"]}).json()["scoringIndex"]["id"] == index["id"]
    assert field(put(scoringIndex={"id": "none"})) == "scoringIndex.id"
    expert = put(expertEvaluator={"id": desk.id("evaluator")}, evaluators=[{"id": desk.id("supervisor")}]).json()
    assert (expert["expertEvaluator"]["id"], len(expert["evaluations"])) == (desk.id("evaluator"), 2)
    assert desk.evaluator.put(f"{PATH}/{made['id']}", json={}).status_code == 403


def test_calibrations_are_listed_and_deleted(one_desk):
    desk = one_desk
    made = make(desk).json()
    mine = {"calibratorId": desk.id("admin")}
    assert desk.admin.get(PATH).status_code == 400
    assert desk.admin.get(PATH, params=mine).json()["total"] == 1
    assert desk.admin.get(PATH, params={"calibratorId": desk.id("agent")}).json()["total"] == 0
    assert desk.admin.get(PATH, params={**mine, "conversationId": "none"}).json()["total"] == 0
    assert desk.admin.get(PATH, params={**mine, "endTime": made["createdDate"]}).json()["total"] == 0
    assert desk.evaluator.get(PATH, params=mine).json()["total"] == 1
    path = f"{PATH}/{made['id']}"
    assert desk.admin.delete(path, params={"calibratorId": "other"}).status_code == 404
    assert [desk.admin.delete(path, params=mine).status_code for _ in range(2)] == [200, 200]
    assert desk.admin.get(path, params=mine).status_code == 404
    assert desk.evaluator.get(f"{desk.path}/{made['evaluations'][0]['id']}").status_code == 404


def test_the_sdk_changes_a_calibration(one_desk):
    desk = one_desk
    made = make(desk).json()
    api = sdk.QualityApi(desk.site.sdk("client"))
    found = api.get_quality_calibration(made["id"], calibrator_id=desk.id("admin"))
    kept = api.put_quality_calibration(made["id"], found)
    assert {item.id for item in kept.evaluations} == {item.id for item in found.evaluations}
    assert api.get_quality_calibrations(desk.id("admin")).total == 1
    assert api.delete_quality_calibration(made["id"], desk.id("admin")).id == made["id"]


def test_activity_of_agents(desk):
    first, second, _ = (desk.make(number=n) for n in range(3))
    desk.finish(first, 0, None, 0)
    desk.finish(second, 1, 0, 0)
    asked = {"agentUserId": desk.id("agent")}
    one = desk.admin.get(AGENTS, params=asked).json()["entities"][0]
    assert (one["numEvaluations"], one["averageEvaluationScore"]) == (2, 88)
    assert (one["highestEvaluationScore"], one["lowestEvaluationScore"]) == (100, 75)
    assert (one["numCriticalEvaluations"], one["averageCriticalScore"]) == (2, 50)
    assert [item["evaluator"]["id"] for item in one["agentEvaluatorActivityList"]] == [desk.id("evaluator")]
    none = desk.admin.get(AGENTS, params={**asked, "evaluatorUserId": desk.id("admin")}).json()["entities"][0]
    assert none["numEvaluations"] == 0
    later = desk.admin.get(AGENTS, params={**asked, "startTime": "2090-01-01T00:00:00Z"}).json()["entities"][0]
    assert later["numEvaluations"] == 0
    by = desk.admin.get(AGENTS, params={"evaluatorUserId": desk.id("evaluator")}).json()["entities"]
    assert [item["id"] for item in by] == [desk.id("agent")]
    assert desk.admin.get(AGENTS).json()["total"] == 5
    assert desk.admin.get(AGENTS, params={"group": "g"}).json()["total"] == 0
    assert desk.admin.get(AGENTS, params={"name": "Agen"}).json()["total"] == 1
    assert desk.admin.get(AGENTS, params={"agentTeamId": "none"}).json()["total"] == 0
    assert field(desk.admin.get(AGENTS, params={"startTime": "x"})) == "startTime"
    assert field(desk.admin.get(AGENTS, params={"userState": "Some"})) == "userState"


def test_activity_of_evaluators(desk):
    first, second, _ = (desk.make(number=n) for n in range(3))
    make(desk)
    desk.finish(first, 0, None, 0)
    desk.put(desk.evaluator, second, answers=answers(desk.form, 0))
    found = {item["id"]: item for item in desk.admin.get(EVALUATORS).json()["entities"]}
    mine = found[desk.id("evaluator")]
    counts = [mine[f"numEvaluations{what}"] for what in ("Assigned", "Started", "Completed")]
    assert counts == [3, 1, 1]
    assert mine["numCalibrationsAssigned"] == 1
    asked = {"permission": "quality:evaluation:editScore,quality:evaluationForm:view"}
    able = {item["id"] for item in desk.admin.get(EVALUATORS, params=asked).json()["entities"]}
    assert able == {desk.id(name) for name in ("admin", "supervisor", "evaluator")}
    unseen = desk.evaluator.get(EVALUATORS, params={"name": "Supervisor"}).json()["entities"]
    assert unseen[0]["numEvaluationsWithoutViewPermission"] == 1
