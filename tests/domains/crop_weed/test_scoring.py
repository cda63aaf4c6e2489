"""Figures of held-out photos: plants found, told apart and missed."""

import numpy as np
import pytest

from domains.core import Box, Instance, Segmentation
from domains.crop_weed.training.data import UNNAMED, Truth
from domains.crop_weed.training.scoring import Elsewhere, figures, overlap, score

LABELS = ("soil", "crop", "weed")
NOTHING = np.zeros((40, 60), np.bool_)


def truth() -> Truth:
    """A crop of 10 x 20 pixels beside a weed of 10 x 10 that touches it, and one plant of no known kind."""
    classes, plants = np.zeros((40, 60), np.uint8), np.zeros((40, 60), np.int32)
    classes[10:20, 10:30], plants[10:20, 10:30] = 1, 1
    classes[10:20, 30:40], plants[10:20, 30:40] = 2, 2
    classes[30:36, 50:56] = UNNAMED
    return Truth(classes, plants)


def plant(label: str, left: int, top: int, width: int, height: int, score: float = 0.9) -> Instance:
    return Instance(label, score, Box(left, top, width, height), np.ones((height, width), np.bool_),
                    (left + (width - 1) / 2, top + (height - 1) / 2))


def answer(*plants: Instance) -> Segmentation:
    class_map = np.zeros((40, 60), np.uint8)
    for found in plants:
        box = found.box
        class_map[box.y : box.y + box.height, box.x : box.x + box.width] = LABELS.index(found.label)
    return Segmentation(LABELS, class_map, plants)


RIGHT = (plant("crop", 10, 10, 20, 10), plant("weed", 30, 10, 10, 10))


def test_a_perfect_answer_scores_one_everywhere_and_no_pixel_off() -> None:
    found = figures([score(truth(), answer(*RIGHT), truth().classes > 0)])
    for name in ("miou", "iou_weed", "plant_f1", "plant_f1_crop", "ap50", "ap75", "pq", "plant_f1_by_patches", "vegetation_iou_by_index"):
        assert found[name] == pytest.approx(1), name
    assert found["centroid_error_px"] == pytest.approx(0)
    assert found["vegetation_iou"] == pytest.approx(300 / 336), "a plant of no known kind is vegetation"


def test_vegetation_of_no_known_kind_counts_neither_for_nor_against_a_class_or_a_plant() -> None:
    with_more = answer(*RIGHT, plant("weed", 50, 30, 6, 6))
    found = figures([score(truth(), with_more, NOTHING)])
    assert (found["miou"], found["plant_f1"], found["vegetation_iou"]) == pytest.approx((1, 1, 1))


def test_a_crop_cut_in_two_is_told_by_patches_that_join_it_again() -> None:
    halves = answer(plant("crop", 10, 10, 10, 10), plant("crop", 20, 10, 10, 10), plant("weed", 30, 10, 10, 10))
    found = figures([score(truth(), halves, NOTHING)])
    assert found["miou"] == pytest.approx(1)
    assert found["plant_f1_crop"] == pytest.approx(0)
    assert found["plant_f1_crop_by_patches"] == pytest.approx(1)
    assert found["ap50"] == pytest.approx(0.5)
    assert found["ap50_by_patches"] == pytest.approx(1)


def test_a_mask_that_is_off_is_found_at_half_overlap_and_its_centroid_is_off_as_far() -> None:
    shifted = answer(plant("crop", 14, 10, 20, 10), plant("weed", 34, 10, 6, 10))
    found = figures([score(truth(), shifted, NOTHING)])
    assert found["plant_f1"] == pytest.approx(1)
    assert (found["ap50"], found["ap75"]) == pytest.approx((1, 0))
    assert found["centroid_error_px"] == pytest.approx((4 + 2) / 2)
    assert found["pq"] == pytest.approx((160 / 240 + 0.6) / 2)


def test_false_plants_cost_precision_only_where_they_are_surer_than_true_ones() -> None:
    surer, less_sure = (answer(*RIGHT, plant("crop", 40, 30, 8, 8, certainty), plant("weed", 2, 30, 8, 8, certainty))
                        for certainty in (0.95, 0.5))
    assert figures([score(truth(), surer, NOTHING)])["ap50"] == pytest.approx(0.5)
    assert figures([score(truth(), less_sure, NOTHING)])["ap50"] == pytest.approx(1)


def test_photos_of_another_data_set_are_asked_for_vegetation_alone() -> None:
    elsewhere = Elsewhere(overlap(truth(), truth().classes > 0), overlap(truth(), NOTHING))
    found = figures([score(truth(), answer(*RIGHT), NOTHING), elsewhere])
    assert (found["vegetation_iou_elsewhere"], found["vegetation_iou_by_index_elsewhere"]) == (1, 0)
    assert found["miou"] == pytest.approx(1)
    assert set(figures([elsewhere])) == {"vegetation_iou_elsewhere", "vegetation_iou_by_index_elsewhere"}
