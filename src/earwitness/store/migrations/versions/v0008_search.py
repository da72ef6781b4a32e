"""What conversations are found by, groups, external contacts, and divisions that were."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from earwitness.domain.search import terms

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

AT_ONCE = 500
"""Conversations of one turn."""


def upgrade() -> None:
    """New tables, and the terms of the conversations that there are."""
    op.create_table(
        "conversation_terms",
        sa.Column(
            "term",
            sa.String(length=128).with_variant(sa.VARCHAR(length=128, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("term", "started_at", "conversation_id", name=op.f("pk_conversation_terms")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deleted_divisions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_divisions")),
    )
    op.create_table(
        "detail_jobs",
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("query", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_detail_jobs")),
    )
    op.create_index(op.f("ix_detail_jobs_expires_at"), "detail_jobs", ["expires_at"], unique=False)
    op.create_index(op.f("ix_detail_jobs_subject_id"), "detail_jobs", ["subject_id"], unique=False)
    op.create_table(
        "external_contacts",
        sa.Column("phones", sa.JSON(none_as_null=True), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_contacts")),
    )
    op.create_index(op.f("ix_external_contacts_division_id"), "external_contacts", ["division_id"], unique=False)
    op.create_index(op.f("ix_external_contacts_name"), "external_contacts", ["name"], unique=False)
    op.create_index(op.f("ix_external_contacts_state"), "external_contacts", ["state"], unique=False)
    op.create_table(
        "user_groups",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_groups")),
    )
    op.create_index(op.f("ix_user_groups_name"), "user_groups", ["name"], unique=False)
    op.create_table(
        "user_group_members",
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.Boolean(), nullable=False),
        sa.Column("member", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["user_groups.id"], name=op.f("fk_user_group_members_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_group_members_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_user_group_members")),
    )
    op.create_index(op.f("ix_user_group_members_user_id"), "user_group_members", ["user_id"], unique=False)
    _fill()


def downgrade() -> None:
    """Drops them."""
    for table in ("user_group_members", "user_groups", "external_contacts", "detail_jobs", "deleted_divisions"):
        op.drop_table(table)
    op.drop_table("conversation_terms")


def _fill() -> None:
    connection, last = op.get_bind(), ""
    page = sa.text(
        "SELECT id, started_at, ani, dnis, timeline, why FROM conversations WHERE id > :last ORDER BY id LIMIT :n"
    )
    put = sa.text("INSERT INTO conversation_terms (term, started_at, conversation_id) VALUES (:term, :at, :id)")
    while rows := connection.execute(page, {"last": last, "n": AT_ONCE}).all():
        ids = [row.id for row in rows]
        users = _column(
            ids,
            "SELECT conversation_id, CASE WHEN purpose IN ('user', 'agent') THEN user_id END FROM participants",
        )
        divisions = _column(ids, "SELECT conversation_id, division_id FROM conversation_divisions")
        queues = _column(ids, "SELECT conversation_id, queue_id FROM conversation_queues")
        teams = _column(ids, "SELECT conversation_id, team_id FROM conversation_teams")
        codes = _column(ids, "SELECT conversation_id, code_id FROM after_call_work")
        found = []
        for row in rows:
            facts = terms.facts_of(
                ani=row.ani, dnis=row.dnis, timeline=_document(row.timeline), why=_document(row.why),
                users=users.get(row.id, []),
                divisions=divisions.get(row.id, []), queues=queues.get(row.id, []), teams=teams.get(row.id, []),
                wrapups=codes.get(row.id, []),
            )  # fmt: skip
            found += [{"term": term, "at": row.started_at, "id": row.id} for term in terms.of(facts)]
        connection.execute(put, found)
        last = ids[-1]


def _column(ids: list[str], select: str) -> dict[str, list[str]]:
    statement = sa.text(f"{select} WHERE conversation_id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
    found: dict[str, list[str]] = {}
    for conversation_id, value in op.get_bind().execute(statement, {"ids": ids}):
        if value is not None:
            found.setdefault(conversation_id, []).append(value)
    return found


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value
