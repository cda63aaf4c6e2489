"""Reports of model packages: scored by the domain's recipe, for labels and for pixels."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from domains.crop_weed.training.data import LABELS
from edge_runtime.errors import PackageError
from edge_runtime.models import load_package
from edge_runtime.toolchain.report.make import Wish, make
from edge_runtime.toolchain.report.measure import agreement
from edge_runtime.toolchain.report.sources import Answered, open_source
from tests.edge_runtime.toolchain.packaging import BREAST, PEANUT, breast_data

SAMPLES = Path(__file__).parents[4] / "samples"


def field(folder: Path) -> Path:
    """A data folder with one held-out field photo, a part of the sample, on which all is said to be soil."""
    photos = folder / "crop_peanut"
    photos.mkdir(parents=True)
    photo = cv2.imread(str(SAMPLES / "field.jpg"))
    assert photo is not None
    part = np.asarray(photo, np.uint8)[:320, :320]
    cv2.imwrite(str(photos / "photo.png"), part)
    cv2.imwrite(str(photos / "mask.png"), np.zeros_like(part))
    (photos / "manifest.csv").write_text("file,mask,split,overlap_group\nphoto.png,mask.png,val,1\n")
    return folder


def test_a_classifiers_package_is_scored_by_its_recipe(tmp_path: Path) -> None:
    data = breast_data(tmp_path / "data")
    said: list[str] = []
    report = make(BREAST, data, tmp_path / "out", Wish(runs=1), said.append)
    assert [row.variant for row in report.rows] == ["float32", "int8"]
    assert (report.main_figure, report.unit, report.cases) == ("balanced_accuracy", "answers", 3)
    whole, int8 = report.rows
    assert {label: figure.cases for label, figure in int8.figures.classes.items()} == {
        "benign": 1, "malignant": 1, "normal": 1,
    }
    assert int8.size_bytes * 3 < whole.size_bytes
    assert 0 <= int8.figures.agreement <= 1
    assert "breast_ultrasound: int8: 3 of 3 cases" in said
    assert int8.edgetpu.total > 40


def test_a_segmentations_agreement_is_that_of_its_pixels(tmp_path: Path) -> None:
    source = open_source(PEANUT, field(tmp_path / "data"))
    assert (source.unit, source.main_figure) == ("pixels", "miou")
    whole = source.answers("float32", print)
    int8 = source.answers("int8", print)
    assert whole[0].decided.size == 320 * 320
    assert set(np.unique(whole[0].decided)) <= set(range(len(LABELS)))
    different = int(np.count_nonzero(whole[0].decided != int8[0].decided))
    assert 0 < different < 0.05 * whole[0].decided.size
    assert agreement(int8, whole) == 1 - different / whole[0].decided.size


def test_agreement_counts_answers_and_not_cases() -> None:
    clips = [Answered(None, np.array([0, 0, 1])), Answered(None, np.array([1]))]
    others = [Answered(None, np.array([0, 0, 0])), Answered(None, np.array([0]))]
    assert agreement(others, clips) == 0.5


def test_a_compiled_variant_is_left_out_with_the_reason(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BREAST, tmp_path / "breast_ultrasound"))
    data = breast_data(tmp_path / "data")
    manifest = (folder / "model.toml").read_text()
    int8 = manifest[manifest.index("[variants.int8]") : manifest.index("[known_answer]")]
    (folder / "model.toml").write_text(manifest.replace("[known_answer]", int8.replace(
        "variants.int8", "variants.int8_edgetpu") + "[known_answer]"))
    load_package(folder)
    source = open_source(folder, data)
    assert list(source.files) == ["float32", "int8"]
    assert "Edge TPU" in source.skipped["int8_edgetpu"]


def test_a_changed_package_and_a_missing_data_set_are_told(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BREAST, tmp_path / "breast_ultrasound"))
    with pytest.raises(FileNotFoundError):
        open_source(folder, tmp_path)
    (folder / "int8.tflite").write_bytes(b"TFL3")
    with pytest.raises(PackageError, match=r"int8.tflite was changed"):
        open_source(folder, tmp_path)
