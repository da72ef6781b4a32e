"""Trunk base settings and the trunks that run by them.

Properties are kept as the client gave them, unknown keys too. Keys of ``SECRET_KEYS`` never stay among them: their
values are sealed into ``TrunkBase.secrets`` and come back only inside a configuration snapshot.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.recording.settings import instance_of
from earwitness.store.named import delete, touch
from earwitness.store.paging import Page, name_matches, page_of
from earwitness.store.secrets import SecretBox
from earwitness.store.tables import Trunk, TrunkBase

PASSWORD = "trunk_sip_authentication_credentials_password"  # noqa: S105 (a key's name)
SECRET_KEYS = frozenset({PASSWORD})
MASK = "********"
"""What a client may send back in place of a secret that it was not shown; means "as it was"."""


def set_properties(base: TrunkBase, properties: Mapping[str, Any], box: SecretBox) -> None:
    """Replaces the properties. A secret is sealed; one that is absent or masked stays, an empty one is removed."""
    kept = {key: value for key, value in properties.items() if key not in SECRET_KEYS}
    secrets = dict(base.secrets or {})
    for key in SECRET_KEYS & properties.keys():
        value = instance_of(properties, key)
        if value is None or value == MASK:
            continue
        if value == "":
            secrets.pop(key, None)
        else:
            sealed = box.encrypt(str(value).encode(), _context(base, key))
            secrets[key] = base64.b64encode(sealed).decode()
    base.properties = kept
    base.secrets = secrets


def secret(base: TrunkBase, key: str, box: SecretBox) -> str:
    """A secret in the clear; empty if there is none."""
    sealed = (base.secrets or {}).get(key)
    return box.decrypt(base64.b64decode(sealed), _context(base, key)).decode() if sealed else ""


def _context(base: TrunkBase, key: str) -> bytes:
    return f"trunk_bases/{base.id}/{key}".encode()


def recording_enabled(base: TrunkBase) -> bool:
    """Whether calls on trunks of this base are recorded (A3: off until somebody turns it on)."""
    return instance_of(base.properties, "trunk_recording_enabled") is True


def add_base(session: Session, base: TrunkBase, new_id: Callable[[], str]) -> Trunk:
    """Adds trunk base settings and the trunk that runs by them (EXTERNAL ones)."""
    trunk = Trunk(
        id=new_id(),
        name=base.name,
        division_id=base.division_id,
        created_at=base.created_at,
        modified_at=base.modified_at,
        created_by=base.created_by,
        modified_by=base.modified_by,
        trunk_base_id=base.id,
        trunk_type=base.trunk_type,
        enabled=_enabled(base),
    )
    session.add(base)
    session.flush()
    session.add(trunk)
    session.flush()
    return trunk


def base_changed(session: Session, base: TrunkBase, at: int, by: str | None) -> None:
    """Notes a change of trunk base settings and carries it to their trunks."""
    touch(base, at, by)
    for trunk in trunks_of(session, base.id):
        trunk.name, trunk.enabled, trunk.trunk_type = base.name, _enabled(base), base.trunk_type
        trunk.division_id = base.division_id
        touch(trunk, at, by)
    session.flush()


def _enabled(base: TrunkBase) -> bool:
    return instance_of(base.properties, "trunk_enabled") is not False


def delete_base(session: Session, base: TrunkBase, at: int, by: str | None) -> None:
    """Deletes trunk base settings with their trunks. Calls in progress keep the configuration they began with."""
    for trunk in trunks_of(session, base.id):
        delete(trunk, at, by)
    delete(base, at, by)
    base.secrets = {}
    session.flush()


def trunks_of(session: Session, base_id: str) -> list[Trunk]:
    """Trunks that run by these settings, deleted ones not."""
    statement = select(Trunk).where(Trunk.trunk_base_id == base_id, Trunk.state != "deleted")
    return list(session.scalars(statement.order_by(Trunk.name, Trunk.id)))


def bases(
    session: Session, *, recording: bool | None = None, name: str | None = None, number: int = 1, size: int = 25
) -> Page[TrunkBase]:
    """A page of trunk base settings, by name; ``recording`` keeps those that record, or those that do not (A12)."""
    statement = select(TrunkBase).where(TrunkBase.state != "deleted")
    if name:
        statement = statement.where(name_matches(TrunkBase.name, name))
    statement = statement.order_by(TrunkBase.name, TrunkBase.id)
    if recording is None:
        return page_of(session, statement, number, size)
    found = [base for base in session.scalars(statement) if recording_enabled(base) is recording]
    return Page(found[(number - 1) * size : number * size], len(found), number, size)


def trunks(
    session: Session,
    *,
    base_id: str | None = None,
    trunk_type: str | None = None,
    number: int = 1,
    size: int = 25,
) -> Page[Trunk]:
    """A page of trunks, by name."""
    statement = select(Trunk).where(Trunk.state != "deleted")
    if base_id is not None:
        statement = statement.where(Trunk.trunk_base_id == base_id)
    if trunk_type is not None:
        statement = statement.where(Trunk.trunk_type == trunk_type)
    return page_of(session, statement.order_by(Trunk.name, Trunk.id), number, size)


def recording_counts(session: Session, trunk_type: str | None = None) -> tuple[int, int]:
    """How many trunks record and how many do not (A12)."""
    statement = select(TrunkBase).join(Trunk, Trunk.trunk_base_id == TrunkBase.id).where(Trunk.state != "deleted")
    if trunk_type is not None:
        statement = statement.where(Trunk.trunk_type == trunk_type)
    answers = [recording_enabled(base) for base in session.scalars(statement)]
    return sum(answers), len(answers) - sum(answers)
