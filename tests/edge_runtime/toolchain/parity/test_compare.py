"""The whole comparison, on the shipped breast model."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from domains import registry
from edge_runtime.errors import DeviceFault
from edge_runtime.folders import find_packages
from edge_runtime.toolchain.parity.compare import Wish, compare
from edge_runtime.toolchain.parity.report import Parity
from edge_runtime.toolchain.parity.sides import parse_side
from tests.edge_runtime.toolchain.parity.damage import damaged, scrambled, untold
from tests.edge_runtime.toolchain.parity.pictures import folder_of_scans, scans

MODELS = registry.models_folder("pathology")
PACKAGES = list(find_packages([MODELS]))
BREAST = MODELS / "breast_ultrasound"


def parity(a: object, b: object, data: Path, **wished: object) -> Parity:
    wish = Wish(data, **wished)  # type: ignore[arg-type]  # its fields by name
    return compare(parse_side(str(a), PACKAGES), parse_side(str(b), PACKAGES), wish, lambda _: None)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_scans(tmp_path_factory.mktemp("pictures"), 4)


def test_packages_answer_in_their_domains_own_words(pictures: Path) -> None:
    found = parity("breast_ultrasound:float32", "breast_ultrasound:int8", pictures)
    assert found.decisions is not None
    assert (found.decisions.inputs, found.decisions.agreement.value) == (4, 1)
    assert "set {" in found.decisions.apart[0].a.words
    assert [output.name for output in found.outputs] == ["activation", "familiarity", "logits"]
    assert found.outputs[2].values == 4 * 3
    assert found.tensors is not None
    assert (found.tensors.inputs, found.tensors.reference, found.tensors.parting) == (4, "a", None)


def test_the_real_numbers_are_the_reference_whichever_comes_first(pictures: Path) -> None:
    found = parity("breast_ultrasound:int8", "breast_ultrasound:float32", pictures)
    assert found.tensors is not None
    assert found.tensors.reference == "b"
    assert found.tensors.ops[0].largest_steps is not None


def test_a_file_is_answered_as_a_variant_of_the_package_that_it_is_compared_with(tmp_path: Path, pictures: Path) -> None:
    spoilt = damaged(BREAST / "int8.tflite", tmp_path / "spoilt.tflite", 20, scrambled(1.0))
    found = parity("breast_ultrasound:float32", spoilt, pictures)
    assert "spoilt.tflite is answered as a variant of breast_ultrasound" in found.notes
    assert found.decisions is not None
    assert "refused as foreign" in {row.b.label for row in found.decisions.apart}, "it knows its own world no more"
    assert found.tensors is not None
    assert found.tensors.parting is not None
    assert found.tensors.ops[found.tensors.parting.place].b == 20


def test_files_alone_are_compared_by_their_outputs_against_the_truth(tmp_path: Path) -> None:
    a, b = (shutil.copy(BREAST / f"{name}.tflite", tmp_path) for name in ("float32", "int8"))
    images = scans(5)
    np.savez(tmp_path / "d.npz", train_images=images[:1], train_labels=np.zeros(1, int), test_images=images, test_labels=np.arange(5) % 3,
             label_names=np.array(["benign", "malignant", "normal"]))
    found = parity(a, b, tmp_path / "d.npz")
    assert found.decisions is not None
    assert found.decisions.truth is not None
    assert found.decisions.truth.known == 5
    assert set(found.decisions.labels) <= {"benign", "malignant", "normal"}


def test_what_becomes_of_pixels_is_read_off_an_integer_input_and_told(tmp_path: Path, pictures: Path) -> None:
    a, b = (damaged(BREAST / f"{name}.tflite", tmp_path / f"{name}.tflite", 0, untold) for name in ("float32", "int8"))
    found = parity(a, b, pictures)
    assert "(pixel - 127) / 128 was read off the scale" in found.notes[0]
    assert found.decisions is not None
    assert (found.decisions.agreement.value, found.decisions.labels) == (1, [found.decisions.apart[0].a.label])
    with pytest.raises(ValueError, match="give --mean and --std"):
        parity(a, damaged(a, tmp_path / "other.tflite", 20, scrambled(1.0)), pictures)


def test_a_given_normalisation_counts(tmp_path: Path, pictures: Path) -> None:
    a, b = (damaged(BREAST / f"{name}.tflite", tmp_path / f"{name}.tflite", 0, untold) for name in ("float32", "int8"))
    right = parity(a, b, pictures, normalisation=(127.0, 128.0))
    wrong = parity(a, b, pictures, normalisation=(0.0, 1.0))
    assert right.decisions is not None
    assert wrong.decisions is not None
    assert not any("scale" in note for note in right.notes)
    assert max(row.distance for row in wrong.decisions.apart) > 3 * max(row.distance for row in right.decisions.apart)


def test_the_same_file_is_no_difference_and_takes_no_run(tmp_path: Path) -> None:
    copy = shutil.copy(BREAST / "int8.tflite", tmp_path)
    found = parity("breast_ultrasound:int8", copy, tmp_path / "nowhere")
    assert found.identical
    assert (found.decisions, found.outputs, found.tensors) == (None, [], None)


def test_a_device_is_compared_bit_by_bit_at_its_ends(pictures: Path) -> None:
    found = parity("breast_ultrasound:int8", "breast_ultrasound:int8@simulated:usb3", pictures)
    assert [(output.same_steps, output.differing) for output in found.outputs] == [(True, 0)] * 3
    assert found.tensors is None
    assert "only what comes out was compared" in found.notes[-1]


def test_a_wrong_bit_on_a_device_is_counted(tmp_path: Path, pictures: Path) -> None:
    spoilt = damaged(BREAST / "int8.tflite", tmp_path / "spoilt.tflite", 46, scrambled(0.02))
    found = parity("breast_ultrasound:int8", f"{spoilt}@simulated:usb3", pictures, limit=1)
    activation = found.outputs[0]
    assert activation.same_steps
    assert 0 < activation.differing <= activation.values == 14 * 14 * 3
    assert activation.largest >= 1
    assert activation.largest == int(activation.largest), "in whole steps"


def test_two_networks_are_told_from_two_variants(pictures: Path) -> None:
    with pytest.raises(ValueError, match="breast_ultrasound and lung_ultrasound give 1x14x14x3, 1x48, 1x3 and 1x14x14x2, 1x48, 1x2"):
        parity("breast_ultrasound", "lung_ultrasound", pictures)


def test_a_missing_edge_tpu_is_explained_by_its_backend(pictures: Path) -> None:
    with pytest.raises(DeviceFault, match="libedgetpu"):
        parity("breast_ultrasound:int8", f"{BREAST}/int8.tflite@edgetpu", pictures)


def test_the_input_that_parts_most_is_among_those_whose_tensors_are_compared(tmp_path: Path) -> None:
    pictures = folder_of_scans(tmp_path, 12)
    found = parity("breast_ultrasound:float32", "breast_ultrasound:int8", pictures)
    assert found.decisions is not None
    assert found.tensors is not None
    assert (found.decisions.inputs, found.tensors.inputs) == (12, 8)
