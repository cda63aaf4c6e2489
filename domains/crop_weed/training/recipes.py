"""The two recipes of the crop_weed domain: one network, two cameras, two data sets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from domains.core import Pixels, Result, Segmentation
from domains.core.training import REPRESENTATIVE, Card, Case, Identity, Part, Run, representative_of
from domains.crop_weed.cameras import RED_NIR, RGB, Camera
from domains.crop_weed.options import OTHER
from domains.crop_weed.training import calibration, cards, gate, index, scoring
from domains.crop_weed.training.data import LABELS, Photo, cwfid, peanut, read_photo, scaled

SPECK_PX = 24
DOMINANCE = 0.75
WORLD = "field photo from above"
FIELDS = frozenset({"field_photo", "near_infrared_field"})
"""Kinds of `domains.foreign` that show a field: another camera's or another crop's isn't foreign, its vegetation is found."""


@dataclass(frozen=True)
class FieldRecipe:
    """Soil, crop and weed, and which plant is which, on the photos of one camera over one crop. `others`: photos of another data
    set that this camera might have taken, of which only the vegetation is asked; those of its `val` part showed where `trimmed` puts
    its threshold, so the others are measured.
    """

    identity: Identity
    card: Card
    read: Callable[[Path], list[Photo]]
    crop: str
    camera: Camera
    ground_resolution_mm: float
    long_side_px: int
    epochs: int
    steps: int
    learning_rate: float = 1e-3
    runs: int = 1
    others: Callable[[Path], list[Photo]] | None = None
    main_figure: str = "miou"
    world: str = WORLD
    own_kinds: frozenset[str] = FIELDS

    @property
    def class_figures(self) -> Mapping[str, str]:
        return {label: scoring.IOU.format(label) for label in LABELS}

    @property
    def foreign_parameters(self) -> Mapping[str, object]:
        return {"camera": self.camera}

    def build(self, backbone: Path) -> Any:
        from domains.crop_weed.training.network import build

        return build(backbone, len(LABELS))

    def batches(self, data: Path, seed: int) -> Any:
        from domains.crop_weed.training.batches import CropBatches, learnt

        photos = [learnt(read_photo(photo.file), photo.truth(), self.long_side_px) for photo in self._part(data, "train")]
        return CropBatches(photos, self.identity.input, seed, self.steps, two_band=self.camera == RED_NIR)

    def loss(self) -> Mapping[str, Any]:
        from domains.crop_weed.training.losses import CentreLoss, CrossEntropyWithDice, OffsetLoss

        return {"logits": CrossEntropyWithDice(), "centres": CentreLoss(), "offsets": OffsetLoss()}

    def loss_weights(self) -> Mapping[str, float]:
        return {"logits": 1.0, "centres": 10.0, "offsets": 0.5}

    def finish(self, model: Any, data: Path) -> None:
        gate.fit(model, self._photos(data, "train"), data, self.own_kinds, self.identity.input, two_band=self.camera == RED_NIR,
                 long_side_px=self.long_side_px)

    def representative(self, data: Path) -> Iterator[Pixels]:
        random = np.random.default_rng(0)
        photos = self._photos(data, "train")
        order = (photos[number] for _ in range(REPRESENTATIVE // len(photos) + 1) for number in random.permutation(len(photos)))
        return representative_of((next(gate.tiles(photo, self.identity.input, random)) for photo in order), random)

    def calibrate(self, data: Path, run: Run) -> Mapping[str, object]:
        fixed = {"crop": self.crop, "camera": self.camera, "ground_resolution_mm": self.ground_resolution_mm,
                 "long_side_px": self.long_side_px, "speck_px": SPECK_PX, "dominance": DOMINANCE}
        held_out = [(read_photo(photo.file), photo.truth()) for photo in self._part(data, "calibration")]
        foreigners = gate.foreigners(data, self.own_kinds, self.identity.input, self.long_side_px)
        found = calibration.calibrate(held_out, run, self.identity.input, fixed, self.world, foreigners)
        return {**fixed, **found, "sequence": calibration.usable(read_photo(photo.file) for photo in self._part(data, "train"))}

    def cases(self, data: Path, part: Part = "val") -> Sequence[Case]:
        if part == "elsewhere" and self.others is not None:
            return [Case(photo.file, photo.group, scoring.Asked(photo.truth, elsewhere=True), {"crop": OTHER, "camera": self.camera},
                         credit=photo.credit)
                    for photo in self.others(data) if photo.part != "val"]
        return [Case(photo.file, photo.group, scoring.Asked(photo.truth), {"crop": self.crop, "camera": self.camera}, credit=photo.credit)
                for photo in self._part(data, part)]

    def score(self, case: Case, results: Sequence[Result]) -> object:
        result, asked = results[0], case.truth
        if not isinstance(result, Segmentation) or not isinstance(asked, scoring.Asked):
            raise TypeError(f"a photo is scored by its truth and a Segmentation, got {type(asked).__name__}, {type(result).__name__}")
        truth, by_index = asked.read(), index.vegetation(read_photo(case.file), self.camera)
        if asked.elsewhere:
            return scoring.Elsewhere(scoring.overlap(truth, result.class_map > 0), scoring.overlap(truth, by_index))
        return scoring.score(truth, result, by_index)

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        return scoring.figures(scores)

    def _part(self, data: Path, part: str) -> list[Photo]:
        return [photo for photo in self.read(data) if photo.part == part]

    def _photos(self, data: Path, part: str) -> list[Pixels]:
        """At the model's scale."""
        return [scaled(read_photo(photo.file), self.long_side_px) for photo in self._part(data, part)]


RECIPES = (
    FieldRecipe(identity=cards.PEANUT_IDENTITY, card=cards.PEANUT_CARD, read=peanut, others=cwfid, crop="peanut", camera=RGB,
                ground_resolution_mm=cards.GROUND_RESOLUTION_MM, long_side_px=cards.LONG_SIDE_PX, epochs=32, steps=75),
    FieldRecipe(identity=cards.CWFID_IDENTITY, card=cards.CWFID_CARD, read=cwfid, crop="carrot", camera=RED_NIR,
                ground_resolution_mm=cards.CWFID_GROUND_RESOLUTION_MM, long_side_px=cards.CWFID_LONG_SIDE_PX, epochs=24, steps=75),
)
