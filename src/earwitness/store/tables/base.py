"""What all tables share: naming of constraints, column types, and the identity columns.

Ids are UUID strings. Times are 64-bit integers, UTC microseconds, and end in ``_at`` (or ``_date`` where the contract
says date). Open documents are JSON columns: assign a new value instead of changing one in place, changes inside a
value are not noticed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Document = dict[str, Any]
"""A JSON object."""

BIG_KEY = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key that counts by itself on both databases."""


class Base(DeclarativeBase):
    """Root of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (declared so by SQLAlchemy)
        int: BigInteger,
        str: Text,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
        list[dict[str, Any]]: JSON(none_as_null=True),
    }


ID = String(64)


class Identified:
    """A row known by its UUID."""

    id: Mapped[str] = mapped_column(ID, primary_key=True)


class Versioned:
    """Configuration that people edit: who changed it last, and how often it changed."""

    created_at: Mapped[int] = mapped_column()
    modified_at: Mapped[int] = mapped_column()
    created_by: Mapped[str | None] = mapped_column(default=None)
    modified_by: Mapped[str | None] = mapped_column(default=None)
    version: Mapped[int] = mapped_column(Integer, default=1)


class Named(Identified, Versioned):
    """A named object of the telephony configuration."""

    name: Mapped[str] = mapped_column(index=True)
    description: Mapped[str | None] = mapped_column(default=None)
    division_id: Mapped[str] = mapped_column(ID, index=True)
    state: Mapped[str] = mapped_column(default="active", index=True)
    """``active``, ``inactive`` or ``deleted``."""
    extra: Mapped[Document] = mapped_column(default=dict)
    """Fields of the contract that we keep and echo without a meaning of our own."""
