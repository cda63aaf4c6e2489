"""What the gateway remembers: analyses, API keys, and which version of a model is in service. Plain immutable records, the same for every store."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.service.rollout import DISAGREEMENT_ALLOWED, Mode, Side, Tally

JsonObject = Mapping[str, Any]


def new_id() -> str:
    """A UUIDv7 (RFC 9562 5.7): unique, and later ids sort after earlier ones."""
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = stamp << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    return str(UUID(int=value))


@dataclass(frozen=True, slots=True)
class Analysis:
    """One answer, as it is stored and sent: `result`, `media` and `provenance` are JSON documents whose form
    domains/core/documents.py and docs/api.md give.
    """

    id: str
    tenant: str
    domain: str
    created_at: datetime
    """UTC, aware."""
    request_id: str
    model: str
    label: str
    """The leading label of a classification (also when it abstained), `segmentation` otherwise."""
    abstained: bool
    parameters: JsonObject
    media: JsonObject
    result: JsonObject
    provenance: JsonObject
    images: tuple[str, ...] = ()
    """Names of the pictures that the answer came with: mask.png, heatmap.png. They go with the retention of pictures."""


@dataclass(frozen=True, slots=True)
class AnalysisFilter:
    """Which analyses of one tenant to list; None doesn't filter."""

    domain: str | None = None
    model: str | None = None
    label: str | None = None
    abstained: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is stored: never the secret, only its SHA-256."""

    id: str
    """Public part of the key: 8 lower-case letters and digits."""
    secret_sha256: str
    tenant: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A version that runs beside the one in service; gateway/service/rollout.py says what becomes of it."""

    version: str
    mode: Mode
    started_at: datetime
    share: float = 0.0
    """Canary: which share of the callers it answers, 0 to 1."""
    allowed_disagreement: float = DISAGREEMENT_ALLOWED
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Rollback:
    """The last time that a version was taken out. Empty versions are the one that came with the program."""

    version: str
    instead: str
    """The version that answers since."""
    at: datetime
    cause: str
    automatic: bool


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which version of a model is in service. An empty one is that which came with the program, if any did."""

    model: str
    active: str = ""
    previous: tuple[str, ...] = ()
    """Those that were in service before, the last one last."""
    trial: Trial | None = None
    last_rollback: Rollback | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An input that two versions of a model answer differently. It lives as long as its analysis."""

    analysis_id: str
    tenant: str
    model: str
    found_at: datetime
    mode: Mode
    difference: str
    """`label`, `abstention` or `area`."""
    in_service_version: str
    in_service: Side
    candidate_version: str
    candidate: Side
