"""Which divisions a call in progress touches, as the worker will note them when it is over (J11)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.store import users
from earwitness.store.tables import Flow, Queue, User


def of(session: Session, user_ids: Iterable[str], queue_ids: Iterable[str], flow_ids: Iterable[str]) -> frozenset[str]:
    """The divisions of these users, queues and flows, deleted ones too; without any, the home division."""
    touched: set[str] = set()
    for table, ids in ((User, set(user_ids)), (Queue, set(queue_ids)), (Flow, set(flow_ids))):
        if ids:
            touched.update(session.scalars(select(table.division_id).where(table.id.in_(sorted(ids)))))
    if not touched and (home := users.home_division(session)) is not None:
        touched.add(home.id)
    return frozenset(touched)
