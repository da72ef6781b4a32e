"""Evaluation forms, evaluations, calibrations, surveys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("form_id", sa.String(length=64), nullable=False),
        sa.Column("context_id", sa.String(length=64), nullable=False),
        sa.Column("agent_user_id", sa.String(length=64), nullable=False),
        sa.Column("calibrator_user_id", sa.String(length=64), nullable=False),
        sa.Column("expert_user_id", sa.String(length=64), nullable=True),
        sa.Column("policy_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calibrations")),
    )
    op.create_index(op.f("ix_calibrations_calibrator_user_id"), "calibrations", ["calibrator_user_id"], unique=False)
    op.create_index(op.f("ix_calibrations_conversation_id"), "calibrations", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_calibrations_created_at"), "calibrations", ["created_at"], unique=False)
    op.create_table(
        "evaluation_forms",
        sa.Column("weight_mode", sa.Text(), nullable=False),
        sa.Column("evaluation_settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("context_id", sa.String(length=64), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("question_groups", sa.JSON(none_as_null=True), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation_forms")),
    )
    op.create_index(op.f("ix_evaluation_forms_context_id"), "evaluation_forms", ["context_id"], unique=False)
    op.create_index(op.f("ix_evaluation_forms_division_id"), "evaluation_forms", ["division_id"], unique=False)
    op.create_index(op.f("ix_evaluation_forms_name"), "evaluation_forms", ["name"], unique=False)
    op.create_index(op.f("ix_evaluation_forms_published_at"), "evaluation_forms", ["published_at"], unique=False)
    op.create_index(op.f("ix_evaluation_forms_state"), "evaluation_forms", ["state"], unique=False)
    op.create_table(
        "evaluations",
        sa.Column("context_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("retracted_id", sa.String(length=64), nullable=True),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_at", sa.BigInteger(), nullable=False),
        sa.Column("conversation_ended_at", sa.BigInteger(), nullable=True),
        sa.Column("queue_id", sa.String(length=64), nullable=True),
        sa.Column("form_id", sa.String(length=64), nullable=False),
        sa.Column("form_context_id", sa.String(length=64), nullable=False),
        sa.Column("agent_user_id", sa.String(length=64), nullable=False),
        sa.Column("agent_team_id", sa.String(length=64), nullable=True),
        sa.Column("evaluator_user_id", sa.String(length=64), nullable=True),
        sa.Column("assignee_user_id", sa.String(length=64), nullable=True),
        sa.Column("assignee_applicable", sa.Boolean(), nullable=False),
        sa.Column("assignee_changed_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("answers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("total_score", sa.Double(), nullable=True),
        sa.Column("total_critical_score", sa.Double(), nullable=True),
        sa.Column("failed_kill", sa.Boolean(), nullable=False),
        sa.Column("release_date", sa.BigInteger(), nullable=True),
        sa.Column("never_release", sa.Boolean(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("agent_has_read", sa.Boolean(), nullable=False),
        sa.Column("rescore", sa.Boolean(), nullable=False),
        sa.Column("dispute_count", sa.Integer(), nullable=False),
        sa.Column("declined_review", sa.Boolean(), nullable=False),
        sa.Column("calibration_id", sa.String(length=64), nullable=True),
        sa.Column("is_scoring_index", sa.Boolean(), nullable=False),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_id", sa.String(length=64), nullable=True),
        sa.Column("source_name", sa.Text(), nullable=True),
        sa.Column("policy_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("revision_created_at", sa.BigInteger(), nullable=True),
        sa.Column("assigned_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
    )
    op.create_index(op.f("ix_evaluations_agent_team_id"), "evaluations", ["agent_team_id"], unique=False)
    op.create_index(
        "ix_evaluations_agent_user_id_assigned_at", "evaluations", ["agent_user_id", "assigned_at"], unique=False
    )
    op.create_index(op.f("ix_evaluations_assignee_user_id"), "evaluations", ["assignee_user_id"], unique=False)
    op.create_index(op.f("ix_evaluations_calibration_id"), "evaluations", ["calibration_id"], unique=False)
    op.create_index(op.f("ix_evaluations_changed_at"), "evaluations", ["changed_at"], unique=False)
    op.create_index(op.f("ix_evaluations_context_id"), "evaluations", ["context_id"], unique=False)
    op.create_index(op.f("ix_evaluations_conversation_at"), "evaluations", ["conversation_at"], unique=False)
    op.create_index(op.f("ix_evaluations_conversation_id"), "evaluations", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_evaluations_deleted_at"), "evaluations", ["deleted_at"], unique=False)
    op.create_index(
        "ix_evaluations_evaluator_user_id_assigned_at",
        "evaluations",
        ["evaluator_user_id", "assigned_at"],
        unique=False,
    )
    op.create_index(op.f("ix_evaluations_form_context_id"), "evaluations", ["form_context_id"], unique=False)
    op.create_index("ix_evaluations_policy_id_assigned_at", "evaluations", ["policy_id", "assigned_at"], unique=False)
    op.create_index(op.f("ix_evaluations_queue_id"), "evaluations", ["queue_id"], unique=False)
    op.create_index("ix_evaluations_status_release_date", "evaluations", ["status", "release_date"], unique=False)
    op.create_table(
        "survey_forms",
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("context_id", sa.String(length=64), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("question_groups", sa.JSON(none_as_null=True), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_forms")),
    )
    op.create_index(op.f("ix_survey_forms_context_id"), "survey_forms", ["context_id"], unique=False)
    op.create_index(op.f("ix_survey_forms_division_id"), "survey_forms", ["division_id"], unique=False)
    op.create_index(op.f("ix_survey_forms_name"), "survey_forms", ["name"], unique=False)
    op.create_index(op.f("ix_survey_forms_published_at"), "survey_forms", ["published_at"], unique=False)
    op.create_index(op.f("ix_survey_forms_state"), "survey_forms", ["state"], unique=False)
    op.create_table(
        "surveys",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("form_id", sa.String(length=64), nullable=False),
        sa.Column("agent_user_id", sa.String(length=64), nullable=True),
        sa.Column("agent_team_id", sa.String(length=64), nullable=True),
        sa.Column("queue_id", sa.String(length=64), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("answers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_surveys")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_surveys_token_sha256")),
    )
    op.create_index(op.f("ix_surveys_conversation_id"), "surveys", ["conversation_id"], unique=False)
    op.create_table(
        "calibration_evaluators",
        sa.Column("calibration_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("evaluation_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["calibration_id"],
            ["calibrations.id"],
            name=op.f("fk_calibration_evaluators_calibration_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("calibration_id", "user_id", name=op.f("pk_calibration_evaluators")),
    )
    op.create_index(op.f("ix_calibration_evaluators_user_id"), "calibration_evaluators", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_calibration_evaluators_user_id"), table_name="calibration_evaluators")
    op.drop_table("calibration_evaluators")
    op.drop_index(op.f("ix_surveys_conversation_id"), table_name="surveys")
    op.drop_table("surveys")
    op.drop_index(op.f("ix_survey_forms_state"), table_name="survey_forms")
    op.drop_index(op.f("ix_survey_forms_published_at"), table_name="survey_forms")
    op.drop_index(op.f("ix_survey_forms_name"), table_name="survey_forms")
    op.drop_index(op.f("ix_survey_forms_division_id"), table_name="survey_forms")
    op.drop_index(op.f("ix_survey_forms_context_id"), table_name="survey_forms")
    op.drop_table("survey_forms")
    op.drop_index("ix_evaluations_status_release_date", table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_queue_id"), table_name="evaluations")
    op.drop_index("ix_evaluations_policy_id_assigned_at", table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_form_context_id"), table_name="evaluations")
    op.drop_index("ix_evaluations_evaluator_user_id_assigned_at", table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_deleted_at"), table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_conversation_id"), table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_conversation_at"), table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_context_id"), table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_changed_at"), table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_calibration_id"), table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_assignee_user_id"), table_name="evaluations")
    op.drop_index("ix_evaluations_agent_user_id_assigned_at", table_name="evaluations")
    op.drop_index(op.f("ix_evaluations_agent_team_id"), table_name="evaluations")
    op.drop_table("evaluations")
    op.drop_index(op.f("ix_evaluation_forms_state"), table_name="evaluation_forms")
    op.drop_index(op.f("ix_evaluation_forms_published_at"), table_name="evaluation_forms")
    op.drop_index(op.f("ix_evaluation_forms_name"), table_name="evaluation_forms")
    op.drop_index(op.f("ix_evaluation_forms_division_id"), table_name="evaluation_forms")
    op.drop_index(op.f("ix_evaluation_forms_context_id"), table_name="evaluation_forms")
    op.drop_table("evaluation_forms")
    op.drop_index(op.f("ix_calibrations_created_at"), table_name="calibrations")
    op.drop_index(op.f("ix_calibrations_conversation_id"), table_name="calibrations")
    op.drop_index(op.f("ix_calibrations_calibrator_user_id"), table_name="calibrations")
    op.drop_table("calibrations")
