"""Tokens, as signing in and changing passwords need them beside ``store.oauth``."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from earwitness.store.tables import AccessToken


def end_other_tokens(session: Session, subject_id: str, kept_sha256: str) -> int:
    """Ends every token of a subject but one; how many."""
    statement = delete(AccessToken).where(AccessToken.subject_id == subject_id, AccessToken.sha256 != kept_sha256)
    return len(session.scalars(statement.returning(AccessToken.sha256)).all())
