"""Plants from centres and offsets: what points at one centre is one plant."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from domains.crop_weed import plants
from domains.crop_weed.grouping import OFFSET_CELLS, numbered

SIZE = (60, 80)
Cells = NDArray[np.bool_]


def disc(x: int, y: int, radius: int) -> Cells:
    return np.asarray(cv2.circle(np.zeros(SIZE, np.uint8), (x, y), radius, 1, -1)) > 0


def heat_of(*centres: tuple[int, int]) -> NDArray[np.float32]:
    rows, columns = np.indices(SIZE)
    bells = [np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 18) for x, y in centres]
    return np.asarray(np.max([np.zeros(SIZE), *bells], axis=0), np.float32)


def pointing(owner: NDArray[np.int32], *centres: tuple[int, int]) -> NDArray[np.float32]:
    """Each cell to the centre of its owner, counted from 1; cells of 0 point nowhere near."""
    rows, columns = np.indices(SIZE)
    targets = np.array([(400, 400), *centres])[owner]
    return np.asarray((targets - np.stack([columns, rows], axis=2)) / OFFSET_CELLS, np.float32)


LEFT, RIGHT = (25, 30), (45, 30)


def test_two_plants_that_touch_come_apart_where_their_leaves_point() -> None:
    vegetation = disc(*LEFT, 12) | disc(*RIGHT, 12)
    owner = np.where(np.indices(SIZE)[1] < 35, 1, 2).astype(np.int32)
    found = numbered(vegetation, heat_of(LEFT, RIGHT), pointing(owner, LEFT, RIGHT), 6)
    assert found.max() == 2
    assert len(np.unique(found[:, :35][vegetation[:, :35]])) == 1
    assert found[30, 20] != found[30, 50]
    assert ((found > 0) == vegetation).all()


def test_leaves_that_do_not_touch_but_point_at_one_centre_are_one_plant() -> None:
    vegetation = disc(18, 30, 5) | disc(34, 30, 5)
    found = numbered(vegetation, heat_of((26, 30)), pointing(np.ones(SIZE, np.int32), (26, 30)), 6)
    assert found.max() == 1


def test_a_few_cells_inside_a_plant_that_point_elsewhere_stay_with_it() -> None:
    vegetation = disc(*LEFT, 14)
    owner = np.where(disc(30, 34, 2), 2, 1).astype(np.int32)
    found = numbered(vegetation, heat_of(LEFT, RIGHT), pointing(owner, LEFT, RIGHT), 6)
    assert found.max() == 1


@pytest.mark.parametrize("heat", [heat_of(), heat_of((5, 55))])
def test_a_plant_whose_centre_was_not_found_is_a_plant_all_the_same(heat: NDArray[np.float32]) -> None:
    vegetation = disc(20, 30, 8) | disc(60, 30, 8)
    found = numbered(vegetation, heat, pointing(np.zeros(SIZE, np.int32)), 6)
    assert found.max() == 2


def test_a_speck_that_belongs_to_no_plant_is_soil_and_one_that_does_is_kept() -> None:
    vegetation = disc(*LEFT, 8) | disc(36, 30, 1) | disc(70, 50, 1)
    owner = np.where(np.indices(SIZE)[1] < 50, 1, 0).astype(np.int32)
    found = numbered(vegetation, heat_of(LEFT), pointing(owner, LEFT), 12)
    assert found.max() == 1
    assert found[30, 36] == 1
    assert found[50, 70] == 0


def test_bare_soil_has_no_plants() -> None:
    assert not numbered(np.zeros(SIZE, np.bool_), heat_of(LEFT), np.zeros((*SIZE, 2), np.float32), 6).any()


def test_a_plateau_of_a_quantised_map_is_one_centre() -> None:
    heat = np.where(disc(*LEFT, 3), np.float32(0.75), np.float32(0))
    found = numbered(disc(*LEFT, 12), heat, pointing(np.ones(SIZE, np.int32), LEFT), 6)
    assert found.max() == 1


def test_each_plant_is_of_the_class_of_which_it_shows_most_and_masks_do_not_overlap() -> None:
    vegetation = disc(*LEFT, 12) | disc(*RIGHT, 12)
    owner = np.where(np.indices(SIZE)[1] < 35, 1, 2).astype(np.int32)
    logits = np.zeros((*SIZE, 3), np.float32)
    logits[..., 0] = np.where(vegetation, 0, 9)
    logits[..., 1] = np.where(vegetation & (owner == 1), 6, 3)
    logits[..., 2] = np.where(vegetation & (owner == 2), 6, 3)
    logits[28:33, 20:26, 2] = 8
    pointers = plants.Pointers(heat_of(LEFT, RIGHT), pointing(owner, LEFT, RIGHT))
    found = plants.understand(logits, 1.0, 6, 0.75, pointers)
    assert found.classes[30, 22] == 1
    assert found.classes[30, 50] == 2
    class_map = plants.paint(found.logits, 160, 120, (0.5, 0.5))
    listed, more = plants.instances(found, class_map, ("soil", "crop", "weed"), (0.5, 0.5))
    assert (sorted(plant.label for plant in listed), more) == (["crop", "weed"], 0)
    claimed = np.zeros((120, 160), np.int32)
    for plant in listed:
        box = plant.box
        claimed[box.y : box.y + box.height, box.x : box.x + box.width] += plant.mask
    assert claimed.max() == 1
    assert [tuple(np.round(plant.centroid)) for plant in sorted(listed, key=lambda plant: plant.label)] == [
        pytest.approx((2 * x, 2 * y), abs=3) for x, y in ((LEFT[0] - 1, LEFT[1]), (RIGHT[0] + 1, RIGHT[1]))]
