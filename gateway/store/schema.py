"""The tables. They describe what the newest migration leaves behind; a test holds the two together.

To change one: write migrations/versions/NNNN_what_changes.py (with `op.batch_alter_table`, since SQLite can't alter a
column in place), change the table here, and raise REVISION. A migration that was released is never edited.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    Named,
    Table,
    TextClause,
    TypedColumns,
    TypeDecorator,
    Uuid,
    text,
)

REVISION = "0006"
"""The newest migration in migrations/versions."""


class DatabaseVersionError(RuntimeError):
    """A program with migrations that this one doesn't have wrote the database."""

    def __init__(self, stored: str) -> None:
        super().__init__(
            f"the database has version {stored}, this program knows versions up to {REVISION}: "
            "a newer Hedgerow has used it. Update Hedgerow, or name another database."
        )


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware in Python and always UTC when read, also from SQLite, which keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Converts to UTC. Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time must have a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Gives an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AnalysisColumns(TypedColumns):
    """One answer a row; see gateway/service/records.py for what each field means."""

    id: Named[str] = Column(Uuid(as_uuid=False), primary_key=True)
    tenant: Named[str]
    domain: Named[str]
    created_at: Named[datetime] = Column(UtcDateTime)
    request_id: Named[str]
    model: Named[str]
    label: Named[str]
    abstained: Named[bool]
    parameters: Named[Mapping[str, object]] = Column(JSON)
    media: Named[Mapping[str, object]] = Column(JSON)
    result: Named[Mapping[str, object]] = Column(JSON)
    provenance: Named[Mapping[str, object]] = Column(JSON)
    images: Named[Sequence[str]] = Column(JSON)


class KeyColumns(TypedColumns):
    """One API key a row."""

    id: Named[str] = Column(primary_key=True)
    secret_sha256: Named[str]
    tenant: Named[str]
    name: Named[str]
    scopes: Named[Sequence[str]] = Column(JSON)
    created_at: Named[datetime] = Column(UtcDateTime)
    revoked_at: Named[datetime | None] = Column(UtcDateTime)


class DeploymentColumns(TypedColumns):
    """One model a row: the version in service, and the one on trial."""

    model: Named[str] = Column(primary_key=True)
    active: Named[str]
    previous: Named[Sequence[str]] = Column(JSON)
    trial: Named[Mapping[str, object] | None] = Column(JSON(none_as_null=True))
    last_rollback: Named[Mapping[str, object] | None] = Column(JSON(none_as_null=True))


class DisagreementColumns(TypedColumns):
    """One analysis a row that two versions of a model answer differently; it goes when the analysis goes."""

    analysis_id: Named[str] = Column(Uuid(as_uuid=False), ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)
    tenant: Named[str]
    model: Named[str]
    found_at: Named[datetime] = Column(UtcDateTime)
    mode: Named[str]
    difference: Named[str]
    in_service_version: Named[str]
    in_service: Named[Mapping[str, object]] = Column(JSON)
    candidate_version: Named[str]
    candidate: Named[Mapping[str, object]] = Column(JSON)


class JobColumns(TypedColumns):
    """One job a row; see gateway/service/jobs/records.py for what each field means. A job without a key has NULL there:
    any number of those fit into the unique index.
    """

    id: Named[str] = Column(Uuid(as_uuid=False), primary_key=True)
    tenant: Named[str]
    domain: Named[str]
    parameters: Named[Mapping[str, object]] = Column(JSON)
    request_id: Named[str]
    size_bytes: Named[int] = Column(BigInteger)
    sha256: Named[str]
    fingerprint: Named[str]
    created_at: Named[datetime] = Column(UtcDateTime)
    updated_at: Named[datetime] = Column(UtcDateTime)
    not_before: Named[datetime] = Column(UtcDateTime)
    state: Named[str]
    priority: Named[str]
    attempts: Named[int]
    owner: Named[str]
    turn: Named[int] = Column(BigInteger)
    expires_at: Named[datetime | None] = Column(UtcDateTime)
    mission: Named[str]
    key: Named[str | None]
    error_code: Named[str]
    error_message: Named[str]
    error_parameter: Named[str]
    progress: Named[Mapping[str, object]] = Column(JSON)
    callback: Named[Mapping[str, object] | None] = Column(JSON(none_as_null=True))
    tier: Named[str]
    why: Named[str]
    opinion_on: Named[str]
    consents: Named[Sequence[str]] = Column(JSON)


class DeliveryColumns(TypedColumns):
    """One result a row that goes to one webhook; it goes when its job goes."""

    id: Named[str] = Column(Uuid(as_uuid=False), primary_key=True)
    job_id: Named[str] = Column(Uuid(as_uuid=False), ForeignKey("jobs.id", ondelete="CASCADE"))
    tenant: Named[str]
    url: Named[str]
    created_at: Named[datetime] = Column(UtcDateTime)
    updated_at: Named[datetime] = Column(UtcDateTime)
    not_before: Named[datetime] = Column(UtcDateTime)
    state: Named[str]
    attempts: Named[int]
    last_status: Named[int | None]
    last_error: Named[str]


class UploadColumns(TypedColumns):
    """One upload in pieces a row."""

    id: Named[str] = Column(Uuid(as_uuid=False), primary_key=True)
    tenant: Named[str]
    domain: Named[str]
    parameters: Named[Mapping[str, object]] = Column(JSON)
    size_bytes: Named[int] = Column(BigInteger)
    created_at: Named[datetime] = Column(UtcDateTime)
    expires_at: Named[datetime] = Column(UtcDateTime)
    offset: Named[int] = Column(BigInteger)
    state: Named[str]
    metadata: Named[Mapping[str, object]] = Column(JSON)
    job_id: Named[str | None] = Column(Uuid(as_uuid=False))


class WebhookSecretColumns(TypedColumns):
    """One tenant a row: what signs its webhooks. Signing needs the secret itself, so a hash wouldn't do."""

    tenant: Named[str] = Column(primary_key=True)
    secret: Named[str]
    created_at: Named[datetime] = Column(UtcDateTime)
    previous: Named[str]
    previous_until: Named[datetime | None] = Column(UtcDateTime)


class AuditColumns(TypedColumns):
    """One departure a row, in texts and numbers exactly as they were hashed; see gateway/service/leaving/audit.py."""

    seq: Named[int] = Column(BigInteger, primary_key=True, autoincrement=False)
    at: Named[str]
    tenant: Named[str]
    analysis_id: Named[str]
    sha256: Named[str]
    size_bytes: Named[int] = Column(BigInteger)
    format: Named[str]
    why: Named[str]
    where_to: Named[str]
    form: Named[str]
    prev_hash: Named[str]
    hash: Named[str]


class HardCaseColumns(TypedColumns):
    """One analysis a row whose picture is worth a label; see gateway/service/learning/ports.py."""

    analysis_id: Named[str] = Column(Uuid(as_uuid=False), ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)
    tenant: Named[str]
    domain: Named[str]
    model: Named[str]
    reason: Named[str]
    found_at: Named[datetime] = Column(UtcDateTime)
    answer: Named[Mapping[str, object]] = Column(JSON)
    other_analysis_id: Named[str]
    other_answer: Named[Mapping[str, object] | None] = Column(JSON(none_as_null=True))


metadata = MetaData()
analyses = Table("analyses", metadata, AnalysisColumns)
api_keys = Table("api_keys", metadata, KeyColumns)
deployments = Table("deployments", metadata, DeploymentColumns)
disagreements = Table("disagreements", metadata, DisagreementColumns)
jobs = Table("jobs", metadata, JobColumns)
deliveries = Table("webhook_deliveries", metadata, DeliveryColumns)
uploads = Table("uploads", metadata, UploadColumns)
webhook_secrets = Table("webhook_secrets", metadata, WebhookSecretColumns)
audit_log = Table("audit_log", metadata, AuditColumns)
hard_cases = Table("hard_cases", metadata, HardCaseColumns)

# Each way of listing ends in the id, so that a page is one walk down one index, however many rows there are.
Index("ix_analyses_tenant", analyses.c.tenant, analyses.c.id)
Index("ix_analyses_tenant_domain", analyses.c.tenant, analyses.c.domain, analyses.c.id)
Index("ix_analyses_tenant_model", analyses.c.tenant, analyses.c.model, analyses.c.id)
Index("ix_analyses_tenant_label", analyses.c.tenant, analyses.c.label, analyses.c.id)
Index("ix_analyses_tenant_abstained", analyses.c.tenant, analyses.c.abstained, analyses.c.id)
Index("ix_analyses_created_at", analyses.c.created_at, analyses.c.id)
Index("ix_disagreements_tenant_model", disagreements.c.tenant, disagreements.c.model, disagreements.c.analysis_id)

OPEN_JOB = text("state IN ('queued', 'running')")
FINISHED_JOB = text("state IN ('done', 'failed', 'cancelled')")
CLOUD_JOB = text("tier = 'cloud'")
PENDING_DELIVERY = text("state = 'pending'")
"""What the indexes over a part of a table are limited to. A query uses one only if it says the same, word for word:
neither database sees that a parameter would make it true."""


def _partial_index(name: str, part: TextClause, *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=part, postgresql_where=part)


# Those that workers look for are a small part of all that are kept, so these indexes stay small.
_partial_index("ix_jobs_claim", OPEN_JOB, jobs.c.tier, jobs.c.priority, jobs.c.tenant, jobs.c.id, jobs.c.not_before)
_partial_index("ix_jobs_expires_at", OPEN_JOB, jobs.c.expires_at)
_partial_index("ix_jobs_finished", FINISHED_JOB, jobs.c.updated_at, jobs.c.id)
_partial_index("ix_jobs_cloud", CLOUD_JOB, jobs.c.tenant, jobs.c.created_at)
_partial_index("ix_webhook_deliveries_claim", PENDING_DELIVERY, deliveries.c.not_before, deliveries.c.id)
Index("ix_jobs_key", jobs.c.tenant, jobs.c.key, unique=True)
Index("ix_jobs_turn", jobs.c.tier, jobs.c.turn)
Index("ix_jobs_tenant_turn", jobs.c.tier, jobs.c.tenant, jobs.c.priority, jobs.c.turn)
Index("ix_jobs_tenant", jobs.c.tenant, jobs.c.id)
Index("ix_jobs_tenant_state", jobs.c.tenant, jobs.c.state, jobs.c.id)
Index("ix_jobs_tenant_mission", jobs.c.tenant, jobs.c.mission, jobs.c.id)
Index("ix_webhook_deliveries_job", deliveries.c.job_id, deliveries.c.id)
Index("ix_uploads_expires_at", uploads.c.expires_at, uploads.c.id)
Index("ix_hard_cases_tenant", hard_cases.c.tenant, hard_cases.c.analysis_id)
Index("ix_audit_log_tenant", audit_log.c.tenant, audit_log.c.seq)
Index("ix_audit_log_analysis", audit_log.c.analysis_id, audit_log.c.seq)
