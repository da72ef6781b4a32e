"""How much of a recording somebody hears: all of it, or the parts in the divisions of their right to segments (J12)."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.access import Access, Divisions
from earwitness.domain.access.parts import Cut, cut_of
from earwitness.store import visibility
from earwitness.store.tables import ConversationDivision, ConversationPart, Recording


def heard(session: Session, access: Access, recording: Recording) -> Cut | None:
    """What the subject hears of a recording that was found through ``store.recordings``; None: all of it.

    A ``Cut`` without stretches is nothing: there is no media then.
    """
    if recording.role == visibility.ADHOC:
        return None
    whole = select(Recording.id).where(Recording.id == recording.id, visibility.whole_to(access))
    if session.scalar(whole) is not None:
        return None
    divisions = Divisions()
    for scope in visibility.merged(access.scopes_for(visibility.VIEW_SEGMENTS)):
        reached = visibility.scope_reaches(scope, access, Recording.conversation_id)
        if session.scalar(select(Recording.id).where(Recording.id == recording.id, reached)) is not None:
            divisions = divisions | scope.divisions
    touched = select(ConversationDivision.division_id).where(
        ConversationDivision.conversation_id == recording.conversation_id
    )
    if divisions and all(division_id in divisions for division_id in session.scalars(touched)):
        return None
    parts = select(ConversationPart.started_at, ConversationPart.ended_at).where(
        ConversationPart.conversation_id == recording.conversation_id,
        ConversationPart.division_id.in_(sorted(divisions.ids)),
    )
    spans = [(row.started_at, row.ended_at) for row in session.execute(parts)]
    return cut_of(spans, recording.openings, recording.started_at, recording.duration_ms)
