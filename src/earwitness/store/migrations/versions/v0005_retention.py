"""Deletion protection, what is under way with recordings, bulk jobs, erasures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NOT_DELETED = "file_state != 'DELETED'"
DUE = (
    ("ix_recordings_deletion_due", "delete_date", f"{NOT_DELETED} AND delete_date IS NOT NULL"),
    ("ix_recordings_age", "created_at", NOT_DELETED),
    ("ix_recordings_archive_due", "archive_date", "file_state = 'AVAILABLE' AND archive_date IS NOT NULL"),
    ("ix_recordings_restore_ends", "restore_expires_at", "file_state = 'RESTORED'"),
)
"""Indexes of recordings that hold only what is still to be done: name, column, condition."""


def upgrade() -> None:
    for name, column, condition in DUE:
        where = sa.text(condition)
        op.create_index(name, "recordings", [column, "id"], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "erasures",
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("country_code", sa.Text(), nullable=True),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("receipt", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(op.f("ix_erasures_created_at"), "erasures", ["created_at"], unique=False)
    op.create_index(op.f("ix_erasures_state"), "erasures", ["state"], unique=False)
    op.create_table(
        "recording_jobs",
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("query", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("conversations", sa.Integer(), nullable=False),
        sa.Column("recordings", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("processed", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_jobs")),
    )
    op.create_index(op.f("ix_recording_jobs_action"), "recording_jobs", ["action"], unique=False)
    op.create_index(op.f("ix_recording_jobs_created_at"), "recording_jobs", ["created_at"], unique=False)
    op.create_index(op.f("ix_recording_jobs_state"), "recording_jobs", ["state"], unique=False)
    op.create_index(op.f("ix_recording_jobs_subject_id"), "recording_jobs", ["subject_id"], unique=False)
    op.create_table(
        "deletion_protections",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_deletion_protections_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_deletion_protections")),
    )
    op.create_table(
        "erasure_items",
        sa.Column("erasure_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("found_as", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("recording_ids", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasures.id"], name=op.f("fk_erasure_items_erasure_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("erasure_id", "conversation_id", name=op.f("pk_erasure_items")),
    )
    op.create_table(
        "recording_job_items",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("recording_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["recording_jobs.id"], name=op.f("fk_recording_job_items_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "recording_id", name=op.f("pk_recording_job_items")),
    )
    op.create_index(
        "ix_recording_job_items_state", "recording_job_items", ["job_id", "state", "recording_id"], unique=False
    )
    op.create_table(
        "retention_tasks",
        sa.Column("recording_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_retention_tasks_recording_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_retention_tasks")),
    )
    op.create_index(op.f("ix_retention_tasks_kind"), "retention_tasks", ["kind"], unique=False)
    op.create_index("ix_retention_tasks_next", "retention_tasks", ["begun", "next_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_retention_tasks_next", table_name="retention_tasks")
    op.drop_index(op.f("ix_retention_tasks_kind"), table_name="retention_tasks")
    op.drop_table("retention_tasks")
    op.drop_index("ix_recording_job_items_state", table_name="recording_job_items")
    op.drop_table("recording_job_items")
    op.drop_table("erasure_items")
    op.drop_table("deletion_protections")
    op.drop_index(op.f("ix_recording_jobs_subject_id"), table_name="recording_jobs")
    op.drop_index(op.f("ix_recording_jobs_state"), table_name="recording_jobs")
    op.drop_index(op.f("ix_recording_jobs_created_at"), table_name="recording_jobs")
    op.drop_index(op.f("ix_recording_jobs_action"), table_name="recording_jobs")
    op.drop_table("recording_jobs")
    op.drop_index(op.f("ix_erasures_state"), table_name="erasures")
    op.drop_index(op.f("ix_erasures_created_at"), table_name="erasures")
    op.drop_table("erasures")
    for name, _, _ in reversed(DUE):
        op.drop_index(name, table_name="recordings")
