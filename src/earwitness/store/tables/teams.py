"""Work teams, who is and was in them; the teams of calls, and which part of a call is in which division."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Named
from earwitness.store.tables.routing import unique_while_there


class WorkTeam(Base, Named):
    """People who work together. Grants and policies may speak of it (F6, J13)."""

    __tablename__ = "work_teams"
    __table_args__ = (unique_while_there("work_teams", "name"),)


class WorkTeamMember(Base):
    """A time that a user was in a team. Rows are ended, not deleted: a call asks who was in it then (J13)."""

    __tablename__ = "work_team_members"
    __table_args__ = (
        Index(
            "uq_work_team_members_user_id",
            "user_id",
            unique=True,
            sqlite_where=text("left_at IS NULL"),
            postgresql_where=text("left_at IS NULL"),
        ),
    )

    team_id: Mapped[str] = mapped_column(ID, ForeignKey("work_teams.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    joined_at: Mapped[int] = mapped_column(primary_key=True)
    left_at: Mapped[int | None] = mapped_column(default=None)
    """None: is in it now; a user is in one team at most."""


class ConversationTeam(Base):
    """A team of somebody who took part in a conversation, as it was then. Written when the conversation is stored."""

    __tablename__ = "conversation_teams"
    __table_args__ = (Index("ix_conversation_teams_team_id", "team_id", "conversation_id"),)

    conversation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, primary_key=True)


class ConversationPart(Base):
    """A stretch of a conversation that is in a division (J12), as divisions were at its end."""

    __tablename__ = "conversation_parts"

    conversation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    division_id: Mapped[str] = mapped_column(ID, primary_key=True)
    started_at: Mapped[int] = mapped_column(primary_key=True)
    ended_at: Mapped[int] = mapped_column()
    """Outside."""
