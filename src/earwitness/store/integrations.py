"""Integrations: where recordings are exported to.

What is secret of one (keys of a bucket) is sealed by the secret box and leaves the database only here, for the worker.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from earwitness.store.paging import Page, page_of
from earwitness.store.secrets import SecretBox
from earwitness.store.tables import Integration

FOLDER = "earwitness-folder"
S3 = "earwitness-s3"
TYPES = (FOLDER, S3)
ENABLED, DISABLED, DELETED = "ENABLED", "DISABLED", "DELETED"
ACTIVE, ACTIVATING, INACTIVE, ERROR = "ACTIVE", "ACTIVATING", "INACTIVE", "ERROR"


def get(session: Session, integration_id: str) -> Integration | None:
    """The integration of that id, unless it was deleted; enabled or not."""
    row = session.get(Integration, integration_id)
    return row if row is not None and row.intended_state != DELETED else None


def by_ids(session: Session, ids: Collection[str]) -> dict[str, Integration]:
    """Those of the ids that there are."""
    statement = select(Integration).where(Integration.id.in_(sorted(ids)), Integration.intended_state != DELETED)
    return {row.id: row for row in session.scalars(statement)}


def listing(
    session: Session,
    *,
    ids: Collection[str] | None = None,
    kind: str | None = None,
    reported: str | None = None,
    descending: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[Integration]:
    """A page of integrations by name."""
    statement = select(Integration).where(Integration.intended_state != DELETED)
    if ids is not None:
        statement = statement.where(Integration.id.in_(sorted(ids)))
    if kind is not None:
        statement = statement.where(Integration.type == kind)
    if reported is not None:
        statement = statement.where(Integration.reported_code == reported)
    name = func.lower(Integration.name)
    return page_of(session, statement.order_by(name.desc() if descending else name, Integration.id), number, size)


def name_taken(session: Session, name: str, but: str | None = None) -> bool:
    """Whether another integration has that name, whatever the case."""
    statement = select(Integration.id).where(
        func.lower(Integration.name) == name.lower(), Integration.intended_state != DELETED
    )
    return any(found != but for found in session.scalars(statement))


def unlooked(session: Session) -> Sequence[Integration]:
    """Enabled ones that the worker has not tried as they are now."""
    statement = select(Integration).where(
        Integration.intended_state == ENABLED,
        Integration.looked_at_version.is_distinct_from(Integration.version),
    )
    return session.scalars(statement.order_by(Integration.id)).all()


def report(session: Session, integration_id: str, code: str, detail: str | None, at: int) -> None:
    """Notes how it goes."""
    row = session.get(Integration, integration_id)
    if row is not None and row.intended_state == ENABLED:
        row.reported_code, row.reported_detail, row.reported_at = code, detail, at
        session.flush()


def seal(box: SecretBox, integration_id: str, secrets: Mapping[str, str]) -> bytes | None:
    """Secrets as the database holds them; None for none."""
    return box.encrypt(json.dumps(dict(secrets)).encode(), _context(integration_id)) if secrets else None


def unseal(box: SecretBox, row: Integration) -> dict[str, str]:
    """The secrets of an integration.

    :raises Exception: they do not belong here; see ``SecretBox.decrypt``.
    """
    if row.secrets is None:
        return {}
    return dict(json.loads(box.decrypt(row.secrets, _context(row.id))))


def _context(integration_id: str) -> bytes:
    return f"integration:{integration_id}".encode()
