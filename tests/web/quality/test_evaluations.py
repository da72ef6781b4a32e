"""Evaluations over the API: who makes, sees, answers, releases, signs off and disputes them (J1 to J10, J15)."""

from __future__ import annotations

import uuid

import PureCloudPlatformClientV2 as sdk  # noqa: N813
from quality_desk import FORMS, GROUPS, PUBLISHED, QUERY, answers, field, make_form

from earwitness.store.tables import User


def test_j3_from_pending_to_finished(desk):
    made = desk.make()
    assert made["status"] == "PENDING"
    assert made["evaluationSource"] == {"type": "User", "id": desk.id("admin")}
    begun = desk.put(desk.evaluator, made, answers=answers(desk.form, 0))
    assert begun.json()["status"] == "INPROGRESS"
    done = desk.finish(made, 0, None, 0)
    assert (done["status"], done["answers"]["totalScore"], done["answers"]["totalCriticalScore"]) == (
        "FINISHED",
        100,
        100,
    )
    hidden = done["answers"]["questionGroupScores"][0]["questionScores"][1]
    assert (hidden["markedNA"], hidden["systemMarkedNA"]) == (True, True)
    again = desk.put(desk.evaluator, made, status="FINISHED", answers=answers(desk.form, 0, None, 0)).json()
    assert again["changedDate"] == done["changedDate"]
    assert desk.put(desk.evaluator, made, status="PENDING").status_code == 409


def test_j4_what_an_evaluation_needs(one_desk):
    desk = one_desk
    draft = desk.admin.post(FORMS, json={"name": "Draft", "questionGroups": GROUPS}).json()
    gone = make_form(desk.admin)
    assert desk.admin.delete(f"{FORMS}/{gone['id']}").status_code == 204
    post = lambda **more: desk.admin.post(desk.path, json=desk.body(**more))  # noqa: E731
    assert field(post(evaluationForm=None)) == "evaluationForm.id"
    assert field(post(evaluator={})) == "evaluator.id"
    assert field(post(agent=None)) == "agent.id"
    assert field(post(evaluationForm={"id": draft["id"]})) == "evaluationForm.id"
    assert field(post(evaluationForm={"id": gone["id"]})) == "evaluationForm.id"
    assert field(post(evaluationForm={"id": "none"})) == "evaluationForm.id"
    assert field(post(evaluator={"id": "none"})) == "evaluator.id"
    assert field(post(agent={"id": desk.id("admin")})) == "agent.id"
    assert field(post(evaluator={"id": desk.id("agent")})) == "evaluator.id"
    assert field(post(conversation={"id": "other"})) == "conversation.id"
    assert field(post(status="outdated_sdk_version")) == "status"
    elsewhere = f"/api/v2/quality/conversations/{uuid.uuid4()}/evaluations"
    assert desk.admin.post(elsewhere, json=desk.body()).status_code == 404
    assert desk.evaluator.post(desk.path, json=desk.body()).status_code == 403


def test_j4_the_conversation_is_there_for_who_has_it_evaluated(one_desk, recorded):
    desk = one_desk
    elsewhere, _ = recorded.store_call(desk.site, divisions=[desk.world.home])
    path = f"/api/v2/quality/conversations/{elsewhere}/evaluations"
    assert desk.site.http("supervisor").post(path, json=desk.body()).status_code == 404
    form = make_form(desk.admin, division={"id": desk.world.sales})
    mine = desk.body(evaluationForm={"id": form["id"]})
    assert desk.site.http("supervisor").post(desk.path, json=mine).status_code == 200


def test_j5_who_sets_which_field(desk):
    made = desk.make()
    everything = {
        "status": "FINISHED",
        "answers": {**answers(desk.form, 0, None, 0), "comments": "Fine", "agentComments": "Not mine"},
        "releaseDate": "2026-01-01T00:00:00Z",
        "assignee": {"id": desk.id("admin")},
        "agentHasRead": True,
    }
    evaluated = desk.put(desk.evaluator, made, **everything).json()
    assert (evaluated["status"], evaluated["answers"]["comments"]) == ("FINISHED", "Fine")
    assert "releaseDate" not in evaluated
    assert "agentComments" not in evaluated["answers"]
    assert evaluated["agentHasRead"] is False
    assert evaluated["assignee"]["id"] == desk.id("evaluator")
    desk.release(made)
    mine = {**answers(desk.form, 1, 0, 1), "comments": "Better", "agentComments": "I was ill"}
    signed = desk.put(desk.agent, made, status="RETRACTED", answers=mine, agentHasRead=True, neverRelease=True).json()
    assert (signed["answers"]["comments"], signed["answers"]["agentComments"]) == ("Fine", "I was ill")
    assert (signed["agentHasRead"], signed["status"], signed["neverRelease"]) == (True, "FINISHED", False)
    assert signed["answers"]["totalScore"] == 100
    assert desk.put(desk.site.http("other"), made, agentHasRead=True).status_code == 404


def test_j5_nobody_has_a_say_in_an_evaluation_of_oneself(one_desk, recorded):
    desk = one_desk
    conversation_id, _ = recorded.store_call(desk.site, user="admin")
    path = f"/api/v2/quality/conversations/{conversation_id}/evaluations"
    body = {**desk.body(), "agent": {"id": desk.id("admin")}}
    made = desk.site.http("client").post(path, json=body).json()
    assert desk.admin.get(f"{path}/{made['id']}").status_code == 404
    assert desk.admin.put(f"{path}/{made['id']}", json={"releaseDate": "2026-01-01T00:00:00Z"}).status_code == 404
    desk.site.http("client").put(f"{path}/{made['id']}", json={"releaseDate": "2026-01-01T00:00:00Z"})
    full = {"status": "FINISHED", "answers": answers(desk.form, 1, 1, 1)}
    assert desk.evaluator.put(f"{path}/{made['id']}", json=full).status_code == 200
    found = desk.admin.get(f"{path}/{made['id']}").json()
    assert found["authorizedActions"] == ["editAgentSignoff"]
    better = {"answers": answers(desk.form, 0, None, 0)}
    assert desk.admin.put(f"{path}/{made['id']}", json=better).json()["answers"]["totalScore"] == 0
    assert desk.admin.delete(f"{path}/{made['id']}").status_code == 403


def test_j6_an_agent_sees_what_is_released(desk):
    made = desk.make()
    desk.finish(made, 0, None, 0)
    assert desk.get(desk.agent, made).status_code == 404
    asked = {"agentUserId": desk.id("agent")}
    assert desk.agent.get(QUERY, params=asked).json()["total"] == 0
    desk.put(desk.evaluator, made, answers={"privateComments": "Promote!"})
    desk.release(made)
    seen = desk.get(desk.agent, made)
    assert seen.status_code == 200
    assert "Promote" not in seen.text
    assert "Promote" in desk.get(desk.evaluator, made).text
    assert desk.agent.get(QUERY, params=asked).json()["total"] == 1
    assert desk.put(desk.admin, made, neverRelease=True).json()["neverRelease"] is True
    assert desk.get(desk.agent, made).status_code == 404
    assert desk.admin.get(QUERY, params=asked).json()["total"] == 0
    assert desk.admin.get(QUERY, params={**asked, "conversationId": desk.conversation_id}).json()["total"] == 1


def test_j6_release_dates(one_desk):
    desk = one_desk
    made = desk.make()
    both = desk.put(desk.admin, made, neverRelease=True, releaseDate="2026-01-01T00:00:00Z")
    assert field(both) == "releaseDate"
    assert field(desk.put(desk.admin, made, releaseDate="2099-01-01T00:00:00Z")) == "releaseDate"
    assert field(desk.put(desk.admin, made, releaseDate="soon")) == "releaseDate"
    desk.release(made)
    assert desk.get(desk.agent, made).status_code == 404  # not finished
    desk.finish(made, 0, None, 0)
    assert desk.get(desk.agent, made).status_code == 200
    assert "releaseDate" not in desk.put(desk.admin, made, releaseDate=None).json()
    assert desk.get(desk.agent, made).status_code == 404


def test_j1_an_agent_hears_the_call_through_the_released_evaluation(desk):
    heard = lambda: [item["id"] for item in desk.agent.get(listen).json()]  # noqa: E731
    listen = f"/api/v2/conversations/{desk.conversation_id}/recordings"
    made = desk.make()
    desk.finish(made, 0, None, 0)
    assert heard() == []
    assert [item["id"] for item in desk.evaluator.get(listen).json()] == [desk.recording_id]
    desk.release(made)
    assert heard() == [desk.recording_id]
    assert desk.admin.delete(f"{desk.path}/{made['id']}").status_code == 200
    assert heard() == []


def test_j2_the_conversation_is_reachable_from_the_evaluation(one_desk):
    made = one_desk.make()
    path = made["conversation"]["selfUri"]
    assert one_desk.evaluator.get(f"{path}/recordings").json()[0]["id"] == one_desk.recording_id


def test_j7_a_query_names_somebody(one_desk):
    desk = one_desk
    made = desk.make()
    assert field(desk.admin.get(QUERY)) == "conversationId"
    assert field(desk.admin.get(QUERY, params={"queueId": "q"})) == "conversationId"
    for name, value in (
        ("conversationId", desk.conversation_id),
        ("agentUserId", desk.id("agent")),
        ("evaluatorUserId", desk.id("evaluator")),
        ("assigneeUserId", desk.id("evaluator")),
    ):
        found = desk.admin.get(QUERY, params={name: value}).json()
        assert [item["id"] for item in found["entities"]] == [made["id"]], name
        assert desk.admin.get(QUERY, params={name: "none"}).json()["total"] == 0
    asked = {"evaluatorUserId": desk.id("evaluator")}
    count = lambda **more: desk.admin.get(QUERY, params={**asked, **more}).json()["total"]  # noqa: E731
    assert count(evaluationState="Pending,FINISHED") == 1
    assert count(evaluationState="FINISHED") == 0
    assert count(isReleased="true") == 0
    assert count(agentHasRead="false", formContextId=desk.form["contextId"]) == 1
    assert count(startTime=made["assignedDate"]) == 1
    assert count(endTime=made["assignedDate"]) == 0
    assert count(queueId="none") == 0
    assert count(agentTeamId="none") == 0
    assert field(desk.admin.get(QUERY, params={**asked, "evaluationState": "LOST"})) == "evaluationState"
    assert field(desk.admin.get(QUERY, params={**asked, "startTime": "soon"})) == "startTime"
    assert "answers" not in desk.admin.get(QUERY, params=asked).json()["entities"][0]
    desk.finish(made, 0, None, 1)
    totals = desk.admin.get(QUERY, params={**asked, "expandAnswerTotalScores": "true"}).json()["entities"][0]["answers"]
    assert (totals["totalScore"], totals["anyFailedKillQuestions"], "questionGroupScores" in totals) == (0, True, False)


def test_deleted_people_are_asked_for(one_desk):
    desk = one_desk
    desk.make()
    with desk.world.database.transaction() as session:
        session.get_one(User, desk.id("evaluator")).state = "deleted"
    asked = {"conversationId": desk.conversation_id}
    assert desk.admin.get(QUERY, params=asked).json()["total"] == 0
    found = desk.admin.get(QUERY, params={**asked, "includeDeletedUsers": "true"}).json()["entities"]
    assert found[0]["evaluator"]["state"] == "deleted"


def test_j10_fifty_a_day_by_hand(one_desk):
    desk = one_desk
    for number in range(50):
        desk.make(number=number)  # not the same to the byte, which would be the same request once more
    refused = desk.admin.post(desk.path, json=desk.body())
    assert (refused.status_code, refused.json()["code"]) == (409, "evaluation.limit")


def test_j15_authorized_actions_only_in_get(one_desk):
    desk = one_desk
    made = desk.make()
    assert "authorizedActions" not in made
    assert "authorizedActions" not in desk.put(desk.evaluator, made, answers={"comments": "x"}).json()
    assert desk.get(desk.evaluator, made).json()["authorizedActions"] == ["edit", "editScore"]
    assert desk.get(desk.admin, made).json()["authorizedActions"] == [
        "assign",
        "edit",
        "delete",
        "release",
        "viewAudit",
    ]
    listed = desk.admin.get(QUERY, params={"conversationId": desk.conversation_id}).json()["entities"][0]
    assert "authorizedActions" not in listed


def test_answers_are_held_against_the_form(one_desk):
    desk = one_desk
    made = desk.make()
    other = make_form(desk.admin)
    again = desk.admin.post(PUBLISHED, json={"id": desk.admin.get(FORMS).json()["entities"][0]["id"]})
    put = lambda **body: desk.put(desk.evaluator, made, **body)  # noqa: E731
    root = "answers.questionGroupScores"
    assert field(put(answers=answers(other, 0, None, 0))) == f"{root}.0.questionGroupId"
    assert again.status_code == 200
    wrong = answers(desk.form, 0, None, 0)
    wrong["questionGroupScores"][1]["questionScores"][0]["answerId"] = "none"
    assert field(put(answers=wrong)) == f"{root}.1.questionScores.0.answerId"
    assert field(put(answers=answers(desk.form, "na", None, 0))) == f"{root}.0.questionScores.0.markedNA"
    open_questions = put(status="FINISHED", answers=answers(desk.form, 1))
    assert field(open_questions) == f"{root}.0.questionScores.1.answerId"
    assert len(open_questions.json()["details"]) == 2
    assert field(put(evaluationForm={"id": other["id"]})) == "evaluationForm.id"
    assert field(put(answers={"questionGroupScores": "x"})) == root
    assert field(put(answers={**answers(desk.form), "comments": 7})) == "answers.comments"
    assert desk.get(desk.admin, made).json()["status"] == "PENDING"


def test_a_rescore(one_desk):
    desk = one_desk
    made = desk.make()
    desk.finish(made, 0, None, 0)
    desk.release(made)
    desk.put(desk.agent, made, agentHasRead=True)
    again = desk.put(desk.evaluator, made, answers=answers(desk.form, 1, 1, 0)).json()
    assert (again["id"], again["rescore"], again["agentHasRead"], again["status"]) == (
        made["id"],
        True,
        False,
        "FINISHED",
    )
    reopened = desk.put(desk.evaluator, made, status="INPROGRESS").json()
    assert reopened["status"] == "INPROGRESS"
    assert desk.get(desk.agent, made).status_code == 404
    desk.finish(made, 0, None, 0)
    assert desk.get(desk.agent, made).status_code == 200


def test_a_rescore_may_make_a_version(desk):
    desk.form = make_form(desk.admin, evaluationSettings={"revisionsEnabled": True})
    made = desk.make()
    desk.finish(made, 0, None, 0)
    desk.release(made)
    better = answers(desk.form, 1, 1, 0)
    new = desk.put(desk.evaluator, made, answers=better).json()
    assert new["id"] != made["id"]
    assert (new["version"], new["evaluationContextId"], new["retractedEvaluation"]["id"]) == (2, made["id"], made["id"])
    assert new["versionHistory"]["total"] == 2
    assert desk.put(desk.evaluator, made, answers=better).json()["id"] == new["id"]
    assert desk.put(desk.evaluator, made, answers=answers(desk.form, 0, None, 1)).status_code == 409
    assert desk.get(desk.agent, made).status_code == 404
    assert desk.get(desk.agent, new).status_code == 200
    assert desk.get(desk.admin, made).json()["status"] == "RETRACTED"


def test_j3_disputes(one_desk):
    desk = one_desk
    made = desk.make()
    desk.finish(made, 0, None, 0)
    desk.release(made)
    assert desk.put(desk.agent, made, status="INREVIEW").status_code == 409
    settings = {
        "disputesEnabled": True,
        "disputesAllowedPerEvaluation": 2,
        "disputesAssignees": [{"type": "Individual", "user": {"id": desk.id("supervisor")}}, {"type": "None"}],
    }
    desk.form = make_form(desk.admin, evaluationSettings=settings)
    made = desk.make()
    assert desk.put(desk.agent, made, status="INREVIEW").status_code == 404
    desk.finish(made, 1, 1, 0)
    desk.release(made)
    disputed = desk.put(desk.agent, made, status="INREVIEW", answers={"agentComments": "Unfair"}).json()
    assert (disputed["status"], disputed["disputeCount"]) == ("INREVIEW", 1)
    assert disputed["assignee"]["id"] == desk.id("supervisor")
    declined = desk.put(desk.site.http("supervisor"), made, status="FINISHED").json()
    assert (declined["status"], declined["declinedReview"]) == ("FINISHED", True)
    again = desk.put(desk.agent, made, status="INREVIEW").json()
    assert (again["disputeCount"], "assignee" in again, again["assigned"]) == (2, False, False)
    better = answers(desk.form, 0, None, 0)
    scored = desk.put(desk.evaluator, made, status="FINISHED", answers=better).json()
    assert (scored["declinedReview"], scored["rescore"], scored["answers"]["totalScore"]) == (False, True, 100)
    assert desk.put(desk.agent, made, status="INREVIEW").status_code == 409
    bad = {**settings, "disputesAssignees": settings["disputesAssignees"][:1]}
    reply = desk.admin.post(FORMS, json={"name": "x", "questionGroups": GROUPS, "evaluationSettings": bad})
    assert field(reply) == "evaluationSettings.disputesAssignees"


def test_a_review_may_end_in_retraction(one_desk):
    desk = one_desk
    settings = {"disputesEnabled": True, "disputesAllowedPerEvaluation": 1}
    desk.form = make_form(desk.admin, evaluationSettings=settings)
    made = desk.make()
    desk.finish(made, 1, 1, 0)
    desk.release(made)
    assert desk.put(desk.agent, made, status="INREVIEW").json()["assignee"]["id"] == desk.id("evaluator")
    assert desk.put(desk.admin, made, status="RETRACTED").json()["status"] == "RETRACTED"
    assert desk.get(desk.agent, made).status_code == 404
    assert desk.put(desk.admin, made, answers=answers(desk.form, 0, None, 0)).status_code == 409


def test_assigning(one_desk):
    desk = one_desk
    made = desk.make()
    new = desk.id("supervisor")
    assert field(desk.put(desk.admin, made, assigned=False, assignee={"id": new})) == "assigned"
    assert desk.put(desk.admin, made, assigned=False).json()["assigned"] is False
    assert desk.put(desk.admin, made, assignee={"id": new}).json()["assignee"]["id"] == new
    assert desk.put(desk.admin, made, evaluator={"id": new}).json()["evaluator"]["id"] == new
    assert field(desk.put(desk.admin, made, evaluator={"id": "none"})) == "evaluator.id"
    assert field(desk.put(desk.admin, made, evaluator={"id": desk.id("agent")})) == "evaluator.id"
    assert field(desk.put(desk.admin, made, agent={"id": new})) == "agent.id"


def test_deleting_twice_is_deleting_once(one_desk):
    desk = one_desk
    made = desk.make()
    assert desk.evaluator.delete(f"{desk.path}/{made['id']}").status_code == 403
    replies = [desk.admin.delete(f"{desk.path}/{made['id']}") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].json() == replies[1].json()
    assert desk.get(desk.admin, made).status_code == 404


def test_everything_is_audited(one_desk):
    desk = one_desk
    made = desk.make()
    desk.get(desk.admin, made)
    desk.finish(made, 0, None, 0)
    desk.get(desk.agent, made)
    from earwitness.store import audit

    with desk.world.database.reading() as session:
        rows = audit.listing(session, entity_type="evaluation", entity_id=made["id"]).items
        told = [(row.action, row.result, row.conversation_id) for row in reversed(rows)]
    here = desk.conversation_id
    assert told == [
        ("create", "allowed", here),
        ("view", "allowed", here),
        ("change", "allowed", here),
        ("view", "denied", here),
    ]


def test_the_sdk_gets_changes_and_puts(one_desk):
    desk = one_desk
    api = sdk.QualityApi(desk.site.sdk("client"))
    user = sdk.QualityApi(desk.site.sdk("nobody"))
    body = sdk.EvaluationCreateBody()
    body.evaluation_form = sdk.EvaluationCreateEvalForm()
    body.evaluation_form.id = desk.form["id"]
    for name, who in (("evaluator", "evaluator"), ("agent", "agent")):
        person = sdk.EvaluationCreateUser()
        person.id = desk.id(who)
        setattr(body, name, person)
    made = api.post_quality_conversation_evaluations(desk.conversation_id, body)
    found = user.get_quality_conversation_evaluation(desk.conversation_id, made.id, expand="evaluationForm")
    assert found.evaluation_form.question_groups[0].questions[0].text == "Greeted?"
    for group, asked in zip(found.answers.question_group_scores, found.evaluation_form.question_groups, strict=True):
        for score, one in zip(group.question_scores, asked.questions, strict=True):
            score.answer_id = one.answer_options[0].id
    found.status = "FINISHED"
    done = user.put_quality_conversation_evaluation(desk.conversation_id, made.id, found)
    assert (done.status, done.answers.total_score) == ("FINISHED", 100.0)
    listed = api.get_quality_evaluations_query(agent_user_id=desk.id("agent"), expand=["evaluator"])
    assert [item.id for item in listed.entities] == [made.id]
