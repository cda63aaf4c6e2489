"""Batches and losses of the crop_weed networks, in the training environment."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] environment")

from domains.core import InputSpec
from domains.crop_weed.grouping import OFFSET_CELLS
from domains.crop_weed.training.batches import CropBatches, Learnt, learnt
from domains.crop_weed.training.data import Truth
from domains.crop_weed.training.losses import CentreLoss, CrossEntropyWithDice, OffsetLoss

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's own, of other libraries' changes

SPEC = InputSpec(320, 320, 127.0, 128.0)


def photo() -> Learnt:
    """A crop, a weed beside it, and a plant of no known kind; two bands."""
    pixels = np.full((300, 400, 3), (90, 60, 90), np.uint8)
    classes, plants = np.zeros((300, 400), np.uint8), np.zeros((300, 400), np.int32)
    for number, (kind, left) in enumerate(((1, 100), (2, 160), (3, 300)), 1):
        classes[100:160, left : left + 60] = kind
        plants[100:160, left : left + 60] = number * (kind < 3)
        pixels[100:160, left : left + 60] = (40, 160, 40)
    return learnt(pixels, Truth(classes, plants), 400)


def test_the_same_seed_and_epoch_give_the_same_batch_and_another_epoch_another() -> None:
    first, second = (CropBatches([photo()], SPEC, 7, 3, two_band=True) for _ in range(2))
    np.testing.assert_array_equal(first[1][0], second[1][0])
    second.epoch = 1
    assert not np.array_equal(first[1][0], second[1][0])


def test_every_cell_of_a_plant_points_at_its_bell_and_two_bands_stay_two() -> None:
    pixels, truth = CropBatches([photo()], SPEC, 7, 1, two_band=True)[0]
    assert np.abs(pixels[..., 0] - pixels[..., 2]).mean() < 0.02, "JPEG's noise alone is left"
    checked = 0
    for bells, offsets in zip(truth["centres"][..., 0], truth["offsets"], strict=True):
        for row, column in np.argwhere(offsets[..., 2] > 0)[::97]:
            x, y = (column, row) + offsets[row, column, :2] * OFFSET_CELLS
            if 0 <= round(x) < bells.shape[1] and 0 <= round(y) < bells.shape[0]:
                assert bells[round(y), round(x)] > 0.8
                checked += 1
    assert checked > 20


def test_a_network_that_says_the_truth_has_next_to_no_loss_and_one_that_says_the_contrary_has() -> None:
    _, truth = CropBatches([photo()], SPEC, 7, 1, two_band=True)[0]
    logits = 40 * truth["logits"][..., :3] + 30 * truth["logits"][..., 3:] * np.array([0, 1, 0])
    semantic = CrossEntropyWithDice()
    assert float(semantic(truth["logits"], logits.astype(np.float32))) == pytest.approx(0, abs=0.02)
    assert float(semantic(truth["logits"], -logits.astype(np.float32))) > 10
    assert float(CentreLoss()(truth["centres"], truth["centres"][..., :1])) == pytest.approx(0, abs=1e-6)
    assert float(OffsetLoss()(truth["offsets"], truth["offsets"][..., :2])) == pytest.approx(0, abs=1e-6)
    assert float(OffsetLoss()(truth["offsets"], truth["offsets"][..., :2] + 1)) == pytest.approx(2, rel=0.01)
