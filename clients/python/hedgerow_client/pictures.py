"""What is said of one picture or frame. Coordinates are pixels of the upright, full-size picture."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Point:
    """A place."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Abstention:
    """Why the program doesn't stand by its answer. `code` is stable, `reason` is a sentence. With the code `foreign` there is no answer:
    the picture is not of the kind that the model was made for.
    """

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class LabelProbability:
    """A label and its calibrated probability."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class PredictionSet:
    """The labels that can't be ruled out, the leading one among them; such a set holds the true one as often as `coverage` says."""

    labels: tuple[str, ...]
    coverage: float


@dataclass(frozen=True, slots=True)
class Classification:
    """Which of a closed set of labels a picture shows. `label` is the most probable one, also where the program abstained; it is empty,
    as `probabilities` are, where the picture is foreign.
    """

    label: str
    probability: float
    probabilities: tuple[LabelProbability, ...]
    region: Box
    prediction_set: PredictionSet | None = None
    abstention: Abstention | None = None
    has_evidence: bool = False
    notices: tuple[str, ...] = ()

    @property
    def abstained(self) -> bool:
        """Whether the program doesn't stand by its leading label."""
        return self.abstention is not None


@dataclass(frozen=True, slots=True)
class ClassArea:
    """How much of the picture a class covers; `index` is its pixel value in the mask."""

    index: int
    label: str
    area_px: int
    area_fraction: float


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as COCO's compressed run-length encoding; `size` is (height, width)."""

    size: tuple[int, ...]
    counts: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One object."""

    label: str
    score: float
    box: Box
    centroid: Point
    area_px: int
    mask: RunLengths


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What each pixel of a picture shows, and which objects there are."""

    width: int
    height: int
    classes: tuple[ClassArea, ...]
    instances: tuple[Instance, ...] = ()
    abstention: Abstention | None = None
    notices: tuple[str, ...] = ()

    @property
    def abstained(self) -> bool:
        """Whether the program doesn't stand by it."""
        return self.abstention is not None


FrameAnswer = Classification | Segmentation
