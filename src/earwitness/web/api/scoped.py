"""Objects of divisions, for those who may see them there: queues, flows, wrap-up codes, prompts, skills.

What lies in no division where the caller holds one of the permissions in question does not exist for it (404); what it
sees but may not do is refused (403).
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from earwitness.domain.access import Divisions
from earwitness.store import named as named_store
from earwitness.store.named import N
from earwitness.store.queues import EVERY_DIVISION
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.errors import missing_permissions, not_found


def reach(caller: Caller, *permissions: str) -> Divisions:
    """Divisions in which the caller holds one of the permissions."""
    found = Divisions()
    for permission in permissions:
        found = found | caller.access.divisions_for(permission)
    return found


def sees(caller: Caller, division_id: str, *permissions: str) -> bool:
    """Whether an object of that division is there for the caller."""
    divisions = reach(caller, *permissions)
    return bool(divisions) if division_id == EVERY_DIVISION else division_id in divisions


def find(
    session: Session,
    caller: Caller,
    table: type[N],
    object_id: str,
    what: str,
    *permissions: str,
    deleted: bool = False,
) -> N:
    """The object of that id, for who holds one of ``permissions`` in its division.

    :raises ApiError: 404.
    """
    row = named_store.get(session, table, object_id, deleted=deleted)
    if row is None or not sees(caller, row.division_id, *permissions):
        raise not_found(what, object_id)
    return row


def find_for_change(
    session: Session,
    caller: Caller,
    table: type[N],
    object_id: str,
    what: str,
    view: str,
    *permissions: str,
    deleted: bool = False,
) -> N:
    """The object of that id, for who holds one of ``permissions`` in its division.

    :param view: the permission to see it there.
    :raises ApiError: 404, it is not there for the caller; 403, it is, but may not be changed.
    """
    row = find(session, caller, table, object_id, what, view, *permissions, deleted=deleted)
    divisions = reach(caller, *permissions)
    if not (divisions.every or row.division_id in divisions):
        raise missing_permissions(permissions, every=False)
    return row
