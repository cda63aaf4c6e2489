"""What A and B may be, and how their pixels become numbers."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from domains import registry
from domains.core import InputSpec
from edge_runtime.backends import load_backend
from edge_runtime.errors import PackageError
from edge_runtime.folders import find_packages
from edge_runtime.models import InputInfo, sha256_of
from edge_runtime.toolchain.metadata import read_metadata
from edge_runtime.toolchain.parity.sides import Opened, Side, as_variant, labels_of, parse_side, spec_by_scale, spec_of
from edge_runtime.toolchain.variants import VariantFile, VariantSet, write_variants
from tests.edge_runtime.toolchain.parity.damage import damaged, untold
from tests.edge_runtime.toolchain.parity.pictures import scans

MODELS = registry.models_folder("pathology")
PACKAGES = list(find_packages([MODELS, registry.models_folder("crop_weed")]))
BREAST = MODELS / "breast_ultrasound"
SPEC = InputSpec(224, 224, 127.0, 128.0)


def side(text: str) -> Side:
    return parse_side(text, PACKAGES)


@pytest.mark.parametrize(("text", "file", "backend"), [
    ("breast_ultrasound:float32", "float32.tflite", "litert"),
    ("breast_ultrasound", "int8.tflite", "litert"),
    ("breast_ultrasound@cpu:float32", "float32.tflite", "litert"),
    ("breast_ultrasound:int8@simulated:usb3:1", "int8.tflite", "simulated"),
    ("breast_ultrasound@simulated:pcie", "int8.tflite", "simulated"),
    (f"{BREAST}:float32", "float32.tflite", "litert"),
    (f"{BREAST}/int8.tflite", "int8.tflite", "litert"),
    (f"{BREAST}/int8.tflite@edgetpu:usb:0", "int8.tflite", "edgetpu"),
])
def test_files_packages_and_devices_are_understood(text: str, file: str, backend: str) -> None:
    found = side(text)
    assert (found.path.name, found.device.backend) == (file, backend)
    assert found.package is not None
    assert found.package.spec.name == "breast_ultrasound"
    assert found.quantised == (file == "int8.tflite")


@pytest.mark.parametrize(("text", "told"), [
    ("breast_ultrasound:int4", "no variant int4; it has float32, int8"),
    ("breast_ultrasound@edgetpu", "no variant int8_edgetpu; it has float32, int8"),
    ("chest:int8", "installed packages: breast_ultrasound, "),
    ("breast_ultrasound:int8@gpu", "there is no device 'gpu'"),
    ("nowhere.tflite", "nowhere.tflite is no TFLite file: there is no such file"),
    ("@cpu", "neither a .tflite file nor PACKAGE:VARIANT"),
])
def test_what_is_neither_is_refused_with_the_choices(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        side(text)


def test_a_changed_file_of_a_package_is_refused(tmp_path: Path) -> None:
    package = Path(shutil.copytree(BREAST, tmp_path / "breast_ultrasound"))
    with (package / "int8.tflite").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(PackageError, match=r"int8\.tflite was changed"):
        side(f"{package}:int8")


def test_pixels_are_understood_by_the_package_by_metadata_or_by_an_integer_input(tmp_path: Path) -> None:
    told = side(str(shutil.copy(BREAST / "float32.tflite", tmp_path / "told.tflite")))
    for known in (side("breast_ultrasound:float32"), told):
        assert spec_of(known) == SPEC
        assert labels_of(known) == ("benign", "malignant", "normal")
    bare = {name: side(str(damaged(BREAST / f"{name}.tflite", tmp_path / f"{name}.tflite", 0, untold))) for name in ("int8", "float32")}
    assert {spec_of(one) for one in bare.values()} == {None}
    assert labels_of(bare["float32"]) == ()
    guessed = spec_by_scale(bare["int8"])
    assert guessed is not None
    assert [guessed.mean, guessed.std] == pytest.approx([127, 128], abs=0.01)
    assert spec_by_scale(bare["float32"]) is None


def test_variants_of_optimize_are_understood_by_the_file_that_lies_with_them(tmp_path: Path) -> None:
    made = damaged(BREAST / "float32.tflite", tmp_path / "float32.tflite", 0, untold)
    stranger = damaged(BREAST / "int8.tflite", tmp_path / "mine.tflite", 0, untold)
    entry = VariantFile("float32.tflite", sha256_of(made), made.stat().st_size, "As it is.", 1.0, 1, 0)
    write_variants(tmp_path, VariantSet(
        name="digits", labels=["a", "b", "c"], input=InputInfo(224, 224, 3.0, 5.0), model_sha256="", dataset_sha256="", parameters=1, seed=7,
        versions={}, variants={"float32": entry}, skipped={},
    ))
    assert spec_of(side(str(made))) == InputSpec(224, 224, 3.0, 5.0)
    assert labels_of(side(str(made))) == ("a", "b", "c")
    assert spec_of(side(str(stranger))) is None
    damaged(BREAST / "int8.tflite", made, 0, untold)
    with pytest.raises(ValueError, match="was changed since it was made"):
        spec_of(side(str(made)))


def test_damaged_metadata_count_as_none(tmp_path: Path) -> None:
    package = side("breast_ultrasound:float32")
    whole = package.path.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole[: whole.rindex(b"PK\x01\x02")])
    with pytest.raises(ValueError, match="Metadata"):
        read_metadata(cut)
    assert labels_of(side(str(cut))) == ()


def test_real_values_and_their_pixels_give_the_same_answer() -> None:
    opened = Opened(side("breast_ultrasound:int8"), load_backend("litert"), SPEC)
    pixels = scans(1)
    real = (pixels.astype(np.float32) - 127) / 128
    for one, two in zip(opened.run(pixels), opened.run(real), strict=True):
        np.testing.assert_array_equal(one, two)
    assert set(opened.reals(opened.run(pixels))) == {"activation", "familiarity", "logits"}


def test_pixels_for_a_float_file_that_says_nothing_are_refused() -> None:
    opened = Opened(side(f"{BREAST}/float32.tflite"), load_backend("litert"), None)
    with pytest.raises(ValueError, match="give --mean and --std"):
        opened.run(scans(1))


def test_a_file_is_taken_for_a_variant_of_a_package_only_where_it_fits(tmp_path: Path) -> None:
    package = side("breast_ultrasound").package
    assert package is not None
    same = side(str(shutil.copy(BREAST / "int8.tflite", tmp_path / "mine.tflite")))
    made = as_variant(same, package)
    assert made is not None
    assert made.path_of("file") == tmp_path / "mine.tflite"
    assert as_variant(side(str(shutil.copy(MODELS / "lung_ultrasound" / "int8.tflite", tmp_path))), package) is None
