"""Who switched what: each change of people, roles and configuration is a row of the audit log, with before and after.

The session itself is watched, so that no operation can forget it. One transaction gives one row for each object that it
changed in the end, whatever it did on the way. Grants, programs and SIP credentials have rows of their own making.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store import audit
from earwitness.store.numbers_queries import ROUTE
from earwitness.store.tables import (
    Base,
    CallRoute,
    Did,
    DidPool,
    Division,
    EvaluationForm,
    ExternalContact,
    Flow,
    Group,
    Language,
    Phone,
    PhoneBase,
    Prompt,
    Queue,
    RetentionPolicy,
    Role,
    Site,
    Skill,
    Station,
    SurveyForm,
    TrunkBase,
    User,
    WorkTeam,
    WrapupCode,
)

KINDS: dict[type[Base], str] = {
    CallRoute: "callRoute",
    Did: "did",
    DidPool: "didPool",
    Division: "division",
    EvaluationForm: "evaluationForm",
    ExternalContact: "externalContact",
    Flow: "flow",
    Group: "group",
    Language: "language",
    Phone: "phone",
    PhoneBase: "phoneBase",
    Prompt: "prompt",
    Queue: "queue",
    RetentionPolicy: "retentionPolicy",
    Role: "role",
    Site: "site",
    Skill: "skill",
    Station: "station",
    SurveyForm: "surveyForm",
    TrunkBase: "trunkBase",
    User: "user",
    WorkTeam: "team",
    WrapupCode: "wrapupCode",
}
"""Table -> ``entity_type``. Trunks follow their trunk base."""
SECRETS = {"password_hash": "password", "ha1_md5": "password", "ha1_sha256": "password", "secrets": "secrets"}
"""Column -> the word that stands for it; only that it changed is told."""
BOOKKEEPING = frozenset({"id", "version", "created_at", "created_by", "modified_at", "modified_by"})


@dataclass(slots=True)
class _Seen:
    row: Any
    action: str
    before: dict[str, Any] = field(default_factory=dict)


class Watch:
    """Remembers what a session changes, from now on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: dict[int, _Seen] = {}
        event.listen(session, "before_flush", self._before_flush)

    def _before_flush(self, session: Session, _context: object, _instances: object) -> None:
        for row in session.new:
            if type(row) in KINDS and not isinstance(row, Did):  # thousands come with their pool, which tells of them
                self._seen.setdefault(id(row), _Seen(row, "create"))
        for row in session.dirty:
            if type(row) in KINDS and session.is_modified(row):
                self._remember(row)
        for row in session.deleted:
            if type(row) in KINDS:
                self._seen[id(row)] = _Seen(row, "delete", {"name": getattr(row, "name", None)})

    def _remember(self, row: Any) -> None:
        seen = self._seen.setdefault(id(row), _Seen(row, "change"))
        state = inspect(row)
        for column in _columns(row):
            history = state.attrs[column].history
            if history.has_changes():
                seen.before.setdefault(column, history.deleted[0] if history.deleted else None)

    def write(self, *, at: int, subject: Subject, remote_address: str) -> None:
        """Writes the rows. To be called once, when everything is flushed."""
        for seen in list(self._seen.values()):
            row = seen.row
            if isinstance(row, Did) and ROUTE in (row.owner_type, seen.before.get("owner_type")):
                continue  # the route tells which numbers it has
            action, before, after = seen.action, seen.before, dict[str, Any]()
            if action == "create":
                before, after = _difference({}, {column: getattr(row, column) for column in _columns(row)})
            elif action == "change":
                before, after = _difference(before, {column: getattr(row, column) for column in before})
                if not after and not before:
                    continue
                action = "delete" if after.get("state") == "deleted" else action
            audit.add(
                self._session,
                at=at,
                subject=subject,
                action=action,
                entity_type=KINDS[type(row)],
                entity_id=row.id,
                remote_address=remote_address,
                detail={"before": before, "after": after},
            )


def _columns(row: Base) -> list[str]:
    return [attribute.key for attribute in inspect(row).mapper.column_attrs]


def _difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs; of columns that are documents, the keys that differ."""
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    for column, value in after.items():
        former = before.get(column)
        if column in BOOKKEEPING or value == former or (not former and not value and not isinstance(value, bool)):
            continue
        if column in SECRETS:
            new[SECRETS[column]] = "changed"
        elif isinstance(value, dict) and isinstance(former, dict | None):
            was = former or {}
            changed = sorted(key for key in was.keys() | value.keys() if was.get(key) != value.get(key))
            old |= {f"{column}.{key}": was[key] for key in changed if key in was}
            new |= {f"{column}.{key}": value[key] for key in changed if key in value}
        else:
            if former is not None:
                old[column] = former
            new[column] = value
    return old, new
