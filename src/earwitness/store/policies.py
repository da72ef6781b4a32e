"""Media retention policies: to find, list, order and read.

What is stored was checked when it came in; ``compiled`` gives what ``domain.policy`` works with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from earwitness.domain.policy import Policy, PolicyError, PolicyIndex, Rules, read_policy
from earwitness.store import settings
from earwitness.store.paging import name_matches
from earwitness.store.tables import RetentionPolicy

log = structlog.get_logger()

SETTINGS = "policies"
"""``{"consentShieldsFromDeletion": false, "keepBeatsDays": false}``."""
MOST_ORDER = 1_000_000
ORDERS = ("order", "name", "createdDate", "modifiedDate", "enabled")
Stamp = tuple[int, int, int]


def get(
    session: Session, policy_id: str, *, cross_platform: bool = False, deleted: bool = False
) -> RetentionPolicy | None:
    """The policy of that id and kind; a deleted one only if asked for."""
    row = session.get(RetentionPolicy, policy_id)
    if row is None or row.cross_platform != cross_platform:
        return None
    return row if deleted or row.state != "deleted" else None


def _there() -> Select[RetentionPolicy]:
    return select(RetentionPolicy).where(RetentionPolicy.state != "deleted")


def matching(
    *, cross_platform: bool = False, name: str | None = None, enabled: bool | None = None, order: str = "order"
) -> Select[RetentionPolicy]:
    """Policies in order; ``order`` is one of ``ORDERS``."""
    statement = _there().where(RetentionPolicy.cross_platform == cross_platform)
    if name:
        statement = statement.where(name_matches(RetentionPolicy.name, name))
    if enabled is not None:
        statement = statement.where(RetentionPolicy.enabled == enabled)
    first = {
        "name": RetentionPolicy.name,
        "createdDate": RetentionPolicy.created_at,
        "modifiedDate": RetentionPolicy.modified_at,
        "enabled": RetentionPolicy.enabled.desc(),
    }.get(order, RetentionPolicy.order)
    return statement.order_by(first, RetentionPolicy.order, RetentionPolicy.id)


def by_ids(session: Session, ids: Sequence[str], *, cross_platform: bool = False) -> Sequence[RetentionPolicy]:
    """Those of the ids that there are."""
    statement = _there().where(
        RetentionPolicy.id.in_(sorted(set(ids))), RetentionPolicy.cross_platform == cross_platform
    )
    return session.scalars(statement.order_by(RetentionPolicy.id)).all()


def next_order(session: Session) -> int:
    """The place behind the last policy."""
    last = session.scalar(select(func.max(RetentionPolicy.order)).where(RetentionPolicy.state != "deleted"))
    return 0 if last is None else min(last + 1, MOST_ORDER)


def touch(row: RetentionPolicy, at: int, by: str | None) -> None:
    """Notes a change: who and when, one version on."""
    row.version = (row.version or 0) + 1
    row.modified_at = at
    row.modified_by = by


def delete(row: RetentionPolicy, at: int, by: str | None) -> None:
    """Marks a policy deleted; the dates that it has set stay (F19). Deleting twice is deleting once."""
    if row.state != "deleted":
        row.state = "deleted"
        touch(row, at, by)


def read(row: RetentionPolicy) -> Policy:
    """The policy as ``domain.policy`` knows it.

    :raises PolicyError: it was stored by another version, and this one does not understand it.
    """
    return read_policy(row.id, row.name, row.order, row.enabled_at, row.document, cross_platform=row.cross_platform)


def rules(session: Session) -> Rules:
    """What the organisation decided about policies as such."""
    stored = settings.get(session, SETTINGS, {})
    return Rules(bool(stored.get("consentShieldsFromDeletion")), bool(stored.get("keepBeatsDays")))


@dataclass(frozen=True, slots=True)
class Compiled:
    """All enabled policies, as they were at one moment."""

    stamp: Stamp
    index: PolicyIndex


def stamp(session: Session) -> Stamp:
    """Changes whenever any policy does."""
    statement = select(
        func.count(),
        func.coalesce(func.sum(RetentionPolicy.version), 0),
        func.coalesce(func.max(RetentionPolicy.modified_at), 0),
    )
    count, versions, modified_at = session.execute(statement.select_from(RetentionPolicy)).one()
    return int(count), int(versions), int(modified_at)


def compiled(session: Session, known: Compiled | None = None) -> Compiled:
    """The enabled policies; ``known`` if nothing has changed since."""
    now = stamp(session)
    if known is not None and known.stamp == now:
        return known
    found = []
    for row in session.scalars(_there().where(RetentionPolicy.enabled)):
        try:
            found.append(read(row))
        except PolicyError as error:
            log.error("a policy cannot be understood and is passed over", policy_id=row.id, error=str(error))
    return Compiled(now, PolicyIndex(found))


def lock(session: Session, policy_id: str) -> None:
    """Keeps other workers from counting for this policy until the transaction ends (F16)."""
    session.execute(select(RetentionPolicy.id).where(RetentionPolicy.id == policy_id).with_for_update())
