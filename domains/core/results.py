"""The two kinds of answer that a domain can give. Both are immutable and check themselves.

What ran (model, variant, device, timing) is not in here: a domain doesn't know it. `edge_runtime` adds it as provenance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domains.usability import FOREIGN

ClassMap = NDArray[np.uint8]
HeatMap = NDArray[np.float32]
BoolMask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the full-size picture: left, top, width, height (COCO's order)."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.x < 0 or self.y < 0 or self.width < 1 or self.height < 1:
            raise ValueError(f"not a box: {self.x, self.y, self.width, self.height}")


@dataclass(frozen=True, slots=True)
class Abstention:
    """Why the program doesn't stand by its leading label. `code` is stable, `reason` is a sentence."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Classification:
    """Which of a closed set of labels a picture shows.

    `probabilities`: calibrated, one for each label, adding up to 1; empty where the picture is foreign, of which nothing is said.
    `prediction_set`: the labels that can't be ruled out at `coverage` (split conformal prediction), the leading one among them.
    `heatmap`: float32 (h, w) in 0..1, evidence for the leading label over `region`, or None.
    `region`: the part of the full-size picture that the model saw.
    `signals`: what else the network gave away, by name, for judging whether the picture is of its world; it isn't part of
    the answer.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    region: Box
    prediction_set: tuple[str, ...] = ()
    coverage: float | None = None
    abstention: Abstention | None = None
    heatmap: HeatMap | None = None
    notices: tuple[str, ...] = ()
    signals: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.foreign:
            if self.probabilities or self.prediction_set or self.coverage is not None or self.heatmap is not None:
                raise ValueError("nothing is said of a foreign picture: no probabilities, no prediction set, no heat map")
            return
        if len(self.labels) != len(self.probabilities) or not self.labels:
            raise ValueError(f"{len(self.labels)} labels but {len(self.probabilities)} probabilities")
        if abs(sum(self.probabilities) - 1) > 1e-3 or min(self.probabilities) < 0:
            raise ValueError(f"probabilities must add up to 1, got {self.probabilities}")
        if not set(self.prediction_set) <= set(self.labels):
            raise ValueError(f"prediction set {self.prediction_set} is not among {self.labels}")
        if self.heatmap is not None and (self.heatmap.ndim != 2 or self.heatmap.dtype != np.float32):
            raise ValueError(f"heat map must be float32 (h, w), got {self.heatmap.dtype} {self.heatmap.shape}")

    @property
    def foreign(self) -> bool:
        """Whether the picture is none that the model was made for."""
        return _is_foreign(self.abstention)

    @property
    def leading(self) -> int | None:
        """Index of the most probable label; None where the picture is foreign."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__, default=None)

    @property
    def label(self) -> str:
        """The most probable label; empty where the picture is foreign."""
        return "" if self.leading is None else self.labels[self.leading]


@dataclass(frozen=True, slots=True)
class Instance:
    """One object: `mask` is bool of shape (box.height, box.width), inside `box`; `centroid` is (x, y) in pixels of the
    full-size picture; `score` in 0..1.
    """

    label: str
    score: float
    box: Box
    mask: BoolMask
    centroid: tuple[float, float]

    def __post_init__(self) -> None:
        if self.mask.dtype != np.bool_ or self.mask.shape != (self.box.height, self.box.width):
            raise ValueError(f"mask must be bool {self.box.height, self.box.width}, "
                             f"got {self.mask.dtype} {self.mask.shape}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"score must be in 0..1, got {self.score}")

    @property
    def area_px(self) -> int:
        """Pixels in the mask."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What each pixel of a picture shows, and which objects there are.

    `class_map`: uint8 (height, width) at the full-size picture's resolution, an index into `labels` (0 is background, as is all
    of a foreign picture).
    `signals`: as in Classification.
    """

    labels: tuple[str, ...]
    class_map: ClassMap
    instances: tuple[Instance, ...] = ()
    abstention: Abstention | None = None
    notices: tuple[str, ...] = field(default=())
    signals: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.class_map.dtype != np.uint8 or self.class_map.ndim != 2:
            raise ValueError(f"class map must be uint8 (H, W), got {self.class_map.dtype} {self.class_map.shape}")
        if self.class_map.size and int(self.class_map.max()) >= len(self.labels):
            raise ValueError(f"class map holds {int(self.class_map.max())}, but there are {len(self.labels)} labels")
        if any(instance.label not in self.labels for instance in self.instances):
            raise ValueError(f"an instance has a label that is not among {self.labels}")
        if self.foreign and (self.instances or self.class_map.any()):
            raise ValueError("nothing is said of a foreign picture: no instances, an empty class map")

    @property
    def foreign(self) -> bool:
        """Whether the picture is none that the model was made for."""
        return _is_foreign(self.abstention)

    def areas_px(self) -> dict[str, int]:
        """Pixels of each label."""
        counts = np.bincount(self.class_map.ravel(), minlength=len(self.labels))
        return {label: int(counts[index]) for index, label in enumerate(self.labels)}


Result = Classification | Segmentation


def _is_foreign(abstention: Abstention | None) -> bool:
    return abstention is not None and abstention.code == FOREIGN
