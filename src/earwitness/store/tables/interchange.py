"""What leaves and what comes in: integrations, exports, orphans, batch downloads, uploads, recording keys."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, or_
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Versioned
from earwitness.store.tables.conversations import Recording

NOT_EXPORTED = Recording.export_date.is_not(None) & or_(
    Recording.exported_date.is_(None), Recording.exported_date < Recording.export_date
)
"""To be exported at its date; spelled the same where it is asked for, so that the index below fits."""
Index(
    "ix_recordings_export_due",
    Recording.export_date,
    Recording.id,
    sqlite_where=NOT_EXPORTED,
    postgresql_where=NOT_EXPORTED,
)


class Integration(Base, Identified, Versioned):
    """Somewhere that recordings are exported to."""

    __tablename__ = "integrations"

    name: Mapped[str] = mapped_column(index=True)
    type: Mapped[str] = mapped_column(index=True)
    """``earwitness-folder`` or ``earwitness-s3``."""
    notes: Mapped[str | None] = mapped_column(default=None)
    intended_state: Mapped[str] = mapped_column(default="DISABLED", index=True)
    """``ENABLED``, ``DISABLED`` or ``DELETED``."""
    config: Mapped[Document] = mapped_column(default=dict)
    """Properties, without secrets."""
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    """Sealed by the secret box for ``integration:<id>``: a JSON object of texts."""
    reported_code: Mapped[str] = mapped_column(default="INACTIVE")
    """``ACTIVE``, ``ACTIVATING``, ``INACTIVE`` or ``ERROR``: what the worker found."""
    reported_detail: Mapped[str | None] = mapped_column(default=None)
    reported_at: Mapped[int | None] = mapped_column(default=None)
    looked_at_version: Mapped[int | None] = mapped_column(Integer, default=None)
    """``version`` that the worker has tried."""


class Export(Base):
    """A recording on its way to an integration, or there."""

    __tablename__ = "exports"
    __table_args__ = (Index("ix_exports_next_at", "done_at", "next_at"),)

    recording_id: Mapped[str] = mapped_column(ID, primary_key=True)
    integration_id: Mapped[str] = mapped_column(ID, primary_key=True)
    export_date: Mapped[int] = mapped_column()
    """The date that it was tried for last."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[int] = mapped_column()
    done_at: Mapped[int | None] = mapped_column(default=None)
    error: Mapped[str | None] = mapped_column(default=None)
    path: Mapped[str | None] = mapped_column(default=None)
    """Of the audio, at the target."""
    sha256: Mapped[str | None] = mapped_column(default=None)
    """Of what was written, hexadecimal."""


class OrphanRecording(Base, Identified):
    """A recording without a conversation to show it in. Its id is that in the vault, and stays when it is attached."""

    __tablename__ = "orphan_recordings"

    name: Mapped[str | None] = mapped_column(default=None)
    conversation_id: Mapped[str | None] = mapped_column(ID, index=True, default=None)
    """As far as known; such a conversation need not exist."""
    source: Mapped[str] = mapped_column()
    """``spool`` or ``upload``."""
    why: Mapped[str] = mapped_column(default="")
    """What kept it from its conversation, for people."""
    kind: Mapped[str] = mapped_column(default="trunk")
    """``trunk``, ``user`` or ``consult``; of a user recording nobody hears more than its owner."""
    media_subtype: Mapped[str] = mapped_column(default="Trunk")
    owner_user_id: Mapped[str | None] = mapped_column(ID, default=None)
    leg_id: Mapped[str | None] = mapped_column(ID, default=None)
    file_state: Mapped[str] = mapped_column(default="AVAILABLE", index=True)
    """``AVAILABLE`` or ``DELETED``."""
    started_at: Mapped[int] = mapped_column(index=True)
    ended_at: Mapped[int] = mapped_column()
    duration_ms: Mapped[int] = mapped_column()
    audio_format: Mapped[str] = mapped_column()
    mime_type: Mapped[str] = mapped_column()
    channels: Mapped[int] = mapped_column(Integer)
    sample_rate: Mapped[int] = mapped_column(Integer)
    size: Mapped[int] = mapped_column()
    sha256: Mapped[str] = mapped_column()
    annotations: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    openings: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    quality: Mapped[Document] = mapped_column(default=dict)
    peaks: Mapped[bytes | None] = mapped_column(default=None, deferred=True)
    objects: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """In the vault: ``object_key``, ``role``, ``media_type``, ``size``, ``sha256``, ``created_at``."""
    created_at: Mapped[int] = mapped_column(index=True)
    """When it was recorded, or uploaded."""
    recovered_at: Mapped[int] = mapped_column(index=True)
    """When it became an orphan."""
    deleted_at: Mapped[int | None] = mapped_column(default=None)
    receipt: Mapped[Document | None] = mapped_column(default=None)


class BatchDownload(Base, Identified):
    """A batch of recordings that somebody wants to download."""

    __tablename__ = "batch_downloads"

    subject_type: Mapped[str] = mapped_column()
    subject_id: Mapped[str] = mapped_column(ID)
    created_at: Mapped[int] = mapped_column(index=True)
    finished_at: Mapped[int | None] = mapped_column(index=True, default=None)
    format_id: Mapped[str | None] = mapped_column(default=None)
    """None: each as it was recorded."""


class BatchDownloadItem(Base):
    """One recording of a batch."""

    __tablename__ = "batch_download_items"

    job_id: Mapped[str] = mapped_column(ID, ForeignKey("batch_downloads.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    conversation_id: Mapped[str] = mapped_column()
    recording_id: Mapped[str | None] = mapped_column(default=None)
    format_id: Mapped[str | None] = mapped_column(default=None)
    """What is served, once it is ready."""
    content_type: Mapped[str | None] = mapped_column(default=None)
    error: Mapped[str | None] = mapped_column(default=None)
    done_at: Mapped[int | None] = mapped_column(default=None)


class RecordingUpload(Base, Identified):
    """A file that somebody uploads as a recording."""

    __tablename__ = "recording_uploads"

    file_name: Mapped[str] = mapped_column()
    content_type: Mapped[str | None] = mapped_column(default=None)
    content_md5: Mapped[str | None] = mapped_column(default=None)
    """Hexadecimal, as announced."""
    subject_type: Mapped[str] = mapped_column()
    subject_id: Mapped[str] = mapped_column(ID)
    remote_address: Mapped[str | None] = mapped_column(default=None)
    created_at: Mapped[int] = mapped_column(index=True)
    expires_at: Mapped[int] = mapped_column()
    state: Mapped[str] = mapped_column(index=True)
    """``Announced`` (no file yet), ``Pending``, ``Success``, ``Failure`` or ``WaitForConversation``."""
    error: Mapped[str | None] = mapped_column(default=None)
    received_at: Mapped[int | None] = mapped_column(default=None)
    finished_at: Mapped[int | None] = mapped_column(default=None)
    size: Mapped[int | None] = mapped_column(default=None)
    sha256: Mapped[str | None] = mapped_column(index=True, default=None)
    conversation_id: Mapped[str | None] = mapped_column(ID, default=None)
    started_at: Mapped[int | None] = mapped_column(default=None)
    """Of the recording, as told; None: when it was uploaded."""
    recording_id: Mapped[str | None] = mapped_column(ID, index=True, default=None)
    """Of the recording, or of the orphan that it is as long as it waits."""
    cleared_at: Mapped[int | None] = mapped_column(default=None)
    """When the file as it came was destroyed."""


class UploadReport(Base, Identified):
    """What had become of uploads when somebody asked."""

    __tablename__ = "upload_reports"

    name: Mapped[str] = mapped_column()
    subject_type: Mapped[str] = mapped_column()
    subject_id: Mapped[str] = mapped_column(ID)
    created_at: Mapped[int] = mapped_column(index=True)
    rows: Mapped[list[dict[str, Any]]] = mapped_column(default=list, deferred=True)


class KeyConfiguration(Base, Identified):
    """How recording keys are made. Credentials are in the key folder."""

    __tablename__ = "key_configurations"

    type: Mapped[str] = mapped_column()
    """``Native``, ``LocalKeyManager`` or ``KmsSymmetric``."""
    url: Mapped[str | None] = mapped_column(default=None)
    api_id: Mapped[str | None] = mapped_column(default=None)
    created_at: Mapped[int] = mapped_column()
    modified_at: Mapped[int] = mapped_column(index=True)
    """The configuration that was changed last is in use."""
    error: Mapped[str | None] = mapped_column(default=None)
    """The last thing that went wrong with it."""


class RecordingKey(Base, Identified):
    """A recording key of the key folder."""

    __tablename__ = "recording_keys"

    version: Mapped[int] = mapped_column(Integer, unique=True)
    type: Mapped[str] = mapped_column()
    created_at: Mapped[int] = mapped_column()
    summary: Mapped[str] = mapped_column(default="")
    user_id: Mapped[str | None] = mapped_column(ID, default=None)
    configuration_id: Mapped[str | None] = mapped_column(ID, default=None)
    keypair_id: Mapped[str | None] = mapped_column(default=None)
    kms_arn: Mapped[str | None] = mapped_column(default=None)
    rewrap_scope: Mapped[str | None] = mapped_column(default=None)
    """Data keys that are wrapped anew with this key: ``native`` (those of our own keys), ``all``; None: none."""
    rewrapped_after: Mapped[str] = mapped_column(default="")
    """The last recording that was looked at for that."""
    rewrapped_at: Mapped[int | None] = mapped_column(default=None)
    """When the last one was done."""
