"""How much people evaluate and are evaluated: sums for agents and for evaluators.

Sums are of evaluations that exist for who asks; of the others only how many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from earwitness.domain.access import Access, Divisions, covers
from earwitness.domain.access.subject import role_permissions
from earwitness.domain.quality import evaluation as life
from earwitness.store.access import as_role
from earwitness.store.evaluation_visibility import visible_to
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import Evaluation, Grant, Role, User, WorkTeamMember

DONE = life.SEEN_BY_AGENT


@dataclass(frozen=True, slots=True)
class Filters:
    """Which evaluations count: by time of assignment (``since`` inclusive, ``until`` exclusive), evaluator, form."""

    since: int | None = None
    until: int | None = None
    evaluator_id: str | None = None
    form_context_id: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a ``where``."""
        found: list[ColumnElement[bool]] = [Evaluation.deleted_at.is_(None), Evaluation.status != life.RETRACTED]
        if self.since is not None:
            found.append(Evaluation.assigned_at >= self.since)
        if self.until is not None:
            found.append(Evaluation.assigned_at < self.until)
        if self.evaluator_id is not None:
            found.append(Evaluation.evaluator_user_id == self.evaluator_id)
        if self.form_context_id is not None:
            found.append(Evaluation.form_context_id == self.form_context_id)
        return found


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of some finished evaluations; None where none has one."""

    count: int = 0
    average: float | None = None
    highest: float | None = None
    lowest: float | None = None
    critical_count: int = 0
    critical_average: float | None = None
    critical_highest: float | None = None
    critical_lowest: float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """How far somebody is with what was assigned to them."""

    assigned: int = 0
    started: int = 0
    completed: int = 0
    calibrations_assigned: int = 0
    calibrations_started: int = 0
    calibrations_completed: int = 0


def people(
    session: Session,
    within: Divisions,
    *,
    states: Collection[str] = ("active",),
    ids: Collection[str] | None = None,
    name: str | None = None,
    team_id: str | None = None,
    evaluated_by: str | None = None,
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[User]:
    """A page of users of the divisions, by name.

    :param team_id: who is in that team now.
    :param evaluated_by: whom that user has evaluated.
    """
    statement = select(User).where(User.state.in_(states))
    if not within.every:
        statement = statement.where(User.division_id.in_(sorted(within.ids)))
    if ids is not None:
        statement = statement.where(User.id.in_(sorted(set(ids))))
    if name:
        statement = statement.where(name_matches(User.name, name))
    if team_id is not None:
        members = select(WorkTeamMember.user_id).where(
            WorkTeamMember.team_id == team_id, WorkTeamMember.left_at.is_(None)
        )
        statement = statement.where(User.id.in_(members))
    if evaluated_by is not None:
        agents = select(Evaluation.agent_user_id).where(
            Evaluation.evaluator_user_id == evaluated_by, Evaluation.deleted_at.is_(None)
        )
        statement = statement.where(User.id.in_(agents))
    order = (User.name.desc(), User.id.desc()) if down else (User.name, User.id)
    return page_of(session, statement.order_by(*order), number, size)


def scores_of_agents(
    session: Session, access: Access, agent_ids: Collection[str], filters: Filters
) -> dict[str, dict[str | None, Scores]]:
    """Agent id -> evaluator id -> their scores; under None those by all evaluators. Calibrations do not count."""
    counted = [*_whose(Evaluation.agent_user_id, agent_ids), *filters.conditions(), *_finished(), visible_to(access)]
    found: dict[str, dict[str | None, Scores]] = {}
    for row in session.execute(_sums(Evaluation.agent_user_id).where(*counted).group_by(Evaluation.agent_user_id)):
        found.setdefault(row[0], {})[None] = _scores(row[1:])
    pair = (Evaluation.agent_user_id, Evaluation.evaluator_user_id)
    for row in session.execute(_sums(*pair).where(*counted).group_by(*pair)):
        found.setdefault(row[0], {})[row[1]] = _scores(row[2:])
    return found


def out_of_sight(
    session: Session,
    access: Access,
    whose: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    user_ids: Collection[str],
    filters: Filters,
) -> dict[str, int]:
    """User id -> evaluations that do not exist for who asks."""
    statement = (
        select(whose, func.count())
        .where(*_whose(whose, user_ids), *filters.conditions(), ~visible_to(access))
        .group_by(whose)
    )
    return {str(user_id): count for user_id, count in session.execute(statement)}


def work_of_evaluators(
    session: Session, access: Access, evaluator_ids: Collection[str], filters: Filters
) -> dict[str, Work]:
    """Evaluator id -> what they have to do."""
    whose = Evaluation.evaluator_user_id
    calibration = Evaluation.calibration_id.is_not(None)
    started, done = Evaluation.status == life.INPROGRESS, Evaluation.status.in_(DONE)
    every = Evaluation.id.is_not(None)
    kinds = [and_(kind, state) for kind in (~calibration, calibration) for state in (every, started, done)]
    statement = select(whose, *(func.sum(case((kind, 1), else_=0)) for kind in kinds)).where(
        *_whose(whose, evaluator_ids), *filters.conditions(), visible_to(access)
    )
    rows = session.execute(statement.group_by(whose))
    return {str(row[0]): Work(*(int(value or 0) for value in row[1:])) for row in rows}


def holders(session: Session, permissions: Iterable[str]) -> set[str]:
    """Ids of users who hold every one of the permissions somewhere."""
    roles = session.scalars(select(Role)).all()
    found: set[str] | None = None
    for permission in permissions:
        fitting = [
            role.id for role in roles if any(covers(pattern, permission) for pattern in role_permissions(as_role(role)))
        ]
        statement = select(Grant.subject_id).where(Grant.subject_type == "user", Grant.role_id.in_(fitting))
        ids = set(session.scalars(statement))
        found = ids if found is None else found & ids
    return found or set()


def _whose(column: Any, user_ids: Collection[str]) -> list[ColumnElement[bool]]:
    return [column.in_(sorted(set(user_ids)))]


def _finished() -> list[ColumnElement[bool]]:
    return [Evaluation.status.in_(DONE), Evaluation.calibration_id.is_(None)]


def _sums(*columns: Any) -> Select[Any]:
    total, critical = Evaluation.total_score, Evaluation.total_critical_score
    sums: list[Any] = [func.count(), func.avg(total), func.max(total), func.min(total)]
    sums += [func.count(critical), func.avg(critical), func.max(critical), func.min(critical)]
    return select(*columns, *sums)


def _scores(sums: Sequence[Any]) -> Scores:
    count, average, highest, lowest, criticals, *critical = sums
    return Scores(count, average, highest, lowest, criticals, *critical)


def by_ids(session: Session, user_ids: Collection[str]) -> dict[str, User]:
    """Users by id, deleted ones too."""
    return {user.id: user for user in session.scalars(select(User).where(User.id.in_(sorted(user_ids))))}
