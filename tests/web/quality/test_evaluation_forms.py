"""Evaluation forms over the API: drafts, versions published of them, and what is no form (J8)."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from quality_desk import FORMS, GROUPS, PUBLISHED, answers, field, make_form, question

OLDER = "/api/v2/quality/forms"
SCORING = "/api/v2/quality/evaluations/scoring"


def draft(http, **more):
    reply = http.post(FORMS, json={"name": "Draft", "questionGroups": GROUPS, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_j8_publishing_makes_a_version_that_never_changes(site):
    http = site.http()
    first = draft(http)
    assert (first["published"], first["contextId"]) == (False, first["id"])
    one = http.post(PUBLISHED, json={"id": first["id"]}).json()
    assert one["published"] is True
    assert one["id"] != first["id"]
    assert one["contextId"] == first["contextId"]
    asked = [form["questionGroups"][0]["questions"][0] for form in (first, one)]
    assert asked[0]["contextId"] == asked[1]["contextId"]
    assert asked[0]["id"] != asked[1]["id"]
    refused = [
        http.put(f"{FORMS}/{one['id']}", json={"name": "Other"}),
        http.put(f"{FORMS}/{one['id']}", json={"questionGroups": GROUPS[:1]}),
        http.post(PUBLISHED, json={"id": one["id"]}),
    ]
    assert [reply.status_code for reply in refused] == [409] * 3
    assert http.put(f"{FORMS}/{one['id']}", json=one).status_code == 200  # changes nothing
    changed = http.put(f"{FORMS}/{first['id']}", json={"name": "Second", "questionGroups": GROUPS[:1]}).json()
    assert (changed["name"], len(changed["questionGroups"])) == ("Second", 1)
    two = http.post(PUBLISHED, json={"id": first["id"], "published": True}).json()
    assert http.get(f"{PUBLISHED}/{one['id']}").json()["name"] == "Draft"
    versions = http.get(f"{FORMS}/{one['id']}/versions").json()
    assert [item["id"] for item in versions["entities"]] == [two["id"], one["id"]]
    oldest = http.get(f"{FORMS}/{first['id']}/versions", params={"sortOrder": "asc", "pageSize": 1}).json()
    assert ([item["id"] for item in oldest["entities"]], oldest["total"]) == ([one["id"]], 2)
    assert http.get(f"{FORMS}/{first['id']}").json()["latestVersionFormName"] == "Second"


def test_lists_of_forms(sqlite_site):
    http = sqlite_site.http()
    first = draft(http, name="Alpha")
    second = draft(http, name="Beta")
    published = [http.post(PUBLISHED, json={"id": first["id"], "again": n}).json()["id"] for n in range(2)]

    def listed(path, **params):
        return [item["id"] for item in http.get(path, params=params).json()["entities"]]

    assert listed(FORMS) == listed(OLDER) == [first["id"], second["id"]]
    assert listed(FORMS, sortOrder="desc") == [second["id"], first["id"]]
    assert listed(FORMS, name="bet") == [second["id"]]
    assert sorted(listed(PUBLISHED)) == sorted(published)
    assert listed(PUBLISHED, onlyLatestPerContext="true") == [published[1]]
    assert listed(OLDER.replace("forms", "publishedforms"), onlyLatestPerContext="true") == [published[1]]
    history = http.get(FORMS, params={"expand": "publishHistory", "name": "Alpha"}).json()["entities"][0]
    assert [item["id"] for item in history["publishedVersions"]["entities"]] == published[::-1]
    assert listed(f"{FORMS}/bulk", id=f"{published[0]},{second['id']},none") == [published[0], second["id"]]
    contexts = {"contextId": f"{second['contextId']},{first['contextId']},none"}
    found = http.get(f"{FORMS}/bulk/contexts", params=contexts).json()
    assert [item["id"] for item in found] == [second["id"], published[1]]
    views = f"{PUBLISHED}/divisionviews"
    assert listed(views, id=published[0]) == [published[0]]
    assert http.get(f"{views}/{published[0]}").json()["name"] == "Alpha"
    assert "questionGroups" not in http.get(f"{views}/{published[0]}").json()
    assert http.get(f"{views}/{first['id']}").status_code == 404
    assert http.get(f"{PUBLISHED}/{first['id']}").status_code == 404
    assert field(http.get(f"{FORMS}/bulk", params={"id": ","})) == "id"
    assert http.get(f"{FORMS}/bulk").status_code == 400
    assert field(http.get(FORMS, params={"sortBy": "colour"})) == "sortBy"


def test_a_form_is_changed_by_get_and_put(sqlite_site):
    api = sdk.QualityApi(sqlite_site.sdk())
    first = draft(sqlite_site.http())
    found = api.get_quality_forms_evaluation(first["id"])
    ids = [item.id for item in found.question_groups[0].questions]
    found.question_groups[0].questions[0].text = "Greeted at once?"
    changed = api.put_quality_forms_evaluation(first["id"], found)
    assert changed.question_groups[0].questions[0].text == "Greeted at once?"
    assert [item.id for item in changed.question_groups[0].questions] == ids
    copy = api.post_quality_forms_evaluations(found)
    assert copy.id != first["id"]
    assert copy.question_groups[0].id != found.question_groups[0].id
    kept = {"evaluationSettings": {"revisionsEnabled": True}, "dialect": "en-US", "weightMode": "OFF"}
    http = sqlite_site.http()
    http.put(f"{FORMS}/{first['id']}", json=kept)
    named = http.put(f"{OLDER}/{first['id']}", json={"name": "New name"}).json()
    assert {key: named[key] for key in kept} == kept


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"name": " "}, "name"),
        ({"questionGroups": None}, "questionGroups"),
        ({"questionGroups": [{"name": "G", "questions": []}]}, "questionGroups.0.questions"),
        (
            {"questionGroups": [{"name": "G", "questions": [question("?", -1)]}]},
            "questionGroups.0.questions.0.answerOptions.0.value",
        ),
        (
            {"questionGroups": [{"name": "G", "questions": [question("?", 1, type="guess")]}]},
            "questionGroups.0.questions.0.type",
        ),
        (
            {"questionGroups": [{"name": "G", "questions": [question("?", 1, type="npsQuestion")]}]},
            "questionGroups.0.questions.0.type",
        ),
        ({"questionGroups": [{"name": "G", "questions": "?"}]}, "questionGroups.0.questions"),
        ({"weightMode": "HEAVY"}, "weightMode"),
        ({"division": {"id": "none"}}, "division.id"),
        (
            {"evaluationSettings": {"disputesAllowedPerEvaluation": 99}},
            "evaluationSettings.disputesAllowedPerEvaluation",
        ),
    ],
)
def test_what_is_no_form(lasting_site, change, name):
    http = lasting_site.http()
    assert field(http.post(FORMS, json={"name": "Form", "questionGroups": GROUPS, **change})) == name


def test_cyclic_conditions_are_refused(lasting_site):
    shown = {"visibilityCondition": {"combiningOperation": "OR", "predicates": ["../question/1/answer/0"]}}
    other = {"visibilityCondition": {"predicates": ["../question/0/answer/0"]}}
    groups = [{"name": "G", "questions": [question("a", 1, **shown), question("b", 1, **other)]}]
    reply = lasting_site.http().post(FORMS, json={"name": "Form", "questionGroups": groups})
    assert field(reply).endswith("visibilityCondition")
    assert "depending on itself" in reply.json()["message"]


def test_forms_are_of_divisions(sqlite_site):
    world, http, supervisor = sqlite_site.world, sqlite_site.http(), sqlite_site.http("supervisor")
    at_home, in_sales = make_form(http), make_form(http, division={"id": world.sales})
    assert supervisor.get(f"{FORMS}/{at_home['id']}").status_code == 404
    assert supervisor.get(f"{PUBLISHED}/{in_sales['id']}").status_code == 200
    assert supervisor.get(PUBLISHED).json()["total"] == 1
    assert supervisor.put(f"{FORMS}/{in_sales['id']}", json={"name": "x"}).status_code == 403
    assert sqlite_site.http("agent").get(FORMS).status_code == 403


def test_deleting_a_form_leaves_its_versions(sqlite_site):
    http = sqlite_site.http()
    first = draft(http)
    version = http.post(PUBLISHED, json={"id": first["id"]}).json()
    assert [http.delete(f"{FORMS}/{first['id']}").status_code for _ in range(2)] == [204, 204]
    assert http.get(f"{FORMS}/{first['id']}").status_code == 404
    assert http.get(f"{PUBLISHED}/{version['id']}").status_code == 200
    assert http.delete(f"{OLDER}/{version['id']}").status_code == 204
    assert http.get(PUBLISHED).json()["total"] == 0
    assert http.post(PUBLISHED, json={"id": first["id"]}).status_code == 404
    assert field(http.post(PUBLISHED, json={"id": first["id"], "published": False})) == "published"
    assert field(http.post(PUBLISHED, json={})) == "id"


def test_j9_answers_are_scored_without_being_kept(sqlite_site):
    http = sqlite_site.http()
    form = make_form(http)
    nobody = sqlite_site.http("nobody")

    def total(answered, who=nobody, given=form):
        reply = who.post(SCORING, json={"evaluationForm": given, "answers": answered})
        assert reply.status_code == 200, reply.text
        return reply.json().get("totalScore")

    assert total(answers(form, 0, None, 0)) == 100
    assert total(answers(form, 0, None, 1)) == 0
    assert total(answers(form, 1, 0, 0)) == 75
    assert total(answers(form)) == 0
    assert total(answers(form, 0, None, 0), http, {"id": form["id"]}) == 100
    assert nobody.post(SCORING, json={"evaluationForm": {"id": form["id"]}, "answers": {}}).status_code == 404
    assert field(http.post(SCORING, json={"answers": {}})) == "evaluationForm"
    assert field(http.post(SCORING, json={"evaluationForm": form})) == "answers"
    assert field(http.post(SCORING, json={"evaluationForm": {}, "answers": {}})) == "evaluationForm.questionGroups"
    unknown = {"questionGroupScores": [{"questionGroupId": "none"}]}
    wrong = http.post(SCORING, json={"evaluationForm": form, "answers": unknown})
    assert field(wrong) == "answers.questionGroupScores.0.questionGroupId"
    plain = {"questionGroups": [{"name": "G", "questions": [question("?", 1)]}]}
    assert http.post(SCORING, json={"evaluationForm": plain, "answers": {}}).json()["maxTotalRawScore"] == 1


def test_forms_are_audited(sqlite_site):
    from earwitness.store import audit

    http = sqlite_site.http()
    first = draft(http)
    http.put(f"{FORMS}/{first['id']}", json={"name": "New"})
    http.delete(f"{FORMS}/{first['id']}")
    with sqlite_site.world.database.reading() as session:
        rows = audit.listing(session, entity_type="evaluationForm", entity_id=first["id"]).items
        assert [row.action for row in reversed(rows)] == ["create", "change", "delete"]
