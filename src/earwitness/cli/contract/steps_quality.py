"""Evaluation forms, evaluations, calibrations, activity: made, read, listed, changed, deleted, and refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from earwitness.cli.contract.steps import Context, expect, simple, step

QUALITY = "QualityApi"
WAIT_S = 0.3


def refused(call: Callable[[], object], status: int, field: str | None = None) -> None:
    """The call fails with that status, naming that field."""
    try:
        call()
    except Exception as error:
        body = json.loads(getattr(error, "body", None) or "{}")
        expect(getattr(error, "status", None) == status, f"{error} is not {status}")
        names = [detail.get("fieldName") for detail in body.get("details", [])]
        expect(field is None or field in names, f"{names} does not name {field}")
    else:
        expect(condition=False, what=f"not refused with {status}")


def _question(c: Context, text: str, *values: int, **more: Any) -> Any:
    options = [c.model("AnswerOption", text=f"{text} {value}", value=value) for value in values]
    return c.model("EvaluationQuestion", text=text, type="multipleChoiceQuestion", answer_options=options, **more)


def _form(c: Context) -> Any:
    shown = c.model("VisibilityCondition", combining_operation="AND", predicates=["../question/0/answer/1"])
    manners = c.model(
        "EvaluationQuestionGroup",
        name="Manners",
        questions=[_question(c, "Greeted?", 1, 0), _question(c, "Why not?", 1, 0, visibility_condition=shown)],
    )
    law = c.model("EvaluationQuestionGroup", name="Law", questions=[_question(c, "Price told?", 1, 0, is_kill=True)])
    return c.model("EvaluationForm", name="Calls", question_groups=[manners, law])


def _new_form(name: str, key: str) -> None:
    def run(c: Context) -> None:
        made = getattr(c.api(QUALITY), name)(_form(c))
        expect(made.published is False, "a draft")
        c.kept[key] = made.id
        c.kept[f"{key} context"] = [made.context_id]
        cyclic = _form(c)
        cyclic.question_groups[0].questions[0].visibility_condition = c.model(
            "VisibilityCondition", combining_operation="AND", predicates=["../question/1/answer/0"]
        )
        refused(lambda: getattr(c.api(QUALITY), name)(cyclic), 400)

    run.__name__ = name
    step(run)


def _changed_form(name: str, key: str) -> None:
    def run(c: Context) -> None:
        found = c.api(QUALITY).get_quality_forms_evaluation(c.kept[key])
        ids = [group.id for group in found.question_groups]
        found.name = "Calls of today"
        changed = getattr(c.api(QUALITY), name)(c.kept[key], found)
        expect(changed.name == "Calls of today", "name")
        expect([group.id for group in changed.question_groups] == ids, "ids stay")
        found.name = ""
        refused(lambda: getattr(c.api(QUALITY), name)(c.kept[key], found), 400, "name")

    run.__name__ = name
    step(run)


def _published(name: str, key: str, draft: str) -> None:
    def run(c: Context) -> None:
        api = c.api(QUALITY)
        made = getattr(api, name)(c.model("PublishForm", id=c.kept[draft], published=True))
        expect(made.published is True, "published")
        expect(made.id != c.kept[draft], "a version of its own")
        c.kept[key] = made.id
        c.kept[f"{key} list"] = [made.id]
        refused(lambda: getattr(api, name)(c.model("PublishForm", id=made.id, published=True)), 409)

    run.__name__ = name
    step(run)


_new_form("post_quality_forms_evaluations", "form")
_new_form("post_quality_forms", "older form")
simple(QUALITY, "get_quality_forms_evaluations", listing=True)
simple(QUALITY, "get_quality_forms", listing=True)
simple(QUALITY, "get_quality_forms_evaluation", "form")
simple(QUALITY, "get_quality_form", "older form")
_changed_form("put_quality_forms_evaluation", "form")
_changed_form("put_quality_form", "older form")
_published("post_quality_publishedforms_evaluations", "published form", "form")
_published("post_quality_publishedforms", "older published form", "older form")
simple(QUALITY, "get_quality_publishedforms_evaluations", listing=True)
simple(QUALITY, "get_quality_publishedforms", listing=True)
simple(QUALITY, "get_quality_publishedforms_evaluation", "published form")
simple(QUALITY, "get_quality_publishedform", "older published form")
simple(QUALITY, "get_quality_publishedforms_evaluations_divisionviews", "published form list", listing=True)
simple(QUALITY, "get_quality_publishedforms_evaluations_divisionview", "published form")
simple(QUALITY, "get_quality_forms_evaluation_versions", "form", listing=True)
simple(QUALITY, "get_quality_form_versions", "older form", listing=True)
simple(QUALITY, "get_quality_forms_evaluations_bulk", "published form list", listing=True)
simple(QUALITY, "get_quality_forms_evaluations_bulk_contexts", "form context")


def _answers(c: Context, form: Any, pick: int = 0) -> Any:
    """The same pick for each question that is shown."""
    groups = [
        c.model(
            "EvaluationQuestionGroupScore",
            question_group_id=group.id,
            question_scores=[
                c.model("EvaluationQuestionScore", question_id=asked.id, answer_id=asked.answer_options[pick].id)
                for asked in group.questions
            ],
        )
        for group in form.question_groups
    ]
    return c.model("EvaluationScoringSet", question_group_scores=groups)


@step
def post_quality_evaluations_scoring(c: Context) -> None:
    """All right, and a fatal question wrong."""
    api = c.api(QUALITY)
    form = api.get_quality_forms_evaluation(c.kept["published form"])
    for pick, total in ((0, 100), (1, 0)):
        body = c.model("EvaluationFormAndScoringSet", evaluation_form=form, answers=_answers(c, form, pick))
        expect(api.post_quality_evaluations_scoring(body).total_score == total, f"{total} points")
    refused(lambda: api.post_quality_evaluations_scoring(c.model("EvaluationFormAndScoringSet")), 400)


def _evaluation(c: Context, **more: Any) -> Any:
    fields = {
        "evaluation_form": c.model("EvaluationCreateEvalForm", id=c.kept["published form"]),
        "evaluator": c.model("EvaluationCreateUser", id=c.kept["user"]),
        "agent": c.model("EvaluationCreateUser", id=c.made["administrator"]["id"]),
    }
    return c.model("EvaluationCreateBody", **{**fields, **more})


@step
def post_quality_conversation_evaluations(c: Context) -> None:
    """Ada is to evaluate the administrator, once the call is stored."""
    api = c.api(QUALITY)
    while True:
        try:
            made = api.post_quality_conversation_evaluations(c.conversation_id, _evaluation(c))
            break
        except c.sdk.rest.ApiException as error:
            if error.status not in (404, 409) or time.monotonic() > c.deadline:
                raise
            time.sleep(WAIT_S)
    expect(made.status == "PENDING", "pending")
    c.kept["evaluation"] = made.id
    draft = c.model("EvaluationCreateEvalForm", id=c.kept["form"])
    wrong = _evaluation(c, evaluation_form=draft)
    refused(lambda: api.post_quality_conversation_evaluations(c.conversation_id, wrong), 400, "evaluationForm.id")
    nobody = _evaluation(c, agent=None)
    refused(lambda: api.post_quality_conversation_evaluations(c.conversation_id, nobody), 400, "agent.id")


@step
def get_quality_conversation_evaluation(c: Context) -> None:
    """With what may be done with it."""
    ids = (c.conversation_id, c.kept["evaluation"])
    found = c.api(QUALITY).get_quality_conversation_evaluation(*ids, expand="evaluationForm")
    expect("release" in found.authorized_actions, "may release")
    expect(len(found.evaluation_form.question_groups) == 2, "with questions")
    refused(lambda: c.api(QUALITY, user=True).get_quality_conversation_evaluation(*ids), 404)


@step
def put_quality_conversation_evaluation(c: Context) -> None:
    """Answered, finished, released, and seen by who was evaluated."""
    ids = (c.conversation_id, c.kept["evaluation"])
    api = c.api(QUALITY)
    found = api.get_quality_conversation_evaluation(*ids, expand="evaluationForm")
    found.status = "FINISHED"
    found.answers = c.model("EvaluationScoringSet", question_group_scores=[])
    refused(lambda: api.put_quality_conversation_evaluation(*ids, found), 400)
    found.answers = _answers(c, found.evaluation_form)
    found.release_date = datetime.now(UTC) - timedelta(minutes=1)
    done = api.put_quality_conversation_evaluation(*ids, found)
    expect((done.status, done.answers.total_score) == ("FINISHED", 100.0), "finished")
    seen = c.api(QUALITY, user=True).get_quality_conversation_evaluation(*ids)
    expect(seen.authorized_actions == ["editAgentSignoff"], "may sign off")


@step
def get_quality_evaluations_query(c: Context) -> None:
    """Of the agent."""
    api = c.api(QUALITY)
    found = api.get_quality_evaluations_query(
        agent_user_id=c.made["administrator"]["id"], is_released=True, expand_answer_total_scores=True
    )
    expect([item.id for item in found.entities] == [c.kept["evaluation"]], "one")
    expect(found.entities[0].answers.total_score == 100.0, "total")
    refused(api.get_quality_evaluations_query, 400, "conversationId")


@step
def get_quality_agents_activity(c: Context) -> None:
    """The administrator was evaluated once."""
    found = c.api(QUALITY).get_quality_agents_activity(agent_user_id=[c.made["administrator"]["id"]])
    expect(found.entities[0].num_evaluations == 1, "one")


@step
def get_quality_evaluators_activity(c: Context) -> None:
    """Ada has something to do."""
    found = {item.id: item for item in c.api(QUALITY).get_quality_evaluators_activity().entities}
    expect(found[c.kept["user"]].num_evaluations_assigned == 1, "one")


@step
def post_quality_evaluations_search(c: Context) -> None:
    """By agent and time; and their average."""
    now = datetime.now(UTC)
    when = [(now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z") for days in (-1, 1)]
    agent = c.made["administrator"]["id"]
    query = [
        c.model("EvaluationSearchCriteriaDTO", type="EXACT", field="agentId", value=agent),
        c.model(
            "EvaluationSearchCriteriaDTO",
            type="DATE_RANGE",
            field="createdDate",
            start_value=when[0],
            end_value=when[1],
        ),
    ]
    api = c.api(QUALITY)
    found = api.post_quality_evaluations_search(c.model("EvaluationSearchRequestDTO", query=query, page_size=10))
    expect([item.id for item in found.results] == [c.kept["evaluation"]], "one")
    average = c.model("EvaluationSearchAggregationDTO", name="mean", field="totalScore", type="AVERAGE")
    body = c.model("EvaluationSearchRequestDTO", query=query, aggregations=[average])
    expect(api.post_quality_evaluations_search(body).aggregations["mean"].value == 100.0, "average")
    late = c.model("EvaluationSearchRequestDTO", query=query[:1], page_size=10)
    refused(lambda: api.post_quality_evaluations_search(late), 400, "query")


def _interval() -> str:
    now = datetime.now(UTC)
    return "/".join((now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z") for days in (-1, 1))


@step
def post_analytics_evaluations_aggregates_query(c: Context) -> None:
    """By evaluator."""
    api = c.api("AnalyticsApi")
    body = c.model(
        "EvaluationAggregationQuery", interval=_interval(), group_by=["evaluatorId"], metrics=["nEvaluations"]
    )
    found = api.post_analytics_evaluations_aggregates_query(body)
    expect(found.results[0].group == {"evaluatorId": c.kept["user"]}, "Ada's")
    expect(found.results[0].data[0].metrics[0].stats.count == 1, "one")
    body.interval = "yesterday"
    refused(lambda: api.post_analytics_evaluations_aggregates_query(body), 400, "interval")


@step
def post_quality_evaluations_aggregates_query_me(c: Context) -> None:
    """The administrator's own, released ones."""
    body = c.model("EvaluationAggregationQueryMe", interval=_interval(), metrics=["oTotalScore"])
    found = c.api(QUALITY, user=True).post_quality_evaluations_aggregates_query_me(body)
    expect(found.results[0].data[0].metrics[0].stats.max == 100.0, "100")


@step
def post_quality_calibrations(c: Context) -> None:
    """Ada, and who calibrates."""
    api = c.api(QUALITY)
    fields = {
        "conversation": c.model("ConversationReference", id=c.conversation_id),
        "evaluation_form": c.model("EvaluationForm", id=c.kept["published form"]),
        "agent": c.model("User", id=c.made["administrator"]["id"]),
        "calibrator": c.model("User", id=c.kept["user"]),
        "evaluators": [c.model("User", id=c.kept["user"])],
    }
    made = api.post_quality_calibrations(c.model("CalibrationCreate", **fields))
    expect(len(made.evaluations) == 1, "one evaluation")
    c.kept["calibration"] = made.id
    nobody = c.model("CalibrationCreate", **{**fields, "evaluators": []})
    refused(lambda: api.post_quality_calibrations(nobody), 400, "evaluators")


@step
def get_quality_calibrations(c: Context) -> None:
    """Those of the calibrator."""
    found = c.api(QUALITY).get_quality_calibrations(c.kept["user"])
    expect([item.id for item in found.entities] == [c.kept["calibration"]], "one")


@step
def get_quality_calibration(c: Context) -> None:
    """Of the conversation."""
    api = c.api(QUALITY)
    found = api.get_quality_calibration(c.kept["calibration"], conversation_id=c.conversation_id)
    expect(found.calibrator.id == c.kept["user"], "calibrator")
    refused(lambda: api.get_quality_calibration(c.kept["calibration"]), 400, "calibratorId")


@step
def put_quality_calibration(c: Context) -> None:
    """Ada is the expert."""
    api = c.api(QUALITY)
    found = api.get_quality_calibration(c.kept["calibration"], calibrator_id=c.kept["user"])
    found.expert_evaluator = c.model("User", id=c.kept["user"])
    changed = api.put_quality_calibration(c.kept["calibration"], found)
    expect(changed.scoring_index.evaluator.id == c.kept["user"], "index")


@step
def delete_quality_calibration(c: Context) -> None:
    """And its evaluation."""
    api = c.api(QUALITY)
    api.delete_quality_calibration(c.kept["calibration"], c.kept["user"])
    expect(not api.get_quality_calibrations(c.kept["user"]).entities, "gone")


@step
def delete_quality_conversation_evaluation(c: Context) -> None:
    """It is not there any more."""
    ids = (c.conversation_id, c.kept["evaluation"])
    api = c.api(QUALITY)
    expect(api.delete_quality_conversation_evaluation(*ids).id == c.kept["evaluation"], "deleted")
    refused(lambda: api.get_quality_conversation_evaluation(*ids), 404)


simple(QUALITY, "delete_quality_forms_evaluation", "form")
simple(QUALITY, "delete_quality_form", "older form")
