"""Sites, trunks, phones, stations, numbers and where they lead."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Named, Versioned


class Site(Base, Named):
    """A place with trunks and phones."""

    __tablename__ = "sites"


class TrunkBase(Base, Named):
    """Trunk base settings: what the contract calls the configuration of a trunk."""

    __tablename__ = "trunk_bases"

    trunk_metabase_id: Mapped[str] = mapped_column()
    trunk_type: Mapped[str] = mapped_column(default="EXTERNAL")
    """``EXTERNAL``, ``PHONE`` or ``EDGE``."""
    site_id: Mapped[str | None] = mapped_column(ID, ForeignKey("sites.id"), default=None)
    properties: Mapped[Document] = mapped_column(default=dict)
    """Every key as the client gave it, wrapped as ``{"value": {"instance": X}}``; never a secret."""
    secrets: Mapped[Document] = mapped_column(default=dict)
    """Property key -> sealed text (see ``SecretBox``)."""


class Trunk(Base, Named):
    """The trunk that runs by a trunk base; made together with it."""

    __tablename__ = "trunks"

    trunk_base_id: Mapped[str] = mapped_column(ID, ForeignKey("trunk_bases.id"), index=True)
    trunk_type: Mapped[str] = mapped_column(default="EXTERNAL")
    enabled: Mapped[bool] = mapped_column(default=True)


class PhoneBase(Base, Named):
    """Phone base settings."""

    __tablename__ = "phone_bases"

    phone_metabase_id: Mapped[str] = mapped_column()
    properties: Mapped[Document] = mapped_column(default=dict)
    lines: Mapped[list[dict[str, Any]]] = mapped_column(default=list)


class Phone(Base, Named):
    """A phone; its line is a station."""

    __tablename__ = "phones"

    phone_base_id: Mapped[str | None] = mapped_column(ID, ForeignKey("phone_bases.id"), default=None, index=True)
    site_id: Mapped[str | None] = mapped_column(ID, ForeignKey("sites.id"), default=None)
    properties: Mapped[Document] = mapped_column(default=dict)
    lines: Mapped[list[dict[str, Any]]] = mapped_column(default=list)


class Station(Base, Named):
    """A phone line with a SIP account, and the user who sits at it."""

    __tablename__ = "stations"
    __table_args__ = (
        Index(
            "uq_stations_username",
            "username",
            unique=True,
            sqlite_where=text("state <> 'deleted'"),
            postgresql_where=text("state <> 'deleted'"),
        ),
    )

    phone_id: Mapped[str | None] = mapped_column(ID, ForeignKey("phones.id"), default=None, index=True)
    line_id: Mapped[str | None] = mapped_column(ID, default=None)
    """The line of ``Phone.lines`` that this is."""
    username: Mapped[str] = mapped_column()
    """SIP user name."""
    ha1_md5: Mapped[str] = mapped_column(default="")
    """MD5(username:earwitness:password), hexadecimal; empty: cannot register."""
    ha1_sha256: Mapped[str] = mapped_column(default="")
    user_id: Mapped[str | None] = mapped_column(ID, ForeignKey("users.id"), default=None, index=True)
    """Who uses it now."""
    default_user_id: Mapped[str | None] = mapped_column(ID, ForeignKey("users.id"), default=None, index=True)
    """Who gets it when nobody else has taken it."""
    extension: Mapped[str] = mapped_column(default="")


class DidPool(Base, Named):
    """A range of numbers that the carrier has given us."""

    __tablename__ = "did_pools"

    start_number: Mapped[str] = mapped_column()
    end_number: Mapped[str] = mapped_column()
    provider: Mapped[str | None] = mapped_column(default=None)


class Did(Base, Identified, Versioned):
    """One number, E.164, and whose it is."""

    __tablename__ = "dids"

    number: Mapped[str] = mapped_column(unique=True)
    did_pool_id: Mapped[str | None] = mapped_column(ID, ForeignKey("did_pools.id"), default=None, index=True)
    owner_type: Mapped[str | None] = mapped_column(default=None)
    """``USER``, ``PHONE``, ``IVR_CONFIG``…, or None."""
    owner_id: Mapped[str | None] = mapped_column(ID, default=None)


class CallRoute(Base, Named):
    """What dialled numbers lead to; the contract's IVR object."""

    __tablename__ = "call_routes"

    dnis: Mapped[list[str]] = mapped_column(default=list)
    target_type: Mapped[str | None] = mapped_column(default=None)
    """``user``, ``queue``, ``flow``, ``number``; None: leads nowhere yet."""
    target: Mapped[str | None] = mapped_column(default=None)
    """The id, or the number."""
