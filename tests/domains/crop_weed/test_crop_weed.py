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
    Plan,
    Segmentation,
)
from domains.crop_weed import plants, tiling, vegetation
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
    return answered(pixels, plan, run)


def answered(pixels: Pixels, plan: Plan, run: Callable[[Pixels], Outputs] = by_colour) -> Segmentation:
    flow = DOMAIN.flow(Image(pixels, pixels.shape[1], pixels.shape[0]), plan)
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


GATED = replace(MODEL, options=OPTIONS | {"gate": {"foreign_from": 2.0, "world": "field photo"}},
                outputs=frozenset({"logits", "familiarity"}))


def strange(*values: float) -> Callable[[Pixels], Outputs]:
    """The network as before; its tiles have these familiarities in turn."""
    turns = iter(values)
    return lambda tile: {**by_colour(tile), "familiarity": np.full((1, 48), next(turns), np.float32)}


def test_nothing_grows_on_a_photo_that_is_foreign_in_most_of_its_tiles() -> None:
    pixels = field()
    cv2.circle(pixels, (40, 40), 12, CROP, -1)
    result = analyse(pixels, strange(0.9, 3.0, 3.0, 3.0), spec=GATED)
    assert result.abstention is not None
    assert result.abstention.code == "foreign"
    assert "field photo" in result.abstention.reason
    assert (result.instances, result.class_map.shape, result.class_map.any()) == ((), (72, 96), np.False_)
    assert result.signals == {"unfamiliarity": 9.0}


def test_a_boot_in_the_corner_of_a_field_photo_does_not_hide_its_plants() -> None:
    pixels = field()
    cv2.circle(pixels, (40, 40), 12, CROP, -1)
    result = analyse(pixels, strange(1.0, 1.0, 1.0, 9.0), spec=GATED)
    assert result.abstention is None
    assert len(result.instances) == 1
    assert result.signals == {"unfamiliarity": 1.0}


def test_a_model_with_a_gate_needs_the_output_that_the_gate_looks_at() -> None:
    DOMAIN.check_model(GATED)
    with pytest.raises(ValueError, match=r"gate: .*'familiarity'"):
        DOMAIN.check_model(replace(GATED, outputs=frozenset({"logits"})))


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
    with pytest.raises(InvalidParameter, match="crop, camera, ground_resolution_mm"):
        analyse(field(), tile=3)
    with pytest.raises(InvalidParameter, match="peanut"):
        analyse(field(), crop="maize")


def test_with_two_crops_installed_the_caller_must_choose() -> None:
    maize = replace(MODEL, name="maize", options=OPTIONS | {"crop": "maize"})
    header = MediaHeader("jpeg", 10, 10)
    with pytest.raises(InvalidParameter, match="maize, peanut, other"):
        DOMAIN.plan(header, {}, [MODEL, maize])
    assert DOMAIN.plan(header, {"crop": "maize"}, [MODEL, maize]).model is maize


CARROT = replace(MODEL, name="carrot", options=OPTIONS | {"crop": "carrot", "camera": "red_nir"})
TWO_BANDS = (90, 60, 90)


def settled(pixels: Pixels, **parameters: object) -> Plan:
    height, width = pixels.shape[:2]
    plan = DOMAIN.plan(MediaHeader("jpeg", width, height), parameters, [MODEL, CARROT])
    return plan.settled(Image(pixels, width, height))


def test_the_photos_own_pixels_tell_which_camera_took_it_and_the_answer_says_so() -> None:
    noise = np.random.default_rng(0).normal(0, 4, (72, 96, 3))
    for colour, model, words in ((SOIL, MODEL, "in colour"), (TWO_BANDS, CARROT, "near infrared"), ((80, 80, 80), MODEL, "in colour")):
        pixels = np.clip(np.full((72, 96, 3), colour) + noise, 0, 255).astype(np.uint8)
        plan = settled(pixels)
        assert plan.model is model
        assert words in plan.notices[0]
        assert plan.parameters == {"camera": model.options.get("camera", "rgb")}


def test_a_camera_that_is_named_is_believed() -> None:
    plan = settled(field(), camera="red_nir")
    assert (plan.model, plan.notices, plan.parameters) == (CARROT, (), {"camera": "red_nir"})
    with pytest.raises(InvalidParameter, match="red_nir, rgb"):
        settled(field(), camera="thermal")


UNSURE = replace(MODEL, options=OPTIONS | {"own_crop_below": 1.5}, outputs=frozenset({"logits", "familiarity"}))


@pytest.mark.parametrize(("spec", "parameters", "familiarity", "words"), [
    (UNSURE, {"crop": "other"}, 0.5, "'other'"),
    (UNSURE, {}, 2.0, "does not look like"),
])
def test_where_the_crop_is_not_known_only_vegetation_is_told(
    spec: ModelSpec, parameters: dict[str, object], familiarity: float, words: str,
) -> None:
    pixels = field()
    cv2.circle(pixels, (24, 30), 10, CROP, -1)
    cv2.circle(pixels, (70, 40), 10, CROP, -1)
    result = analyse(pixels, strange(*[familiarity] * 4), spec=spec, **parameters)
    assert result.labels == ("soil", "vegetation")
    assert {plant.label for plant in result.instances} == {"vegetation"}
    assert len(result.instances) == 2
    assert result.areas_px()["vegetation"] == pytest.approx(2 * np.pi * 100, rel=0.15)
    assert any(words in notice for notice in result.notices)


@pytest.mark.parametrize(("parameters", "familiarity"), [({"crop": "peanut"}, 2.0), ({}, 0.5)])
def test_a_crop_that_is_named_or_looks_like_the_training_fields_is_told_from_weeds(
    parameters: dict[str, object], familiarity: float,
) -> None:
    result = analyse(field(), strange(*[familiarity] * 4), spec=UNSURE, **parameters)
    assert result.labels == LABELS
    assert any("looks like the fields of peanut" in notice for notice in result.notices) == (not parameters)


def test_a_crop_that_another_camera_knows_is_vegetation_for_this_one() -> None:
    plan = settled(field(), crop="carrot")
    assert plan.model is MODEL
    result = answered(field(), plan)
    assert result.labels == ("soil", "vegetation")
    assert any("'carrot'" in notice for notice in result.notices)


def test_vegetation_is_all_that_is_no_soil_however_unsure_its_kind() -> None:
    shares = np.array([[[0.4, 0.3, 0.3], [0.6, 0.3, 0.1]]], np.float32)
    alone = vegetation.alone(2 * np.log(shares), 2.0)
    powers = np.exp(alone / 2)
    np.testing.assert_allclose(powers[..., 1] / powers.sum(axis=2), [[0.6, 0.4]], atol=1e-5)


def test_vegetation_that_the_network_draws_too_wide_is_trimmed_to_what_is_green() -> None:
    pixels = field(128, 128)
    pixels[40:80, 40:80] = CROP
    logits = np.zeros((64, 64, 2), np.float32)
    logits[..., 1] = -6
    logits[18:42, 18:42, 1] = 6
    trimmed = vegetation.trimmed(logits, pixels, "rgb", 2)
    found = trimmed[..., 1] > trimmed[..., 0]
    assert found[20:40, 20:40].all()
    assert found.sum() == 400
    np.testing.assert_array_equal(vegetation.trimmed(logits, field(128, 128), "rgb", 2), logits)


@pytest.mark.parametrize(("changes", "named"), [({"apart": "centres"}, "'centres'"), ({"own_crop_below": 2.0}, "'familiarity'")])
def test_options_that_ask_for_an_output_that_is_not_there_are_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DOMAIN.check_model(replace(MODEL, options=OPTIONS | changes))


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
