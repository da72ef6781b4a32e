"""The facts that policies look at, of conversations that somebody else has found."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.policy import Facts, facts_of
from earwitness.domain.policy.facts import may_listen_in
from earwitness.store.tables import AfterCallWork, Conversation, ConversationTeam, Language


def facts(session: Session, rows: Sequence[Conversation]) -> dict[str, Facts]:
    """Conversation id -> facts. Up to some hundred rows at a time."""
    ids = [row.id for row in rows]
    teams: dict[str, list[tuple[str, str]]] = {}
    for team in session.scalars(select(ConversationTeam).where(ConversationTeam.conversation_id.in_(ids))):
        teams.setdefault(team.conversation_id, []).append((team.team_id, team.user_id))
    codes: dict[str, dict[str, str | None]] = {}
    for work in session.scalars(select(AfterCallWork).where(AfterCallWork.conversation_id.in_(ids))):
        if work.given_at is not None:
            codes.setdefault(work.conversation_id, {})[work.participant_id] = work.code_id or work.code_name
    told = {row.id: row.events for row in rows if may_listen_in(row.timeline)}  # rare, so that they are read for it
    found = {
        row.id: facts_of(
            row.timeline, teams=teams.get(row.id, ()), wrapup_codes=codes.get(row.id), events=told.get(row.id, ())
        )
        for row in rows
    }
    spoken = {name for one in found.values() for name in one.languages}
    if not spoken:
        return found
    known: dict[str, list[str]] = {}
    for language in session.scalars(select(Language)):
        known.setdefault(language.name.casefold(), []).append(language.id)
    return {
        row.id: facts_of(
            row.timeline,
            teams=teams.get(row.id, ()),
            wrapup_codes=codes.get(row.id),
            events=told.get(row.id, ()),
            languages=[key for name in found[row.id].languages for key in known.get(name, ())],
        )
        for row in rows
    }
