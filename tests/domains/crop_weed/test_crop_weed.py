"""The crop and weed domain, driven with arrays: a network here is a function from a tile to logits at stride 2."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from domains.core import (
    Box,
    Image,
    InputSpec,
    InvalidParameter,
    MediaHeader,
    ModelCall,
    ModelSpec,
    Outputs,
    Pixels,
    Segmentation,
)
from domains.crop_weed import plants, tiling
from domains.crop_weed.domain import DOMAIN

LABELS = ("soil", "crop", "weed")
OPTIONS: dict[str, object] = {
    "crop": "peanut", "ground_resolution_mm": 0.5, "long_side_px": 96, "temperature": 1.0, "abstain_below": 0.6,
    "speck_px": 16, "dominance": 0.75,
}
MODEL = ModelSpec("peanut", "1", "crop_weed", "Peanuts", LABELS, InputSpec(64, 64, 127.0, 128.0), OPTIONS)
SOIL, CROP, WEED = (120, 80, 40), (0, 200, 0), (200, 0, 0)


def by_colour(tile: Pixels, sharpness: float = 8.0) -> Outputs:
    """Logits from colours: green is crop and red is weed."""
    small = np.asarray(cv2.resize(tile[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
    distances = [np.abs(small - np.array(colour)).sum(axis=2) for colour in (SOIL, CROP, WEED)]
    return {"logits": (-np.stack(distances, axis=2) / 200 * sharpness)[None].astype(np.float32)}


def field(width: int = 96, height: int = 72) -> Pixels:
    return np.full((height, width, 3), SOIL, np.uint8)


def analyse(pixels: Pixels, run: Callable[[Pixels], Outputs] = by_colour, *, spec: ModelSpec = MODEL,
            **parameters: object) -> Segmentation:
    height, width = pixels.shape[:2]
    plan = DOMAIN.plan(MediaHeader("jpeg", width, height), parameters, [spec])
    flow = DOMAIN.flow(Image(pixels, width, height), plan)
    call = next(flow)
    result = None
    while result is None:
        assert call.pixels.shape == (1, 64, 64, 3)
        try:
            call = flow.send(run(call.pixels))
        except StopIteration as stop:
            result = stop.value
    assert isinstance(result, Segmentation)
    return result


def blended(pixels: Pixels, run: Callable[[Pixels], Outputs]) -> tuple[NDArray[np.float32], int]:
    flow = tiling.blend(pixels, (64, 64), lambda patch: ModelCall("m", patch), "logits")
    call, count = next(flow), 0
    while True:
        count += 1
        try:
            call = flow.send(run(call.pixels))
        except StopIteration as stop:
            return np.asarray(stop.value), count


@pytest.mark.parametrize("size", [(64, 64), (68, 100), (200, 132), (516, 64)])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_picture_cut_into_tiles_comes_back_whole_and_without_seams(size: tuple[int, int], stride: int) -> None:
    height, width = size
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint32) * 255 // (height + width)
    pixels = np.repeat(ramp[..., None].astype(np.uint8), 3, axis=2)

    def every(tile: Pixels) -> Outputs:
        return {"logits": tile[:, ::stride, ::stride].astype(np.float32)}

    grid, _ = blended(pixels, every)
    np.testing.assert_allclose(grid, pixels[::stride, ::stride], atol=1e-3)


def test_where_tiles_disagree_the_change_is_gradual() -> None:
    answers = iter(range(100))

    def contrary(_: Pixels) -> Outputs:
        return {"logits": np.full((1, 32, 32, 1), next(answers) % 2, np.float32)}

    grid, count = blended(field(164, 64), contrary)
    assert count > 2
    assert np.abs(np.diff(grid[..., 0], axis=1)).max() < 0.35


@pytest.mark.parametrize("length", [64, 68, 96, 112, 116, 720, 960, 4096])
def test_tiles_reach_every_pixel_and_overlap(length: int) -> None:
    begins = tiling.starts(length, 64)
    assert begins[0] == 0
    assert begins[-1] + 64 == length
    assert all(start % tiling.ALIGNMENT == 0 for start in begins)
    assert all(later - earlier <= 56 for earlier, later in pairwise(begins))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (31, 200), (96, 72), (97, 73), (333, 250), (640, 20)])
def test_photos_of_any_size_get_a_map_of_their_own_size(width: int, height: int) -> None:
    result = analyse(field(width, height))
    assert result.class_map.shape == (height, width)
    assert sum(result.areas_px().values()) == width * height


def test_plants_are_found_with_their_class_place_and_size() -> None:
    pixels = field()
    cv2.circle(pixels, (24, 30), 10, CROP, -1)
    cv2.rectangle(pixels, (60, 40), (79, 59), WEED, -1)
    weed, crop = sorted(analyse(pixels).instances, key=lambda plant: -plant.area_px)
    assert (weed.label, crop.label) == ("weed", "crop")
    assert crop.centroid == pytest.approx((24, 30), abs=1)
    assert crop.area_px == pytest.approx(np.pi * 100, rel=0.15)
    for got, wanted in zip((weed.box.x, weed.box.y, weed.box.width, weed.box.height), (60, 40, 20, 20), strict=True):
        assert got == pytest.approx(wanted, abs=2)
    assert crop.score > 0.9


def test_a_photo_three_times_as_fine_gives_the_same_plants_three_times_as_large() -> None:
    pixels = field()
    cv2.circle(pixels, (24, 30), 12, CROP, -1)
    large = np.repeat(np.repeat(pixels, 3, axis=0), 3, axis=1)
    small_plant, = analyse(pixels).instances
    large_plant, = analyse(large).instances
    assert large_plant.area_px == pytest.approx(9 * small_plant.area_px, rel=0.1)
    assert large_plant.centroid == pytest.approx([3 * at + 1 for at in small_plant.centroid], abs=2)


def test_instances_and_map_agree_pixel_by_pixel() -> None:
    random = np.random.default_rng(1)
    pixels = field(200, 150)
    for _ in range(25):
        x, y, radius = int(random.integers(200)), int(random.integers(150)), int(random.integers(3, 14))
        cv2.circle(pixels, (x, y), radius, CROP if random.random() < 0.5 else WEED, -1)
    result = analyse(pixels)
    for plant in result.instances:
        box = plant.box
        inside = result.class_map[box.y : box.y + box.height, box.x : box.x + box.width][plant.mask]
        assert (inside == LABELS.index(plant.label)).all()
    listed = sum(plant.area_px for plant in result.instances)
    assert listed == pytest.approx((result.class_map > 0).sum(), rel=0.03)


def test_specks_are_soil() -> None:
    pixels = field()
    pixels[20:23, 20:23] = CROP
    result = analyse(pixels)
    assert result.instances == ()
    assert result.areas_px()["crop"] == 0


def test_a_plant_with_a_small_patch_of_another_class_is_one_plant() -> None:
    pixels = field()
    cv2.rectangle(pixels, (20, 20), (59, 49), CROP, -1)
    cv2.rectangle(pixels, (54, 40), (59, 49), WEED, -1)
    plant, = analyse(pixels).instances
    assert plant.label == "crop"


def test_a_weed_that_touches_the_crop_stays_a_weed() -> None:
    pixels = field()
    cv2.rectangle(pixels, (10, 20), (39, 49), CROP, -1)
    cv2.rectangle(pixels, (40, 20), (69, 49), WEED, -1)
    assert sorted(plant.label for plant in analyse(pixels).instances) == ["crop", "weed"]


def test_bare_soil_is_an_answer_and_no_abstention() -> None:
    result = analyse(field())
    assert result.abstention is None
    assert result.areas_px() == {"soil": 96 * 72, "crop": 0, "weed": 0}


def test_a_map_that_is_a_guess_everywhere_is_left_open_with_numbers() -> None:
    pixels = field()
    pixels[10:60, 10:80] = (60, 140, 20)
    towards_crop = np.array([0, 0.2, 0], np.float32)
    result = analyse(pixels, lambda tile: {"logits": by_colour(tile, sharpness=0.1)["logits"] + towards_crop})
    assert result.abstention is not None
    assert "0.60" in result.abstention.reason


def test_a_crowd_of_plants_is_cut_to_the_largest_and_says_so() -> None:
    pixels = field(960, 720)
    for y in range(10, 710, 22):
        for x in range(10, 950, 22):
            cv2.circle(pixels, (x, y), 6, CROP, -1)
    result = analyse(pixels, spec=replace(MODEL, options=OPTIONS | {"long_side_px": 960}))
    assert len(result.instances) == plants.MAX_PLANTS
    assert any("largest" in notice for notice in result.notices)


def test_without_a_ground_resolution_the_answer_says_what_was_assumed() -> None:
    assert any("ground_resolution_mm" in notice for notice in analyse(field()).notices)


def test_the_ground_resolution_sets_the_scale_at_which_the_model_looks() -> None:
    seen: list[int] = []

    def count(tile: Pixels) -> Outputs:
        seen.append(1)
        return by_colour(tile)

    result = analyse(field(256, 192), count, ground_resolution_mm=0.5)
    assert result.notices == ()
    fine = len(seen)
    seen.clear()
    analyse(field(256, 192), count, ground_resolution_mm="0.125")
    assert len(seen) == 1 < fine


def test_a_photo_of_a_whole_field_is_analysed_coarsely_and_says_so() -> None:
    def nothing(_: Pixels) -> Outputs:
        return {"logits": np.zeros((1, 32, 32, 3), np.float32)}

    assert any("instead of" in notice for notice in analyse(field(64, 4), nothing, ground_resolution_mm=100.0).notices)


@pytest.mark.parametrize("value", [0, -1, 1e9, "far", True, [1], float("nan")])
def test_an_impossible_ground_resolution_is_refused_with_the_range(value: object) -> None:
    with pytest.raises(InvalidParameter, match=r"0\.01 to 100"):
        analyse(field(), ground_resolution_mm=value)


def test_unknown_parameters_and_crops_are_refused_with_the_choices() -> None:
    with pytest.raises(InvalidParameter, match="crop, ground_resolution_mm"):
        analyse(field(), tile=3)
    with pytest.raises(InvalidParameter, match="peanut"):
        analyse(field(), crop="maize")


def test_with_two_crops_installed_the_caller_must_choose() -> None:
    maize = replace(MODEL, name="maize", options=OPTIONS | {"crop": "maize"})
    header = MediaHeader("jpeg", 10, 10)
    with pytest.raises(InvalidParameter, match="maize, peanut"):
        DOMAIN.plan(header, {}, [MODEL, maize])
    assert DOMAIN.plan(header, {"crop": "maize"}, [MODEL, maize]).model is maize


@pytest.mark.parametrize(("changes", "named"), [({"temperature": 0}, "temperature"), ({"dominance": 0.1}, "dominance"),
                                                ({"surprise": 1}, "surprise"), ({"crop": 3}, "crop")])
def test_a_manifest_with_wrong_options_is_refused_by_the_keys_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DOMAIN.check_model(replace(MODEL, options=OPTIONS | changes))


def test_boxes_lie_inside_the_photo() -> None:
    pixels = field(101, 67)
    pixels[:20, :30] = CROP
    pixels[50:, 80:] = WEED
    for plant in analyse(pixels).instances:
        assert isinstance(plant.box, Box)
        assert plant.box.x + plant.box.width <= 101
        assert plant.box.y + plant.box.height <= 67
