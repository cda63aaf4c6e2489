"""Pictures that are worth a label."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "hard_cases",
        sa.Column("analysis_id", sa.Uuid(as_uuid=False), sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("other_analysis_id", sa.String(), nullable=False),
        sa.Column("other_answer", sa.JSON(), nullable=True),
    )
    op.create_index("ix_hard_cases_tenant", "hard_cases", ["tenant", "analysis_id"])
