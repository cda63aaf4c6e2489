"""What is measured of a frame: that each number follows what a person would call it, whatever the picture's size."""

import base64
import json
import time

import cv2
import numpy as np
import pytest

from domains.core import Box, Classification, Image, Pixels, Segmentation
from domains.core.quality import measure, measure_answer
from domains.usability import difference


def speckle(seed: int = 0, *, height: int = 480, width: int = 640, detail_px: int = 6) -> Pixels:
    """A grey picture of blobs and grain, as a scan has."""
    random = np.random.default_rng(seed)
    coarse = random.integers(20, 200, (height // 60, width // 60)).astype(np.uint8)
    grain = random.integers(-40, 41, (height // detail_px, width // detail_px)).astype(np.float32)
    blobs = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grey = np.clip(blobs + cv2.resize(grain, (width, height), interpolation=cv2.INTER_NEAREST), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def thumbnail(pixels: Pixels) -> bytes:
    return base64.b64decode(measure(pixels)["thumbnail"])


def coded(pixels: Pixels, quality: int) -> Pixels:
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def test_a_blurred_copy_is_less_sharp_and_the_more_so_the_more_it_is_blurred() -> None:
    scan = speckle()
    sharp, soft, smeared = (measure(one)["sharpness"] for one in (scan, blurred(scan, 3), blurred(scan, 8)))
    assert sharp > 1.5 * soft > 1.5 * smeared


def test_motion_along_one_axis_counts_as_blur() -> None:
    scan = speckle()
    moved = np.asarray(cv2.blur(scan, (40, 1)), np.uint8)
    assert measure(moved)["sharpness"] < 0.5 * measure(scan)["sharpness"]


def test_gain_does_not_pass_for_sharpness() -> None:
    scan = speckle()
    assert measure(scan // 2)["sharpness"] == pytest.approx(measure(scan)["sharpness"], abs=0.05)


@pytest.mark.parametrize("level", [0, 40, 255])
def test_a_blank_picture_has_no_contrast_colour_or_sharpness(level: int) -> None:
    found = measure(np.full((300, 400, 3), level, np.uint8))
    assert (found["contrast"], found["sharpness"], found["colourfulness"]) == (0, 0, 0)
    assert found["brightness"] == pytest.approx(level / 255, abs=1e-3)
    assert found["dark_share"] == (1.0 if level == 0 else 0.0)


def test_colour_is_told_from_grey() -> None:
    field = np.zeros((200, 300, 3), np.uint8)
    field[:, :150], field[:, 150:] = (120, 80, 40), (20, 160, 30)
    assert measure(field)["colourfulness"] > 0.2
    assert measure(speckle())["colourfulness"] == 0


def test_a_picture_coded_anew_looks_the_same_in_small_and_a_scan_held_still_does_not() -> None:
    scan = speckle()
    grain = np.random.default_rng(1).normal(0, 12, (120, 160)).astype(np.float32)
    later = np.clip(scan + cv2.resize(grain, (640, 480))[..., None], 0, 255).astype(np.uint8)
    again = difference(thumbnail(coded(scan, 85)), thumbnail(coded(scan, 90)))
    held = difference(thumbnail(scan), thumbnail(later))
    assert 3 * again < held


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (1, 5000), (5000, 1), (139, 139), (1080, 1920)])
def test_every_size_gives_finite_json_values(shape: tuple[int, int]) -> None:
    found = measure(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert len(base64.b64decode(found["thumbnail"])) == 32 * 32
    assert all(0 <= found[name] <= 1 for name in ("sharpness", "brightness", "contrast", "dark_share"))


def test_the_largest_picture_takes_no_longer_than_a_small_one_by_orders() -> None:
    small, large = np.zeros((200, 200, 3), np.uint8), np.zeros((8700, 11500, 3), np.uint8)

    def least_s(pixels: Pixels) -> float:
        spent = []
        for _ in range(5):
            started = time.perf_counter()
            measure(pixels)
            spent.append(time.perf_counter() - started)
        return min(spent)

    assert least_s(large) < 20 * least_s(small), "2,500 times the pixels"


def test_only_the_part_that_the_model_saw_is_measured_also_after_reduced_decoding() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[20:60, 40:120] = 200
    image = Image(pixels, 400, 200)
    result = Classification(("a", "b"), (0.5, 0.5), Box(80, 40, 160, 80), signals={"evidence_spread": 1.5})
    found = measure_answer(image, result)
    assert found["brightness"] == pytest.approx(200 / 255, abs=0.01)
    assert found["evidence_spread"] == 1.5
    whole = measure_answer(image, Segmentation(("soil", "crop"), np.zeros((200, 400), np.uint8)))
    assert whole["brightness"] < 0.2
