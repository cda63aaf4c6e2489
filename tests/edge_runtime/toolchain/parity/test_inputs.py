"""What both sides are shown."""

import csv
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from domains import registry
from domains.core import InputSpec
from edge_runtime.models import ModelPackage, load_package
from edge_runtime.toolchain.parity.inputs import Picture, find_inputs, resized, spaced
from tests.edge_runtime.toolchain.parity.pictures import SAMPLE, folder_of_scans, scans

SPEC = InputSpec(224, 224, 127.0, 128.0)


@pytest.fixture(scope="module")
def breast() -> ModelPackage:
    return load_package(registry.models_folder("pathology") / "breast_ultrasound")


def data_set(path: Path, images: object) -> Path:
    test = np.asarray(images)
    truth = np.arange(len(test)) % 2
    groups = np.array([f"g{number // 2}" for number in range(len(test))])
    np.savez(path, train_images=test[:2], train_labels=truth[:2], test_images=test, test_labels=truth, train_groups=np.array(["t0", "t1"]),
             test_groups=groups, label_names=np.array(["a", "b"]))
    return path


def test_a_limit_takes_inputs_from_all_over() -> None:
    assert spaced(10, 0) == spaced(10, 10) == list(range(10))
    assert spaced(10, 4) == [0, 3, 6, 9]
    assert len(spaced(1000, 200)) == 200
    assert spaced(5, 1) == [0]


def test_the_test_part_of_a_data_set_comes_with_truth_and_groups(tmp_path: Path) -> None:
    images = scans(6)
    found = find_inputs(data_set(tmp_path / "d.npz", images), SPEC, None, 3)
    samples = list(found.samples())
    assert (found.found, found.chosen, found.labels) == (6, 3, ("a", "b"))
    assert [(sample.name, sample.group, sample.truth) for sample in samples] == [("test 0", "g0", 0), ("test 2", "g1", 0), ("test 5", "g2", 1)]
    np.testing.assert_array_equal(samples[1].content, images[2:3])


def test_a_data_set_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("test_images are (224, 224, 3), the models take (32, 32, 1)")):
        find_inputs(data_set(tmp_path / "d.npz", scans(4)), InputSpec(32, 32, 0.0, 1.0, 1), None, 0)


def test_pictures_are_resized_plainly(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "scan.jpg")
    grey = InputSpec(50, 70, 0.0, 1.0, 1)
    (sample,) = find_inputs(tmp_path, grey, None, 0).samples()
    expected = cv2.resize(cv2.cvtColor(np.asarray(cv2.imread(str(SAMPLE))), cv2.COLOR_BGR2GRAY), (70, 50), interpolation=cv2.INTER_AREA)
    assert isinstance(sample.content, np.ndarray)
    assert sample.content.shape == (1, 50, 70, 1)
    assert np.abs(sample.content[0, :, :, 0].astype(int) - expected).max() <= 2
    larger = resized(scans(1)[0], InputSpec(300, 400, 0.0, 1.0))
    assert larger.shape == (1, 300, 400, 3)


def test_a_package_takes_pictures_with_the_request_that_asks_for_it(tmp_path: Path, breast: ModelPackage) -> None:
    found = find_inputs(folder_of_scans(tmp_path / "more", 2).parent, SPEC, breast, 0)
    samples = list(found.samples())
    assert [sample.name for sample in samples] == ["more/scan_0.png", "more/scan_1.png"]
    assert isinstance(samples[0].content, Picture)
    assert samples[0].content.parameters == {"exam": "breast_ultrasound"}


def test_a_package_takes_the_held_out_cases_of_its_domains_data(tmp_path: Path, breast: ModelPackage) -> None:
    folder = folder_of_scans(tmp_path / "breast_busi", 4)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "label", "split"])
        rows.writerows([f"scan_{number}.png", "benign", "train" if number == 0 else "val"] for number in range(4))
    found = find_inputs(tmp_path, SPEC, breast, 0)
    assert (found.what, found.found) == ("held-out cases", 3)
    assert [sample.name for sample in found.samples()] == ["scan_1.png", "scan_2.png", "scan_3.png"]


def test_what_holds_no_pictures_is_refused(tmp_path: Path, breast: ModelPackage) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match="holds no pictures, and isn't the data folder of breast_ultrasound"):
        find_inputs(tmp_path, SPEC, breast, 0)
    with pytest.raises(ValueError, match=r"neither an \.npz data set nor a folder"):
        find_inputs(tmp_path / "notes.txt", SPEC, None, 0)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(ValueError, match=r"^broken\.png: "):
        list(find_inputs(tmp_path, SPEC, None, 0).samples())
