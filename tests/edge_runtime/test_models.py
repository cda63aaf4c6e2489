"""A package is taken whole and unchanged, or refused by name."""

import shutil
from pathlib import Path

import pytest

from domains import registry
from edge_runtime.backends import VARIANTS, load_backend
from edge_runtime.catalogue import Catalogue
from edge_runtime.errors import PackageError
from edge_runtime.models import load_package

SHIPPED = [folder for name in registry.names() for folder in sorted(registry.models_folder(name).iterdir()) if folder.is_dir()]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED[0], tmp_path / SHIPPED[0].name))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_package_verifies_and_has_an_int8_and_a_float_variant(folder: Path) -> None:
    loaded = load_package(folder)
    assert set(loaded.manifest.variants) == {"int8", "float32"}
    assert "MODEL_CARD.md" in loaded.manifest.files
    int8 = loaded.manifest.variants["int8"]
    assert int8.input.dtype in {"int8", "uint8"}
    assert all(output.dtype in {"int8", "uint8"} for output in int8.outputs.values())
    assert loaded.manifest.metrics


@pytest.mark.parametrize("file", ["int8.tflite", "float32.tflite", "MODEL_CARD.md"])
def test_one_changed_byte_is_refused_by_name(package: Path, file: str) -> None:
    content = bytearray((package / file).read_bytes())
    content[-1] ^= 1
    (package / file).write_bytes(content)
    with pytest.raises(PackageError, match=f"{package.name}: {file} was changed"):
        load_package(package)


def test_a_missing_file_is_refused_by_name(package: Path) -> None:
    (package / "int8.tflite").unlink()
    with pytest.raises(PackageError, match=r"int8\.tflite is missing"):
        load_package(package)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format = 1", "format = 2", "format 2"),
        ('domain = "', 'domian = "', "domian|domain"),
        ("height = ", 'height = "tall" # ', "height"),
        ('task = "', 'task = "telepathy" # "', "task"),
        ('file = "int8.tflite"', 'file = "../../etc/passwd"', "plain file name"),
        ("format = 1", "format = ", "no valid TOML"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_the_key_named(package: Path, old: str, new: str, said: str) -> None:
    manifest = package / "model.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    with pytest.raises(PackageError, match=said):
        load_package(package)


def test_a_package_under_another_folder_name_is_refused(package: Path) -> None:
    moved = package.rename(package.with_name("renamed"))
    with pytest.raises(PackageError, match="its manifest is that of"):
        load_package(moved)


def test_one_bad_package_stops_no_other(package: Path) -> None:
    (package / "int8.tflite").write_bytes(b"")
    catalogue = Catalogue([package, *SHIPPED[1:]], VARIANTS["litert"])
    assert set(catalogue.packages) == {folder.name for folder in SHIPPED[1:]}
    assert [model.name for model in catalogue.models() if model.state == "refused"] == [package.name]


def test_the_same_model_twice_is_taken_once(package: Path) -> None:
    catalogue = Catalogue([SHIPPED[0], package], VARIANTS["litert"])
    assert list(catalogue.packages) == [SHIPPED[0].name]
    assert "another package of that name" in catalogue.refused[package.name]


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "int8.tflite"
    broken.parent.mkdir()
    broken.write_bytes(b"TFL3" * 100)
    with pytest.raises(PackageError, match=r"broken: int8\.tflite can't be loaded"):
        load_backend("litert").open(broken)


def test_an_unknown_backend_is_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match="litert"):
        load_backend("abacus")
