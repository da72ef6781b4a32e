"""How much people evaluate and are evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from earwitness.store import evaluation_activity as activity_store
from earwitness.store.evaluation_activity import Filters, Scores, Work
from earwitness.store.tables import Evaluation, User
from earwitness.web.api import scoped
from earwitness.web.api.quality.evaluation_documents import Person, moment
from earwitness.web.api.quality.evaluations import VIEW
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, OneOf
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Evaluation activity")
SortBy = Annotated[str, OneOf("name", "-name"), Query(alias="sortBy")]


class EvaluatorOfAgent(Document):
    """How one evaluator sees an agent."""

    id: str
    name: str | None = None
    agent: Person
    evaluator: Person | None = None
    num_evaluations: int
    average_evaluation_score: int | None = None
    num_evaluations_without_view_permission: int = 0


class AgentActivity(Document):
    """How an agent is seen."""

    id: str
    name: str
    agent: Person
    num_evaluations: int
    average_evaluation_score: int | None = None
    highest_evaluation_score: float | None = None
    lowest_evaluation_score: float | None = None
    num_critical_evaluations: int
    average_critical_score: float | None = None
    highest_critical_score: float | None = None
    lowest_critical_score: float | None = None
    agent_evaluator_activity_list: list[EvaluatorOfAgent]
    num_evaluations_without_view_permission: int


class EvaluatorActivity(Document):
    """How far an evaluator is."""

    id: str
    name: str
    evaluator: Person
    num_evaluations_assigned: int
    num_evaluations_started: int
    num_evaluations_completed: int
    num_calibrations_assigned: int
    num_calibrations_started: int
    num_calibrations_completed: int
    num_evaluations_without_view_permission: int


@dataclass(frozen=True, slots=True)
class _Times:
    since: int | None
    until: int | None


def _times(
    start: Annotated[str | None, Query(alias="startTime")] = None,
    end: Annotated[str | None, Query(alias="endTime")] = None,
) -> _Times:
    return _Times(moment(start, "startTime"), moment(end, "endTime"))


Times = Annotated[_Times, Depends(_times)]


@family.operation(
    "GET",
    "/api/v2/quality/agents/activity",
    "get_quality_agents_activity",
    any_of(VIEW),
    returns=Listing[AgentActivity],
)
def agents_activity(
    caller: Signed,
    parts: Parts,
    page: Paging,
    times: Times,
    agent_ids: Annotated[CommaList, Query(alias="agentUserId")] = None,
    evaluator_id: Annotated[str | None, Query(alias="evaluatorUserId")] = None,
    name: str | None = None,
    group: str | None = None,
    team_id: Annotated[str | None, Query(alias="agentTeamId")] = None,
    form_context_id: Annotated[str | None, Query(alias="formContextId")] = None,
    user_state: Annotated[str, OneOf("Any", "Legacy"), Query(alias="userState")] = "Legacy",
    sort_by: SortBy = "name",
) -> Listing[AgentActivity]:
    """Agents of the divisions that the caller may view, and the scores of their finished evaluations.

    Dates (of assignment), evaluator and form say which evaluations count. Ids, name and team say which agents are
    listed, evaluated or not; with an evaluator and none of these, those whom the evaluator has evaluated. There are no
    groups of users, so with ``group`` nobody is listed.
    """
    filters = Filters(times.since, times.until, evaluator_id, form_context_id)
    chosen = agent_ids is not None or name is not None or team_id is not None
    states: tuple[str, ...] = ("active",) if chosen else ("active", "inactive")
    if user_state == "Any":
        states = ("active", "inactive", "deleted")
    with parts.database.reading() as session:
        if group is not None:
            return page.envelope([], 0)
        found = activity_store.people(
            session,
            scoped.reach(caller, VIEW),
            states=states,
            ids=agent_ids,
            name=name,
            team_id=team_id,
            evaluated_by=evaluator_id if evaluator_id is not None and not chosen else None,
            down=sort_by.startswith("-"),
            number=page.number,
            size=page.size,
        )
        ids = [user.id for user in found.items]
        scores = activity_store.scores_of_agents(session, caller.access, ids, filters)
        unseen = activity_store.out_of_sight(session, caller.access, Evaluation.agent_user_id, ids, filters)
        evaluators = activity_store.by_ids(session, {key for one in scores.values() for key in one if key is not None})
        rows = [_agent(user, scores.get(user.id, {}), evaluators, unseen.get(user.id, 0)) for user in found.items]
        return page.envelope(rows, found.total)


@family.operation(
    "GET",
    "/api/v2/quality/evaluators/activity",
    "get_quality_evaluators_activity",
    any_of(VIEW),
    returns=Listing[EvaluatorActivity],
)
def evaluators_activity(
    caller: Signed,
    parts: Parts,
    page: Paging,
    times: Times,
    name: str | None = None,
    permission: Annotated[CommaList, Query()] = None,
    group: str | None = None,
    team_id: Annotated[str | None, Query(alias="agentTeamId")] = None,
    sort_by: SortBy = "name",
) -> Listing[EvaluatorActivity]:
    """People of the divisions that the caller may view, and how far they are with what was assigned to them.

    ``permission``: only who holds all of these. There are no groups of users, so with ``group`` nobody is listed.
    """
    filters = Filters(times.since, times.until)
    with parts.database.reading() as session:
        if group is not None:
            return page.envelope([], 0)
        found = activity_store.people(
            session,
            scoped.reach(caller, VIEW),
            ids=activity_store.holders(session, permission) if permission else None,
            name=name,
            team_id=team_id,
            down=sort_by.startswith("-"),
            number=page.number,
            size=page.size,
        )
        ids = [user.id for user in found.items]
        work = activity_store.work_of_evaluators(session, caller.access, ids, filters)
        unseen = activity_store.out_of_sight(session, caller.access, Evaluation.evaluator_user_id, ids, filters)
        rows = [_evaluator(user, work.get(user.id, Work()), unseen.get(user.id, 0)) for user in found.items]
        return page.envelope(rows, found.total)


def person(user: User) -> Person:
    """A user in few words."""
    return Person(id=user.id, name=user.name, state=user.state, self_uri=f"/api/v2/users/{user.id}")


def _agent(user: User, scores: dict[str | None, Scores], evaluators: dict[str, User], unseen: int) -> AgentActivity:
    whole = scores.get(None, Scores())
    each = [
        EvaluatorOfAgent(
            id=evaluator_id,
            name=evaluators[evaluator_id].name if evaluator_id in evaluators else None,
            agent=person(user),
            evaluator=person(evaluators[evaluator_id]) if evaluator_id in evaluators else None,
            num_evaluations=one.count,
            average_evaluation_score=rounded(one.average),
        )
        for evaluator_id, one in sorted(scores.items(), key=lambda item: item[0] or "")
        if evaluator_id is not None
    ]
    return AgentActivity(
        id=user.id,
        name=user.name,
        agent=person(user),
        num_evaluations=whole.count,
        average_evaluation_score=rounded(whole.average),
        highest_evaluation_score=whole.highest,
        lowest_evaluation_score=whole.lowest,
        num_critical_evaluations=whole.critical_count,
        average_critical_score=whole.critical_average,
        highest_critical_score=whole.critical_highest,
        lowest_critical_score=whole.critical_lowest,
        agent_evaluator_activity_list=each,
        num_evaluations_without_view_permission=unseen,
    )


def _evaluator(user: User, work: Work, unseen: int) -> EvaluatorActivity:
    return EvaluatorActivity(
        id=user.id,
        name=user.name,
        evaluator=person(user),
        num_evaluations_assigned=work.assigned,
        num_evaluations_started=work.started,
        num_evaluations_completed=work.completed,
        num_calibrations_assigned=work.calibrations_assigned,
        num_calibrations_started=work.calibrations_started,
        num_calibrations_completed=work.calibrations_completed,
        num_evaluations_without_view_permission=unseen,
    )


def rounded(score: float | None) -> int | None:
    """A score where the contract wants a whole number; halves go up."""
    return None if score is None else int(score + 0.5)
