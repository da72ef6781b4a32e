"""Permissions, conditions, grants, roles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.access import (
    ALL_DIVISIONS,
    DEFAULT_ROLES,
    ConditionError,
    Divisions,
    Grant,
    NotAllowedError,
    NotVisibleError,
    Role,
    Subject,
    covers,
    from_document,
    is_permission,
    resolve,
)
from earwitness.domain.access.condition import OWN_CALLS, All, Any_, Evaluated, Involves, own_calls_document
from earwitness.domain.access.subject import Scope, role_permissions

ANN = Subject("user", "ann")
VIEW = "recording:recording:view"


def _role(*permissions: str, **fields: Any) -> Role:
    return Role("r", "R", permissions, **fields)


def _default(key: str) -> Role:
    known = next(role for role in DEFAULT_ROLES if role.key == key)
    return Role(key, known.name, known.permissions, known.policies)


@pytest.mark.parametrize(
    ("held", "asked", "yes"),
    [
        (VIEW, VIEW, True),
        ("recording:*:view", VIEW, True),
        ("recording:*:*", VIEW, True),
        ("*:*:*", VIEW, True),
        ("quality:*:*", VIEW, False),
        ("recording:recording:*", "recording:annotation:view", False),
        (VIEW, "recording:recording:*", False),
        ("recording:recording", "recording:recording", False),
        ("", VIEW, False),
        (VIEW + ":x", VIEW, False),
    ],
)
def test_covers(held: str, asked: str, yes: bool) -> None:
    assert covers(held, asked) is yes


@given(st.text(), st.text())
def test_covers_takes_anything(held: str, asked: str) -> None:
    assert covers(held, asked) in (True, False)
    assert not covers(held, asked) or (is_permission(held) and is_permission(asked))


def test_grants_add_up() -> None:
    access = resolve(ANN, [Grant(_role(VIEW), "berlin"), Grant(_role(VIEW, "routing:queue:*"), "paris")])
    assert access.allows(VIEW)
    assert access.allows("routing:queue:edit")
    assert not access.allows("recording:recording:editRetention")
    assert access.divisions_for(VIEW) == Divisions(ids=frozenset({"berlin", "paris"}))
    assert access.divisions_for("routing:queue:view") == Divisions(ids=frozenset({"paris"}))
    assert not access.divisions_for("users:user:view")
    assert access.permissions() == (VIEW, "routing:queue:*")


def test_a_grant_for_all_divisions_reaches_those_yet_to_be_made() -> None:
    access = resolve(ANN, [Grant(_role(VIEW), "*")])
    assert access.divisions_for(VIEW) == ALL_DIVISIONS
    assert "made tomorrow" in access.divisions_for(VIEW)


def test_no_grant_allows_nothing() -> None:
    access = resolve(ANN, [])
    assert not access.allows(VIEW)
    assert access.scopes_for(VIEW) == ()
    assert access.allows_any([])


def test_any_and_all() -> None:
    access = resolve(ANN, [Grant(_role("a:b:c"), "*")])
    assert access.allows_any(["x:y:z", "a:b:c"])
    assert not access.allows_all(["x:y:z", "a:b:c"])


def test_not_visible_comes_before_not_allowed() -> None:
    access = resolve(ANN, [])
    with pytest.raises(NotVisibleError):
        access.require(VIEW, visible=False)
    with pytest.raises(NotAllowedError, match=VIEW):
        access.require(VIEW)
    access.require()


def test_require_all_names_what_is_missing() -> None:
    access = resolve(ANN, [Grant(_role("a:b:c"), "*")])
    access.require("a:b:c", "x:y:z")
    with pytest.raises(NotAllowedError) as caught:
        access.require("a:b:c", "x:y:z", every=True)
    assert caught.value.permissions == ("x:y:z",)


def test_j14_own_calls_only() -> None:
    access = resolve(ANN, [Grant(_default("ownCalls"), "berlin")])
    assert access.scopes_for(VIEW) == (Scope(Divisions(ids=frozenset({"berlin"})), OWN_CALLS),)
    assert not access.divisions_for(VIEW)
    assert not access.allows("recording:recording:editRetention")


def test_j1_agents_and_evaluators_hear_through_evaluations_only() -> None:
    for key, part in (("agent", "agent"), ("evaluator", "evaluator")):
        access = resolve(ANN, [Grant(_default(key), "berlin")])
        assert access.scopes_for(VIEW) == (Scope(Divisions(ids=frozenset({"berlin"})), Evaluated(part)),)
        assert not access.allows("conversation:recording:pauseOthers")


def test_users_of_communicate_have_nothing_of_policies_and_quality() -> None:
    held = role_permissions(_default("communicate"))
    assert "conversation:call:record" in held
    assert not [name for name in held if name.partition(":")[0] in ("quality", "recording", "analytics", "audits")]


def test_supervisor_sees_the_division_and_cannot_administer() -> None:
    access = resolve(ANN, [Grant(_default("supervisor"), "berlin")])
    assert access.scopes_for(VIEW) == (Scope(Divisions(ids=frozenset({"berlin"}))),)
    for permission in ("telephony:plugin:all", "authorization:role:edit", "recording:recording:editRetention"):
        assert not access.allows(permission)


def test_administrator_may_all_that_the_contract_names() -> None:
    access = resolve(ANN, [Grant(_default("administrator"), "*")])
    for permission in (VIEW, "telephony:plugin:all", "oauth:client:add", "directory:user:edit", "audits:audit:view"):
        assert access.allows(permission)


def test_default_roles_are_well_formed() -> None:
    for known in DEFAULT_ROLES:
        role = Role(known.key, known.name, known.permissions, known.policies)
        assert all(is_permission(permission) for permission in role_permissions(role))
    assert len({role.key for role in DEFAULT_ROLES}) == len(DEFAULT_ROLES) == 8


def test_j13_conditions_of_grant_and_policy_both_hold() -> None:
    queue = {"operator": "EQ", "operands": [{"type": "QUEUE", "queue": {"id": "sales"}}]}
    access = resolve(ANN, [Grant(_default("ownCalls"), "berlin", queue)])
    (scope,) = access.scopes_for(VIEW)
    assert scope.condition == All((Involves(queues=frozenset({"sales"})), OWN_CALLS))


def test_a_condition_nobody_understands_gives_nothing() -> None:
    broken = {"operator": "GT", "operands": [{"type": "SCALAR", "value": "7"}]}
    assert not resolve(ANN, [Grant(_role(VIEW), "*", broken)]).allows(VIEW)


def test_conditions_are_trees() -> None:
    user = {"operator": "IN", "operands": [{"type": "USER", "user": {"id": "u1"}}, {"type": "USER", "value": "u2"}]}
    team = {"operands": [{"type": "TEAM", "team": {"id": "t1"}}]}
    found = from_document({"conjunction": "OR", "terms": [user, {"conjunction": "AND", "terms": [team]}]})
    assert found == Any_((Involves(users=frozenset({"u1", "u2"})), All((Involves(teams=frozenset({"t1"})),))))
    assert from_document(own_calls_document()) == OWN_CALLS


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"terms": "x"},
        {"operands": []},
        {"operands": ["x"]},
        {"operands": [{"type": "USER"}]},
        {"operands": [{"type": "VARIABLE", "value": "Moon"}]},
        {"conjunction": "XOR", "terms": [own_calls_document()]},
        {"terms": [{"terms": ["x"]}]},
    ],
)
def test_bad_conditions_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ConditionError):
        from_document(document)


def test_deep_nesting_is_refused() -> None:
    document = own_calls_document()
    for _ in range(100):
        document = {"terms": [document]}
    with pytest.raises(ConditionError, match="deep"):
        from_document(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["terms", "operands", "conjunction", "operator", "type", "user", "id", "value"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["terms", "operands", "conjunction", "operator"]), JSON, max_size=4))
def test_any_condition_is_understood_or_refused(document: dict[str, Any]) -> None:
    try:
        found = from_document(document)
    except ConditionError:
        return
    assert isinstance(found, Involves | All | Any_)
