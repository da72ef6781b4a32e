"""Work teams, and what access to calls depends on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Teams, memberships with their times, and the teams of calls. Calls of before belong to no team."""
    op.create_table(
        "work_teams",
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_teams")),
    )
    op.create_index(op.f("ix_work_teams_division_id"), "work_teams", ["division_id"], unique=False)
    op.create_index(op.f("ix_work_teams_name"), "work_teams", ["name"], unique=False)
    op.create_index(op.f("ix_work_teams_state"), "work_teams", ["state"], unique=False)
    op.create_index(
        "uq_work_teams_name",
        "work_teams",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "work_team_members",
        sa.Column("team_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["team_id"], ["work_teams.id"], name=op.f("fk_work_team_members_team_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_work_team_members_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("team_id", "user_id", "joined_at", name=op.f("pk_work_team_members")),
    )
    op.create_index(op.f("ix_work_team_members_user_id"), "work_team_members", ["user_id"], unique=False)
    op.create_index(
        "uq_work_team_members_user_id",
        "work_team_members",
        ["user_id"],
        unique=True,
        sqlite_where=sa.text("left_at IS NULL"),
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_table(
        "conversation_teams",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_conversation_teams_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "team_id", "user_id", name=op.f("pk_conversation_teams")),
    )
    op.create_index("ix_conversation_teams_team_id", "conversation_teams", ["team_id", "conversation_id"], unique=False)
    op.create_table(
        "conversation_parts",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_conversation_parts_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "division_id", "started_at", name=op.f("pk_conversation_parts")),
    )
    op.create_table(
        "audit_queries",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("query", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("last_entry", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_queries")),
    )
    op.create_index(op.f("ix_audit_queries_asked_at"), "audit_queries", ["asked_at"], unique=False)
    op.add_column("access_tokens", sa.Column("seen_by", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Without teams."""
    with op.batch_alter_table("access_tokens") as table:
        table.drop_column("seen_by")
    op.drop_table("audit_queries")
    op.drop_table("conversation_parts")
    op.drop_table("conversation_teams")
    op.drop_table("work_team_members")
    op.drop_table("work_teams")
