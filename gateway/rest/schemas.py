"""The documents of gateway/rest/documents.py as types, for OpenAPI and whoever generates a client from it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.rest.result_schemas import Classification, ClipClassification, ClipTracking, Document, Segmentation

EXAMPLE_ID = "01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10"


class Media(Document):
    """What the upload's bytes turned out to be."""

    format: Literal[
        "jpeg", "png", "webp", "tiff", "bmp", "heic", "dicom", "pnm",
        "mp4", "mov", "avi", "webm", "gif", "mpeg", "mpegts", "stream",
    ]
    """`webm`: also Matroska. `stream`: it was no file but a live stream."""
    width: int
    height: int
    frame: int
    """The frame that was analysed, from 1; 0 for a whole clip or stream."""
    frame_count: int
    size_bytes: int
    sha256: str
    """Of the file, or of all that a stream's sender sent."""
    duration_s: float | None = None
    """Clips and streams only, as the next two."""
    frame_rate: float | None = None
    """Frames a second, on average."""
    codec: str | None = None
    quality: dict[str, float] | None = None
    """Pictures: what was measured of the pixels that the model saw, such as `sharpness`, `brightness` and `contrast`."""


class ModelIdentity(Document):
    """The model file that ran."""

    name: str
    version: str
    variant: str
    sha256: str


class Timings(Document):
    """Milliseconds of each stage."""

    queue: float
    decode: float
    preprocess: float
    infer: float
    postprocess: float
    total: float


class SecondOpinion(Document):
    """What became of the wish for a second opinion."""

    job: str | None
    """The job that gives it, and the id of its analysis; null where none was asked for."""
    why: Literal["unsure", "near_foreign", "audit"]
    note: str
    """Why none was asked for, in a sentence."""


class Provenance(Document):
    """What made the answer."""

    model: ModelIdentity
    device: str
    backend: str
    simulated: bool
    """Whether a simulated device ran it: real answers, modelled times."""
    node: str
    tier: Literal["edge", "cloud"]
    tier_reason: str
    """Why this tier and this device, in a sentence."""
    attempts: int
    """More than 1 where a device or a node was lost, or handed the task back, before one answered."""
    devices: list[str] | None = None
    """Clips and streams only: every device that answered a frame; what stands above is of the last frame."""
    timings_ms: Timings
    """Clips and streams: sums over the frames; `total` is the time from first to last."""
    software: str
    provisional: bool = False
    """A second opinion was asked for: the answer may yet be contradicted."""
    second_opinion: SecondOpinion | None = None
    """There where one was wanted."""
    opinion_on: str | None = None
    """The analysis that this one is the second opinion on."""


class Links(Document):
    """Paths of an analysis and of the pictures that are kept of it."""

    self_: str = Field(alias="self")
    overlay: str | None = None
    heatmap: str | None = None
    mask: str | None = None
    key_frames: list[str] | None = None
    """Clips and streams: the frames that show best what the verdict rests on, the best first."""
    second_opinion: str | None = None
    """The job that gives it."""
    first_opinion: str | None = None
    """The analysis that this one is the second opinion on."""


class Analysis(Document):
    """A stored answer. Research use only: no answer is a diagnosis."""

    id: str = Field(examples=[EXAMPLE_ID])
    domain: str = Field(examples=["pathology"])
    created_at: str = Field(examples=["2026-01-31T08:30:00.000Z"])
    request_id: str
    parameters: dict[str, Any] = Field(examples=[{"exam": "lung_ultrasound"}])
    media: Media
    result: Annotated[
        Classification | Segmentation | ClipClassification | ClipTracking, Field(discriminator="kind")
    ]
    provenance: Provenance
    links: Links


class AnalysisPage(Document):
    """Answers, newest first."""

    analyses: list[Analysis]
    next_cursor: str | None
    """`cursor` of the next page; null on the last."""


class Parameter(Document):
    """A parameter that callers of a domain may give; no choices means a free value."""

    name: str
    description: str
    choices: list[str]


class Domain(Document):
    """A domain, what its callers may say, and its models."""

    name: str
    title: str
    parameters: list[Parameter]
    models: list[str]


class Model(Document):
    """A model package. One that is `refused` is not used, for the reason given."""

    name: str
    state: Literal["ready", "refused"]
    reason: str
    version: str
    domain: str
    task: str
    title: str
    labels: list[str]
    variant: str
    sha256: str
    size_bytes: int
    intended_use: str
    licence: dict[str, str]
    metrics: dict[str, Any]
    selector: dict[str, str] = Field(examples=[{"exam": "lung_ultrasound"}])
    """The parameters by which callers of the domain ask for this model."""
    sequence: dict[str, Any]
    """What the model says of clips and streams: how its frames are joined, and which of them count."""


class Domains(Document):
    """Every domain."""

    domains: list[Domain]


class Models(Document):
    """Every model package."""

    models: list[Model]


class Device(Document):
    """What runs models: a CPU or an accelerator, or a simulation of one."""

    name: str
    backend: str = Field(examples=["litert", "edgetpu", "simulated"])
    state: Literal["starting", "serving", "faulty"]
    description: str
    accelerator: bool
    simulated: bool
    """Whether it is no device at all, but a simulation: real answers, modelled times."""
    slots: int
    """How many tasks it takes at a time."""
    running: int
    answers: int
    utilisation: float = Field(ge=0, le=1)
    """Share of the last minute in which it was at work."""
    resident: str
    """The model that ran last, whose parameters an accelerator holds."""
    models: list[str]
    temperature_c: float | None
    """Degrees Celsius; null where the device has no sensor or gives no reading."""
    temperature: str = Field(examples=["no sensor", "54 °C"])
    """The same in words: the number, or why there is none; empty for a CPU."""
    restarts: int
    faults: dict[str, int] = Field(examples=[{"lost": 1}])
    """How often it failed since the node started, by kind."""
    fault: str
    """Kind of the present fault; empty where there is none."""
    last_cause: str
    """The last fault in a sentence, also after the device was taken back."""
    retry_in_s: float
    """Seconds until it is tried again."""
    out_for_s: float
    """For how long it has been out of service."""


class AbandonedWork(Document):
    """Tasks whose caller left, or whose deadline passed, before they were answered; since the node started."""

    waiting: int
    """They waited for a device, and were never run."""
    running: int
    """They ran, and were stopped at their next step."""
    device_s: float
    """For how many seconds the latter kept devices busy."""


class Node(Document):
    """A machine that runs models: inside the gateway, or reached over a network."""

    name: str
    address: str
    """Empty for the one inside the gateway."""
    reachable: bool
    ready: bool
    """Whether it serves at least one model now."""
    cause: str
    """Why it isn't reachable or ready."""
    waiting: int
    """Tasks that wait for a device."""
    running: int
    expected_wait_s: float | None
    """How long a new task would wait for a device; null where none serves."""
    devices: list[Device]
    abandoned: AbandonedWork


class Nodes(Document):
    """Every node."""

    nodes: list[Node]


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = Field(examples=["urn:hedgerow:error:corrupt_media"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["CORRUPT_MEDIA"])
    """Stable, the same as the `reason` of gRPC's ErrorInfo."""
    request_id: str
    """Finds the request in the log."""
    parameter: str | None = None
    """The parameter at fault, where it is one."""
    retry_after_s: float | None = None
    """When to come back, where that is known."""


class Health(Document):
    """Whether the gateway runs, or can answer."""

    status: str
