"""The documents of gateway/rest/documents.py as types, for OpenAPI and whoever generates a client from it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE_ID = "01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10"


class Document(BaseModel):
    """Base: what isn't described isn't sent."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Box(Document):
    """A rectangle in pixels of the upright, full-size picture."""

    x: int
    y: int
    width: int
    height: int


class Point(Document):
    """A place in pixels of the upright, full-size picture."""

    x: float
    y: float


class Abstention(Document):
    """Why the program doesn't stand by its leading label."""

    code: str = Field(examples=["low_confidence"])
    reason: str


class LabelProbability(Document):
    """A label and its calibrated probability."""

    label: str
    probability: float


class PredictionSet(Document):
    """The labels that can't be ruled out."""

    labels: list[str]
    coverage: float
    """How often such a set holds the true label, on data like the calibration data."""


class Size(Document):
    """Columns and rows."""

    width: int
    height: int


class Classification(Document):
    """Which of a closed set of labels the picture shows."""

    kind: Literal["classification"]
    label: str
    """The most probable label, also where the program abstained."""
    probability: float
    probabilities: list[LabelProbability]
    prediction_set: PredictionSet | None
    abstained: bool
    abstention: Abstention | None
    region: Box
    """The part of the picture that the model saw."""
    evidence: Size | None
    """Resolution of the model's evidence map; heatmap.png shows it at the picture's size."""
    notices: list[str]
    """What a reader should know of how this answer came about."""


class ClassArea(Document):
    """How much of the picture a class covers. `index` is its pixel value in mask.png."""

    index: int
    label: str
    area_px: int
    area_fraction: float


class RunLengths(Document):
    """A mask as COCO's compressed run-length encoding; pycocotools reads it. `size` is [height, width]."""

    size: list[int]
    counts: str


class Instance(Document):
    """One plant."""

    label: str
    score: float
    box: Box
    centroid: Point
    area_px: int
    mask: RunLengths


class Segmentation(Document):
    """What each pixel shows, and which objects there are."""

    kind: Literal["segmentation"]
    width: int
    height: int
    classes: list[ClassArea]
    instances: list[Instance]
    abstained: bool
    abstention: Abstention | None
    notices: list[str]


class Media(Document):
    """What the upload's bytes turned out to be."""

    format: Literal["jpeg", "png", "webp", "tiff", "bmp", "heic", "dicom"]
    width: int
    height: int
    frame: int
    frame_count: int
    size_bytes: int
    sha256: str


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
    timings_ms: Timings
    software: str


class Analysis(Document):
    """A stored answer. Research use only: no answer is a diagnosis."""

    id: str = Field(examples=[EXAMPLE_ID])
    domain: str = Field(examples=["pathology"])
    created_at: str = Field(examples=["2026-01-31T08:30:00.000Z"])
    request_id: str
    parameters: dict[str, Any] = Field(examples=[{"exam": "lung_ultrasound"}])
    media: Media
    result: Annotated[Classification | Segmentation, Field(discriminator="kind")]
    provenance: Provenance
    links: dict[str, str]
    """Paths of this analysis and of the pictures that are kept of it."""


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


class Health(Document):
    """Whether the gateway runs, or can answer."""

    status: str
