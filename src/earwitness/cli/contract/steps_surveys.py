"""Survey forms and surveys: made, answered, read, and refused."""

from __future__ import annotations

from typing import Any

from earwitness.cli.contract.steps import Context, expect, simple, step
from earwitness.cli.contract.steps_quality import refused

QUALITY = "QualityApi"


def _form(c: Context) -> Any:
    options = [c.model("AnswerOption", text=text, value=value) for text, value in (("Yes", 1), ("No", 0))]
    helped = c.model("SurveyQuestion", type="multipleChoiceQuestion", text="Helped?", answer_options=options)
    nps = c.model("SurveyQuestion", type="npsQuestion", text="Recommend us?")
    group = c.model("SurveyQuestionGroup", name="Us", questions=[helped, nps])
    return c.model("SurveyForm", name="After the call", language="en-US", question_groups=[group])


def _answers(c: Context, form: Any, nps: int) -> Any:
    helped, recommend = form.question_groups[0].questions
    scores = [
        c.model("SurveyQuestionScore", question_id=helped.id, answer_id=helped.answer_options[0].id),
        c.model("SurveyQuestionScore", question_id=recommend.id, nps_score=nps),
    ]
    group = c.model("SurveyQuestionGroupScore", question_group_id=form.question_groups[0].id, question_scores=scores)
    return c.model("SurveyScoringSet", question_group_scores=[group])


@step
def post_quality_forms_surveys(c: Context) -> None:
    """A draft."""
    api = c.api(QUALITY)
    made = api.post_quality_forms_surveys(_form(c))
    expect(made.published is False, "a draft")
    c.kept["survey form"], c.kept["survey context"] = made.id, [made.context_id]
    nameless = _form(c)
    nameless.name = ""
    refused(lambda: api.post_quality_forms_surveys(nameless), 400, "name")


simple(QUALITY, "get_quality_forms_surveys", listing=True)
simple(QUALITY, "get_quality_forms_survey", "survey form")


@step
def put_quality_forms_survey(c: Context) -> None:
    """With a header."""
    api = c.api(QUALITY)
    found = api.get_quality_forms_survey(c.kept["survey form"])
    found.header = "Hello"
    changed = api.put_quality_forms_survey(c.kept["survey form"], found)
    expect(changed.header == "Hello", "header")
    expect(changed.question_groups[0].id == found.question_groups[0].id, "ids stay")


@step
def post_quality_publishedforms_surveys(c: Context) -> None:
    """A version of its own."""
    api = c.api(QUALITY)
    made = api.post_quality_publishedforms_surveys(c.model("PublishForm", id=c.kept["survey form"], published=True))
    expect(made.id != c.kept["survey form"], "an id of its own")
    c.kept["published survey form"], c.kept["published survey forms"] = made.id, [made.id]
    refused(lambda: api.post_quality_publishedforms_surveys(c.model("PublishForm", id=made.id)), 409)


simple(QUALITY, "get_quality_publishedforms_surveys", listing=True)
simple(QUALITY, "get_quality_publishedforms_survey", "published survey form")
simple(QUALITY, "get_quality_publishedforms_surveys_divisionviews", "published survey forms", listing=True)
simple(QUALITY, "get_quality_publishedforms_surveys_divisionview", "published survey form")
simple(QUALITY, "get_quality_forms_survey_versions", "survey form", listing=True)
simple(QUALITY, "get_quality_forms_surveys_bulk", "published survey forms", listing=True)
simple(QUALITY, "get_quality_forms_surveys_bulk_contexts", "survey context")


@step
def post_quality_surveys_scoring(c: Context) -> None:
    """All well, and nobody recommends us."""
    api = c.api(QUALITY)
    form = api.get_quality_publishedforms_survey(c.kept["published survey form"])
    body = c.model("SurveyFormAndScoringSet", survey_form=form, answers=_answers(c, form, 3))
    scored = api.post_quality_surveys_scoring(body)
    expect((scored.total_score, scored.nps_score) == (100.0, -100), "scores")
    body.answers = _answers(c, form, 11)
    refused(lambda: api.post_quality_surveys_scoring(body), 400)


@step
def post_quality_surveys(c: Context) -> None:
    """About the call."""
    api = c.api(QUALITY)
    fields = {"conversation_id": c.conversation_id, "survey_form_context_id": c.kept["survey context"][0]}
    made = api.post_quality_surveys(c.model("CreateSurveyRequest", **fields))
    expect(made.status == "Pending", "pending")
    c.kept["survey"], c.kept["survey url"] = made.id, made.customer_survey_url
    nothing = c.model("CreateSurveyRequest", **{**fields, "survey_form_context_id": "none"})
    refused(lambda: api.post_quality_surveys(nothing), 400, "surveyFormContextId")


simple(QUALITY, "get_quality_surveys_scorable", "survey url")


@step
def put_quality_surveys_scorable(c: Context) -> None:
    """Answered for good."""
    api = c.api(QUALITY)
    found = api.get_quality_surveys_scorable(c.kept["survey url"])
    found.status = "Finished"
    refused(lambda: api.put_quality_surveys_scorable(c.kept["survey url"], found), 400)
    found.answers = _answers(c, found.survey_form, 9)
    expect(api.put_quality_surveys_scorable(c.kept["survey url"], found).answers.nps_score == 100, "NPS")


@step
def get_quality_survey(c: Context) -> None:
    """With its answers."""
    expect(c.api(QUALITY).get_quality_survey(c.kept["survey"]).answers.total_score == 100.0, "100")
    refused(lambda: c.api(QUALITY).get_quality_survey("none"), 404)


@step
def get_quality_conversation_surveys(c: Context) -> None:
    """Of the call."""
    found = c.api(QUALITY).get_quality_conversation_surveys(c.conversation_id)
    expect([item.id for item in found] == [c.kept["survey"]], "one")


@step
def patch_quality_forms_survey(c: Context) -> None:
    """Nobody is asked by it any more."""
    body = c.model("SurveyForm", disabled=True)
    changed = c.api(QUALITY).patch_quality_forms_survey(c.kept["published survey form"], body)
    expect(changed.disabled is True, "disabled")


simple(QUALITY, "delete_quality_forms_survey", "survey form")
