"""A package is taken whole and unchanged, or refused by name."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from domains import registry
from edge_runtime.backends import VARIANTS, load_backend
from edge_runtime.catalogue import Catalogue
from edge_runtime.errors import PackageError
from edge_runtime.models import TensorInfo, load_package
from tests.edge_runtime.tiny_package import tiny_package
from tests.model_packages import edit

SHIPPED = [folder for name in registry.names() for folder in sorted(registry.models_folder(name).iterdir()) if folder.is_dir()]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED[0], tmp_path / SHIPPED[0].name))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_package_verifies_and_has_an_int8_variant(folder: Path) -> None:
    loaded = load_package(folder)
    assert {"int8"} <= set(loaded.manifest.variants) <= {"int8", "float32"}
    assert "MODEL_CARD.md" in loaded.manifest.files
    int8 = loaded.manifest.variants["int8"]
    assert int8.input.dtype in {"int8", "uint8"}
    assert all(output.dtype in {"int8", "uint8"} for output in int8.outputs.values())
    assert loaded.manifest.metrics


@pytest.mark.parametrize("file", ["int8.tflite", "float32.tflite", "known_answer.npz", "MODEL_CARD.md"])
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
        ("tolerance = 24", "tolerance = 256", r"tolerance|known_answer"),
        ('file = "known_answer.npz"', 'file = "/etc/passwd"', "plain file name"),
        ("shape = [1, 320, 320, 3]", "shape = [1, 319, 320, 3]", r"variants\.float32\.input: shape"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_the_key_named(package: Path, old: str, new: str, said: str) -> None:
    manifest = package / "model.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    with pytest.raises(PackageError, match=said):
        load_package(package)


def test_a_package_without_a_known_answer_is_refused(package: Path) -> None:
    manifest = package / "model.toml"
    before, _, after = manifest.read_text().partition("[known_answer]")
    manifest.write_text(before + after[after.index("[files]") :])
    with pytest.raises(PackageError, match=r"missing required field `known_answer`"):
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


def test_a_package_without_a_variant_for_this_device_is_trusted_but_not_served_here() -> None:
    catalogue = Catalogue(SHIPPED[:1], VARIANTS["edgetpu"])
    assert list(catalogue.trusted) == list(catalogue.skipped) == [SHIPPED[0].name]
    assert not catalogue.packages
    assert not catalogue.refused
    assert catalogue.models() == []
    assert f"{SHIPPED[0].name}: it has " in catalogue.skipped[SHIPPED[0].name]
    assert "this device runs int8_edgetpu" in catalogue.skipped[SHIPPED[0].name]
    assert all(not domain.models for domain in catalogue.domains())


def test_a_package_that_turned_out_to_be_untrustworthy_is_shown_as_refused() -> None:
    catalogue = Catalogue(SHIPPED, VARIANTS["litert"])
    catalogue.refuse(SHIPPED[0].name, "it computes something else")
    assert SHIPPED[0].name not in {**catalogue.packages, **catalogue.trusted}
    assert {model.name: model.reason for model in catalogue.models() if model.state == "refused"} == {
        SHIPPED[0].name: "it computes something else",
    }


def test_what_was_loaded_before_is_loaded_again_only_where_its_manifest_changed(package: Path) -> None:
    folders = [package, *SHIPPED[1:]]
    first = Catalogue(folders, VARIANTS["litert"])
    known = {loaded.folder: loaded for loaded in first.packages.values()}
    again = Catalogue(folders, VARIANTS["litert"], known=known)
    assert all(again.packages[name] is loaded for name, loaded in first.packages.items())

    manifest = package / "model.toml"
    edit(package, r'^version = ".*"$', 'version = "1.0.1"')
    changed = Catalogue(folders, VARIANTS["litert"], known=known)
    assert changed.packages[package.name].spec.version == "1.0.1"
    assert all(changed.packages[folder.name] is first.packages[folder.name] for folder in SHIPPED[1:])

    manifest.unlink()
    assert package.name in Catalogue(folders, VARIANTS["litert"], known=known).refused


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_model_tells_how_callers_ask_for_it(folder: Path) -> None:
    model = Catalogue([folder], VARIANTS["litert"]).models()[0]
    fields = {"crop_peanut": {"crop": "peanut", "camera": "rgb"}, "crop_cwfid": {"crop": "carrot", "camera": "red_nir"}}
    parameter = {"pathology": "exam", "house_numbers": "model"}.get(model.domain, "")
    assert model.selector == fields.get(model.name, {parameter: model.name})


LOGITS = TensorInfo("int8", (1, 2), 0.5, 3)
ANSWER = {"int8.logits": np.zeros((1, 2), np.int8)}


def test_a_compiled_variant_needs_no_answer_of_its_own(tmp_path: Path) -> None:
    package = tiny_package(tmp_path, {"int8": {"logits": LOGITS}, "int8_edgetpu": {"logits": LOGITS}}, ANSWER)
    assert package.known_answer.of("int8_edgetpu", "logits") is package.known_answer.of("int8", "logits")


@pytest.mark.parametrize(("variants", "said"), [
    ({"int8_edgetpu": {"logits": LOGITS}}, r"variants\.int8_edgetpu: needs the variant int8"),
    ({"int8": {"logits": LOGITS}, "int8_edgetpu": {"logits": TensorInfo("int8", (1, 2), 0.25, 3)}},
     r"variants\.int8_edgetpu\.outputs: must be those of int8"),
    ({"int8": {"logits": LOGITS}, "int8_edgetpu": {"other": LOGITS}}, r"variants\.int8_edgetpu\.outputs"),
])
def test_a_compiled_variant_that_is_not_its_twins_is_refused(
    tmp_path: Path, variants: dict[str, dict[str, TensorInfo]], said: str
) -> None:
    with pytest.raises(PackageError, match=said):
        tiny_package(tmp_path, variants, ANSWER)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "int8.tflite"
    broken.parent.mkdir()
    broken.write_bytes(b"TFL3" * 100)
    with pytest.raises(PackageError, match=r"broken: int8\.tflite can't be loaded"):
        load_backend("litert").open(broken)


def test_an_unknown_backend_is_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match="litert"):
        load_backend("abacus")
