"""What an evaluation is worth: examples, and everything else against a slow and obvious reference."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality_forms import answered, choice, form_of, free_text, group, identified, several, when, yes_no

from earwitness.domain.quality import answers
from earwitness.domain.quality.conditions import FormError
from earwitness.domain.quality.form import read
from earwitness.domain.quality.scoring import score


def scored(form, *picks, **more):
    return score(form, answers.read(form, answered(form, *picks, **more)))


def test_j9_a_question_is_worth_the_points_of_its_answer():
    form = form_of(group("G", choice("a", 0, 5, 10), choice("b", 10, 0)))
    found = scored(form, (0, 0, 1), (0, 1, 0))
    assert found.total == 75
    assert found.document["maxTotalRawScore"] == 20
    assert found.document["questionGroupScores"][0]["totalScoreUnweighted"] == 15
    assert [item["score"] for item in found.document["questionGroupScores"][0]["questionScores"]] == [5, 10]


def test_j9_groups_are_weighed():
    by_hand = {"weight": 80, "manualWeight": True}
    form = form_of(group("A", yes_no("a"), **by_hand), group("B", choice("b", 0, 30)), group("C", choice("c", 0, 10)))
    found = scored(form, (0, 0, 0), (1, 0, 0), (2, 0, 1))
    assert found.total == 85
    assert [item["maxTotalScore"] for item in found.document["questionGroupScores"]] == [80, 15, 5]
    plain = form_of(group("A", yes_no("a"), **by_hand), group("B", choice("b", 0, 3)), weight_mode="OFF")
    assert scored(plain, (0, 0, 0), (1, 0, 0)).total == 25


def test_j9_critical_questions_have_a_total_of_their_own():
    form = form_of(group("A", choice("a", 0, 10, isCritical=True), choice("b", 0, 10)), group("B", choice("c", 0, 20)))
    found = scored(form, (0, 0, 1), (0, 1, 0), (1, 0, 1))
    assert (found.total, found.critical) == (75, 100)
    assert found.document["totalNonCriticalScore"] == pytest.approx(50)
    assert found.document["maxTotalRawCriticalScore"] == 10


def test_j9_a_failed_kill_question_makes_everything_nothing():
    form = form_of(group("A", yes_no("kill", isKill=True, naEnabled=True, isCritical=True), choice("b", 0, 10)))
    failed = scored(form, (0, 0, 1), (0, 1, 1))
    assert (failed.total, failed.critical, failed.failed_kill) == (0, 0, True)
    assert failed.document["anyFailedKillQuestions"] is True
    assert failed.document["questionGroupScores"][0]["questionScores"][0]["failedKillQuestion"] is True
    assert scored(form, (0, 0, 0), (0, 1, 1)).total == 100
    assert scored(form, (0, 0, "na"), (0, 1, 1)).total == 100
    assert scored(form, (0, 1, 1)).failed_kill is False


def test_j9_na_counts_nowhere_and_only_where_the_form_allows_it():
    form = form_of(group("A", yes_no("a", naEnabled=True), yes_no("b")), group("B", yes_no("c"), naEnabled=True))
    assert scored(form, (0, 0, "na"), (0, 1, 0), na_groups=(1,)).total == 100
    assert scored(form, (0, 0, "na"), (0, 1, 0), (1, 0, 1)).total == pytest.approx(200 / 3)
    for picks, na_groups in (([(0, 1, "na")], ()), ([], (0,))):
        with pytest.raises(FormError, match="N/A"):
            scored(form, *picks, na_groups=na_groups)
    nothing = form_of(group("A", yes_no("a", naEnabled=True), free_text("b")))
    assert scored(nothing, (0, 0, "na")).total is None
    assert "totalScore" not in scored(nothing, (0, 0, "na")).document


def test_j9_what_is_hidden_is_na_by_the_system():
    follow_up = choice("b", 0, 10, visibilityCondition=when("../question/0/answer/1"))
    later = group("B", yes_no("c"), visibilityCondition=when("/form/questionGroup/0/question/1/answer/1"))
    form = form_of(group("A", yes_no("a"), follow_up), later)
    hidden = scored(form, (0, 0, 0), (0, 1, 1), (1, 0, 1))
    assert hidden.total == 100
    second = hidden.document["questionGroupScores"][0]["questionScores"][1]
    assert (second["markedNA"], second["systemMarkedNA"], "answerId" in second) == (True, True, False)
    assert hidden.document["questionGroupScores"][1]["systemMarkedNA"] is True
    seen = scored(form, (0, 0, 1), (0, 1, 1), (1, 0, 0))
    assert seen.document["questionGroupScores"][1]["systemMarkedNA"] is False
    assert seen.total == pytest.approx(100 * 11 / 12)


def test_j9_what_the_system_marked_is_worked_out_again():
    follow_up = choice("b", 0, 10, visibilityCondition=when("../question/0/answer/1"))
    form = form_of(group("A", yes_no("a"), follow_up))
    before = scored(form, (0, 0, 0)).document
    before["questionGroupScores"][0]["questionScores"][0]["answerId"] = form.groups[0].questions[0].options[1].id
    again = score(form, answers.read(form, before))
    assert again.document["questionGroupScores"][0]["questionScores"][1]["markedNA"] is False


def test_j9_several_may_be_selected():
    form = form_of(group("A", several("which?", 1, 2, 4, isKill=True)))
    found = scored(form, (0, 0, [0, 2]))
    assert found.document["questionGroupScores"][0]["questionScores"][0]["score"] == 5
    assert found.failed_kill
    assert scored(form, (0, 0, [0, 1, 2])).total == 100


def _first(document):
    return document["questionGroupScores"][0]


def _question(document):
    return _first(document)["questionScores"][0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: _first(d).update(questionGroupId="x"), "0.questionGroupId"),
        (lambda d: d["questionGroupScores"].append(d["questionGroupScores"][0]), "1.questionGroupId"),
        (lambda d: _question(d).update(questionId="x"), "0.questionScores.0.questionId"),
        (lambda d: _question(d).update(answerId="x"), "0.questionScores.0.answerId"),
        (lambda d: _question(d).update(markedNA=True), "0.questionScores.0.markedNA"),
        (lambda d: _question(d).update(comments="x" * 8001), "0.questionScores.0.comments"),
        (lambda d: _first(d)["questionScores"].append(_question(d)), "0.questionScores.1.questionId"),
    ],
)
def test_answers_are_to_this_version_of_the_form(change, field):
    form = form_of(group("A", yes_no("a", naEnabled=True)))
    document = answered(form, (0, 0, 0))
    change(document)
    with pytest.raises(FormError) as caught:
        answers.read(form, document)
    assert caught.value.field == f"answers.questionGroupScores.{field}"


def test_what_is_missing_is_told():
    form = form_of(
        group(
            "A",
            yes_no("a"),
            free_text("b"),
            free_text("c", commentsRequired=True),
            {"type": "readOnlyTextBlockQuestion", "text": "d"},
        ),
        group("B", yes_no("e"), visibilityCondition=when("/form/questionGroup/0/question/0/answer/1")),
        group("C", yes_no("f", naEnabled=True), several("g", 1), naEnabled=True),
    )
    fields = [problem.field for problem in answers.missing(form, answers.read(form, {}))]
    root = "answers.questionGroupScores."
    assert fields == [
        f"{root}0.questionScores.0.answerId",
        f"{root}0.questionScores.2.comments",
        f"{root}2.questionScores.0.answerId",
        f"{root}2.questionScores.1.answerId",
    ]
    done = answered(form, (0, 0, 0), (0, 2, {"comments": " because "}), na_groups=(2,))
    assert answers.missing(form, answers.read(form, done)) == []
    assert answers.missing(form, answers.read(form, answered(form, (0, 0, 1)))) != []


@pytest.mark.parametrize(
    ("more", "own", "picked", "na"),
    [
        ({}, {}, None, False),
        ({"defaultAnswersToHighest": True, "defaultAnswersToNA": True}, {}, 1, False),
        ({"defaultAnswersTo": {"lowestScore": True}}, {}, 0, False),
        ({"defaultAnswersToNA": True}, {"naEnabled": True}, None, True),
        ({"defaultAnswersToNA": True}, {}, None, False),
        (
            {"defaultAnswersTo": {"userDefined": True}},
            {"naEnabled": True, "defaultAnswer": {"notApplicable": True}},
            None,
            True,
        ),
    ],
)
def test_defaults(more, own, picked, na):
    form = form_of(group("A", choice("a", 0, 5, 3, **own), several("b", 2, 1), **more))
    begun = answers.defaults(form)
    question, parts = form.groups[0].questions
    assert begun.of(question).na is na
    assert begun.of(question).option_id == (None if picked is None else question.options[picked].id)
    if form.groups[0].default == "highest":
        assert score(form, begun).total == 100
        assert len(begun.of(parts).parts) == 2


def test_a_default_of_ones_own():
    groups = identified(group("A", choice("a", 0, 5)))
    groups[0]["questions"][0]["defaultAnswer"] = {"id": groups[0]["questions"][0]["answerOptions"][1]["id"]}
    form = read(groups)
    assert score(form, answers.defaults(form)).total == 100


# The reference works on the documents, asks everything anew each time, and knows no order.


def _is_visible(groups, picks, number, place=None):
    item = groups[number] if place is None else groups[number]["questions"][place]
    if place is not None and not _is_visible(groups, picks, number):
        return False
    condition = item.get("visibilityCondition")
    if not condition or not condition["predicates"]:
        return True
    held = []
    for text in condition["predicates"]:
        parts = text.split("/")
        g, q, a = int(parts[3]), int(parts[5]), int(parts[7])
        held.append(_is_visible(groups, picks, g, q) and picks.get((g, q)) == a)
    return all(held) if condition["combiningOperation"] == "AND" else any(held)


def _reference(groups, picks, mode):
    """(total, critical total, failed)."""
    points = {}
    failed = False
    for number, each in enumerate(groups):
        for place, question in enumerate(each["questions"]):
            pick = picks.get((number, place))
            if not _is_visible(groups, picks, number, place) or pick == "na":
                continue
            values = [option["value"] for option in question["answerOptions"]]
            got = 0 if pick is None else values[pick]
            points[number, place] = (got, max(values), bool(question.get("isCritical")))
            if question.get("isKill") and pick is not None and got < max(values):
                failed = True
    most = [sum(max(o["value"] for o in q["answerOptions"]) for q in each["questions"]) for each in groups]
    by_hand = [Fraction(each["weight"]) if each.get("manualWeight") else None for each in groups]
    left = 100 - sum(weight for weight in by_hand if weight is not None)
    free = sum(points_ for points_, weight in zip(most, by_hand, strict=True) if weight is None)

    def total(only_critical):
        top = bottom = Fraction(0)
        for number in range(len(groups)):
            mine = [p for (g, _), p in points.items() if g == number and (p[2] or not only_critical)]
            got, could = sum(p[0] for p in mine), sum(p[1] for p in mine)
            if could == 0:
                continue
            if mode == "OFF":
                weight = Fraction(could)
            elif by_hand[number] is not None:
                weight = by_hand[number]
            else:
                weight = left * Fraction(most[number], free)
            top += weight * Fraction(got, could)
            bottom += weight
        if bottom == 0:
            return None
        return Fraction(0) if failed else 100 * top / bottom

    return total(False), total(True), failed


@st.composite
def forms_and_picks(draw):
    groups, picks = [], {}
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    asked: list[tuple[int, int, int]] = []

    def condition():
        if not asked or draw(st.booleans()):
            return None
        chosen = draw(st.lists(st.sampled_from(asked), min_size=1, max_size=3))
        texts = [
            f"/form/questionGroup/{g}/question/{q}/answer/{draw(st.integers(0, options - 1))}"
            for g, q, options in chosen
        ]
        return when(*texts, operation=draw(st.sampled_from(["AND", "OR"])))

    for number, size in enumerate(shape):
        own = condition()
        questions = []
        for place in range(size):
            values = draw(st.lists(st.integers(0, 20), min_size=1, max_size=4))
            flags = {key: draw(st.booleans()) for key in ("isCritical", "naEnabled")}
            kill = draw(st.integers(0, 9)) == 0
            shown = condition() if draw(st.booleans()) else None
            questions.append(choice(f"{number}.{place}", *values, isKill=kill, visibilityCondition=shown, **flags))
            pick = draw(st.one_of(st.none(), st.integers(0, len(values) - 1), st.just("na")))
            if pick == "na" and not flags["naEnabled"]:
                pick = None
            if pick is not None:
                picks[number, place] = pick
            asked.append((number, place, len(values)))
        weight = draw(st.integers(1, 25))
        more = {"weight": weight, "manualWeight": True} if draw(st.booleans()) else {}
        groups.append(group(f"G{number}", *questions, visibilityCondition=own, **more))
    return groups, picks, draw(st.sampled_from(["SCALED", "OFF"]))


@given(forms_and_picks())
def test_j9_scores_are_those_of_the_reference(case):
    groups, picks, mode = case
    form = form_of(*groups, weight_mode=mode)
    found = scored(form, *((number, place, pick) for (number, place), pick in picks.items()))
    total, critical, failed = _reference(groups, picks, mode)
    assert found.failed_kill is failed
    assert found.total == (None if total is None else float(total))
    assert found.critical == (None if critical is None else float(critical))


@given(forms_and_picks())
def test_j9_scoring_what_was_scored_changes_nothing(case):
    groups, picks, mode = case
    form = form_of(*groups, weight_mode=mode)
    once = scored(form, *((number, place, pick) for (number, place), pick in picks.items()))
    again = score(form, answers.read(form, once.document))
    assert again == once
    assert once.total is None or 0 <= once.total <= 100
    parts = sum(item["maxTotalScore"] for item in once.document["questionGroupScores"])
    assert parts == pytest.approx(0 if once.total is None else 100)
