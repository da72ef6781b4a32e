"""Queues, flows, prompts, agent states, after-call work, channels of live events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "after_call_work",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("participant_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("queue_id", sa.String(length=64), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("code_id", sa.String(length=64), nullable=True),
        sa.Column("code_name", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=True),
        sa.Column("given_by", sa.String(length=64), nullable=True),
        sa.Column("timed_out", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_after_call_work")),
        sa.UniqueConstraint(
            "conversation_id", "participant_id", name=op.f("uq_after_call_work_conversation_id_participant_id")
        ),
    )
    op.create_index("ix_after_call_work_open", "after_call_work", ["given_at", "deadline_at"], unique=False)
    op.create_index(op.f("ix_after_call_work_user_id"), "after_call_work", ["user_id"], unique=False)
    op.create_table(
        "flow_jobs",
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("flow_id", sa.String(length=64), nullable=True),
        sa.Column("messages", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("options", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_jobs")),
    )
    op.create_index(op.f("ix_flow_jobs_expires_at"), "flow_jobs", ["expires_at"], unique=False)
    op.create_table(
        "flows",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("locked_by_user", sa.String(length=64), nullable=True),
        sa.Column("locked_by_client", sa.String(length=64), nullable=True),
        sa.Column("locked_at", sa.BigInteger(), nullable=True),
        sa.Column("saved_number", sa.Integer(), nullable=True),
        sa.Column("checked_in_number", sa.Integer(), nullable=True),
        sa.Column("published_number", sa.Integer(), nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("published_by", sa.String(length=64), nullable=True),
        sa.Column("operation", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flows")),
    )
    op.create_index(op.f("ix_flows_division_id"), "flows", ["division_id"], unique=False)
    op.create_index(op.f("ix_flows_name"), "flows", ["name"], unique=False)
    op.create_index(op.f("ix_flows_state"), "flows", ["state"], unique=False)
    op.create_index(op.f("ix_flows_type"), "flows", ["type"], unique=False)
    op.create_index(
        "uq_flows_type_name",
        "flows",
        ["type", "name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "languages",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_languages")),
    )
    op.create_index(op.f("ix_languages_name"), "languages", ["name"], unique=False)
    op.create_index(
        "uq_languages_name",
        "languages",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "notification_channels",
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("client_id", sa.String(length=64), nullable=True),
        sa.Column("token_sha256", sa.Text(), nullable=True),
        sa.Column("topics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_channels")),
    )
    op.create_index(op.f("ix_notification_channels_expires_at"), "notification_channels", ["expires_at"], unique=False)
    op.create_index(
        "ix_notification_channels_subject", "notification_channels", ["subject_id", "client_id"], unique=False
    )
    op.create_table(
        "prompts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
    )
    op.create_index(op.f("ix_prompts_division_id"), "prompts", ["division_id"], unique=False)
    op.create_index(op.f("ix_prompts_name"), "prompts", ["name"], unique=False)
    op.create_index(op.f("ix_prompts_state"), "prompts", ["state"], unique=False)
    op.create_index(
        "uq_prompts_name",
        "prompts",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "queues",
        sa.Column("suppress_in_queue_call_recording", sa.Boolean(), nullable=False),
        sa.Column("media_settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("wrapup_prompt", sa.Text(), nullable=False),
        sa.Column("wrapup_timeout_ms", sa.Integer(), nullable=True),
        sa.Column("queue_flow_id", sa.String(length=64), nullable=True),
        sa.Column("on_hold_prompt_id", sa.String(length=64), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queues")),
    )
    op.create_index(op.f("ix_queues_division_id"), "queues", ["division_id"], unique=False)
    op.create_index(op.f("ix_queues_name"), "queues", ["name"], unique=False)
    op.create_index(op.f("ix_queues_state"), "queues", ["state"], unique=False)
    op.create_index(
        "uq_queues_name",
        "queues",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "skills",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skills")),
    )
    op.create_index(op.f("ix_skills_division_id"), "skills", ["division_id"], unique=False)
    op.create_index(op.f("ix_skills_name"), "skills", ["name"], unique=False)
    op.create_index(op.f("ix_skills_state"), "skills", ["state"], unique=False)
    op.create_index(
        "uq_skills_name",
        "skills",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "wrapup_codes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wrapup_codes")),
    )
    op.create_index(op.f("ix_wrapup_codes_division_id"), "wrapup_codes", ["division_id"], unique=False)
    op.create_index(op.f("ix_wrapup_codes_name"), "wrapup_codes", ["name"], unique=False)
    op.create_index(op.f("ix_wrapup_codes_state"), "wrapup_codes", ["state"], unique=False)
    op.create_index(
        "uq_wrapup_codes_name",
        "wrapup_codes",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "conversation_queues",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("queue_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_conversation_queues_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "queue_id", name=op.f("pk_conversation_queues")),
    )
    op.create_index(op.f("ix_conversation_queues_queue_id"), "conversation_queues", ["queue_id"], unique=False)
    op.create_table(
        "flow_versions",
        sa.Column("flow_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("configuration", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("languages", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=True),
        sa.Column("created_by_client", sa.String(length=64), nullable=True),
        sa.Column("checked_in_at", sa.BigInteger(), nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("published_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("fk_flow_versions_flow_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flow_id", "number", name=op.f("pk_flow_versions")),
    )
    op.create_table(
        "prompt_resources",
        sa.Column("prompt_id", sa.String(length=64), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("tts_string", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("upload_status", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("sample_rate", sa.Integer(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompts.id"], name=op.f("fk_prompt_resources_prompt_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("prompt_id", "language", name=op.f("pk_prompt_resources")),
    )
    op.create_table(
        "queue_wrapup_codes",
        sa.Column("queue_id", sa.String(length=64), nullable=False),
        sa.Column("code_id", sa.String(length=64), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["code_id"], ["wrapup_codes.id"], name=op.f("fk_queue_wrapup_codes_code_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["queue_id"], ["queues.id"], name=op.f("fk_queue_wrapup_codes_queue_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("queue_id", "code_id", name=op.f("pk_queue_wrapup_codes")),
    )
    op.create_index(op.f("ix_queue_wrapup_codes_code_id"), "queue_wrapup_codes", ["code_id"], unique=False)
    op.create_table(
        "queue_members",
        sa.Column("queue_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("ring_number", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["queue_id"], ["queues.id"], name=op.f("fk_queue_members_queue_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_queue_members_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("queue_id", "user_id", name=op.f("pk_queue_members")),
    )
    op.create_index(op.f("ix_queue_members_user_id"), "queue_members", ["user_id"], unique=False)
    op.create_table(
        "user_routing",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("presence", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("presence_at", sa.BigInteger(), nullable=False),
        sa.Column("on_queue", sa.Boolean(), nullable=False),
        sa.Column("routing_status", sa.Text(), nullable=False),
        sa.Column("routing_status_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_routing_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_routing")),
    )
    op.create_index(op.f("ix_user_routing_on_queue"), "user_routing", ["on_queue"], unique=False)
    op.add_column("participants", sa.Column("attributes", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("recordings", sa.Column("name", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("recordings", "name")
    op.drop_column("participants", "attributes")
    op.drop_index(op.f("ix_user_routing_on_queue"), table_name="user_routing")
    op.drop_table("user_routing")
    op.drop_index(op.f("ix_queue_members_user_id"), table_name="queue_members")
    op.drop_table("queue_members")
    op.drop_index(op.f("ix_queue_wrapup_codes_code_id"), table_name="queue_wrapup_codes")
    op.drop_table("queue_wrapup_codes")
    op.drop_table("prompt_resources")
    op.drop_table("flow_versions")
    op.drop_index(op.f("ix_conversation_queues_queue_id"), table_name="conversation_queues")
    op.drop_table("conversation_queues")
    op.drop_index(
        "uq_wrapup_codes_name",
        table_name="wrapup_codes",
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.drop_index(op.f("ix_wrapup_codes_state"), table_name="wrapup_codes")
    op.drop_index(op.f("ix_wrapup_codes_name"), table_name="wrapup_codes")
    op.drop_index(op.f("ix_wrapup_codes_division_id"), table_name="wrapup_codes")
    op.drop_table("wrapup_codes")
    op.drop_index(
        "uq_skills_name",
        table_name="skills",
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.drop_index(op.f("ix_skills_state"), table_name="skills")
    op.drop_index(op.f("ix_skills_name"), table_name="skills")
    op.drop_index(op.f("ix_skills_division_id"), table_name="skills")
    op.drop_table("skills")
    op.drop_index(
        "uq_queues_name",
        table_name="queues",
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.drop_index(op.f("ix_queues_state"), table_name="queues")
    op.drop_index(op.f("ix_queues_name"), table_name="queues")
    op.drop_index(op.f("ix_queues_division_id"), table_name="queues")
    op.drop_table("queues")
    op.drop_index(
        "uq_prompts_name",
        table_name="prompts",
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.drop_index(op.f("ix_prompts_state"), table_name="prompts")
    op.drop_index(op.f("ix_prompts_name"), table_name="prompts")
    op.drop_index(op.f("ix_prompts_division_id"), table_name="prompts")
    op.drop_table("prompts")
    op.drop_index("ix_notification_channels_subject", table_name="notification_channels")
    op.drop_index(op.f("ix_notification_channels_expires_at"), table_name="notification_channels")
    op.drop_table("notification_channels")
    op.drop_index(
        "uq_languages_name",
        table_name="languages",
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.drop_index(op.f("ix_languages_name"), table_name="languages")
    op.drop_table("languages")
    op.drop_index(
        "uq_flows_type_name",
        table_name="flows",
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.drop_index(op.f("ix_flows_type"), table_name="flows")
    op.drop_index(op.f("ix_flows_state"), table_name="flows")
    op.drop_index(op.f("ix_flows_name"), table_name="flows")
    op.drop_index(op.f("ix_flows_division_id"), table_name="flows")
    op.drop_table("flows")
    op.drop_index(op.f("ix_flow_jobs_expires_at"), table_name="flow_jobs")
    op.drop_table("flow_jobs")
    op.drop_index(op.f("ix_after_call_work_user_id"), table_name="after_call_work")
    op.drop_index("ix_after_call_work_open", table_name="after_call_work")
    op.drop_table("after_call_work")
