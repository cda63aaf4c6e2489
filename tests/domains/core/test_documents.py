import io
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from domains.core import Abstention, Box, Classification, Instance, Segmentation
from domains.core.documents import from_document, to_document


def classification() -> Classification:
    heatmap = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    return Classification(
        labels=("normal", "abnormal"), probabilities=(0.25, 0.75), region=Box(3, 4, 50, 60), prediction_set=("abnormal",),
        coverage=0.9, abstention=Abstention("low_confidence", "not sure"), heatmap=heatmap, notices=("frame 2 of 3",),
    )


def segmentation(masks: list[tuple[int, int, NDArray[np.bool_]]], size: tuple[int, int]) -> Segmentation:
    class_map = np.zeros(size, np.uint8)
    instances = []
    for x, y, mask in masks:
        height, width = mask.shape
        class_map[y : y + height, x : x + width][mask] = 1
        rows, columns = np.nonzero(mask)
        centroid = (x + float(columns.mean()), y + float(rows.mean()))
        instances.append(Instance("crop", 0.8, Box(x, y, width, height), mask, centroid))
    return Segmentation(("soil", "crop", "weed"), class_map, tuple(instances))


def test_a_classification_survives_the_way_through_json_and_png() -> None:
    document, pictures = to_document(classification())
    again = from_document(json.loads(json.dumps(document)), pictures)
    assert isinstance(again, Classification)
    assert again.heatmap is not None
    assert float(np.abs(again.heatmap - np.linspace(0, 1, 12).reshape(3, 4)).max()) <= 1 / 255
    for name in ("labels", "probabilities", "region", "prediction_set", "coverage", "abstention", "notices", "leading"):
        assert getattr(again, name) == getattr(classification(), name)


def test_a_foreign_pictures_document_has_no_label_and_no_picture_and_can_be_read_again() -> None:
    refused = Abstention("foreign", "This does not look like a breast ultrasound.")
    made = Classification(("normal", "abnormal"), (), Box(0, 0, 50, 60), abstention=refused, notices=("frame 2 of 3",))
    document, pictures = to_document(made)
    assert (document["label"], document["probability"], document["probabilities"]) == ("", 0.0, [])
    assert (document["prediction_set"], document["evidence"], pictures) == (None, None, {})
    assert document["abstention"] == {"code": "foreign", "reason": refused.reason}
    again = from_document(json.loads(json.dumps(document)), pictures)
    assert isinstance(again, Classification)
    assert again.foreign
    assert again.leading is None
    assert (again.abstention, again.region, again.notices) == (made.abstention, made.region, made.notices)


def test_a_segmentation_survives_the_way_through_json_and_png() -> None:
    draw = np.random.default_rng(7)
    masks = [(2, 3, draw.random((5, 7)) < 0.6), (20, 0, np.ones((30, 4), np.bool_)), (0, 10, draw.random((20, 1)) < 0.9)]
    made = segmentation(masks, (30, 40))
    document, pictures = to_document(made)
    again = from_document(json.loads(json.dumps(document)), pictures)
    assert isinstance(again, Segmentation)
    np.testing.assert_array_equal(again.class_map, made.class_map)
    for before, after in zip(made.instances, again.instances, strict=True):
        np.testing.assert_array_equal(before.mask, after.mask)
        assert before.box == after.box
        assert after.centroid == pytest.approx(before.centroid, abs=0.06)


@pytest.mark.parametrize("seed", range(30))
def test_instance_masks_are_run_lengths_that_coco_reads(seed: int) -> None:
    draw = np.random.default_rng(seed)
    height, width = (int(n) for n in draw.integers(1, 40, 2))
    box_height, box_width = int(draw.integers(1, height + 1)), int(draw.integers(1, width + 1))
    x, y = int(draw.integers(0, width - box_width + 1)), int(draw.integers(0, height - box_height + 1))
    mask = draw.random((box_height, box_width)) < draw.choice([0.1, 0.5, 0.95, 1.1])
    mask[0, 0] = True
    document, _ = to_document(segmentation([(x, y, mask)], (height, width)))
    encoded = document["instances"][0]["mask"]
    whole = np.zeros((height, width), np.bool_)
    whole[y : y + box_height, x : x + box_width] = mask
    decoded = coco_mask.decode({"size": encoded["size"], "counts": encoded["counts"].encode()})
    np.testing.assert_array_equal(decoded.astype(np.bool_), whole)
    assert encoded["counts"].encode() == coco_mask.encode(np.asfortranarray(whole.astype(np.uint8)))["counts"]


def test_a_mask_has_class_indices_as_values_and_colours_for_the_eye() -> None:
    made = segmentation([(1, 1, np.ones((2, 2), np.bool_))], (6, 6))
    _, pictures = to_document(made)
    picture = Image.open(io.BytesIO(pictures["mask.png"]))
    np.testing.assert_array_equal(np.asarray(picture), made.class_map)
    assert picture.convert("RGB").getpixel((1, 1)) == (0, 158, 115)


def test_areas_are_those_of_the_class_map() -> None:
    document, _ = to_document(segmentation([(1, 1, np.ones((2, 3), np.bool_))], (6, 6)))
    assert [(row["label"], row["area_px"]) for row in document["classes"]] == [("soil", 30), ("crop", 6), ("weed", 0)]
    assert document["classes"][1]["area_fraction"] == pytest.approx(6 / 36, abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": (0.5, 0.6)},
        {"probabilities": (1.0,)},
        {"prediction_set": ("other",)},
        {"heatmap": np.zeros((2, 2, 2), np.float32)},
    ],
)
def test_a_classification_that_makes_no_sense_can_not_be_made(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"labels": ("a", "b"), "probabilities": (0.5, 0.5), "region": Box(0, 0, 1, 1)}
    with pytest.raises(ValueError, match=r"must|probabilities|among"):
        Classification(**{**arguments, **change})  # type: ignore[arg-type] # wrong on purpose


def test_a_class_map_with_an_unknown_class_can_not_be_made() -> None:
    with pytest.raises(ValueError, match="holds 2, but there are 2 labels"):
        Segmentation(("soil", "crop"), np.full((2, 2), 2, np.uint8))
