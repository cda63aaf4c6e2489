"""The two recipes of the pathology domain: breast scans and lung clips, one network, two data sets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from domains.core import Classification, Pixels, Result
from domains.core.calibration import calibrate
from domains.core.training import Card, Case, Identity, Part, Run
from domains.pathology.preprocess import fit_to_input
from domains.pathology.training import scoring, usability
from domains.pathology.training.cards import BREAST_CARD, BREAST_IDENTITY, LUNG_CARD, LUNG_IDENTITY
from domains.pathology.training.data import FRAMES_PER_CLIP, Sample, breast, frames_of, lung

COVERAGE = 0.9
ANSWERED_ACCURACY = 0.9
"""Where this accuracy can be had on the calibration part by leaving cases open, the threshold that gives it is taken."""
MOST_LEFT_OPEN = 0.35
REPRESENTATIVE = 200


@dataclass(frozen=True)
class ScanRecipe:
    """A classifier of scans or clips."""

    identity: Identity
    card: Card
    read: Callable[[Path], list[Sample]]
    exam: Mapping[str, object]
    """The keys of `[domain_options]` that training doesn't decide."""
    epochs: int
    steps: int
    frames: int
    learning_rate: float = 5e-4
    main_figure: str = "balanced_accuracy"

    @property
    def class_figures(self) -> Mapping[str, str]:
        return {label: scoring.RECALL.format(label) for label in self.identity.labels}

    def build(self, backbone: Path) -> Any:
        from domains.pathology.training.network import build

        return build(backbone, len(self.identity.labels))

    def batches(self, data: Path, seed: int) -> Any:
        from domains.pathology.training.batches import ScanBatches

        clips = [(frames_of(sample.file), sample.label) for sample in self._part(data, "train")]
        return ScanBatches(clips, len(self.identity.labels), self.identity.input, seed, self.steps)

    def loss(self) -> Any:
        import keras

        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)

    def representative(self, data: Path) -> Iterator[Pixels]:
        samples = self._part(data, "train")
        order = np.random.default_rng(0).permutation(len(samples))
        frames = (fit_to_input(frame, self.identity.input)
                  for index in order for frame in frames_of(samples[index].file, 3))
        yield from islice(frames, REPRESENTATIVE)

    def calibrate(self, data: Path, run: Run) -> Mapping[str, object]:
        samples = self._part(data, "calibration")
        logits, truth = [], []
        for sample in samples:
            for frame in frames_of(sample.file, self.frames):
                logits.append(run(fit_to_input(frame, self.identity.input))["logits"][0])
                truth.append(sample.label)
        found = calibrate(np.array(logits), np.array(truth), COVERAGE, ANSWERED_ACCURACY, MOST_LEFT_OPEN)
        answered = ((frame, run(fit_to_input(frame, self.identity.input)))
                    for sample in self._part(data, "train") for frame in frames_of(sample.file, self.frames))
        return {**self.exam, **found, "sequence": usability.thresholds(answered)}

    def cases(self, data: Path, part: Part = "val") -> Sequence[Case]:
        return [
            Case(sample.file, sample.group, scoring.Truth(sample.label, sample.source),
                 {"exam": self.exam["exam"]}, self.frames)
            for sample in self._part(data, part)
        ]

    def score(self, case: Case, results: Sequence[Result]) -> object:
        answers = [result for result in results if isinstance(result, Classification)]
        return scoring.score(case.truth, answers)

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        return scoring.figures(scores, self.identity.labels)

    def _part(self, data: Path, part: str) -> list[Sample]:
        return [sample for sample in self.read(data) if sample.part == part]


RECIPES = (
    ScanRecipe(
        identity=BREAST_IDENTITY, card=BREAST_CARD, read=breast, epochs=40, steps=22, frames=1,
        exam={
            "exam": "breast_ultrasound",
            "dicom": {"modality": "US", "body_part": ["BREAST"], "study_description": ["breast", "mamma", "brust"]},
        },
    ),
    ScanRecipe(
        identity=LUNG_IDENTITY, card=LUNG_CARD, read=lung, epochs=24, steps=22, frames=FRAMES_PER_CLIP,
        exam={
            "exam": "lung_ultrasound",
            "dicom": {"modality": "US", "body_part": ["LUNG", "CHEST", "THORAX", "PLEURA"],
                      "study_description": ["lung", "pleura", "thorax", "chest"]},
        },
    ),
)
