"""The recipe of the SVHN digits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.core import Classification, Pixels, Result
from domains.core.calibration import calibrate
from domains.core.training import Case, Part, Run
from domains.house_numbers.postprocess import logits_of
from domains.house_numbers.training import scoring
from domains.house_numbers.training.cards import SVHN_CARD, SVHN_IDENTITY
from domains.house_numbers.training.data import LABELS, Digit, box_in_photo, crop, digits

COVERAGE = 0.9
ANSWERED_ACCURACY = 0.9
"""Where this accuracy can be had on the calibration part by leaving digits open, the threshold that gives it is taken."""
MOST_LEFT_OPEN = 0.5
STEPS = 16


class SvhnRecipe:
    """Ten digits on `svhn_subset`."""

    identity = SVHN_IDENTITY
    card = SVHN_CARD
    epochs = 100
    runs = 1
    learning_rate = 1e-3
    own_kinds: ClassVar[frozenset[str]] = frozenset()
    foreign_parameters: ClassVar[Mapping[str, object]] = {}
    main_figure = "accuracy"
    class_figures: ClassVar[Mapping[str, str]] = {label: scoring.RECALL.format(label) for label in LABELS}

    def build(self, backbone: Path) -> Any:  # noqa: ARG002  # the contract's: this network starts from nothing
        from domains.house_numbers.training.network import with_logits

        return with_logits()

    def batches(self, data: Path, seed: int) -> Any:
        from domains.house_numbers.training.batches import DigitBatches

        train = _part(data, "train")
        return DigitBatches([crop(digit, self.identity.input) for digit in train], [digit.label for digit in train],
                            self.identity.input, seed, STEPS)

    def loss(self) -> Mapping[str, Any]:
        import keras

        return {"logits": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)}

    def loss_weights(self) -> Mapping[str, float]:
        return {}

    def finish(self, model: Any, data: Path) -> None:
        """It has no gate."""

    def representative(self, data: Path) -> Iterator[Pixels]:
        yield from (crop(digit, self.identity.input) for digit in _part(data, "train"))

    def calibrate(self, data: Path, run: Run) -> Mapping[str, object]:
        known = _part(data, "calibration")
        logits = np.array([logits_of(run(crop(digit, self.identity.input))) for digit in known], np.float32)
        truth = np.array([digit.label for digit in known])
        return calibrate(logits, truth, COVERAGE, ANSWERED_ACCURACY, MOST_LEFT_OPEN)

    def cases(self, data: Path, part: Part = "val") -> Sequence[Case]:
        found = ((digit, box_in_photo(digit)) for digit in _part(data, part))
        return [
            Case(digit.photo, digit.photo.name, digit.label, {"model": self.identity.name, "box": list(astuple(box))})
            for digit, box in found if box is not None
        ]

    def score(self, case: Case, results: Sequence[Result]) -> object:
        result = results[0]
        if not isinstance(result, Classification):
            raise TypeError(f"a digit's result is a Classification, got {type(result).__name__}")
        return scoring.score(case.truth, result)

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        return scoring.figures(scores, LABELS)


RECIPES = (SvhnRecipe(),)


def _part(data: Path, part: str) -> list[Digit]:
    return [digit for digit in digits(data) if digit.part == part]
