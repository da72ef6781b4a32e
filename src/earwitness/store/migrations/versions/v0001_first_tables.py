"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=True),
        sa.Column("scope", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_access_tokens")),
    )
    op.create_index(op.f("ix_access_tokens_expires_at"), "access_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_access_tokens_subject_id"), "access_tokens", ["subject_id"], unique=False)
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.String(length=64), nullable=True),
        sa.Column("remote_address", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)
    op.create_index(op.f("ix_audit_log_conversation_id"), "audit_log", ["conversation_id"], unique=False)
    op.create_index("ix_audit_log_entity", "audit_log", ["entity_type", "entity_id"], unique=False)
    op.create_index(op.f("ix_audit_log_subject_id"), "audit_log", ["subject_id"], unique=False)
    op.create_table(
        "call_routes",
        sa.Column("dnis", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("target_type", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_routes")),
    )
    op.create_index(op.f("ix_call_routes_division_id"), "call_routes", ["division_id"], unique=False)
    op.create_index(op.f("ix_call_routes_name"), "call_routes", ["name"], unique=False)
    op.create_index(op.f("ix_call_routes_state"), "call_routes", ["state"], unique=False)
    op.create_table(
        "configuration_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_configuration_version")),
    )
    op.create_table(
        "conversations",
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("ani", sa.Text(), nullable=False),
        sa.Column("dnis", sa.Text(), nullable=False),
        sa.Column("external_tag", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("edge_id", sa.Text(), nullable=True),
        sa.Column("config_version", sa.BigInteger(), nullable=True),
        sa.Column("timeline", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("events", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("recording_state", sa.Text(), nullable=False),
        sa.Column("why", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("finalised_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
    )
    op.create_index(op.f("ix_conversations_ended_at"), "conversations", ["ended_at"], unique=False)
    op.create_index(op.f("ix_conversations_started_at"), "conversations", ["started_at"], unique=False)
    op.create_table(
        "did_pools",
        sa.Column("start_number", sa.Text(), nullable=False),
        sa.Column("end_number", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_did_pools")),
    )
    op.create_index(op.f("ix_did_pools_division_id"), "did_pools", ["division_id"], unique=False)
    op.create_index(op.f("ix_did_pools_name"), "did_pools", ["name"], unique=False)
    op.create_index(op.f("ix_did_pools_state"), "did_pools", ["state"], unique=False)
    op.create_table(
        "divisions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("home", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_divisions")),
        sa.UniqueConstraint("name", name=op.f("uq_divisions_name")),
    )
    op.create_table(
        "oauth_clients",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("authorized_grant_type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("access_token_validity_s", sa.BigInteger(), nullable=False),
        sa.Column("registered_redirect_uris", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("scope", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_clients")),
    )
    op.create_index(op.f("ix_oauth_clients_name"), "oauth_clients", ["name"], unique=False)
    op.create_table(
        "organizations",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "phone_bases",
        sa.Column("phone_metabase_id", sa.Text(), nullable=False),
        sa.Column("properties", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("lines", sa.JSON(none_as_null=True), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_bases")),
    )
    op.create_index(op.f("ix_phone_bases_division_id"), "phone_bases", ["division_id"], unique=False)
    op.create_index(op.f("ix_phone_bases_name"), "phone_bases", ["name"], unique=False)
    op.create_index(op.f("ix_phone_bases_state"), "phone_bases", ["state"], unique=False)
    op.create_table(
        "roles",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("permissions", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("permission_policies", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("default_role_id", sa.Text(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("is_base", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_roles_name")),
    )
    op.create_table(
        "settings",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
    )
    op.create_table(
        "sites",
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
    )
    op.create_index(op.f("ix_sites_division_id"), "sites", ["division_id"], unique=False)
    op.create_index(op.f("ix_sites_name"), "sites", ["name"], unique=False)
    op.create_index(op.f("ix_sites_state"), "sites", ["state"], unique=False)
    op.create_table(
        "conversation_divisions",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_conversation_divisions_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "division_id", name=op.f("pk_conversation_divisions")),
    )
    op.create_index(
        op.f("ix_conversation_divisions_division_id"), "conversation_divisions", ["division_id"], unique=False
    )
    op.create_table(
        "dids",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("did_pool_id", sa.String(length=64), nullable=True),
        sa.Column("owner_type", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.String(length=64), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["did_pool_id"], ["did_pools.id"], name=op.f("fk_dids_did_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dids")),
        sa.UniqueConstraint("number", name=op.f("uq_dids_number")),
    )
    op.create_index(op.f("ix_dids_did_pool_id"), "dids", ["did_pool_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("condition", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name=op.f("fk_grants_role_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint(
            "subject_id", "role_id", "division_id", name=op.f("uq_grants_subject_id_role_id_division_id")
        ),
    )
    op.create_index(op.f("ix_grants_division_id"), "grants", ["division_id"], unique=False)
    op.create_index(op.f("ix_grants_role_id"), "grants", ["role_id"], unique=False)
    op.create_index(op.f("ix_grants_subject_id"), "grants", ["subject_id"], unique=False)
    op.create_table(
        "participants",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("queue_id", sa.String(length=64), nullable=True),
        sa.Column("flow_id", sa.String(length=64), nullable=True),
        sa.Column("division_id", sa.String(length=64), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.Column("connected_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_participants_conversation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "id", name=op.f("pk_participants")),
    )
    op.create_index(op.f("ix_participants_queue_id"), "participants", ["queue_id"], unique=False)
    op.create_index(
        "ix_participants_user_id_conversation_id", "participants", ["user_id", "conversation_id"], unique=False
    )
    op.create_table(
        "phones",
        sa.Column("phone_base_id", sa.String(length=64), nullable=True),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("properties", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("lines", sa.JSON(none_as_null=True), nullable=False),
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
        sa.ForeignKeyConstraint(["phone_base_id"], ["phone_bases.id"], name=op.f("fk_phones_phone_base_id")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_phones_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phones")),
    )
    op.create_index(op.f("ix_phones_division_id"), "phones", ["division_id"], unique=False)
    op.create_index(op.f("ix_phones_name"), "phones", ["name"], unique=False)
    op.create_index(op.f("ix_phones_phone_base_id"), "phones", ["phone_base_id"], unique=False)
    op.create_index(op.f("ix_phones_state"), "phones", ["state"], unique=False)
    op.create_table(
        "recordings",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_subtype", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
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
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("archive_date", sa.BigInteger(), nullable=True),
        sa.Column("archive_medium", sa.Text(), nullable=True),
        sa.Column("delete_date", sa.BigInteger(), nullable=True),
        sa.Column("export_date", sa.BigInteger(), nullable=True),
        sa.Column("exported_date", sa.BigInteger(), nullable=True),
        sa.Column("restore_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("read", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("receipt", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("fk_recordings_conversation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
    )
    op.create_index(op.f("ix_recordings_conversation_id"), "recordings", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_recordings_created_at"), "recordings", ["created_at"], unique=False)
    op.create_index(op.f("ix_recordings_delete_date"), "recordings", ["delete_date"], unique=False)
    op.create_index(op.f("ix_recordings_file_state"), "recordings", ["file_state"], unique=False)
    op.create_index("ix_recordings_owner_user_id", "recordings", ["owner_user_id"], unique=False)
    op.create_index(op.f("ix_recordings_role"), "recordings", ["role"], unique=False)
    op.create_index(op.f("ix_recordings_started_at"), "recordings", ["started_at"], unique=False)
    op.create_table(
        "trunk_bases",
        sa.Column("trunk_metabase_id", sa.Text(), nullable=False),
        sa.Column("trunk_type", sa.Text(), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("properties", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("secrets", sa.JSON(none_as_null=True), nullable=False),
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
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_trunk_bases_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trunk_bases")),
    )
    op.create_index(op.f("ix_trunk_bases_division_id"), "trunk_bases", ["division_id"], unique=False)
    op.create_index(op.f("ix_trunk_bases_name"), "trunk_bases", ["name"], unique=False)
    op.create_index(op.f("ix_trunk_bases_state"), "trunk_bases", ["state"], unique=False)
    op.create_table(
        "users",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("division_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("manager_id", sa.String(length=64), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("extra", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("modified_by", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["division_id"], ["divisions.id"], name=op.f("fk_users_division_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_index(op.f("ix_users_division_id"), "users", ["division_id"], unique=False)
    op.create_index(op.f("ix_users_name"), "users", ["name"], unique=False)
    op.create_index(op.f("ix_users_state"), "users", ["state"], unique=False)
    op.create_table(
        "recording_objects",
        sa.Column("recording_id", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_recording_objects_recording_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("recording_id", "object_key", name=op.f("pk_recording_objects")),
    )
    op.create_table(
        "stations",
        sa.Column("phone_id", sa.String(length=64), nullable=True),
        sa.Column("line_id", sa.String(length=64), nullable=True),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("ha1_md5", sa.Text(), nullable=False),
        sa.Column("ha1_sha256", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("default_user_id", sa.String(length=64), nullable=True),
        sa.Column("extension", sa.Text(), nullable=False),
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
        sa.ForeignKeyConstraint(["default_user_id"], ["users.id"], name=op.f("fk_stations_default_user_id")),
        sa.ForeignKeyConstraint(["phone_id"], ["phones.id"], name=op.f("fk_stations_phone_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_stations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stations")),
    )
    op.create_index(op.f("ix_stations_default_user_id"), "stations", ["default_user_id"], unique=False)
    op.create_index(op.f("ix_stations_division_id"), "stations", ["division_id"], unique=False)
    op.create_index(op.f("ix_stations_name"), "stations", ["name"], unique=False)
    op.create_index(op.f("ix_stations_phone_id"), "stations", ["phone_id"], unique=False)
    op.create_index(op.f("ix_stations_state"), "stations", ["state"], unique=False)
    op.create_index(op.f("ix_stations_user_id"), "stations", ["user_id"], unique=False)
    op.create_index(
        "uq_stations_username",
        "stations",
        ["username"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.create_table(
        "trunks",
        sa.Column("trunk_base_id", sa.String(length=64), nullable=False),
        sa.Column("trunk_type", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
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
        sa.ForeignKeyConstraint(["trunk_base_id"], ["trunk_bases.id"], name=op.f("fk_trunks_trunk_base_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trunks")),
    )
    op.create_index(op.f("ix_trunks_division_id"), "trunks", ["division_id"], unique=False)
    op.create_index(op.f("ix_trunks_name"), "trunks", ["name"], unique=False)
    op.create_index(op.f("ix_trunks_state"), "trunks", ["state"], unique=False)
    op.create_index(op.f("ix_trunks_trunk_base_id"), "trunks", ["trunk_base_id"], unique=False)
    op.execute("INSERT INTO configuration_version (id, version) VALUES (1, 1)")


def downgrade() -> None:
    op.drop_index(op.f("ix_trunks_trunk_base_id"), table_name="trunks")
    op.drop_index(op.f("ix_trunks_state"), table_name="trunks")
    op.drop_index(op.f("ix_trunks_name"), table_name="trunks")
    op.drop_index(op.f("ix_trunks_division_id"), table_name="trunks")
    op.drop_table("trunks")
    op.drop_index(
        "uq_stations_username",
        table_name="stations",
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )
    op.drop_index(op.f("ix_stations_user_id"), table_name="stations")
    op.drop_index(op.f("ix_stations_state"), table_name="stations")
    op.drop_index(op.f("ix_stations_phone_id"), table_name="stations")
    op.drop_index(op.f("ix_stations_name"), table_name="stations")
    op.drop_index(op.f("ix_stations_division_id"), table_name="stations")
    op.drop_index(op.f("ix_stations_default_user_id"), table_name="stations")
    op.drop_table("stations")
    op.drop_table("recording_objects")
    op.drop_index(op.f("ix_users_state"), table_name="users")
    op.drop_index(op.f("ix_users_name"), table_name="users")
    op.drop_index(op.f("ix_users_division_id"), table_name="users")
    op.drop_table("users")
    op.drop_index(op.f("ix_trunk_bases_state"), table_name="trunk_bases")
    op.drop_index(op.f("ix_trunk_bases_name"), table_name="trunk_bases")
    op.drop_index(op.f("ix_trunk_bases_division_id"), table_name="trunk_bases")
    op.drop_table("trunk_bases")
    op.drop_index(op.f("ix_recordings_started_at"), table_name="recordings")
    op.drop_index(op.f("ix_recordings_role"), table_name="recordings")
    op.drop_index("ix_recordings_owner_user_id", table_name="recordings")
    op.drop_index(op.f("ix_recordings_file_state"), table_name="recordings")
    op.drop_index(op.f("ix_recordings_delete_date"), table_name="recordings")
    op.drop_index(op.f("ix_recordings_created_at"), table_name="recordings")
    op.drop_index(op.f("ix_recordings_conversation_id"), table_name="recordings")
    op.drop_table("recordings")
    op.drop_index(op.f("ix_phones_state"), table_name="phones")
    op.drop_index(op.f("ix_phones_phone_base_id"), table_name="phones")
    op.drop_index(op.f("ix_phones_name"), table_name="phones")
    op.drop_index(op.f("ix_phones_division_id"), table_name="phones")
    op.drop_table("phones")
    op.drop_index("ix_participants_user_id_conversation_id", table_name="participants")
    op.drop_index(op.f("ix_participants_queue_id"), table_name="participants")
    op.drop_table("participants")
    op.drop_index(op.f("ix_grants_subject_id"), table_name="grants")
    op.drop_index(op.f("ix_grants_role_id"), table_name="grants")
    op.drop_index(op.f("ix_grants_division_id"), table_name="grants")
    op.drop_table("grants")
    op.drop_index(op.f("ix_dids_did_pool_id"), table_name="dids")
    op.drop_table("dids")
    op.drop_index(op.f("ix_conversation_divisions_division_id"), table_name="conversation_divisions")
    op.drop_table("conversation_divisions")
    op.drop_index(op.f("ix_sites_state"), table_name="sites")
    op.drop_index(op.f("ix_sites_name"), table_name="sites")
    op.drop_index(op.f("ix_sites_division_id"), table_name="sites")
    op.drop_table("sites")
    op.drop_table("settings")
    op.drop_table("roles")
    op.drop_index(op.f("ix_phone_bases_state"), table_name="phone_bases")
    op.drop_index(op.f("ix_phone_bases_name"), table_name="phone_bases")
    op.drop_index(op.f("ix_phone_bases_division_id"), table_name="phone_bases")
    op.drop_table("phone_bases")
    op.drop_table("organizations")
    op.drop_index(op.f("ix_oauth_clients_name"), table_name="oauth_clients")
    op.drop_table("oauth_clients")
    op.drop_table("divisions")
    op.drop_index(op.f("ix_did_pools_state"), table_name="did_pools")
    op.drop_index(op.f("ix_did_pools_name"), table_name="did_pools")
    op.drop_index(op.f("ix_did_pools_division_id"), table_name="did_pools")
    op.drop_table("did_pools")
    op.drop_index(op.f("ix_conversations_started_at"), table_name="conversations")
    op.drop_index(op.f("ix_conversations_ended_at"), table_name="conversations")
    op.drop_table("conversations")
    op.drop_table("configuration_version")
    op.drop_index(op.f("ix_call_routes_state"), table_name="call_routes")
    op.drop_index(op.f("ix_call_routes_name"), table_name="call_routes")
    op.drop_index(op.f("ix_call_routes_division_id"), table_name="call_routes")
    op.drop_table("call_routes")
    op.drop_index(op.f("ix_audit_log_subject_id"), table_name="audit_log")
    op.drop_index("ix_audit_log_entity", table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_conversation_id"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_at"), table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_index(op.f("ix_access_tokens_subject_id"), table_name="access_tokens")
    op.drop_index(op.f("ix_access_tokens_expires_at"), table_name="access_tokens")
    op.drop_table("access_tokens")
