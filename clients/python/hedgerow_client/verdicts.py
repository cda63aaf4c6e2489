"""What is said of a clip or a stream as a whole, and of a stream while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hedgerow_client.pictures import Abstention, Box, LabelProbability, Point


@dataclass(frozen=True, slots=True)
class ProbabilityInterval:
    """From `low` to `high`, at `confidence`."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """How many frames a verdict rests on; `unusable` counts the others by reason."""

    analysed: int = 0
    usable: int = 0
    usable_share: float = 0.0
    unusable: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A frame that shows what a verdict rests on."""

    number: int
    time_s: float
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """The verdict's label along the clip, smoothed."""

    time_s: float
    probability: float
    usable: bool


@dataclass(frozen=True, slots=True)
class ClipClassification:
    """The verdict on a clip or a stream of scans. `label`: empty where no frame counts, and where most are foreign. `key_frames`: the
    best first.
    """

    label: str
    probability: float
    probabilities: tuple[LabelProbability, ...]
    frames: FrameCounts
    interval: ProbabilityInterval | None = None
    abstention: Abstention | None = None
    key_frames: tuple[KeyFrame, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    aggregation: str = ""
    notices: tuple[str, ...] = ()

    @property
    def abstained(self) -> bool:
        """Whether the program doesn't stand by its leading label."""
        return self.abstention is not None


@dataclass(frozen=True, slots=True)
class TrackedClass:
    """A class and how many objects of it passed, each counted once; `visible` are those in the last frame."""

    label: str
    count: int
    mean_area_fraction: float = 0.0
    visible: int = 0


@dataclass(frozen=True, slots=True)
class ObjectTrack:
    """One object over the frames in which it was seen; its place is that in the last of them."""

    id: int
    label: str
    score: float
    first_frame: int
    last_frame: int
    seen: int
    centroid: Point
    box: Box


@dataclass(frozen=True, slots=True)
class ClipTracking:
    """What passed before a camera."""

    classes: tuple[TrackedClass, ...]
    frames: FrameCounts
    tracks: tuple[ObjectTrack, ...] = ()
    abstention: Abstention | None = None
    key_frames: tuple[KeyFrame, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def abstained(self) -> bool:
        """Whether the program doesn't stand by it."""
        return self.abstention is not None


@dataclass(frozen=True, slots=True)
class RunningClassification:
    """What a probe shows now. `label` is empty before the first usable frame, and while most frames are foreign; `usable_share` is of
    the last moments.
    """

    label: str
    probability: float
    probabilities: tuple[LabelProbability, ...]
    frames: FrameCounts
    usable_share: float = 0.0
    interval: ProbabilityInterval | None = None
    abstention: Abstention | None = None

    @property
    def abstained(self) -> bool:
        """Whether the program doesn't stand by it now."""
        return self.abstention is not None


@dataclass(frozen=True, slots=True)
class RunningTracking:
    """What a camera has passed so far."""

    classes: tuple[TrackedClass, ...]
    frames: FrameCounts
    usable_share: float = 0.0
    abstention: Abstention | None = None

    @property
    def abstained(self) -> bool:
        """Whether the program doesn't stand by it now."""
        return self.abstention is not None


ClipAnswer = ClipClassification | ClipTracking
RunningVerdict = RunningClassification | RunningTracking
