"""Results as types, for OpenAPI: of pictures, and of clips and streams. domains/core/documents.py and each domain's
sequence.py make the documents.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
    """Why the program doesn't stand by its answer. With the code `foreign` there is none: the picture is not of the kind that the
    model was made for.
    """

    code: str = Field(examples=["low_confidence", "foreign"])
    reason: str


class LabelProbability(Document):
    """A label and its calibrated probability."""

    label: str
    probability: float


class PredictionSet(Document):
    """The labels that can't be ruled out, the leading one among them."""

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
    """The most probable label, also where the program abstained; empty where the picture is foreign."""
    probability: float
    """Of that label; 0 where the picture is foreign."""
    probabilities: list[LabelProbability]
    """Empty where the picture is foreign."""
    prediction_set: PredictionSet | None
    abstained: bool
    abstention: Abstention | None
    region: Box
    """The part of the picture that the model saw."""
    evidence: Size | None
    """Resolution of the model's evidence map; heatmap.png shows it at the picture's size. Null where there is none."""
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
    """What each pixel shows, and which objects there are; of a foreign picture all is the first class, and there is no object."""

    kind: Literal["segmentation"]
    width: int
    height: int
    classes: list[ClassArea]
    instances: list[Instance]
    abstained: bool
    abstention: Abstention | None
    notices: list[str]


class Interval(Document):
    """From `low` to `high`, at `confidence`; each 0 to 1."""

    low: float
    high: float
    confidence: float


class FrameCounts(Document):
    """How many frames were analysed, and how many of them count."""

    analysed: int
    usable: int
    usable_share: float = Field(ge=0, le=1)
    unusable: dict[str, int] = Field(examples=[{"blurred": 3}])
    """Reason to count."""


class KeyFrame(Document):
    """A frame that shows what the verdict rests on."""

    number: int
    """In the clip or stream, from 1."""
    time_s: float
    label: str
    probability: float


class TimelinePoint(Document):
    """A moment of a clip."""

    time_s: float
    probability: float
    """Smoothed, of the verdict's label."""
    usable: bool


class ClipClassification(Document):
    """Which of a closed set of labels a clip or a stream shows."""

    kind: Literal["clip_classification"]
    label: str
    """The most probable label, also where the program abstained; empty where no frame counts, and where most are foreign."""
    probability: float
    interval: Interval | None
    """How sure the probability is; null where too few frames count."""
    probabilities: list[LabelProbability]
    abstained: bool
    abstention: Abstention | None
    frames: FrameCounts
    key_frames: list[KeyFrame]
    """The best first."""
    timeline: list[TimelinePoint]
    aggregation: str
    """How frames were joined."""
    notices: list[str]
    """What a reader should know of how this answer came about."""


class TrackedClass(Document):
    """A class of objects, each of which counts once, in however many frames it was seen."""

    label: str
    count: int
    mean_area_fraction: float
    """Mean share of the picture that the class covers."""
    visible: int
    """Objects in the last frame."""


class ObjectTrack(Document):
    """One object, from frame to frame. `centroid` and `box` are of the last frame in which it was seen."""

    id: int
    label: str
    score: float
    first_frame: int
    last_frame: int
    seen: int
    """In how many frames it was seen."""
    centroid: Point
    box: Box


class ClipTracking(Document):
    """What passed before a camera, each object once."""

    kind: Literal["clip_tracking"]
    classes: list[TrackedClass]
    tracks: list[ObjectTrack]
    abstained: bool
    abstention: Abstention | None
    frames: FrameCounts
    key_frames: list[KeyFrame]
    """The best first; with the leading class found and its score."""
    notices: list[str]
