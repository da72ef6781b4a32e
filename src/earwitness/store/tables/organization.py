"""The organisation, its people, and who may do what."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Versioned


class Organization(Base, Identified):
    """The one organisation of this installation."""

    __tablename__ = "organizations"

    name: Mapped[str] = mapped_column()
    created_at: Mapped[int] = mapped_column()
    extra: Mapped[Document] = mapped_column(default=dict)


class Division(Base, Identified, Versioned):
    """A part of the organisation; objects and calls belong to divisions, grants are given in them."""

    __tablename__ = "divisions"

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None] = mapped_column(default=None)
    home: Mapped[bool] = mapped_column(default=False)
    """True for exactly one: what has no division of its own is in it."""


class User(Base, Identified, Versioned):
    """A person who signs in, owns a phone, takes calls."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(index=True)
    email: Mapped[str] = mapped_column(unique=True)
    """In lower case; the sign-in name."""
    password_hash: Mapped[str | None] = mapped_column(default=None)
    """Argon2id; None: cannot sign in with a password."""
    state: Mapped[str] = mapped_column(default="active", index=True)
    """``active``, ``inactive`` or ``deleted``."""
    division_id: Mapped[str] = mapped_column(ID, ForeignKey("divisions.id"), index=True)
    title: Mapped[str | None] = mapped_column(default=None)
    department: Mapped[str | None] = mapped_column(default=None)
    manager_id: Mapped[str | None] = mapped_column(ID, default=None)
    address: Mapped[str | None] = mapped_column(default=None)
    """Own external number, E.164, shown when calling out."""
    extra: Mapped[Document] = mapped_column(default=dict)


class OauthClient(Base, Identified, Versioned):
    """A program that calls the API. Its roles are grants with subject type ``client``."""

    __tablename__ = "oauth_clients"

    name: Mapped[str] = mapped_column(index=True)
    description: Mapped[str | None] = mapped_column(default=None)
    secret_hash: Mapped[str] = mapped_column()
    authorized_grant_type: Mapped[str] = mapped_column(default="CLIENT-CREDENTIALS")
    state: Mapped[str] = mapped_column(default="active")
    """``active``, ``inactive`` or ``disabled``."""
    access_token_validity_s: Mapped[int] = mapped_column(default=86_400)
    registered_redirect_uris: Mapped[list[str]] = mapped_column(default=list)
    scope: Mapped[list[str]] = mapped_column(default=list)


class AccessToken(Base):
    """A bearer token that is out. Only its SHA-256 is kept."""

    __tablename__ = "access_tokens"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    """Of the token, hexadecimal."""
    subject_type: Mapped[str] = mapped_column()
    """``user`` or ``client``."""
    subject_id: Mapped[str] = mapped_column(ID, index=True)
    client_id: Mapped[str | None] = mapped_column(ID, default=None)
    """The program through which a user signed in."""
    scope: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[int] = mapped_column()
    expires_at: Mapped[int] = mapped_column(index=True)
    seen_by: Mapped[str | None] = mapped_column(ID, default=None)
    """Id of the user who looks at what the subject sees, through a token that reads and plays nothing; None: the
    subject itself acts."""


class Role(Base, Identified, Versioned):
    """A named set of permissions."""

    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None] = mapped_column(default=None)
    permissions: Mapped[list[str]] = mapped_column(default=list)
    """``domain:entity:action``, each part may be ``*``."""
    permission_policies: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """``DomainPermissionPolicy`` documents of the contract, with their conditions."""
    default_role_id: Mapped[str | None] = mapped_column(default=None)
    """``administrator``, ``supervisor``, ``agent``…: the built-in role that this one is."""
    is_default: Mapped[bool] = mapped_column(default=False)
    is_base: Mapped[bool] = mapped_column(default=False)


class Grant(Base, Identified):
    """A role for a subject in a division."""

    __tablename__ = "grants"
    __table_args__ = (UniqueConstraint("subject_id", "role_id", "division_id"),)

    subject_type: Mapped[str] = mapped_column()
    """``user`` or ``client``."""
    subject_id: Mapped[str] = mapped_column(ID, index=True)
    role_id: Mapped[str] = mapped_column(ID, ForeignKey("roles.id", ondelete="CASCADE"), index=True)
    division_id: Mapped[str] = mapped_column(ID, index=True)
    """A division, or ``*`` for all of them, those yet to be made included."""
    condition: Mapped[Document | None] = mapped_column(default=None)
    """``DomainResourceConditionNode`` of the contract, or None."""
    granted_at: Mapped[int] = mapped_column()
    granted_by: Mapped[str | None] = mapped_column(default=None)
