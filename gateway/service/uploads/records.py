"""Uploads in pieces: plain immutable records. No file name is in them."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

from gateway.service.records import JsonObject


class UploadState(enum.StrEnum):
    """Where an upload stands. Only an open one takes bytes."""

    OPEN = "open"
    COMPLETE = "complete"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload: how much of it is safe on disk."""

    id: str
    """A UUIDv7."""
    tenant: str
    domain: str
    parameters: JsonObject
    size_bytes: int
    created_at: datetime
    expires_at: datetime
    offset: int = 0
    """So many bytes have arrived and are on disk."""
    state: UploadState = UploadState.OPEN
    metadata: JsonObject = field(default_factory=dict)
    job_id: str | None = None
    """The job that it became."""
