"""Queues, their members and their wrap-up codes. Plain get, touch, delete: ``store.named``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Select, case, delete, exists, func, select
from sqlalchemy.orm import Session

from earwitness.domain.access import ALL_DIVISIONS, Divisions
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import CallRoute, Queue, QueueMember, QueueWrapupCode, User, WrapupCode

EVERY_DIVISION = "*"
"""Division of a wrap-up code that is for all of them."""


def queues(
    session: Session,
    *,
    within: Divisions = ALL_DIVISIONS,
    ids: Collection[str] | None = None,
    division_ids: Collection[str] | None = None,
    name: str | None = None,
    order: str = "name",
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[Queue]:
    """A page of queues; ``order``: ``name``, ``id`` or ``division_id``; ``down``: the other way round."""
    statement = _queues(within, ids, division_ids, name)
    column = {"id": Queue.id, "division_id": Queue.division_id}.get(order, Queue.name)
    first = (column.desc(), Queue.id.desc()) if down else (column, Queue.id)
    return page_of(session, statement.order_by(*first), number, size)


def _queues(
    within: Divisions, ids: Collection[str] | None, division_ids: Collection[str] | None, name: str | None
) -> Select[Queue]:
    statement = select(Queue).where(Queue.state != "deleted")
    if not within.every:
        statement = statement.where(Queue.division_id.in_(within.ids))
    if ids is not None:
        statement = statement.where(Queue.id.in_(ids))
    if division_ids is not None:
        statement = statement.where(Queue.division_id.in_(division_ids))
    return statement if not name else statement.where(name_matches(Queue.name, name))


def by_name(session: Session, name: str) -> Queue | None:
    """The queue of exactly that name, unless deleted."""
    return session.scalars(select(Queue).where(Queue.name == name, Queue.state != "deleted")).first()


def of_user(
    session: Session,
    user_id: str,
    *,
    within: Divisions = ALL_DIVISIONS,
    division_ids: Collection[str] | None = None,
    joined: bool | None = None,
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[Queue]:
    """A page of the queues that a user is a member of, by name."""
    member = select(1).where(QueueMember.queue_id == Queue.id, QueueMember.user_id == user_id)
    if joined is not None:
        member = member.where(QueueMember.joined == joined)
    statement = _queues(within, None, division_ids, None).where(exists(member))
    return page_of(session, statement.order_by(Queue.name.desc() if down else Queue.name, Queue.id), number, size)


def counts(session: Session, queue_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Queue id -> how many members it has, and how many of them have joined. Users who are gone do not count."""
    statement = (
        select(QueueMember.queue_id, func.count(), func.sum(case((QueueMember.joined, 1), else_=0)))
        .join(User, User.id == QueueMember.user_id)
        .where(QueueMember.queue_id.in_(sorted(set(queue_ids))), User.state != "deleted")
        .group_by(QueueMember.queue_id)
    )
    return {queue_id: (int(all_), int(joined or 0)) for queue_id, all_, joined in session.execute(statement)}


def members(
    session: Session, queue_id: str, *, name: str | None = None, joined: bool | None = None, down: bool = False
) -> Sequence[tuple[QueueMember, User]]:
    """The members of a queue who are not deleted, by name."""
    statement = (
        select(QueueMember, User)
        .join(User, User.id == QueueMember.user_id)
        .where(QueueMember.queue_id == queue_id, User.state != "deleted")
    )
    if name:
        statement = statement.where(name_matches(User.name, name))
    if joined is not None:
        statement = statement.where(QueueMember.joined == joined)
    first = (User.name.desc(), User.id.desc()) if down else (User.name, User.id)
    return [(member, user) for member, user in session.execute(statement.order_by(*first))]


def member(session: Session, queue_id: str, user_id: str) -> QueueMember | None:
    """The membership of a user."""
    return session.get(QueueMember, (queue_id, user_id))


def add_member(session: Session, queue_id: str, user_id: str, at: int) -> None:
    """Makes a user a member who has joined; one who is a member already stays as it is."""
    if member(session, queue_id, user_id) is None:
        session.add(QueueMember(queue_id=queue_id, user_id=user_id, added_at=at))
        session.flush()


def remove_members(session: Session, queue_id: str, user_ids: Collection[str]) -> None:
    """Ends memberships; those that there are not are fine."""
    if user_ids:
        session.execute(
            delete(QueueMember).where(QueueMember.queue_id == queue_id, QueueMember.user_id.in_(sorted(set(user_ids))))
        )


def codes(
    session: Session,
    *,
    within: Divisions = ALL_DIVISIONS,
    ids: Collection[str] | None = None,
    division_ids: Collection[str] | None = None,
    name: str | None = None,
    states: Collection[str] = ("active",),
    order: str = "name",
    down: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[WrapupCode]:
    """A page of wrap-up codes; those for all divisions are in every division."""
    statement = select(WrapupCode).where(WrapupCode.state.in_(states))
    if not within.every:
        statement = statement.where(WrapupCode.division_id.in_([*within.ids, *([EVERY_DIVISION] if within else [])]))
    if ids is not None:
        statement = statement.where(WrapupCode.id.in_(ids))
    if division_ids is not None:
        statement = statement.where(WrapupCode.division_id.in_(division_ids))
    if name:
        statement = statement.where(name_matches(WrapupCode.name, name))
    column = WrapupCode.id if order == "id" else WrapupCode.name
    first = (column.desc(), WrapupCode.id.desc()) if down else (column, WrapupCode.id)
    return page_of(session, statement.order_by(*first), number, size)


def code_by_name(session: Session, name: str) -> WrapupCode | None:
    """The wrap-up code of exactly that name, unless deleted."""
    return session.scalars(select(WrapupCode).where(WrapupCode.name == name, WrapupCode.state != "deleted")).first()


def codes_of(
    session: Session, queue_id: str, *, name: str | None = None, number: int = 1, size: int = 25
) -> Page[WrapupCode]:
    """A page of the wrap-up codes that a queue offers, by name."""
    offered = select(1).where(QueueWrapupCode.code_id == WrapupCode.id, QueueWrapupCode.queue_id == queue_id)
    statement = select(WrapupCode).where(WrapupCode.state != "deleted", exists(offered))
    if name:
        statement = statement.where(name_matches(WrapupCode.name, name))
    return page_of(session, statement.order_by(WrapupCode.name, WrapupCode.id), number, size)


def offer(session: Session, queue_id: str, code_id: str, at: int) -> None:
    """Has a queue offer a code; once is enough."""
    if session.get(QueueWrapupCode, (queue_id, code_id)) is None:
        session.add(QueueWrapupCode(queue_id=queue_id, code_id=code_id, added_at=at))
        session.flush()


def withdraw(session: Session, queue_id: str, code_id: str) -> None:
    """Has a queue offer a code no more."""
    session.execute(
        delete(QueueWrapupCode).where(QueueWrapupCode.queue_id == queue_id, QueueWrapupCode.code_id == code_id)
    )


def routes_to(session: Session, target_type: str, target: str) -> Sequence[CallRoute]:
    """Call routes that lead to a queue, flow or user."""
    statement = select(CallRoute).where(
        CallRoute.state != "deleted", CallRoute.target_type == target_type, CallRoute.target == target
    )
    return session.scalars(statement.order_by(CallRoute.name)).all()
