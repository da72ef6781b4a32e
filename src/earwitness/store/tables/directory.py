"""Groups of users, and people outside the organisation."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Named, Versioned


class Group(Base, Identified, Versioned):
    """Users under a common name. Groups give no rights."""

    __tablename__ = "user_groups"

    name: Mapped[str] = mapped_column(index=True)
    description: Mapped[str | None] = mapped_column(default=None)
    state: Mapped[str] = mapped_column(default="active")
    """``active``, ``inactive`` or ``deleted``."""
    extra: Mapped[Document] = mapped_column(default=dict)
    """Fields of the contract that we keep and echo without a meaning of our own."""


class GroupMember(Base):
    """A user in a group."""

    __tablename__ = "user_group_members"

    group_id: Mapped[str] = mapped_column(ID, ForeignKey("user_groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    owner: Mapped[bool] = mapped_column(default=False)
    """May change who is in it."""
    member: Mapped[bool] = mapped_column(default=True)


class ExternalContact(Base, Named):
    """Somebody outside the organisation whom calls can be transferred to."""

    __tablename__ = "external_contacts"

    phones: Mapped[Document] = mapped_column(default=dict)
    """``workPhone``, ``cellPhone``, ``homePhone``, ``otherPhone`` -> number as it is dialled."""


class DeletedDivision(Base, Identified):
    """A division that was deleted, and can be made again under its id: grants of roles may speak of it."""

    __tablename__ = "deleted_divisions"

    name: Mapped[str] = mapped_column()
    description: Mapped[str | None] = mapped_column(default=None)
    deleted_at: Mapped[int] = mapped_column()
