"""Evaluations in the store: assigned and counted for policies, and which of them exist for whom."""

from __future__ import annotations

from typing import Any

import pytest

from earwitness.domain.access import Access, Grant, Role, Subject, resolve
from earwitness.domain.quality.form import with_ids
from earwitness.store import calibrations, evaluation_visibility, evaluations
from earwitness.store.database import Database
from earwitness.store.internal import FinishedConversation, store_finished
from earwitness.store.tables import Conversation, ConversationTeam, Evaluation, EvaluationForm, Participant

NOW = 1_795_353_600_000_000
VIEW = "quality:evaluation:view"


@pytest.fixture
def database(database_url: str) -> Any:
    database = Database(database_url)
    with database.transaction() as session:
        _add_forms(session)
        for number, (agent, division) in enumerate((("ada", "sales"), ("ben", "sales"), ("cleo", "support"))):
            conversation = Conversation(
                id=f"c{number}",
                organization_id="o",
                started_at=NOW,
                ended_at=NOW + 5,
                direction="inbound",
                finalised_at=NOW,
            )
            people = [
                Participant(
                    conversation_id=conversation.id,
                    id="p",
                    purpose="agent",
                    user_id=agent,
                    queue_id=f"queue-{division}",
                    joined_at=NOW,
                )
            ]
            assert store_finished(session, FinishedConversation(conversation, people, division_ids=[division]))
            session.merge(ConversationTeam(conversation_id=conversation.id, team_id=f"team-{agent}", user_id=agent))
    yield database
    database.dispose()


def _add_forms(session: Any) -> None:
    question = {"type": "multipleChoiceQuestion", "text": "?", "answerOptions": [{"text": "a", "value": 1}]}
    group = {"name": "G", "questions": [question], "defaultAnswersToHighest": True}
    numbers = iter(range(100))
    for key, published in (("form", NOW), ("draft", None)):
        groups = with_ids([group], [], lambda: f"n{next(numbers)}", keep=False)
        session.add(
            EvaluationForm(
                id=key,
                context_id="context",
                published_at=published,
                name="Form",
                division_id="home",
                question_groups=groups,
                created_at=NOW,
                modified_at=NOW,
            )
        )
    session.flush()


def assign(session: Any, conversation: int, agent: str, at: int = NOW, **more: Any) -> Evaluation:
    values = {"form_id": "form", "evaluator_id": "eve", "source_type": "POLICY", "policy_id": "policy", **more}
    return evaluations.assign(session, conversation_id=f"c{conversation}", agent_id=agent, at=at, **values)


def test_an_assigned_evaluation_knows_its_call(database: Database) -> None:
    with database.transaction() as session:
        row = assign(session, 0, "ada", source_id="policy", source_name="All calls")
        assert (row.status, row.source_type, row.version, row.context_id) == ("PENDING", "Policy", 1, row.id)
        assert (row.queue_id, row.agent_team_id, row.conversation_at) == ("queue-sales", "team-ada", NOW)
        assert (row.assignee_user_id, row.form_context_id, row.total_score) == ("eve", "context", 100.0)
        assert row.released_at is None


@pytest.mark.parametrize("wrong", [{"form_id": "draft"}, {"form_id": "none"}, {"conversation_id": "none"}])
def test_what_cannot_be_assigned(database: Database, wrong: dict[str, str]) -> None:
    values = {"conversation_id": "c0", "form_id": "form", **wrong}
    with database.transaction() as session, pytest.raises(evaluations.CannotAssignError):
        evaluations.assign(session, evaluator_id="eve", agent_id="ada", at=NOW, **values)


def test_policies_count_what_they_assigned(database: Database) -> None:
    with database.transaction() as session:
        assign(session, 0, "ada")
        assign(session, 1, "ben", NOW + 10).deleted_at = NOW + 11
        assign(session, 1, "ben", NOW + 20, evaluator_id="other")
        assign(session, 2, "cleo", NOW + 30, policy_id="another")
        calibrations.assign(
            session,
            conversation_id="c0",
            form_id="form",
            calibrator_id="boss",
            evaluator_ids=["eve"],
            expert_id="eve",
            agent_id="ada",
            at=NOW + 40,
            source_type="POLICY",
            policy_id="policy",
        )
        session.flush()
        count = evaluations.count_for_evaluator
        assert [count(session, "eve", "policy", since) for since in (NOW, NOW + 1, NOW + 11)] == [2, 1, 0]
        assert evaluations.count_for_agent(session, "ben", "policy", NOW) == 2
        assert evaluations.count_for_agent(session, "cleo", "policy", NOW) == 0


def access(user: str, division: str, operand: dict[str, Any] | None = None) -> Access:
    condition = None
    if operand is not None:
        condition = {"variableName": "Conversation.agents", "operator": "EQ", "operands": [operand]}
    return resolve(Subject("user", user), [Grant(Role("r", "R", (VIEW,)), division, condition)])


@pytest.mark.parametrize(
    ("who", "agents"),
    [
        (access("boss", "*"), {"ada", "ben", "cleo"}),
        (access("boss", "sales"), {"ada", "ben"}),
        (access("boss", "elsewhere"), set()),
        (access("boss", "*", {"type": "USER", "user": {"id": "ben"}}), {"ben"}),
        (access("boss", "*", {"type": "QUEUE", "queue": {"id": "queue-support"}}), {"cleo"}),
        (access("boss", "*", {"type": "TEAM", "team": {"id": "team-ada"}}), {"ada"}),
        (access("boss", "support", {"type": "TEAM", "team": {"id": "team-ada"}}), set()),
        (access("boss", "*", {"type": "VARIABLE", "value": "CurrentUser"}), set()),
        (access("ada", "*"), {"ben", "cleo"}),
        (access("ben", "sales"), {"ada", "ben"}),
        (access("eve", "elsewhere"), {"ada", "ben", "cleo"}),
        (access("ben", "*", {"type": "VARIABLE", "value": "ReleasedEvaluation"}), {"ben"}),
    ],
)
def test_j6_which_evaluations_exist_for_whom(database: Database, who: Access, agents: set[str]) -> None:
    """Ben's is released, the others are not; Eve evaluates all of them."""
    with database.transaction() as session:
        for number, agent in enumerate(("ada", "ben", "cleo")):
            row = assign(session, number, agent)
            if agent == "ben":
                row.status, row.release_date, row.released_at = "FINISHED", NOW, NOW
        gone = assign(session, 0, "ada")
        gone.deleted_at = NOW
        session.flush()
        from sqlalchemy import select

        rows = session.scalars(select(Evaluation).where(evaluation_visibility.visible_to(who))).all()
        assert {row.agent_user_id for row in rows} == agents
        for row in rows:
            held = evaluation_visibility.held(session, who, row)
            assert held == frozenset()  # to view is all that was given


def test_released_evaluations_are_found_once(database: Database) -> None:
    with database.transaction() as session:
        row = assign(session, 0, "ada")
        row.status, row.release_date = "FINISHED", NOW + 5
        session.flush()
        assert evaluations.release_due(session, NOW + 4, 10) == []
        assert [item.id for item in evaluations.release_due(session, NOW + 5, 10)] == [row.id]
        assert evaluations.release_due(session, NOW + 6, 10) == []
        assert row.released_at == NOW + 5
