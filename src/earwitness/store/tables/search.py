"""What conversations are found by, and questions about them that are kept."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified

TERM = String(128).with_variant(postgresql.VARCHAR(128, collation="C"), "postgresql")
"""Compared byte by byte, so that the beginning of a term is a range of them."""


class ConversationTerm(Base):
    """A term that a conversation can be found by (``domain.search.terms``), and when the conversation began.

    Sorted by term and time, and nothing else is in it: the newest conversations of a term are read off the key.
    No foreign key: rows go with ``store.search_index.forget``.
    """

    __tablename__ = "conversation_terms"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 (declared so by SQLAlchemy)

    term: Mapped[str] = mapped_column(TERM, primary_key=True)
    started_at: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ID, primary_key=True)


class DetailJob(Base, Identified):
    """A question about many conversations whose answer somebody reads page by page."""

    __tablename__ = "detail_jobs"

    subject_type: Mapped[str] = mapped_column()
    subject_id: Mapped[str] = mapped_column(ID, index=True)
    query: Mapped[Document] = mapped_column()
    """``AsyncConversationQuery`` of the contract."""
    created_at: Mapped[int] = mapped_column()
    expires_at: Mapped[int] = mapped_column(index=True)
