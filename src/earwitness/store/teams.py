"""Work teams and their members, now and at the time of a call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import name_matches
from earwitness.store.tables import ConversationTeam, Participant, User, WorkTeam, WorkTeamMember


def get(session: Session, team_id: str) -> WorkTeam | None:
    """The team of that id, unless it is deleted."""
    row = session.get(WorkTeam, team_id)
    return row if row is not None and row.state != "deleted" else None


def teams(
    session: Session, *, divisions: Divisions = ALL_DIVISIONS, name: str | None = None, limit: int | None = None
) -> Sequence[WorkTeam]:
    """Teams by name and id, of those divisions; ``name`` is a part of it."""
    statement = select(WorkTeam).where(WorkTeam.state != "deleted")
    if not divisions.every:
        statement = statement.where(WorkTeam.division_id.in_(sorted(divisions.ids)))
    if name:
        statement = statement.where(name_matches(WorkTeam.name, name))
    return session.scalars(statement.order_by(WorkTeam.name, WorkTeam.id).limit(limit)).all()


def named(session: Session, name: str) -> WorkTeam | None:
    """The team of exactly that name."""
    return session.scalars(select(WorkTeam).where(WorkTeam.name == name, WorkTeam.state != "deleted")).first()


def members(session: Session, team_id: str) -> Sequence[User]:
    """Who is in the team now, by name and id; deleted users are not."""
    statement = (
        select(User)
        .join(WorkTeamMember, WorkTeamMember.user_id == User.id)
        .where(WorkTeamMember.team_id == team_id, WorkTeamMember.left_at.is_(None), User.state != "deleted")
    )
    return session.scalars(statement.order_by(User.name, User.id)).all()


def member_counts(session: Session, team_ids: Iterable[str]) -> dict[str, int]:
    """Team id -> how many are in it now; teams without members are not there."""
    statement = (
        select(WorkTeamMember.team_id, func.count())
        .join(User, User.id == WorkTeamMember.user_id)
        .where(
            WorkTeamMember.team_id.in_(sorted(set(team_ids))),
            WorkTeamMember.left_at.is_(None),
            User.state != "deleted",
        )
        .group_by(WorkTeamMember.team_id)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def team_of(session: Session, user_id: str) -> str | None:
    """Id of the team that a user is in now."""
    statement = select(WorkTeamMember.team_id).where(
        WorkTeamMember.user_id == user_id, WorkTeamMember.left_at.is_(None)
    )
    return session.scalars(statement).first()


def teams_of(session: Session, user_ids: Iterable[str]) -> dict[str, str]:
    """User id -> id of the team that the user is in now."""
    statement = select(WorkTeamMember.user_id, WorkTeamMember.team_id).where(
        WorkTeamMember.user_id.in_(sorted(set(user_ids))), WorkTeamMember.left_at.is_(None)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def add(session: Session, team_id: str, user_id: str, at: int) -> bool:
    """Puts a user who is in no team into one; False: is in it already."""
    if team_of(session, user_id) == team_id:
        return False
    again = session.get(WorkTeamMember, (team_id, user_id, at))
    if again is not None:  # left and came back at the same moment
        again.left_at = None
    else:
        session.add(WorkTeamMember(team_id=team_id, user_id=user_id, joined_at=at))
    session.flush()
    return True


def remove(session: Session, team_id: str, at: int, user_ids: Iterable[str] | None = None) -> list[str]:
    """Ends memberships, of all members if ``user_ids`` is None. Gives who was in it, sorted."""
    statement = select(WorkTeamMember).where(WorkTeamMember.team_id == team_id, WorkTeamMember.left_at.is_(None))
    if user_ids is not None:
        statement = statement.where(WorkTeamMember.user_id.in_(sorted(set(user_ids))))
    rows = session.scalars(statement).all()
    for row in rows:
        row.left_at = at
    session.flush()
    return sorted(row.user_id for row in rows)


def at_the_time(session: Session, people: Iterable[Participant], ended_at: int) -> list[ConversationTeam]:
    """Teams of those who took part, while they did (J13).

    :param ended_at: end of the conversation, UTC microseconds, for those whose leaving nobody saw.
    """
    there: dict[str, list[Participant]] = {}
    for person in people:
        if person.user_id is not None:
            there.setdefault(person.user_id, []).append(person)
    if not there:
        return []
    first = min(person.joined_at for found in there.values() for person in found)
    statement = select(WorkTeamMember).where(
        WorkTeamMember.user_id.in_(sorted(there)),
        WorkTeamMember.joined_at <= ended_at,
        or_(WorkTeamMember.left_at.is_(None), WorkTeamMember.left_at > first),
    )
    found: dict[tuple[str, str, str], ConversationTeam] = {}
    for row in session.scalars(statement):
        for person in there[row.user_id]:
            until = person.left_at if person.left_at is not None else ended_at
            if row.joined_at <= until and (row.left_at is None or row.left_at > person.joined_at):
                key = (person.conversation_id, row.team_id, row.user_id)
                found[key] = ConversationTeam(conversation_id=key[0], team_id=key[1], user_id=key[2])
    return [found[key] for key in sorted(found)]
