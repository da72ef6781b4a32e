"""Media retention policies and what they decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Conversations whose after-call work is done count as complete: there were no policies for them."""
    op.create_table(
        "retention_policies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("enabled_at", sa.BigInteger(), nullable=False),
        sa.Column("cross_platform", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_policies")),
    )
    op.create_index(op.f("ix_retention_policies_name"), "retention_policies", ["name"], unique=False)
    op.create_index(op.f("ix_retention_policies_state"), "retention_policies", ["state"], unique=False)
    op.create_index("ix_retention_policies_stamp", "retention_policies", ["version", "modified_at"], unique=False)
    op.create_table(
        "policy_decisions",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("policy_id", sa.String(length=64), nullable=True),
        sa.Column("matched", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("missed", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("verdict", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("actions", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_policy_decisions_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_policy_decisions")),
    )
    op.create_index(op.f("ix_policy_decisions_policy_id"), "policy_decisions", ["policy_id"], unique=False)
    op.add_column("conversations", sa.Column("completed_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_conversations_completed_at", "conversations", ["completed_at", "ended_at"], unique=False)
    op.add_column("recordings", sa.Column("export_integration_id", sa.String(length=64), nullable=True))
    op.add_column("recordings", sa.Column("retention_policy_id", sa.String(length=64), nullable=True))
    op.add_column("recordings", sa.Column("retention_why", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(op.f("ix_recordings_retention_policy_id"), "recordings", ["retention_policy_id"], unique=False)
    op.execute(
        "UPDATE conversations SET completed_at = finalised_at WHERE NOT EXISTS (SELECT 1 FROM after_call_work w "
        "WHERE w.conversation_id = conversations.id AND w.given_at IS NULL)"
    )


def downgrade() -> None:
    """Takes the tables and columns away."""
    op.drop_index(op.f("ix_recordings_retention_policy_id"), table_name="recordings")
    with op.batch_alter_table("recordings") as batch:
        batch.drop_column("retention_why")
        batch.drop_column("retention_policy_id")
        batch.drop_column("export_integration_id")
    op.drop_index("ix_conversations_completed_at", table_name="conversations")
    with op.batch_alter_table("conversations") as batch:
        batch.drop_column("completed_at")
    op.drop_table("policy_decisions")
    op.drop_table("retention_policies")
