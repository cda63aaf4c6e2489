"""What a domain tells the toolchain so that it can train, calibrate, package and score a model without knowing pixels.

A domain's `training` package offers `RECIPES`, one for each model package. Nothing here, and nothing at a recipe
module's top level, imports TensorFlow: scoring runs on the serving libraries alone. Keras objects are `Any` for that
reason.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from domains.core.flow import Outputs
from domains.core.image import Pixels
from domains.core.results import Result
from domains.core.spec import InputSpec

Part = Literal["train", "calibration", "val", "elsewhere"]
"""`elsewhere`: cases of other data sets than the model's own, where a recipe knows any; they have figures of their own."""
Run = Callable[[Pixels], Outputs]
"""Runs one variant of the trained model on pixels of its input's shape."""

CALIBRATION_SHARE = 0.15
REPRESENTATIVE = 200
"""So many pictures show int8 its ranges."""
DIMMEST, BRIGHTEST = -0.9, 0.2
"""Logarithms of the gain at which they are shown: pictures are often darker than those of training, and one beyond the ranges would
be refused by int8 alone.
"""


def part_of(split: str, group: str) -> str:
    """`train`, `calibration` (a fixed 15 % of the groups of the split `train`) or the manifest's own other split.

    The choice is a hash of the group's name, so it is the same on every machine and never parts a group.
    """
    digest = hashlib.sha256(group.encode()).digest()
    if split == "train" and int.from_bytes(digest[:4], "big") / 2**32 < CALIBRATION_SHARE:
        return "calibration"
    return split


def representative_of(pictures: Iterable[Pixels], random: np.random.Generator) -> Iterator[Pixels]:
    """The first `REPRESENTATIVE` of `pictures` (uint8), each at a gain drawn from `random`."""
    for pixels in islice(pictures, REPRESENTATIVE):
        gain = np.exp(random.uniform(DIMMEST, BRIGHTEST))
        yield np.asarray(np.clip(pixels * gain, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the manifest says of a model whatever its weights."""

    name: str
    version: str
    domain: str
    task: Literal["classification", "segmentation"]
    title: str
    labels: tuple[str, ...]
    intended_use: str
    weights_licence: str
    data_licence: str
    input: InputSpec


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is scored once: a scan, a clip or a photo.

    `group`: cases that must be resampled together (a patient, a spot in the field). `truth`: what the domain's own
    `score` compares with. `parameters`: those of the request. `frame_limit`: at most so many frames of a clip, evenly
    spaced. `credit`: whom whoever shows the file must name, and its licence, where that lets anyone pass it on; empty where it
    doesn't.
    """

    file: Path
    group: str
    truth: object
    parameters: Mapping[str, object] = field(default_factory=dict)
    frame_limit: int = 1
    credit: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """The parts of a model card that only the domain can write; Markdown.

    `abstention`: the rule by which cases are left open. `int8_loss`: why the int8 file may lose more than the release gate allows
    (`edge_runtime/toolchain/release_gate.py`), and what that means for whoever uses it; empty where it doesn't.
    `across_sources`: what was measured with whole sources left out of training; empty where there is but one.
    """

    data: str
    method: str
    limits: str
    attribution: str
    abstention: str = ""
    int8_loss: str = ""
    across_sources: str = ""


class Recipe(Protocol):
    """How one model package is made and scored."""

    @property
    def identity(self) -> Identity:
        """What goes into the manifest."""

    @property
    def epochs(self) -> int:
        """How many passes `train` makes unless told otherwise."""

    @property
    def runs(self) -> int:
        """How often it is trained from the same start with other batches; the mean of the weights is the model (Wortsman et al., Model
        soups, 2022), which owes less to the luck of one run and costs nothing more when it is used.
        """

    @property
    def learning_rate(self) -> float:
        """The peak of the schedule."""

    @property
    def card(self) -> Card:
        """The domain's part of the model card."""

    @property
    def own_kinds(self) -> frozenset[str]:
        """The kinds of `domains.foreign` that are no foreigners to this model; empty with no gate, too."""

    @property
    def foreign_parameters(self) -> Mapping[str, object]:
        """The request's parameters that send a picture of any kind to this model; empty where it has no gate."""

    @property
    def main_figure(self) -> str:
        """The one of `figures` by which the model is judged; more is better."""

    @property
    def class_figures(self) -> Mapping[str, str]:
        """Each label that is judged by itself to its own one of `figures`; more is better."""

    def build(self, backbone: Path) -> Any:
        """The Keras model: input (1 or more, height, width, channels), outputs as a dict of names."""

    def batches(self, data: Path, seed: int) -> Any:
        """A Keras PyDataset with a settable `epoch`: the same seed and epoch give the same batches."""

    def loss(self) -> Mapping[str, Any]:
        """Each output that is trained to its Keras loss. `batches` gives the truths in a dict of the same names, and as they
        are where there is only one.
        """

    def loss_weights(self) -> Mapping[str, float]:
        """How much each of those losses counts, where there are several."""

    def finish(self, model: Any, data: Path) -> None:
        """What is set in the trained Keras model without gradients, as its gate; nothing where there is none."""

    def representative(self, data: Path) -> Iterator[Pixels]:
        """Pixels (1, height, width, channels) from which the int8 ranges are taken: of the training part, and foreign ones where the
        model has a gate that would else be cut short.
        """

    def calibrate(self, data: Path, run: Run) -> Mapping[str, object]:
        """The manifest's `[domain_options]`, thresholds taken from the calibration part alone. `run`: the int8 variant, where there is one."""

    def cases(self, data: Path, part: Part = "val") -> Sequence[Case]:
        """The cases of a part, the held-out one unless told otherwise."""

    def score(self, case: Case, results: Sequence[Result]) -> object:
        """What is kept of one case's results (one for each frame) for `figures`."""

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        """Figures over cases; may be called on any resample, so a figure that can't be computed is NaN."""
