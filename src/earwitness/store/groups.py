"""Groups of users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from earwitness.store.paging import Page, page_of
from earwitness.store.tables import Group, GroupMember, User


def get(session: Session, group_id: str, *, deleted: bool = False) -> Group | None:
    """The group of that id."""
    row = session.get(Group, group_id)
    return row if row is not None and (deleted or row.state != "deleted") else None


def named(session: Session, name: str) -> Group | None:
    """The group of that name, whatever the case."""
    statement = select(Group).where(func.lower(Group.name) == name.lower(), Group.state != "deleted")
    return session.scalars(statement).first()


def listing(
    session: Session, *, ids: Sequence[str] | None = None, down: bool = False, number: int = 1, size: int = 25
) -> Page[Group]:
    """Groups by name."""
    statement = select(Group).where(Group.state != "deleted")
    if ids is not None:
        statement = statement.where(Group.id.in_(ids))
    ordered = statement.order_by(Group.name.desc() if down else Group.name, Group.id)
    return page_of(session, ordered, number, size)


def people(
    session: Session, group_id: str, *, owners: bool = False, down: bool = False, number: int = 1, size: int = 25
) -> Page[User]:
    """Members (or owners) of a group, by name, deleted users left out."""
    wanted = GroupMember.owner if owners else GroupMember.member
    statement = select(User).join(GroupMember, GroupMember.user_id == User.id)
    statement = statement.where(GroupMember.group_id == group_id, wanted, User.state != "deleted")
    return page_of(session, statement.order_by(User.name.desc() if down else User.name, User.id), number, size)


def individuals(session: Session, group_id: str) -> Sequence[User]:
    """Members and owners of a group, by name."""
    statement = select(User).join(GroupMember, GroupMember.user_id == User.id)
    statement = statement.where(GroupMember.group_id == group_id, User.state != "deleted")
    return session.scalars(statement.order_by(User.name, User.id)).all()


def owns(session: Session, group_id: str, user_id: str) -> bool:
    """Whether a user is an owner of the group."""
    row = session.get(GroupMember, (group_id, user_id))
    return row is not None and row.owner


def count(session: Session, group_id: str) -> int:
    """Members of a group."""
    statement = select(func.count()).select_from(GroupMember).join(User, User.id == GroupMember.user_id)
    wanted = statement.where(GroupMember.group_id == group_id, GroupMember.member, User.state != "deleted")
    return session.scalar(wanted) or 0


def add(session: Session, group_id: str, user_ids: Iterable[str]) -> list[str]:
    """Makes users members; gives those who were not."""
    added = []
    for user_id in dict.fromkeys(user_ids):
        row = session.get(GroupMember, (group_id, user_id))
        if row is None:
            session.add(GroupMember(group_id=group_id, user_id=user_id, owner=False, member=True))
        elif row.member:
            continue
        else:
            row.member = True
        added.append(user_id)
    session.flush()
    return added


def remove(session: Session, group_id: str, user_ids: Iterable[str]) -> list[str]:
    """Users are members no more; gives those who were. Owners stay owners."""
    removed = []
    for user_id in dict.fromkeys(user_ids):
        row = session.get(GroupMember, (group_id, user_id))
        if row is not None and row.member:
            row.member = False
            removed.append(user_id)
    session.flush()
    _tidy(session, group_id)
    return removed


def set_owners(session: Session, group_id: str, user_ids: Iterable[str]) -> None:
    """These users own the group, and no others."""
    wanted = set(user_ids)
    for row in session.scalars(select(GroupMember).where(GroupMember.group_id == group_id)):
        row.owner = row.user_id in wanted
        wanted.discard(row.user_id)
    session.add_all(GroupMember(group_id=group_id, user_id=key, owner=True, member=False) for key in sorted(wanted))
    session.flush()
    _tidy(session, group_id)


def _tidy(session: Session, group_id: str) -> None:
    nobody = (GroupMember.group_id == group_id, GroupMember.owner.is_(False), GroupMember.member.is_(False))
    session.execute(delete(GroupMember).where(*nobody))
