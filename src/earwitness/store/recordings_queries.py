"""What documents of recordings tell beside the recording itself."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.store.tables import Participant, Recording


def people(session: Session, recording: Recording) -> list[str]:
    """Ids of the users on the conversation of a recording that was found through ``store.recordings``."""
    statement = select(Participant.user_id).where(
        Participant.conversation_id == recording.conversation_id, Participant.user_id.is_not(None)
    )
    return sorted({user_id for user_id in session.scalars(statement) if user_id is not None})
