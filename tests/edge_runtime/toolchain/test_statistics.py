"""Training statistics measured by the command's own code, on a data set of a few pictures."""

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from domains import registry
from domains.core.training import part_of
from edge_runtime.folders import MANIFEST
from edge_runtime.models import load_package
from edge_runtime.toolchain.manifest import CARD, STATISTICS_LINE, add_statistics
from edge_runtime.toolchain.statistics import statistics

SAMPLE = Path(__file__).parents[3] / "samples" / "breast_scan.jpg"
BREAST = registry.models_folder("pathology") / "breast_ultrasound"


def data_set(folder: Path, brightness: dict[str, float], splits: dict[str, str]) -> Path:
    """A data folder with a breast set: the sample, made so bright, under each name."""
    breast = folder / "breast_busi"
    breast.mkdir(parents=True)
    scan = cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE)
    assert scan is not None
    with (breast / "manifest.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "label", "split"])
        for name, share in brightness.items():
            cv2.imwrite(str(breast / name), np.round(scan * share).astype(np.uint8))
            rows.writerow([name, "benign", splits[name]])
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the breast package."""
    return Path(shutil.copytree(BREAST, tmp_path / "models" / "breast_ultrasound"))


def test_inputs_are_those_of_the_training_split_and_outputs_those_of_unseen_pictures(tmp_path: Path, package: Path) -> None:
    names = [f"{number}.png" for number in range(12)]
    splits = dict.fromkeys(names, "train") | {"11.png": "val"}
    calibration = sum(part_of("train", name) == "calibration" for name in names[:11])
    data = data_set(tmp_path / "data", {name: 0.3 + 0.05 * number for number, name in enumerate(names)}, splits)
    said: list[str] = []
    (found,) = statistics("pathology", data, packages=[package], say=said.append).values()
    assert found.variant == "int8"
    assert {histogram.cases for histogram in found.inputs.values()} == {11}
    assert {histogram.cases for histogram in found.outputs.values()} == {calibration + 1}
    assert {chosen.cases for chosen in found.choices.values()} == {calibration + 1}
    first, last = found.inputs["brightness"].edges[0], found.inputs["brightness"].edges[-1]
    assert first / last == pytest.approx(0.5 / 0.7, abs=0.15)
    assert said == ["breast_ultrasound: 12 of 12 cases"]


def test_statistics_go_into_the_package_and_take_the_place_of_older_ones(tmp_path: Path, package: Path) -> None:
    before = load_package(package).manifest
    data = data_set(tmp_path / "data", {"a.png": 1.0, "b.png": 0.5}, {"a.png": "train", "b.png": "val"})
    ((folder, found),) = statistics("pathology", data, packages=[package], say=lambda _: None).items()
    for _ in range(2):
        add_statistics(folder, found)
    after = load_package(package).manifest
    assert after.statistics == found
    assert after.statistics != before.statistics
    assert (after.version, after.metrics, after.domain_options) == (before.version, before.metrics, before.domain_options)
    assert (package / CARD).read_text().count(STATISTICS_LINE) == 1


def test_a_package_that_had_none_gets_them_and_a_line_in_its_card(package: Path) -> None:
    kept = load_package(package).manifest.statistics
    assert kept is not None
    text = (package / MANIFEST).read_text()
    (package / MANIFEST).write_text(text[: text.index("[statistics]")])
    (package / CARD).write_text("# A card\n")
    add_statistics(package, kept)
    assert load_package(package).manifest.statistics == kept
    assert (package / CARD).read_text() == f"# A card\n\n{STATISTICS_LINE}\n"


def test_a_folder_without_the_data_set_is_told_apart(tmp_path: Path, package: Path) -> None:
    with pytest.raises(FileNotFoundError):
        statistics("pathology", tmp_path, packages=[package], say=lambda _: None)
