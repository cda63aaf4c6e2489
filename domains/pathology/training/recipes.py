"""The recipes of the pathology domain: one network, a data set for each exam."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from domains.core import Classification, Pixels, Result
from domains.core.calibration import calibrate
from domains.core.gate import unfamiliarity
from domains.core.training import Card, Case, Identity, Part, Run, representative_of
from domains.pathology.preprocess import fit_to_input
from domains.pathology.training import cards, gate, offsets, scoring, usability
from domains.pathology.training.data import FRAMES_PER_CLIP, Sample, breast, chest, frames_of, lung, mask_of, skin

COVERAGE = 0.9
ANSWERED_ACCURACY = 0.9
"""Where this accuracy can be had on the calibration part by leaving cases open, the threshold that gives it is taken."""
MOST_LEFT_OPEN = 0.35
FAR_OFF_OF_A_KIND = 2
"""So many pictures of each foreign kind show int8, too, how far off a picture may be: beyond its ranges all would seem near."""
EVIDENCE_WEIGHT = 0.3
SHALLOW_COARSE = "b11_project_bn"
"""The backbone cut a block earlier: as good where there is less to tell apart, and 1.9 MB smaller."""


@dataclass(frozen=True)
class ScanRecipe:
    """A classifier of scans or clips."""

    identity: Identity
    card: Card
    read: Callable[[Path], list[Sample]]
    exam: Mapping[str, object]
    """The keys of `[domain_options]` that training doesn't decide."""
    world: str
    """What the model is for, in a sentence: "This does not look like a ..."."""
    kind: str
    """Its own pictures among the kinds of `domains.foreign`."""
    epochs: int
    steps: int
    frames: int
    coarse: str = SHALLOW_COARSE
    turn: float = 12.0
    upside_down: bool = False
    devices: bool = False
    colour: float = 0.0
    masks: bool = False
    learning_rate: float = 5e-4
    runs: int = 1
    main_figure: str = "balanced_accuracy"

    @property
    def class_figures(self) -> Mapping[str, str]:
        return {label: scoring.RECALL.format(label) for label in self.identity.labels}

    @property
    def own_kinds(self) -> frozenset[str]:
        return frozenset({self.kind})

    @property
    def foreign_parameters(self) -> Mapping[str, object]:
        return {"exam": self.exam["exam"]}

    def build(self, backbone: Path) -> Any:
        from domains.pathology.training.network import build

        return build(backbone, len(self.identity.labels), self.coarse)

    def batches(self, data: Path, seed: int) -> Any:
        from domains.pathology.training.batches import Changes, Clip, ScanBatches

        clips = [Clip(frames_of(sample.file), sample.label, sample.source, mask_of(sample) if self.masks else None)
                 for sample in self._part(data, "train")]
        changes = Changes(self.turn, self.upside_down, self.devices, self.colour)
        return ScanBatches(clips, len(self.identity.labels), self.identity.input, changes, seed, self.steps)

    def loss(self) -> Mapping[str, Any]:
        import keras

        from domains.pathology.training.network import EvidenceInside

        of_labels = {"logits": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)}
        return {**of_labels, "activation": EvidenceInside()} if self.masks else of_labels

    def loss_weights(self) -> Mapping[str, float]:
        return {"logits": 1.0, "activation": EVIDENCE_WEIGHT}

    def finish(self, model: Any, data: Path) -> None:
        own = [frame for sample in self._part(data, "train") for frame in self._frames(sample)]
        gate.fit(model, own, data, self.own_kinds, self.identity.input)
        offsets.fit(model, [(self._frames(sample), sample.label) for sample in self._part(data, "calibration")], self.identity.input)

    def representative(self, data: Path) -> Iterator[Pixels]:
        random = np.random.default_rng(0)
        samples = self._part(data, "train")
        own = (fit_to_input(frame, self.identity.input)
               for index in random.permutation(len(samples)) for frame in frames_of(samples[index].file, 3))
        yield from representative_of(own, random)
        yield from gate.background(data, self.own_kinds, self.identity.input, FAR_OFF_OF_A_KIND)

    def calibrate(self, data: Path, run: Run) -> Mapping[str, object]:
        samples = self._part(data, "calibration")
        logits, truth, distances = [], [], []
        for sample in samples:
            for frame in self._frames(sample):
                outputs = run(frame)
                logits.append(outputs["logits"][0])
                truth.append(sample.label)
                distances.append(unfamiliarity(outputs))
        found = calibrate(np.array(logits), np.array(truth), COVERAGE, ANSWERED_ACCURACY, MOST_LEFT_OPEN)
        seen = (frame for sample in self._part(data, "train") for frame in frames_of(sample.file, self.frames))
        return {**self.exam, **found, "gate": {"foreign_from": gate.foreign_from(distances), "world": self.world},
                "sequence": usability.thresholds(seen)}

    def cases(self, data: Path, part: Part = "val") -> Sequence[Case]:
        return [
            Case(sample.file, sample.group, scoring.Truth(sample.label, sample.source, sample.mask),
                 {"exam": self.exam["exam"]}, self.frames, sample.credit)
            for sample in self._part(data, part)
        ]

    def score(self, case: Case, results: Sequence[Result]) -> object:
        answers = [result for result in results if isinstance(result, Classification)]
        return scoring.score(case.truth, answers, self.identity.labels)

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        return scoring.figures(scores, self.identity.labels)

    def _frames(self, sample: Sample) -> list[Pixels]:
        """As the model is shown them: uint8 (1, height, width, 3)."""
        return [fit_to_input(frame, self.identity.input) for frame in frames_of(sample.file, self.frames)]

    def _part(self, data: Path, part: str) -> list[Sample]:
        return [sample for sample in self.read(data) if sample.part == part]


RECIPES = (
    ScanRecipe(
        identity=cards.BREAST_IDENTITY, card=cards.BREAST_CARD, read=breast, world="breast ultrasound", kind="breast_ultrasound",
        epochs=30, steps=22, frames=1, coarse="b12_add", devices=True, masks=True, runs=4,
        exam={
            "exam": "breast_ultrasound",
            "dicom": {"modality": ["US"], "body_part": ["BREAST"], "study_description": ["breast", "mamma", "brust"]},
        },
    ),
    ScanRecipe(
        identity=cards.LUNG_IDENTITY, card=cards.LUNG_CARD, read=lung, world="lung ultrasound", kind="lung_ultrasound",
        epochs=18, steps=22, frames=FRAMES_PER_CLIP, coarse="b12_add", devices=True,
        exam={
            "exam": "lung_ultrasound",
            "dicom": {"modality": ["US"], "body_part": ["LUNG", "CHEST", "THORAX", "PLEURA"],
                      "study_description": ["lung", "pleura", "thorax", "chest"]},
        },
    ),
    ScanRecipe(
        identity=cards.CHEST_IDENTITY, card=cards.CHEST_CARD, read=chest, world="chest X-ray", kind="chest_xray",
        epochs=14, steps=30, frames=1, turn=8.0,
        exam={
            "exam": "chest_xray",
            "dicom": {"modality": ["CR", "DX"], "body_part": ["CHEST", "THORAX", "LUNG"], "study_description": ["chest", "thorax"]},
        },
    ),
    ScanRecipe(
        identity=cards.SKIN_IDENTITY, card=cards.SKIN_CARD, read=skin, world="dermoscopy photo of a skin lesion", kind="skin_photo",
        epochs=32, runs=3, steps=30, frames=1, turn=180.0, upside_down=True, colour=0.12,
        exam={
            "exam": "skin_lesion",
            "dicom": {"modality": ["DMS", "XC"], "body_part": ["SKIN"], "study_description": ["dermoscopy", "skin", "melanoma"]},
        },
    ),
)
