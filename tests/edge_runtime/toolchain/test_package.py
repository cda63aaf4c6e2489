"""From two TFLite files to a package: what is in it, what stops it, and how a stopped run goes on."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_runtime import known_answer
from edge_runtime.backends import load_backend
from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST, SIGNATURE, find_packages
from edge_runtime.models import load_package, sha256_of
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain import package as module
from edge_runtime.toolchain.manifest import write_manifest
from edge_runtime.toolchain.metadata import read_metadata
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.refresh import refresh
from edge_runtime.toolchain.release_gate import GateRefused
from tests.edge_runtime.toolchain.packaging import BREAST, VARIANTS, breast_data, variants_folder, with_negated_evidence
from tests.model_packages import edit

RECIPE = recipes_of("pathology", "breast_ultrasound")[0]


make_package = partial(module.make_package, most_of_a_kind=1)
package_variants = partial(module.package_variants, most_of_a_kind=1)


class Stopped(Exception):
    """What a test ends a run with."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine scans."""
    return breast_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the breast package."""
    return Path(shutil.copytree(BREAST, tmp_path / "models" / "breast_ultrasound"))


def until(step: str, said: list[str]) -> Callable[[str], None]:
    """Takes lines of progress, and stops the run where it says that it begins this step."""
    def say(line: str) -> None:
        said.append(line)
        if line == f"breast_ultrasound: {step}":
            raise Stopped

    return say


def test_a_package_holds_both_files_with_metadata_known_answers_calibration_figures_and_statistics(tmp_path: Path, data: Path) -> None:
    said: list[str] = []
    folder = variants_folder(tmp_path / "variants")
    placed = package_variants(folder, "pathology", "breast_ultrasound", data, out=tmp_path / "out", work=tmp_path / "work", say=said.append)
    package = load_package(placed)
    assert placed == tmp_path / "out" / "breast_ultrasound"
    assert list(find_packages([tmp_path / "out"])) == [placed]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["breast_ultrasound"]
    for variant in ("float32", "int8"):
        metadata = read_metadata(package.path_of(variant))
        assert metadata is not None
        assert metadata.version == package.manifest.version == RECIPE.identity.version
        known_answer.check(package, LoadedModel(package, load_backend("litert"), variant=variant))
        assert RECIPE.main_figure in package.manifest.metrics[variant]  # type: ignore[operator]
    assert package.spec.options["exam"] == "breast_ultrasound"
    assert float(str(package.spec.options["temperature"])) > 0
    assert package.manifest.statistics is not None
    card = (placed / "MODEL_CARD.md").read_text()
    assert "float32: Made as float32; int8: Made as int8. Seed 7; tensorflow 2.21.0." in card
    assert "## What int8 costs" in card
    assert "| class malignant |" in card
    assert said[-1].startswith(f"breast_ultrasound: written to {placed}")
    assert [line for line in said if "of 3 cases" in line] == [f"breast_ultrasound: {name}: 3 of 3 cases" for name in ("int8", "float32")]


def test_a_stopped_run_goes_on_and_a_whole_one_is_not_measured_again(tmp_path: Path, data: Path) -> None:
    def run(say: Callable[[str], None]) -> Path:
        return make_package(RECIPE, data, VARIANTS, out=tmp_path / "out", training="Trained.", work=tmp_path / "work", say=say)

    first: list[str] = []
    with pytest.raises(Stopped):
        run(until("figures-float32", first))
    assert not (tmp_path / "out").exists()
    second: list[str] = []
    manifest = load_package(run(second.append)).manifest
    begun = [line for line in second if line in {f"breast_ultrasound: {step}" for step in ("calibration", "figures-int8", "figures-float32")}]
    assert begun == ["breast_ultrasound: figures-float32"]
    assert sum("finished before" in line for line in second) == 2
    third: list[str] = []
    assert load_package(run(third.append)).manifest == manifest
    assert sum("finished before" in line for line in third) == 4


def test_other_data_and_other_files_are_measured_anew(tmp_path: Path) -> None:
    data = breast_data(tmp_path / "data")
    said: list[str] = []
    with pytest.raises(Stopped):
        make_package(RECIPE, data, VARIANTS, out=tmp_path, training="", work=tmp_path / "work", say=until("figures-int8", said))
    shutil.copyfile(data / "breast_busi" / "a.png", data / "breast_busi" / "b.png")
    with pytest.raises(Stopped):
        make_package(RECIPE, data, VARIANTS, out=tmp_path, training="", work=tmp_path / "work", say=until("figures-int8", said))
    files = {**VARIANTS, "int8": with_negated_evidence(VARIANTS["int8"], tmp_path / "other.tflite")}
    with pytest.raises(Stopped):
        make_package(RECIPE, data, files, out=tmp_path, training="", work=tmp_path / "work", say=until("figures-int8", said))
    assert said == ["breast_ultrasound: calibration", "breast_ultrasound: figures-int8"] * 3


def test_a_package_whose_int8_file_is_much_worse_is_not_made_whatever_the_card_says(tmp_path: Path, data: Path) -> None:
    files = {**VARIANTS, "int8": with_negated_evidence(VARIANTS["int8"], tmp_path / "bad.tflite")}
    out = tmp_path / "out"
    recipe: Any = RECIPE
    excused = replace(recipe, card=replace(recipe.card, int8_loss="The integers are unlucky."))
    with pytest.raises(GateRefused, match=r"class benign -100\.00 points \(1\.0000 to 0\.0000, 3 points allowed\)"):
        make_package(excused, data, files, out=out, training="", work=tmp_path / "work", say=lambda _: None)
    assert not out.exists()


def test_an_older_package_stays_until_the_new_one_is_whole(tmp_path: Path, data: Path, package: Path) -> None:
    before = (package / MANIFEST).read_bytes()
    with pytest.raises(Stopped):
        make_package(RECIPE, data, VARIANTS, out=package.parent, training="", work=tmp_path / "work", say=until("statistics", []))
    assert (package / MANIFEST).read_bytes() == before
    (package / "left_over.txt").write_text("of the older one")
    make_package(RECIPE, data, VARIANTS, out=package.parent, training="", work=tmp_path / "work", say=lambda _: None)
    assert (package / MANIFEST).read_bytes() != before
    assert not (package / "left_over.txt").exists()


@pytest.mark.parametrize(("files", "chosen", "told"), [
    ({"float32": VARIANTS["float32"]}, {}, "no variant 'int8': the converter failed; there are float32"),
    (VARIANTS, {"int8_variant": "qat_int8"}, "no variant 'qat_int8'; there are float32, int8"),
    (VARIANTS, {"int8_variant": "float32"}, "float32.tflite takes float32, so it can't be the package's int8 file"),
    (VARIANTS, {"float_variant": "int8"}, "int8.tflite takes int8, so it can't be the package's float32 file"),
])
def test_variants_that_can_not_be_packaged_are_refused_by_name(
    tmp_path: Path, data: Path, files: dict[str, Path], chosen: dict[str, Any], told: str
) -> None:
    skipped = {} if "int8" in files else {"int8": "the converter failed"}
    folder = variants_folder(tmp_path / "variants", files, skipped)
    with pytest.raises(ValueError, match=told):
        package_variants(folder, "pathology", "breast_ultrasound", data, out=tmp_path / "out", work=tmp_path / "work",
                         say=lambda _: None, **chosen)


def test_variants_of_another_model_are_refused_with_both_sides_labels(tmp_path: Path, data: Path) -> None:
    folder = variants_folder(tmp_path / "variants")
    with pytest.raises(ValueError, match="labels are benign, malignant, normal, the recipe's normal, abnormal"):
        package_variants(folder, "pathology", "lung_ultrasound", data, out=tmp_path, work=tmp_path / "work", say=lambda _: None)


def test_a_refreshed_package_answers_as_before_under_its_next_version_and_states_what_int8_costs(package: Path) -> None:
    (package / SIGNATURE).write_text("of the older one")
    before = load_package(package)
    major, minor, patch = before.manifest.version.split(".")
    said: list[str] = []
    version = refresh(package, say=said.append)
    after = load_package(package)
    assert version == after.manifest.version == f"{major}.{minor}.{int(patch) + 1}"
    assert after.manifest.known_answer == before.manifest.known_answer
    assert after.manifest.metrics == before.manifest.metrics
    assert after.manifest.statistics == before.manifest.statistics
    for variant, info in after.manifest.variants.items():
        metadata = read_metadata(after.path_of(variant))
        assert metadata is not None
        assert metadata.version == version
        assert info.sha256 != before.manifest.variants[variant].sha256
        known_answer.check(after, LoadedModel(after, load_backend("litert"), variant=variant))
    card = (package / "MODEL_CARD.md").read_text()
    assert f"`breast_ultrasound` {version}," in card
    assert card.count("## What int8 costs") == card.count("## Method") == 1
    assert not (package / SIGNATURE).exists()
    assert "sign it again" in said[-1]
    refresh(package, say=said.append)
    assert (package / "MODEL_CARD.md").read_text() == card.replace(f" {version},", f" {major}.{minor}.{int(patch) + 2},")


def test_a_compiled_variant_is_left_as_the_compiler_made_it(package: Path) -> None:
    manifest = load_package(package).manifest
    (package / "int8_edgetpu.tflite").write_bytes(b"compiled")
    manifest.variants["int8_edgetpu"] = type(manifest.variants["int8"])(
        "int8_edgetpu.tflite", sha256_of(package / "int8_edgetpu.tflite"), 8, manifest.variants["int8"].input,
        manifest.variants["int8"].outputs,
    )
    write_manifest(package, manifest)
    refresh(package, say=lambda _: None)
    assert (package / "int8_edgetpu.tflite").read_bytes() == b"compiled"


@pytest.mark.parametrize(("change", "told"), [
    ((r'^version = ".*"$', 'version = "new"'), "'new' is no version of three numbers"),
    ((r"^shape = \[1, 3\]$", "shape = [1, 4]"), "changed|must be"),
])
def test_a_package_that_can_not_be_refreshed_stays_as_it_is(package: Path, change: tuple[str, str], told: str) -> None:
    edit(package, *change)
    before = {path.name: path.read_bytes() for path in package.iterdir()}
    with pytest.raises((ValueError, PackageError), match=told):
        refresh(package, say=lambda _: None)
    assert {path.name: path.read_bytes() for path in package.iterdir()} == before
    assert [path.name for path in package.parent.iterdir()] == ["breast_ultrasound"]
