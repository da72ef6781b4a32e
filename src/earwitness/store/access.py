"""Roles and grants, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from earwitness.domain import access as rules
from earwitness.domain.access import Access, Subject
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.tables import Grant, Role


def access_of(session: Session, subject: Subject) -> Access:
    """Everything that the subject may do, by its grants at this moment."""
    rows = session.execute(
        select(Grant, Role)
        .join(Role, Role.id == Grant.role_id)
        .where(Grant.subject_id == subject.id, Grant.subject_type == subject.type)
    ).all()
    return rules.resolve(
        subject, (rules.Grant(as_role(role), grant.division_id, grant.condition) for grant, role in rows)
    )


def as_role(row: Role) -> rules.Role:
    """The role as the rules know it."""
    return rules.Role(row.id, row.name, tuple(row.permissions), tuple(row.permission_policies))


def grants(session: Session, subject_id: str) -> Sequence[tuple[Grant, Role]]:
    """Grants of a subject with their roles, oldest first."""
    statement = select(Grant, Role).join(Role, Role.id == Grant.role_id).where(Grant.subject_id == subject_id)
    return [(grant, role) for grant, role in session.execute(statement.order_by(Grant.granted_at, Grant.id))]


def grants_in(
    session: Session, *, division_id: str | None = None, role_id: str | None = None
) -> Sequence[tuple[Grant, Role]]:
    """Grants in a division or of a role with their roles, oldest first."""
    statement = select(Grant, Role).join(Role, Role.id == Grant.role_id)
    if division_id is not None:
        statement = statement.where(Grant.division_id == division_id)
    if role_id is not None:
        statement = statement.where(Grant.role_id == role_id)
    return [(grant, role) for grant, role in session.execute(statement.order_by(Grant.granted_at, Grant.id))]


def grant(session: Session, row: Grant) -> Grant:
    """Gives a role in a division; once is enough: an equal grant is returned as it is."""
    known = session.scalars(
        select(Grant).where(
            Grant.subject_id == row.subject_id, Grant.role_id == row.role_id, Grant.division_id == row.division_id
        )
    ).first()
    if known is not None:
        return known
    session.add(row)
    session.flush()
    return row


def revoke(session: Session, subject_id: str, role_id: str | None = None, division_id: str | None = None) -> int:
    """Takes grants away: those of a role, of a division, or all of the subject. Gives how many there were."""
    statement = delete(Grant).where(Grant.subject_id == subject_id)
    if role_id is not None:
        statement = statement.where(Grant.role_id == role_id)
    if division_id is not None:
        statement = statement.where(Grant.division_id == division_id)
    gone = session.scalars(statement.returning(Grant.id)).all()
    return len(gone)


def role(session: Session, role_id: str) -> Role | None:
    """The role of that id."""
    return session.get(Role, role_id)


def default_role(session: Session, key: str) -> Role | None:
    """The built-in role of that key, ``administrator``, ``supervisor``, ``evaluator`` or ``agent``."""
    return session.scalars(select(Role).where(Role.default_role_id == key, Role.is_default)).first()


def roles(session: Session, *, name: str | None = None, number: int = 1, size: int = 25) -> Page[Role]:
    """A page of roles, by name."""
    statement = select(Role)
    if name:
        statement = statement.where(name_matches(Role.name, name))
    return page_of(session, statement.order_by(Role.name, Role.id), number, size)


def subjects_of_role(session: Session, role_id: str, subject_type: str = "user") -> list[str]:
    """Ids of the subjects that hold the role anywhere, sorted."""
    statement = select(Grant.subject_id).where(Grant.role_id == role_id, Grant.subject_type == subject_type).distinct()
    return sorted(session.scalars(statement))


def add_default_roles(session: Session, at: int, new_id: Callable[[], str]) -> list[Role]:
    """Adds the built-in roles that are missing; those that exist stay as they are."""
    added = []
    for known in rules.DEFAULT_ROLES:
        if default_role(session, known.key) is not None:
            continue
        taken = session.scalar(select(Role.id).where(Role.name == known.name)) is not None
        row = Role(
            id=new_id(),
            name=f"{known.name} (built-in)" if taken else known.name,
            description=known.description,
            permissions=list(known.permissions),
            permission_policies=[dict(policy) for policy in known.policies],
            default_role_id=known.key,
            is_default=True,
            is_base=True,
            created_at=at,
            modified_at=at,
        )
        session.add(row)
        added.append(row)
    session.flush()
    return added


def renew_default_roles(session: Session, at: int, new_id: Callable[[], str]) -> list[Role]:
    """Brings an installation of an earlier version up to date: the built-in roles that are new, and what the others
    may do by now. Those that somebody has changed stay as people have made them, but for the administrator's.

    Does nothing before ``earwitness init``. Gives the roles that were added or changed.
    """
    if default_role(session, "administrator") is None:
        return []
    renewed = add_default_roles(session, at, new_id)
    for known in rules.DEFAULT_ROLES:
        row = default_role(session, known.key)
        if row is None or (known.key != "administrator" and (row.version > 1 or row.modified_by is not None)):
            continue
        now = (list(known.permissions), [dict(policy) for policy in known.policies])
        if (row.permissions, row.permission_policies) != now:
            row.permissions, row.permission_policies = now
            row.description, row.modified_at = known.description, at
            renewed.append(row)
    session.flush()
    return renewed
