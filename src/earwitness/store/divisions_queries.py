"""What a division still holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.store.tables import (
    CallRoute,
    ConversationDivision,
    DidPool,
    Division,
    EvaluationForm,
    ExternalContact,
    Flow,
    Grant,
    Phone,
    PhoneBase,
    Prompt,
    Queue,
    Site,
    Skill,
    Station,
    SurveyForm,
    Trunk,
    TrunkBase,
    User,
    WrapupCode,
)

_HOLDS = (
    (User, "users"),
    (Grant, "grants"),
    (ConversationDivision, "conversations"),
    (Site, "sites"),
    (TrunkBase, "trunk bases"),
    (Trunk, "trunks"),
    (PhoneBase, "phone bases"),
    (Phone, "phones"),
    (Station, "stations"),
    (DidPool, "number ranges"),
    (CallRoute, "call routes"),
    (Queue, "queues"),
    (WrapupCode, "wrap-up codes"),
    (ExternalContact, "external contacts"),
    (Skill, "skills"),
    (Flow, "flows"),
    (Prompt, "prompts"),
    (EvaluationForm, "evaluation forms"),
    (SurveyForm, "survey forms"),
)


def first_use(session: Session, division_id: str) -> str | None:
    """What kind of object is in the division, deleted ones included; None: it is empty."""
    for table, name in _HOLDS:
        column = table.__table__.c.division_id
        if session.execute(select(column).where(column == division_id).limit(1)).first() is not None:
            return name
    return None


def load(session: Session, division_ids: Iterable[str]) -> Sequence[Division]:
    """Divisions of these ids, read at once. The session knows them for as long as the caller keeps them."""
    return session.scalars(select(Division).where(Division.id.in_(sorted(set(division_ids))))).all()
