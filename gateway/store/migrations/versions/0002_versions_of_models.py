"""Which version of a model is in service, and what trials of others have shown."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes both tables."""
    op.create_table(
        "deployments",
        sa.Column("model", sa.String(), primary_key=True),
        sa.Column("active", sa.String(), nullable=False),
        sa.Column("previous", sa.JSON(), nullable=False),
        sa.Column("trial", sa.JSON(), nullable=True),
        sa.Column("last_rollback", sa.JSON(), nullable=True),
    )
    op.create_table(
        "disagreements",
        sa.Column("analysis_id", sa.Uuid(as_uuid=False), sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("difference", sa.String(), nullable=False),
        sa.Column("in_service_version", sa.String(), nullable=False),
        sa.Column("in_service", sa.JSON(), nullable=False),
        sa.Column("candidate_version", sa.String(), nullable=False),
        sa.Column("candidate", sa.JSON(), nullable=False),
    )
    op.create_index("ix_disagreements_tenant_model", "disagreements", ["tenant", "model", "analysis_id"])
