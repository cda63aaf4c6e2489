"""The documents of jobs in gateway/rest/documents.py as types, for OpenAPI and whoever generates a client from it."""

from typing import Any, Literal

from pydantic import Field

from gateway.rest.result_schemas import Document
from gateway.rest.schemas import EXAMPLE_ID

_TIME = Field(examples=["2026-01-31T08:30:00.000Z"])
_MISSION_ID = Field(examples=["01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a00"])


class JobProgress(Document):
    """How far the analysis of a clip is."""

    frames_done: int
    frames_total: int
    verdict: dict[str, Any]
    """On the last frames; empty before the first."""


class JobError(Document):
    """Why the last try failed."""

    code: str = Field(examples=["CORRUPT_MEDIA"])
    """As in a problem document; `EXPIRED` where nobody wanted the answer any more."""
    message: str


class JobLinks(Document):
    """Paths of a job and of what belongs to it."""

    self_: str = Field(alias="self")
    events: str
    """The same as server-sent events."""
    deliveries: str | None = None
    """Where it has a callback."""
    analysis: str | None = None
    """Once it is done."""
    mission: str | None = None
    first_opinion: str | None = None
    """The analysis that its answer is a second opinion on."""


class Job(Document):
    """A request that was accepted: it ends as `done`, `failed` or `cancelled`, whatever happens in between."""

    id: str = Field(examples=[EXAMPLE_ID])
    """Also the id of the analysis that it will give."""
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    domain: str = Field(examples=["pathology"])
    priority: Literal["interactive", "batch"]
    created_at: str = _TIME
    updated_at: str = _TIME
    attempts: int
    not_before: str | None = _TIME
    """The earliest next try; null unless it is queued."""
    expires_at: str | None = _TIME
    """When the answer is no longer wanted; null for never."""
    mission: str
    """The mission that it is part of; empty where it is part of none."""
    progress: JobProgress | None
    """Null before there is any, and for pictures."""
    error: JobError | None
    """Of the last try where that failed, also while the job waits for another."""
    tier: Literal["edge", "cloud"]
    """Who answers it."""
    why: str = Field(examples=["unsure"])
    """Why the cloud does; empty at the edge, or `held_back` where the file may not leave and came back."""
    links: JobLinks


class JobPage(Document):
    """Jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None
    """`cursor` of the next page; null on the last."""


class MissionStates(Document):
    """How many jobs of a mission are in each state."""

    queued: int
    running: int
    done: int
    failed: int
    cancelled: int


class MissionLinks(Document):
    """Paths of a mission and of the list of its jobs."""

    self_: str = Field(alias="self")
    jobs: str


class Mission(Document):
    """Files that were sent together, each a job of its own."""

    id: str = _MISSION_ID
    states: MissionStates
    jobs: list[Job]
    """In the order of the files."""
    links: MissionLinks


class Delivery(Document):
    """A result on its way to a callback."""

    id: str = Field(examples=[EXAMPLE_ID])
    """A receiver tells repetitions by it."""
    url: str = Field(examples=["https://clinic.example/results"])
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    created_at: str = _TIME
    updated_at: str = _TIME
    not_before: str | None = _TIME
    """The earliest next try; null unless it is pending."""
    last_status: int | None
    """What the receiver answered last; null where it didn't."""
    last_error: str


class Deliveries(Document):
    """Deliveries, oldest first."""

    deliveries: list[Delivery]
