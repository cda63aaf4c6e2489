"""What the gateway remembers: analyses and API keys. Plain immutable records, the same for every store."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

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
