"""Stored answers and the catalogue as immutable objects, the same over REST and gRPC. Fields bear the names of the documents
in docs/api.md.

`raw`, where there is one, is the document that the object was read from: it may hold what a newer gateway says and this
client doesn't know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hedgerow_client.pictures import FrameAnswer
from hedgerow_client.verdicts import ClipAnswer, RunningVerdict

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Media:
    """What the file's bytes turned out to be. `frame`: the one that was analysed, from 1, 0 for a whole clip. The last three
    are of clips and streams.
    """

    format: str
    width: int
    height: int
    frame: int
    frame_count: int
    size_bytes: int
    sha256: str
    duration_s: float = 0.0
    frame_rate: float = 0.0
    codec: str = ""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The model file that ran."""

    name: str
    version: str
    variant: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of each stage."""

    queue: float = 0.0
    decode: float = 0.0
    preprocess: float = 0.0
    infer: float = 0.0
    postprocess: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What became of the wish for one. `job`: the job that gives it, and the id of its analysis; None where none was asked for,
    for the reason in `note`. `why` it was wanted: unsure, near_foreign or audit.
    """

    job: str | None
    why: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made an answer. `simulated`: a simulated device ran it: real answers, modelled times. `provisional`: a second opinion
    was asked for, and may contradict it. `opinion_on`: the analysis that this one is the second opinion on.
    """

    model: ModelIdentity
    device: str
    backend: str
    node: str
    tier: str
    tier_reason: str
    attempts: int
    timings_ms: Timings
    software: str
    simulated: bool = False
    provisional: bool = False
    second_opinion: SecondOpinion | None = None
    opinion_on: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """A stored answer. Research use only: no answer is a diagnosis."""

    id: str
    domain: str
    created_at: str
    """ISO 8601, UTC."""
    request_id: str
    parameters: Mapping[str, Any]
    media: Media
    result: FrameAnswer | ClipAnswer
    provenance: Provenance
    raw: Document = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the analysis of a clip is. `verdict`: that on the frames so far; None before the first."""

    frames_done: int
    frames_total: int
    verdict: RunningVerdict | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """What callers may say to a domain; no choices means a free value."""

    name: str
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain, its parameters and its models."""

    name: str
    title: str
    parameters: tuple[Parameter, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """A model package. One that is `refused` isn't used, for the reason given. `raw` has its metrics and licence."""

    name: str
    state: str
    version: str
    domain: str
    task: str
    title: str
    labels: tuple[str, ...] = ()
    variant: str = ""
    sha256: str = ""
    reason: str = ""
    selector: Mapping[str, str] = field(default_factory=dict)
    raw: Document = field(repr=False, compare=False, default_factory=dict)
