"""The tables. They describe what the newest migration leaves behind; a test holds the two together.

To change one: write migrations/versions/NNNN_what_changes.py (with `op.batch_alter_table`, since SQLite can't alter a
column in place), change the table here, and raise REVISION. A migration that was released is never edited.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    Named,
    Table,
    TypedColumns,
    TypeDecorator,
    Uuid,
)

REVISION = "0002"
"""The newest migration in migrations/versions."""


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


metadata = MetaData()
analyses = Table("analyses", metadata, AnalysisColumns)
api_keys = Table("api_keys", metadata, KeyColumns)
deployments = Table("deployments", metadata, DeploymentColumns)
disagreements = Table("disagreements", metadata, DisagreementColumns)

# Each way of listing ends in the id, so that a page is one walk down one index, however many rows there are.
Index("ix_analyses_tenant", analyses.c.tenant, analyses.c.id)
Index("ix_analyses_tenant_domain", analyses.c.tenant, analyses.c.domain, analyses.c.id)
Index("ix_analyses_tenant_model", analyses.c.tenant, analyses.c.model, analyses.c.id)
Index("ix_analyses_tenant_label", analyses.c.tenant, analyses.c.label, analyses.c.id)
Index("ix_analyses_tenant_abstained", analyses.c.tenant, analyses.c.abstained, analyses.c.id)
Index("ix_analyses_created_at", analyses.c.created_at, analyses.c.id)
Index("ix_disagreements_tenant_model", disagreements.c.tenant, disagreements.c.model, disagreements.c.analysis_id)
