"""What a form may be, and how versions of it hang together."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality_forms import choice, form_of, free_text, group, identified, several, when, yes_no

from earwitness.domain.quality.conditions import FormError
from earwitness.domain.quality.form import read, with_ids


def refused(*groups, **more):
    with pytest.raises(FormError) as caught:
        form_of(*groups, **more)
    return caught.value.field


def test_all_kinds_of_questions():
    form = form_of(
        group(
            "All",
            yes_no("Greeted?", isKill=True, isCritical=True),
            choice("How well?", 0, 3, 5, helpText="Honestly"),
            several("Which?", 1, 2),
            free_text("Why?", commentsRequired=True),
            {"type": "readOnlyTextBlockQuestion", "text": "Now listen"},
        )
    )
    questions = form.groups[0].questions
    assert [question.most for question in questions] == [1, 5, 3, 0, 0]
    assert [question.is_scored for question in questions] == [True, True, True, False, False]
    assert questions[0].is_kill
    assert questions[0].is_critical
    assert form.groups[0].most == 9


@pytest.mark.parametrize(
    ("groups", "field"),
    [
        ((), "questionGroups"),
        ((group("Empty"),), "questionGroups.0.questions"),
        ((group("", yes_no("?")),), "questionGroups.0.name"),
        ((group("G", yes_no("")),), "questionGroups.0.questions.0.text"),
        ((group("G", choice("No answers")),), "questionGroups.0.questions.0.answerOptions"),
        ((group("G", choice("?", -1)),), "questionGroups.0.questions.0.answerOptions.0.value"),
        ((group("G", choice("?", 10_001)),), "questionGroups.0.questions.0.answerOptions.0.value"),
        ((group("G", {"type": "npsQuestion", "text": "?"}),), "questionGroups.0.questions.0.type"),
        ((group("G", free_text("?", isKill=True)),), "questionGroups.0.questions.0.isKill"),
        ((group("G", several("?")),), "questionGroups.0.questions.0.multipleSelectOptionQuestions"),
        ((group("G", yes_no("?"), weight=101, manualWeight=True),), "questionGroups.0.weight"),
        ((group("G", yes_no("?"), weight=0, manualWeight=True),), "questionGroups.0.weight"),
        ((group("G", yes_no("?", defaultAnswer={"id": "x"})),), "questionGroups.0.questions.0.defaultAnswer.id"),
    ],
)
def test_what_is_no_form(groups, field):
    assert refused(*groups) == field


def test_weights_by_hand_leave_something():
    half = {"weight": 60, "manualWeight": True}
    assert refused(group("A", yes_no("?"), **half), group("B", yes_no("?"), **half), group("C", yes_no("?")))
    form_of(group("A", yes_no("?"), **half), group("B", yes_no("?"), **half))


def test_ids_are_there_once():
    groups = identified(group("G", yes_no("a"), yes_no("b")))
    groups[0]["questions"][1]["id"] = groups[0]["questions"][0]["id"]
    with pytest.raises(FormError, match="twice"):
        read(groups)


def test_limits():
    assert refused(*[group("G", yes_no("?"))] * 101) == "questionGroups"
    assert refused(group("G", *[yes_no("?")] * 501)) == "questionGroups"


ANSWER = "/form/questionGroup/{}/question/{}/answer/{}"


@pytest.mark.parametrize(
    "predicate",
    [
        "",
        "nonsense",
        7,
        None,
        ANSWER.format(0, 5, 0),
        ANSWER.format(9, 0, 0),
        ANSWER.format(0, 0, 2),
        "../question/0/answer/9",
        ANSWER.format(0, 1, 0),
        "/form/questionGroup/0/question/0/answer/0/x",
        "../question/-1/answer/0",
    ],
)
def test_a_condition_names_an_answer_of_the_form(predicate):
    shown = yes_no("shown?", visibilityCondition=when(predicate))
    field = refused(group("G", yes_no("first"), free_text("text"), shown))
    assert field == "questionGroups.0.questions.2.visibilityCondition.predicates.0"


def test_a_condition_of_a_group_names_the_group():
    later = group("B", yes_no("?"), visibilityCondition=when("../question/0/answer/0"))
    assert refused(group("A", yes_no("?")), later) == "questionGroups.1.visibilityCondition.predicates.0"


@pytest.mark.parametrize(
    "groups",
    [
        (group("G", yes_no("itself", visibilityCondition=when("../question/0/answer/0"))),),
        (
            group(
                "G",
                yes_no("a", visibilityCondition=when("../question/1/answer/0")),
                yes_no("b", visibilityCondition=when("../question/0/answer/0")),
            ),
        ),
        (group("G", yes_no("its own group"), visibilityCondition=when(ANSWER.format(0, 0, 0))),),
        (
            group("A", yes_no("a"), visibilityCondition=when(ANSWER.format(1, 0, 0))),
            group("B", yes_no("b"), visibilityCondition=when(ANSWER.format(0, 0, 0))),
        ),
        (
            group("A", yes_no("a"), visibilityCondition=when(ANSWER.format(1, 0, 0))),
            group(
                "B",
                yes_no("b", visibilityCondition=when(ANSWER.format(1, 1, 0))),
                yes_no("c", visibilityCondition=when(ANSWER.format(0, 0, 1))),
            ),
        ),
    ],
)
def test_cyclic_conditions_are_refused(groups):
    assert refused(*groups).endswith("visibilityCondition")


def test_long_chains_of_conditions_are_fine():
    chain = [yes_no("0")]
    chain += [yes_no(str(n), visibilityCondition=when(f"../question/{n - 1}/answer/0")) for n in range(1, 500)]
    form = form_of(group("G", *chain))
    places = {node: place for place, node in enumerate(form.order)}
    assert all(places[0, n - 1] < places[0, n] for n in range(1, 500))
    backwards = [yes_no(str(n), visibilityCondition=when(f"../question/{n + 1}/answer/0")) for n in range(499)]
    form_of(group("G", *backwards, yes_no("499")))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12))
def test_order_exists_exactly_where_there_is_no_cycle(edges):
    """Held against the obvious: does following the conditions from a question lead back to it?"""
    needs: dict[int, set[int]] = {n: {b for a, b in edges if a == n} for n in range(8)}

    def leads_back(start: int) -> bool:
        reached, found = set(), set(needs[start])
        while found:
            node = found.pop()
            if node == start:
                return True
            if node not in reached:
                reached.add(node)
                found |= needs[node]
        return False

    questions = [
        yes_no(str(n), visibilityCondition=when(*(f"../question/{b}/answer/0" for b in sorted(needs[n]))))
        for n in range(8)
    ]
    if any(leads_back(n) for n in range(8)):
        assert refused(group("G", *questions)).endswith("visibilityCondition")
    else:
        form = form_of(group("G", *questions))
        places = {node: place for place, node in enumerate(form.order)}
        assert all(places[0, b] < places[0, a] for a, b in edges)


def test_j8_a_version_has_new_ids_and_the_same_context_ids():
    numbers = count(1000)
    default = yes_no("?")
    draft = identified(group("G", default, several("s", 1)))
    draft[0]["questions"][0]["defaultAnswer"] = {"id": draft[0]["questions"][0]["answerOptions"][1]["id"]}
    version = with_ids(draft, draft, lambda: f"v{next(numbers)}", keep=False)

    def both(groups):
        found = []
        for each in groups:
            questions = [*each["questions"], *each["questions"][1]["multipleSelectOptionQuestions"]]
            items = [each, *questions, *(o for q in questions for o in q.get("answerOptions", []))]
            found += [(item["id"], item["contextId"]) for item in items]
        return found

    assert [context for _, context in both(version)] == [context for _, context in both(draft)]
    assert not {each for each, _ in both(version)} & {each for each, _ in both(draft)}
    read(version)
    chosen = version[0]["questions"][0]
    assert chosen["defaultAnswer"]["id"] == chosen["answerOptions"][1]["id"]


def test_a_changed_draft_keeps_the_ids_of_what_it_keeps():
    draft = identified(group("G", yes_no("a"), yes_no("b")))
    numbers = count(1000)
    changed = [{**draft[0], "questions": [draft[0]["questions"][1], yes_no("new"), draft[0]["questions"][1]]}]
    kept = with_ids(changed, draft, lambda: f"v{next(numbers)}", keep=True)
    assert kept[0]["id"] == draft[0]["id"]
    first, new, copy = kept[0]["questions"]
    assert first["id"] == draft[0]["questions"][1]["id"]
    assert new["id"] == new["contextId"]
    assert copy["id"] != first["id"]
    read(kept)
    stranger = with_ids(draft, [], lambda: f"w{next(numbers)}", keep=True)
    assert stranger[0]["id"] != draft[0]["id"]
