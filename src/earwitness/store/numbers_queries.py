"""Numbers of a pool, and handing numbers to call routes, beside ``store.telephony``."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from earwitness.store.tables import Did

ROUTE = "IVR_CONFIG"


def first_owned(session: Session, did_pool_id: str) -> Did | None:
    """A number of the pool that belongs to somebody."""
    statement = select(Did).where(Did.did_pool_id == did_pool_id, Did.owner_id.is_not(None))
    return session.scalars(statement.order_by(Did.number)).first()


def delete_numbers(session: Session, did_pool_id: str) -> None:
    """Removes the numbers of a pool."""
    session.execute(delete(Did).where(Did.did_pool_id == did_pool_id))


def give_to_route(session: Session, route_id: str, numbers: Iterable[str], at: int) -> None:
    """Makes a call route the owner of these numbers, as far as they are ours, and of no others."""
    wanted = set(numbers)
    held = session.scalars(select(Did).where(Did.owner_id == route_id, Did.owner_type == ROUTE))
    for row in held:
        if row.number not in wanted:
            row.owner_id = row.owner_type = None
            row.version, row.modified_at = row.version + 1, at
    for row in session.scalars(select(Did).where(Did.number.in_(sorted(wanted)))):
        if row.owner_id != route_id:
            row.owner_id, row.owner_type = route_id, ROUTE
            row.version, row.modified_at = row.version + 1, at
    session.flush()
