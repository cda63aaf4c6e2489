"""Durable jobs, the deliveries of their results, and uploads in pieces."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the three tables with their indexes."""
    _make_jobs()
    _make_deliveries()
    _make_uploads()


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("priority", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mission", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("error_code", sa.String(), nullable=False),
        sa.Column("error_message", sa.String(), nullable=False),
        sa.Column("error_parameter", sa.String(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("callback", sa.JSON(), nullable=True),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("opinion_on", sa.String(), nullable=False),
        sa.Column("consents", sa.JSON(), nullable=False),
    )
    open_job, finished = "state IN ('queued', 'running')", "state IN ('done', 'failed', 'cancelled')"
    _make_partial_index("ix_jobs_claim", "jobs", ["tier", "priority", "tenant", "id", "not_before"], open_job)
    _make_partial_index("ix_jobs_expires_at", "jobs", ["expires_at"], open_job)
    _make_partial_index("ix_jobs_finished", "jobs", ["updated_at", "id"], finished)
    op.create_index("ix_jobs_key", "jobs", ["tenant", "key"], unique=True)
    _make_partial_index("ix_jobs_cloud", "jobs", ["tenant", "created_at"], "tier = 'cloud'")
    op.create_index("ix_jobs_turn", "jobs", ["tier", "turn"])
    op.create_index("ix_jobs_tenant_turn", "jobs", ["tier", "tenant", "priority", "turn"])
    op.create_index("ix_jobs_tenant", "jobs", ["tenant", "id"])
    op.create_index("ix_jobs_tenant_state", "jobs", ["tenant", "state", "id"])
    op.create_index("ix_jobs_tenant_mission", "jobs", ["tenant", "mission", "id"])


def _make_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("job_id", sa.Uuid(as_uuid=False), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
    )
    _make_partial_index("ix_webhook_deliveries_claim", "webhook_deliveries", ["not_before", "id"], "state = 'pending'")
    op.create_index("ix_webhook_deliveries_job", "webhook_deliveries", ["job_id", "id"])


def _make_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.Uuid(as_uuid=False), nullable=True),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at", "id"])


def _make_partial_index(name: str, table: str, columns: list[str], part: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(part), postgresql_where=sa.text(part))
