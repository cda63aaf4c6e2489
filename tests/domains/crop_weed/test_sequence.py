"""Plants counted over a drive: documents of frames go in, as a camera over a made field would give them."""

import base64
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, hypot, radians, sin
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domains import registry
from domains.core import InputSpec, ModelSpec
from domains.crop_weed.domain import DOMAIN
from domains.crop_weed.motion import estimate
from domains.crop_weed.sequence import MOST_TRACKS_TOLD, PlantSequence, open_sequence, plant_of
from domains.crop_weed.tracking import LONGEST_HISTORY, MOST_TRACKS
from domains.sequences import Frame

WIDTH, HEIGHT = 640, 480
RATE = 30.0
SHORT = settings(deadline=None, max_examples=10, derandomize=True)


@dataclass(frozen=True, slots=True)
class Planted:
    """A plant of the field: a round one, in pixels of the ground."""

    x: float
    y: float
    radius: float
    label: str = "crop"


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the picture's middle is over the ground, how it is turned (degrees) and how large a pixel of ground is."""

    x: float
    y: float
    turn: float = 0.0
    zoom: float = 1.0

    def see(self, plant: Planted) -> tuple[float, float]:
        """Where the plant is in the picture."""
        right, down = plant.x - self.x, plant.y - self.y
        cosine, sine = cos(radians(self.turn)) * self.zoom, sin(radians(self.turn)) * self.zoom
        return WIDTH / 2 + cosine * right - sine * down, HEIGHT / 2 + sine * right + cosine * down


LENGTH = 1200.0


def field(seed: int, *, length: float = LENGTH, weeds: float = 0.4) -> list[Planted]:
    """Plants that don't touch, over a ground from (0, 0) to (WIDTH, length)."""
    dice = random.Random(seed)
    plants: list[Planted] = []
    for _ in range(int(length / 4)):
        plant = Planted(dice.uniform(60, WIDTH - 60), dice.uniform(60, length - 60), dice.choice((9, 14, 20, 28)),
                        "weed" if dice.random() < weeds else "crop")
        if all(hypot(plant.x - other.x, plant.y - other.y) > plant.radius + other.radius + 8 for other in plants):
            plants.append(plant)
    return plants


def instance(plant: Planted, camera: Camera, noise: float = 0.0, dice: random.Random | None = None) -> dict[str, Any] | None:
    """The plant as the document of a result has it, or None where the picture doesn't show enough of it."""
    wobble = dice or random.Random(0)
    x, y = (at + wobble.gauss(0, noise) for at in camera.see(plant))
    radius = plant.radius * camera.zoom * (1 + wobble.gauss(0, noise / 30))
    left, top, right, bottom = max(0.0, x - radius), max(0.0, y - radius), min(WIDTH, x + radius), min(HEIGHT, y + radius)
    if right - left < 4 or bottom - top < 4:
        return None
    area = (right - left) * (bottom - top) * 0.785
    return {"label": plant.label, "score": 0.9, "area_px": int(area),
            "centroid": {"x": round((left + right) / 2, 1), "y": round((top + bottom) / 2, 1)},
            "box": {"x": int(left), "y": int(top), "width": int(right) - int(left), "height": int(bottom) - int(top)}}


def document(instances: Sequence[Mapping[str, Any]], *, unsure: bool = False, notices: Sequence[str] = ()) -> dict[str, Any]:
    areas = {label: sum(row["area_px"] for row in instances if row["label"] == label) for label in ("crop", "weed")}
    areas = {"soil": WIDTH * HEIGHT - sum(areas.values())} | areas
    return {
        "kind": "segmentation", "width": WIDTH, "height": HEIGHT,
        "classes": [{"index": index, "label": label, "area_px": area, "area_fraction": area / WIDTH / HEIGHT}
                    for index, (label, area) in enumerate(areas.items())],
        "instances": list(instances), "abstained": unsure,
        "abstention": {"code": "low_confidence", "reason": "a guess"} if unsure else None, "notices": list(notices),
    }


def frames(plants: Sequence[Planted], cameras: Sequence[Camera], *, noise: float = 0.0, lost: float = 0.0, seed: int = 0,
           every: int = 1) -> Iterator[Frame]:
    """`lost`: the share of sightings that the model misses. Instances come in random order."""
    dice = random.Random(seed)
    for number, camera in enumerate(cameras):
        seen = [found for plant in plants if (found := instance(plant, camera, noise, dice)) and dice.random() >= lost]
        dice.shuffle(seen)
        if number % every == 0:
            yield Frame(number + 1, number / RATE, document(seen), {})


def ride(length: float = LENGTH, step: float = 33) -> list[Camera]:
    """Straight ahead over the whole ground: up the picture, as a robot that drives forward sees it."""
    stops = int((length - HEIGHT) / step) + 1
    return [Camera(WIDTH / 2, length - HEIGHT / 2 - step * number) for number in range(stops)]


def watched(shown: Iterator[Frame] | Sequence[Frame], options: Mapping[str, Any] | None = None) -> PlantSequence:
    sequence = open_sequence(options or {})
    assert isinstance(sequence, PlantSequence)
    for frame in shown:
        sequence.add(frame)
    return sequence


def counts(sequence: PlantSequence) -> dict[str, int]:
    return {row["label"]: row["count"] for row in sequence.verdict().document["classes"]}


def true(plants: Sequence[Planted]) -> dict[str, int]:
    return {label: sum(plant.label == label for plant in plants) for label in ("crop", "weed")}


@SHORT
@given(st.integers(0, 9999), st.floats(8, 220), st.sampled_from([1, -1]))
def test_each_plant_counts_once_at_any_speed_forwards_and_backwards(seed: int, step: float, way: int) -> None:
    plants = field(seed)
    cameras = ride(step=step)[::way]
    reached = [plant for plant in plants if plant.y + plant.radius - 8 > min(camera.y for camera in cameras) - HEIGHT / 2]
    assert counts(watched(frames(reached, cameras))) == true(reached)


@SHORT
@given(st.integers(0, 9999), st.floats(0, 360))
def test_the_way_over_the_ground_may_have_any_direction(seed: int, direction: float) -> None:
    plants = [replace(plant, x=2 * plant.x) for plant in field(seed)]
    cameras = [Camera(WIDTH + 25 * n * cos(radians(direction)), 600 + 25 * n * sin(radians(direction))) for n in range(12)]
    shown = [plant for plant in plants if any(instance(plant, camera) for camera in cameras)]
    found = counts(watched(frames(plants, cameras)))
    for label, wanted in true(shown).items():
        assert found[label] == pytest.approx(wanted, abs=1), "one may have come into view with a corner alone"


@SHORT
@given(st.integers(0, 9999), st.floats(0, 0.25), st.floats(0, 2), st.sampled_from([1, 2]))
def test_plants_that_the_model_misses_now_and_then_and_places_that_jitter_change_little(
        seed: int, lost: float, noise: float, every: int) -> None:
    plants = field(seed)
    found = counts(watched(frames(plants, ride(), noise=noise, lost=lost, seed=seed, every=every)))
    for label, wanted in true(plants).items():
        assert found[label] == pytest.approx(wanted, abs=2 + 0.1 * wanted)


@SHORT
@given(st.integers(0, 9999))
def test_a_drive_that_speeds_up_stops_sways_turns_and_sinks_counts_as_a_straight_one(seed: int) -> None:
    plants, dice = field(seed), random.Random(seed)
    y, cameras = LENGTH - HEIGHT / 2, []
    for number in range(100):
        y -= 0 if number % 20 < 5 else 33 * (1 + 0.6 * sin(number / 7)) * dice.uniform(0.9, 1.1)
        cameras.append(Camera(WIDTH / 2 + 15 * sin(number / 11), y, 2 * sin(number / 9), 1 + 0.03 * sin(number / 13)))
        if y < HEIGHT / 2 - 100:
            break
    assert counts(watched(frames(plants, cameras))) == true(plants)


@SHORT
@given(st.integers(0, 9999), st.integers(1, 200))
def test_standing_still_counts_nothing_new(seed: int, stay: int) -> None:
    plants = field(seed, length=HEIGHT)
    camera = Camera(WIDTH / 2, HEIGHT / 2)
    assert counts(watched(frames(plants, [camera] * stay, noise=1.0, seed=seed))) == true(plants)


@settings(SHORT, max_examples=5)
@given(st.integers(0, 9999), st.integers(0, 9999))
def test_two_passes_over_different_ground_add_up(first: int, second: int) -> None:
    one, other = field(first), field(second)
    behind = [replace(plant, y=plant.y - LENGTH) for plant in other]
    cameras = ride(2 * LENGTH)
    cameras = [replace(camera, y=camera.y - LENGTH) for camera in cameras]
    together = counts(watched(frames([*one, *behind], cameras)))
    apart = [counts(watched(frames(plants, ride()))) for plants in (one, other)]
    for label in together:
        assert together[label] == pytest.approx(sum(part[label] for part in apart), abs=1)


@SHORT
@given(st.integers(0, 9999), st.floats(-6, 6), st.floats(0.93, 1.07), st.floats(-80, 80), st.floats(-80, 80))
def test_turn_zoom_and_shift_of_the_ground_are_measured_to_a_pixel_or_two(
        seed: int, turn: float, zoom: float, x: float, y: float) -> None:
    ground = field(seed, length=2 * HEIGHT)
    cameras = Camera(WIDTH / 2, HEIGHT), Camera(WIDTH / 2 + x, HEIGHT + y, turn, zoom)
    before, now = ([plant_of(row, (WIDTH, HEIGHT)) for row in frame.result["instances"]] for frame in frames(ground, cameras))
    found = estimate(before, now, (WIDTH, HEIGHT), None)
    assert found is not None
    for plant in ground:
        seen = [camera.see(plant) for camera in cameras]
        if all(0 < at[0] < WIDTH and 0 < at[1] < HEIGHT for at in seen):
            assert found.motion.move(*seen[0]) == pytest.approx(seen[1], abs=4)


def test_large_plants_that_come_and_go_bit_by_bit_count_once() -> None:
    plants = [Planted(150 + 330 * (n % 2), 120 + 190 * n, 90) for n in range(6)]
    assert counts(watched(frames(plants, ride(step=7)))) == true(plants)
    assert counts(watched(frames(plants, ride(step=90)))) == true(plants)


def test_a_picture_alone_counts_all_its_plants_at_once() -> None:
    plants = field(3, length=HEIGHT)
    sequence = watched(frames(plants, [Camera(WIDTH / 2, HEIGHT / 2)]))
    assert counts(sequence) == true(plants)
    assert {row["label"]: row["count"] for row in sequence.running()["classes"]} == true(plants)


def test_while_driving_a_plant_counts_from_its_second_sighting_on() -> None:
    plants = [*field(5, length=HEIGHT), Planted(300, -300, 20)]
    cameras = [Camera(WIDTH / 2, HEIGHT / 2 - 33 * n) for n in range(12)]
    sequence = watched([])
    told = []
    for frame in frames(plants, cameras):
        sequence.add(frame)
        told.append(sum(row["count"] for row in sequence.running()["classes"]))
    came = next(n for n, camera in enumerate(cameras) if instance(plants[-1], camera))
    assert told[came] == told[came - 1] == told[came + 1] - 1


def test_a_plant_that_is_called_crop_in_most_frames_and_weed_in_some_is_one_crop_plant() -> None:
    plants = field(8, length=HEIGHT, weeds=0)
    sequence = watched([])
    for number, frame in enumerate(frames(plants, [Camera(WIDTH / 2, HEIGHT / 2 - 5 * n) for n in range(12)])):
        rows = [{**row, "label": "weed"} if (index + number) % 3 == 0 else row
                for index, row in enumerate(sorted(frame.result["instances"], key=lambda row: row["centroid"]["x"]))]
        sequence.add(replace(frame, result=document(rows)))
    assert counts(sequence) == {"crop": len(plants), "weed": 0}


@pytest.mark.parametrize("length", [3, 10])
def test_a_patch_that_flickers_up_in_one_frame_is_no_plant(length: int) -> None:
    ghost = instance(Planted(320, 240, 20, "weed"), Camera(320, 240))
    assert ghost is not None
    plants = [plant for plant in field(9, length=HEIGHT) if hypot(plant.x - 320, plant.y - 240) > 70]
    sequence = watched([])
    for number, frame in enumerate(frames(plants, [Camera(WIDTH / 2, HEIGHT / 2 - 4 * n) for n in range(length)])):
        rows = [*frame.result["instances"], *([ghost] if number == length // 2 else [])]
        sequence.add(replace(frame, result=document(rows)))
    assert counts(sequence) == true(plants)


def test_in_rows_of_equal_plants_the_speed_tells_one_from_the_next() -> None:
    plants = [Planted(70 + 100 * (n % 6), 30 + 60 * (n // 6), 14) for n in range(120)]
    y, cameras = LENGTH - HEIGHT / 2, []
    while y > HEIGHT / 2:
        cameras.append(Camera(WIDTH / 2, y))
        y -= min(45, 5 + 4 * len(cameras))
    reached = [plant for plant in plants if any(instance(plant, camera) for camera in cameras)]
    assert counts(watched(frames(plants, cameras))) == true(reached)


def test_a_plant_that_falls_into_leaves_in_some_frames_is_one_plant_and_never_several() -> None:
    plants = [plant for plant in field(10, length=HEIGHT) if hypot(plant.x - 320, plant.y - 240) > 100]
    whole = Planted(320, 240, 40)
    leaves = [Planted(300, 240, 19), Planted(340, 240, 19)]
    cameras = [Camera(WIDTH / 2, HEIGHT / 2 - 4 * n) for n in range(12)]
    shown = [next(frames([*plants, *(leaves if number % 4 == 3 else [whole])], [camera]))
             for number, camera in enumerate(cameras)]
    sequence = watched([replace(frame, number=number, time_s=number / RATE) for number, frame in enumerate(shown, 1)])
    assert counts(sequence) == true([*plants, whole])


def test_after_a_gap_so_long_that_nothing_is_left_of_the_picture_the_new_plants_are_new() -> None:
    one, other = field(1, length=HEIGHT), field(2, length=HEIGHT)
    here = Camera(WIDTH / 2, HEIGHT / 2)
    first, second = list(frames(one, [here] * 4)), list(frames(other, [here] * 4))
    later = [replace(frame, number=frame.number + 500, time_s=frame.time_s + 60) for frame in second]
    found = counts(watched([*first, *later]))
    for label, wanted in true([*one, *other]).items():
        assert found[label] == pytest.approx(wanted, abs=2)


def test_a_change_of_the_pictures_size_is_taken_for_new_ground() -> None:
    plants = field(4, length=HEIGHT)
    shown = list(frames(plants, [Camera(WIDTH / 2, HEIGHT / 2)] * 6))
    for index in (3, 4, 5):
        shown[index] = replace(shown[index], result={**shown[index].result, "width": WIDTH + 2})
    assert sum(counts(watched(shown)).values()) == 2 * len(plants)


def quality(brightness: float = 0.5, sharpness: float = 0.6, shade: int = 0) -> dict[str, Any]:
    return {"brightness": brightness, "sharpness": sharpness, "thumbnail": base64.b64encode(bytes([shade] * 64)).decode()}


def test_frames_that_are_blurred_dark_or_frozen_add_nothing_and_are_told_by_reason() -> None:
    sequence = watched([], {"bright_from": 0.1, "sharp_from": 0.3, "moved_from": 1.0})
    shown = list(frames(field(6), ride()))[:6]
    qualities = [quality(shade=10), quality(sharpness=0.1, shade=20), quality(brightness=0.02, shade=30), quality(shade=50),
                 quality(shade=50), {}]
    told = [sequence.add(replace(frame, quality=measured)) for frame, measured in zip(shown, qualities, strict=True)]
    assert told == ["", "blurred", "dark", "", "frozen", ""]
    assert sequence.verdict().document["frames"] == {
        "analysed": 6, "usable": 3, "usable_share": 0.5, "unusable": {"blurred": 1, "dark": 1, "frozen": 1},
    }


def test_over_frames_that_cannot_be_used_plants_keep_their_identity() -> None:
    plants = field(7)
    shown = [replace(frame, quality=quality(sharpness=0.1 if frame.number % 5 in {3, 4, 0} else 0.6))
             for frame in frames(plants, ride())]
    assert counts(watched(shown, {"sharp_from": 0.3})) == counts(watched(frames(plants, ride())))


def test_a_verdict_without_enough_usable_frames_or_with_mostly_guesses_is_not_stood_by() -> None:
    plants = field(6, length=HEIGHT)
    here = [Camera(WIDTH / 2, HEIGHT / 2)] * 3
    dark = [replace(frame, quality=quality(brightness=0.0)) for frame in frames(plants, here)]
    document_of_dark = watched(dark, {"bright_from": 0.1}).verdict().document
    assert document_of_dark["abstention"]["code"] == "too_few_usable_frames"
    assert (document_of_dark["tracks"], document_of_dark["key_frames"]) == ([], [])
    unsure = [replace(frame, result=document(frame.result["instances"], unsure=frame.number > 1)) for frame in frames(plants, here)]
    assert watched(unsure).verdict().document["abstention"]["code"] == "low_confidence"
    assert watched(unsure[:2]).verdict().document["abstention"] is None


def test_a_robot_that_stands_is_no_reason_to_doubt_the_count() -> None:
    shown = [replace(frame, quality=quality()) for frame in frames(field(6, length=HEIGHT), [Camera(320, 240)] * 50)]
    verdict = watched(shown, {"moved_from": 1.0, "least_usable_share": 0.5}).verdict().document
    assert verdict["frames"]["unusable"] == {"frozen": 49}
    assert not verdict["abstained"]


def test_bare_soil_is_an_answer_with_a_frame_to_show() -> None:
    verdict = watched(frames([], ride())).verdict()
    assert [row["count"] for row in verdict.document["classes"]] == [0, 0]
    assert verdict.document["abstention"] is None
    assert verdict.document["key_frames"][0]["label"] == "soil"


def test_key_frames_are_full_of_plants_spread_in_time_and_never_come_back_once_passed_over() -> None:
    sequence = watched([])
    cameras = ride()
    kept: set[int] = set()
    for frame in frames(field(12), cameras):
        sequence.add(frame)
        now = set(sequence.key_frames())
        assert now <= kept | {frame.number}
        kept = now
    verdict = sequence.verdict()
    assert verdict.key_frames == tuple(row["number"] for row in verdict.document["key_frames"])
    numbers = sorted(verdict.key_frames)
    assert len(numbers) == 3
    assert min(numbers[1] - numbers[0], numbers[2] - numbers[1]) > len(cameras) / 6


def test_the_document_tells_each_plant_that_was_counted_and_where_it_was_seen_last() -> None:
    plants = [Planted(200, 200, 20), Planted(420, 260, 14, "weed")]
    verdict = watched(frames(plants, [Camera(WIDTH / 2, HEIGHT / 2 - 10 * n) for n in range(5)])).verdict().document
    crop, weed = sorted(verdict["tracks"], key=lambda row: str(row["label"]))
    assert (crop["label"], weed["label"]) == ("crop", "weed")
    assert (crop["first_frame"], crop["last_frame"], crop["seen"]) == (1, 5, 5)
    assert crop["centroid"] == {"x": 200.0, "y": 240.0}
    assert crop["box"] == {"x": 180, "y": 220, "width": 40, "height": 40}
    assert crop["score"] == pytest.approx(0.9)
    rows = {row["label"]: row for row in verdict["classes"]}
    assert rows["crop"]["visible"] == rows["weed"]["visible"] == 1
    assert rows["crop"]["mean_area_fraction"] == pytest.approx(1256 / WIDTH / HEIGHT, rel=0.01)


def test_what_frames_had_to_say_is_told_once() -> None:
    told = "It was assumed that the photo shows as much ground as usual."
    shown = [replace(frame, result=document(frame.result["instances"], notices=[told])) for frame in frames(field(1), ride())]
    assert watched(shown).verdict().document["notices"] == [told]


def test_hours_of_driving_keep_no_more_than_they_must() -> None:
    sequence = watched([])
    plants = field(13, length=1000)
    for lap in range(20):
        for frame in frames(plants, ride(1000, 60)):
            sequence.add(replace(frame, number=frame.number + 100 * lap, time_s=frame.time_s + 1000 * lap))
    verdict = sequence.verdict().document
    told = sum(row["count"] for row in verdict["classes"])
    assert told > MOST_TRACKS_TOLD == len(verdict["tracks"])
    assert any(str(told - MOST_TRACKS_TOLD) in notice for notice in verdict["notices"])
    assert len(sequence._tracker.live) < 3 * len(plants) < MOST_TRACKS
    assert len(sequence._tracker._windows) <= LONGEST_HISTORY
    assert len(sequence._told) == MOST_TRACKS_TOLD


def test_five_hundred_plants_in_every_frame_hold_nobody_up() -> None:
    plants = [Planted(12 + 25 * (n % 25), 12 + 24 * (n // 25), 7 + n % 4) for n in range(1000)]
    shown = list(frames(plants, [Camera(WIDTH / 2, 960 - HEIGHT / 2 - 20 * n) for n in range(12)]))
    assert max(len(frame.result["instances"]) for frame in shown) > 450
    began = time.process_time()
    found = counts(watched(shown))
    assert (time.process_time() - began) / len(shown) < 0.2
    assert found["crop"] > 480


def test_the_manifests_options_reach_the_sequence_and_wrong_ones_are_refused_by_name() -> None:
    table: dict[str, object] = {
        "crop": "peanut", "ground_resolution_mm": 0.5, "long_side_px": 96, "temperature": 1.0, "abstain_below": 0.6,
        "speck_px": 16, "dominance": 0.75, "sequence": {"sharp_from": 0.25},
    }
    model = ModelSpec("peanut", "1", "crop_weed", "Peanuts", ("soil", "crop", "weed"), InputSpec(64, 64, 127.0, 128.0), table)
    DOMAIN.check_model(model)
    options = DOMAIN.sequence_options(model)
    blurred = next(frames(field(1), ride()))
    assert registry.open_sequence("crop_weed", options).add(replace(blurred, quality=quality(sharpness=0.2))) == "blurred"
    with pytest.raises(ValueError, match="sharp_form"):
        DOMAIN.check_model(replace(model, options=table | {"sequence": {"sharp_form": 0.25}}))
    with pytest.raises(ValueError, match="fewest_usable"):
        open_sequence({"fewest_usable": 0})


def test_a_gateway_that_counts_plants_loads_neither_numpy_nor_opencv() -> None:
    code = ("import sys; from domains import registry; registry.open_sequence('crop_weed', {});"
            "print([name for name in ('numpy', 'cv2', 'PIL') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_drive_on_which_some_frames_show_vegetation_alone_counts_it_beside_crop_and_weed() -> None:
    shown = []
    for number, labels in enumerate((("soil", "crop", "weed"), ("soil", "vegetation"))):
        classes = [{"index": index, "label": label, "area_px": 50, "area_fraction": 0.5} for index, label in enumerate(labels)]
        shown.append(Frame(number + 1, number / RATE, document([]) | {"classes": classes}, {}))
    told = {row["label"]: row["mean_area_fraction"] for row in watched(shown).verdict().document["classes"]}
    assert told == {"crop": 0.25, "weed": 0.25, "vegetation": 0.25}
