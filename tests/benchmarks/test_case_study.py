"""The case study, as far as it goes without TensorFlow: its data, the two mistakes of the published script, its page."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.case_study_bugs import costs, resized
from benchmarks.case_study_data import FILE, write_digits
from benchmarks.case_study_ship import without_float
from domains import registry
from edge_runtime.models import load_package
from edge_runtime.toolchain.dataset import load_dataset
from tests.domains.house_numbers import drawn

PACKAGE = registry.models_folder("house_numbers") / "svhn_digits"
INT8 = PACKAGE / "int8.tflite"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn.data_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def digits(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    write_digits(data, out)
    return out / FILE


def test_the_toolchain_reads_the_digits_and_no_photo_is_on_both_sides(digits: Path) -> None:
    found = load_dataset(digits)
    assert found.labels == tuple("0123456789")
    assert found.picture_shape == (32, 32, 1)
    assert not set(found.train.groups) & set(found.test.groups)
    assert len(found.test.truth) == 2 * len(set(found.test.groups))


def test_the_same_data_give_the_same_digits(data: Path, digits: Path, tmp_path: Path) -> None:
    write_digits(data, tmp_path)
    assert (tmp_path / FILE).read_bytes() == digits.read_bytes()


def test_ready_made_crops_in_another_order_are_noticed(tmp_path: Path) -> None:
    data = drawn.data_folder(tmp_path)
    path = data / "svhn_subset" / "digits_32x32.npz"
    with np.load(path) as ready:
        images, labels = ready["images"], ready["labels"]
    np.savez(path, images=images, labels=labels[::-1])
    with pytest.raises(ValueError, match="their digits are others"):
        write_digits(data, tmp_path)
    np.savez(path, images=images[np.roll(np.arange(len(images)), 10)], labels=labels)
    with pytest.raises(ValueError, match=r"row \d+, is no crop"):
        write_digits(data, tmp_path)


def test_dequantising_with_the_inputs_scale_gives_numbers_that_are_no_probabilities(digits: Path) -> None:
    found = costs(INT8, digits)
    assert found["right"]["sum"] == pytest.approx(1, abs=0.02)
    assert found["right"]["least"] == 0.0
    assert found["input_scale"]["sum"] < 0
    assert found["input_scale"]["least"] < 0
    assert found["input_scale"]["accuracy"] == found["right"]["accuracy"], "the order of ten numbers is the same: so it goes unnoticed"
    assert found["input_scale"]["sure"] != found["right"]["sure"]


def test_resizing_an_outputs_index_makes_no_batch() -> None:
    assert resized(INT8, 5) == "no error: asked for 5 rows, the output has 1"


def test_what_ships_is_the_int8_file_alone_under_a_version_of_its_own(tmp_path: Path) -> None:
    whole = registry.models_folder("pathology") / "lung_ultrasound"
    placed = without_float(whole, tmp_path, "9.0.0")
    package = load_package(placed)
    assert (package.manifest.name, package.manifest.version) == ("lung_ultrasound", "9.0.0")
    assert sorted(path.name for path in placed.iterdir()) == ["MODEL_CARD.md", "calibration.png", "int8.tflite", "known_answer.npz", "model.toml"]
    assert (placed / "int8.tflite").read_bytes() == (whole / "int8.tflite").read_bytes()
    assert package.manifest.domain_options == load_package(whole).manifest.domain_options
    card = (placed / "MODEL_CARD.md").read_text()
    assert "`lung_ultrasound` 9.0.0," in card
    assert "| float32.tflite |" not in card
    assert "It isn't in this package" in card
