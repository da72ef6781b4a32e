"""Integrations, batch downloads, uploads, orphans, recording keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batch_downloads",
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("format_id", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_downloads")),
    )
    op.create_index(op.f("ix_batch_downloads_created_at"), "batch_downloads", ["created_at"], unique=False)
    op.create_index(op.f("ix_batch_downloads_finished_at"), "batch_downloads", ["finished_at"], unique=False)
    op.create_table(
        "exports",
        sa.Column("recording_id", sa.String(length=64), nullable=False),
        sa.Column("integration_id", sa.String(length=64), nullable=False),
        sa.Column("export_date", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("recording_id", "integration_id", name=op.f("pk_exports")),
    )
    op.create_index("ix_exports_next_at", "exports", ["done_at", "next_at"], unique=False)
    op.create_table(
        "integrations",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("intended_state", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("reported_code", sa.Text(), nullable=False),
        sa.Column("reported_detail", sa.Text(), nullable=True),
        sa.Column("reported_at", sa.BigInteger(), nullable=True),
        sa.Column("looked_at_version", sa.Integer(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_integrations")),
    )
    op.create_index(op.f("ix_integrations_intended_state"), "integrations", ["intended_state"], unique=False)
    op.create_index(op.f("ix_integrations_name"), "integrations", ["name"], unique=False)
    op.create_index(op.f("ix_integrations_type"), "integrations", ["type"], unique=False)
    op.create_table(
        "key_configurations",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("api_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_configurations")),
    )
    op.create_index(op.f("ix_key_configurations_modified_at"), "key_configurations", ["modified_at"], unique=False)
    op.create_table(
        "orphan_recordings",
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.String(length=64), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_subtype", sa.Text(), nullable=False),
        sa.Column("owner_user_id", sa.String(length=64), nullable=True),
        sa.Column("leg_id", sa.String(length=64), nullable=True),
        sa.Column("file_state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("audio_format", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("annotations", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("openings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("quality", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=True),
        sa.Column("objects", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("recovered_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("receipt", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orphan_recordings")),
    )
    op.create_index(
        op.f("ix_orphan_recordings_conversation_id"), "orphan_recordings", ["conversation_id"], unique=False
    )
    op.create_index(op.f("ix_orphan_recordings_created_at"), "orphan_recordings", ["created_at"], unique=False)
    op.create_index(op.f("ix_orphan_recordings_file_state"), "orphan_recordings", ["file_state"], unique=False)
    op.create_index(op.f("ix_orphan_recordings_recovered_at"), "orphan_recordings", ["recovered_at"], unique=False)
    op.create_index(op.f("ix_orphan_recordings_started_at"), "orphan_recordings", ["started_at"], unique=False)
    op.create_table(
        "recording_keys",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("configuration_id", sa.String(length=64), nullable=True),
        sa.Column("keypair_id", sa.Text(), nullable=True),
        sa.Column("kms_arn", sa.Text(), nullable=True),
        sa.Column("rewrap_scope", sa.Text(), nullable=True),
        sa.Column("rewrapped_after", sa.Text(), nullable=False),
        sa.Column("rewrapped_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_keys")),
        sa.UniqueConstraint("version", name=op.f("uq_recording_keys_version")),
    )
    op.create_table(
        "recording_uploads",
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("content_md5", sa.Text(), nullable=True),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("remote_address", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("recording_id", sa.String(length=64), nullable=True),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_uploads")),
    )
    op.create_index(op.f("ix_recording_uploads_created_at"), "recording_uploads", ["created_at"], unique=False)
    op.create_index(op.f("ix_recording_uploads_recording_id"), "recording_uploads", ["recording_id"], unique=False)
    op.create_index(op.f("ix_recording_uploads_sha256"), "recording_uploads", ["sha256"], unique=False)
    op.create_index(op.f("ix_recording_uploads_state"), "recording_uploads", ["state"], unique=False)
    op.create_table(
        "upload_reports",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_reports")),
    )
    op.create_index(op.f("ix_upload_reports_created_at"), "upload_reports", ["created_at"], unique=False)
    op.create_table(
        "batch_download_items",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Text(), nullable=True),
        sa.Column("format_id", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["batch_downloads.id"], name=op.f("fk_batch_download_items_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_batch_download_items")),
    )
    due = sa.text("export_date IS NOT NULL AND (exported_date IS NULL OR exported_date < export_date)")
    op.create_index(
        "ix_recordings_export_due", "recordings", ["export_date", "id"], sqlite_where=due, postgresql_where=due
    )


def downgrade() -> None:
    op.drop_index("ix_recordings_export_due", table_name="recordings")
    op.drop_table("batch_download_items")
    op.drop_index(op.f("ix_upload_reports_created_at"), table_name="upload_reports")
    op.drop_table("upload_reports")
    op.drop_index(op.f("ix_recording_uploads_state"), table_name="recording_uploads")
    op.drop_index(op.f("ix_recording_uploads_sha256"), table_name="recording_uploads")
    op.drop_index(op.f("ix_recording_uploads_recording_id"), table_name="recording_uploads")
    op.drop_index(op.f("ix_recording_uploads_created_at"), table_name="recording_uploads")
    op.drop_table("recording_uploads")
    op.drop_table("recording_keys")
    op.drop_index(op.f("ix_orphan_recordings_started_at"), table_name="orphan_recordings")
    op.drop_index(op.f("ix_orphan_recordings_recovered_at"), table_name="orphan_recordings")
    op.drop_index(op.f("ix_orphan_recordings_file_state"), table_name="orphan_recordings")
    op.drop_index(op.f("ix_orphan_recordings_created_at"), table_name="orphan_recordings")
    op.drop_index(op.f("ix_orphan_recordings_conversation_id"), table_name="orphan_recordings")
    op.drop_table("orphan_recordings")
    op.drop_index(op.f("ix_key_configurations_modified_at"), table_name="key_configurations")
    op.drop_table("key_configurations")
    op.drop_index(op.f("ix_integrations_type"), table_name="integrations")
    op.drop_index(op.f("ix_integrations_name"), table_name="integrations")
    op.drop_index(op.f("ix_integrations_intended_state"), table_name="integrations")
    op.drop_table("integrations")
    op.drop_index("ix_exports_next_at", table_name="exports")
    op.drop_table("exports")
    op.drop_index(op.f("ix_batch_downloads_finished_at"), table_name="batch_downloads")
    op.drop_index(op.f("ix_batch_downloads_created_at"), table_name="batch_downloads")
    op.drop_table("batch_downloads")
