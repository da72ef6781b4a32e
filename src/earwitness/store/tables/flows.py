"""Flows with their versions and uploads, and recorded prompts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Named, Versioned
from earwitness.store.tables.routing import unique_while_there


class Flow(Base, Named):
    """What happens with a call, as somebody has written it. Its texts are its versions."""

    __tablename__ = "flows"
    __table_args__ = (unique_while_there("flows", "type", "name"),)

    type: Mapped[str] = mapped_column(index=True)
    """``inboundcall``, ``inqueuecall`` or ``outboundcall``."""
    locked_by_user: Mapped[str | None] = mapped_column(ID, default=None)
    """Who has checked it out; nobody else may change it."""
    locked_by_client: Mapped[str | None] = mapped_column(ID, default=None)
    locked_at: Mapped[int | None] = mapped_column(default=None)
    saved_number: Mapped[int | None] = mapped_column(Integer, default=None)
    """Newest version."""
    checked_in_number: Mapped[int | None] = mapped_column(Integer, default=None)
    published_number: Mapped[int | None] = mapped_column(Integer, default=None)
    """Version that calls run by; None: none."""
    published_at: Mapped[int | None] = mapped_column(default=None)
    published_by: Mapped[str | None] = mapped_column(ID, default=None)
    operation: Mapped[Document | None] = mapped_column(default=None)
    """``Operation`` of the contract: what was done with it last, and how that went."""


class FlowVersion(Base):
    """One text of a flow. Never changed, except for what became of it."""

    __tablename__ = "flow_versions"

    flow_id: Mapped[str] = mapped_column(ID, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    """From 1; the contract's id of it is ``<number>.0``."""
    type: Mapped[str] = mapped_column(default="SAVE")
    """``SAVE``, ``CHECKIN`` or ``PUBLISH``: the furthest that it came."""
    source: Mapped[str] = mapped_column(deferred=True)
    """The YAML text."""
    configuration: Mapped[Document] = mapped_column(default=dict, deferred=True)
    """The same as a JSON document."""
    languages: Mapped[list[str]] = mapped_column(default=list)
    """Supported languages, lower case, the default one first."""
    created_at: Mapped[int] = mapped_column()
    created_by: Mapped[str | None] = mapped_column(ID, default=None)
    created_by_client: Mapped[str | None] = mapped_column(ID, default=None)
    checked_in_at: Mapped[int | None] = mapped_column(default=None)
    published_at: Mapped[int | None] = mapped_column(default=None)
    published_until: Mapped[int | None] = mapped_column(default=None)
    """When another version took its place, or the flow was deactivated."""


class FlowJob(Base, Identified):
    """An upload of a flow's YAML through a signed address, and what became of it."""

    __tablename__ = "flow_jobs"

    status: Mapped[str] = mapped_column(default="Registered")
    """``Registered``, ``Started``, ``Success`` or ``Failure``."""
    command: Mapped[str] = mapped_column(default="Publish")
    flow_id: Mapped[str | None] = mapped_column(ID, default=None)
    messages: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """``ArchitectJobMessage`` documents."""
    options: Mapped[Document] = mapped_column(default=dict)
    """As registered: ``createStubs``."""
    subject_type: Mapped[str] = mapped_column()
    subject_id: Mapped[str] = mapped_column(ID)
    """Who registered it, and by whose rights the flow is published."""
    created_at: Mapped[int] = mapped_column()
    expires_at: Mapped[int] = mapped_column(index=True)
    """Until when something can be uploaded."""
    finished_at: Mapped[int | None] = mapped_column(default=None)


class Prompt(Base, Named):
    """Something to be played to a caller; flows know it as ``Prompt.<name>``."""

    __tablename__ = "prompts"
    __table_args__ = (unique_while_there("prompts", "name"),)


class PromptResource(Base, Versioned):
    """A prompt in one language: a recording, or a text to be spoken."""

    __tablename__ = "prompt_resources"

    prompt_id: Mapped[str] = mapped_column(ID, ForeignKey("prompts.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    """Lower case, ``en-us``."""
    text: Mapped[str | None] = mapped_column(default=None)
    """What is said, for people to read."""
    tts_string: Mapped[str | None] = mapped_column(default=None)
    """What is spoken where there is no recording."""
    tags: Mapped[Document] = mapped_column(default=dict)
    is_default: Mapped[bool] = mapped_column(default=False)
    upload_status: Mapped[str] = mapped_column(default="created")
    """``created`` (nothing uploaded yet) or ``transcoded``."""
    file: Mapped[str | None] = mapped_column(default=None)
    """Name of the WAV file below ``DATA/prompts``."""
    duration_ms: Mapped[int | None] = mapped_column(Integer, default=None)
    sample_rate: Mapped[int | None] = mapped_column(Integer, default=None)
    size: Mapped[int | None] = mapped_column(default=None)
    """Of the WAV file, bytes."""
    sha256: Mapped[str | None] = mapped_column(default=None)
    """Of the WAV file, hexadecimal."""
