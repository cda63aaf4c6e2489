"""Jobs and the deliveries of their results: plain immutable records. No file name and no text of a patient is in them."""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gateway.service.records import JsonObject

JobPriority = Literal["interactive", "batch"]
Tier = Literal["edge", "cloud"]

EXPIRED = "EXPIRED"
"""The error code of a job whose caller no longer wants it, before anybody could answer it."""


HELD_BACK = "held_back"
"""Why a job is at the edge again that the cloud was to answer."""


class JobState(enum.StrEnum):
    """Where a job stands. `queued` and `running` are open, the others final; an operator may take `failed` back."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """One request that was accepted. Whoever claims it holds a lease; `owner` and `turn` are what its writes need."""

    id: str
    """A UUIDv7: the id of the analysis that it will give."""
    tenant: str
    domain: str
    parameters: JsonObject
    request_id: str
    size_bytes: int
    sha256: str
    """Of the payload, in hex."""
    fingerprint: str
    """What `fingerprint()` makes of the request: another one under the same key is refused."""
    created_at: datetime
    updated_at: datetime
    """Its last change but for renewals of the lease."""
    not_before: datetime
    """The earliest next try; while it runs, the end of its lease."""
    state: JobState = JobState.QUEUED
    priority: JobPriority = "interactive"
    attempts: int = 0
    """How often it was claimed, since an operator took it back if one did."""
    owner: str = ""
    """Who holds it while it runs."""
    turn: int = 0
    """The number of the claim that took it last. It only ever rises, so it tells one lease of a job from any other."""
    expires_at: datetime | None = None
    """When the caller no longer wants it; None for never."""
    mission: str = ""
    """The batch of files that it is one of."""
    key: str = ""
    """The caller's idempotency key: taken for as long as the job's row is kept."""
    error_code: str = ""
    error_message: str = ""
    """Of the last try that failed; empty again once it is done."""
    error_parameter: str = ""
    """The parameter at fault, where one is."""
    progress: JsonObject = field(default_factory=dict)
    callback: JsonObject | None = None
    """Where the result goes: `url`, and a reference to the secret that signs it."""
    tier: Tier = "edge"
    """Who is to answer it."""
    why: str = ""
    """Why the cloud is to answer it: a value of routing's Why; HELD_BACK where it came back from there."""
    opinion_on: str = ""
    """The analysis that its answer is a second opinion on."""
    consents: tuple[str, ...] = ()
    """What the request lets happen with its picture; see leaving/consent.py."""

    @property
    def lease_until(self) -> datetime | None:
        """The end of its holder's lease; None where nobody holds it."""
        return self.not_before if self.state is JobState.RUNNING else None


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submission gave: its own job, or the one that holds its key already."""

    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of one tenant to list; None doesn't filter."""

    state: JobState | None = None
    mission: str | None = None


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs are in each state (every state is there), and when the oldest queued one was made."""

    states: Mapping[JobState, int]
    oldest_queued: datetime | None = None

    def oldest_age_s(self, now: datetime) -> float:
        """Seconds for which the oldest queued job has waited; 0 where none waits."""
        return 0.0 if self.oldest_queued is None else max(0.0, (now - self.oldest_queued).total_seconds())


class DeliveryState(enum.StrEnum):
    """Where the delivery of a result stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result on its way to one address. It goes when its job goes."""

    id: str
    """A UUIDv7: a receiver tells repetitions by it."""
    job_id: str
    tenant: str
    url: str
    created_at: datetime
    updated_at: datetime
    not_before: datetime
    """The earliest next try; while one runs, the end of its lease."""
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    """How often it was claimed: the token of the lease."""
    last_status: int | None = None
    last_error: str = ""


def fingerprint(domain: str, parameters: JsonObject, payload_sha256: str) -> str:
    """Hex SHA-256 over the domain, the parameters in one canonical form, and the payload by its own SHA-256."""
    canonical = json.dumps([domain, parameters, payload_sha256], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
