"""`hedgerow model package`: a package or one line that says what is wrong."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_runtime.models import load_package
from tests.edge_runtime.toolchain.packaging import (
    BREAST,
    SAMPLE,
    VARIANTS,
    breast_data,
    variants_folder,
    with_negated_evidence,
)
from tests.gateway_process import HEDGEROW

RECIPE = ("--recipe", "pathology/breast_ultrasound")


def package(cwd: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HEDGEROW), "model", "package", *map(str, words)], capture_output=True, text=True, check=False,
                          cwd=cwd, env={**os.environ, "PYTHONPATH": str(HEDGEROW.parents[2])})


def test_a_package_is_made_and_its_place_files_and_costs_are_told(tmp_path: Path) -> None:
    data, folder = breast_data(tmp_path / "data"), variants_folder(tmp_path / "variants")
    done = package(tmp_path, folder, *RECIPE, "--data", data, "--out", "models", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    manifest = load_package(tmp_path / "models" / "breast_ultrasound").manifest
    assert (told["folder"], told["version"]) == ("models/breast_ultrasound", manifest.version)
    assert told["files"]["int8"]["sha256"] == manifest.variants["int8"].sha256
    assert told["figures"]["class benign"] == {"float32": 1.0, "int8": 1.0, "change": 0.0}
    assert "breast_ultrasound: figures-int8" in done.stderr
    again = package(tmp_path, folder, *RECIPE, "--data", data, "--out", "models")
    assert again.returncode == 0
    assert "finished before" in again.stderr
    assert "class malignant" in again.stdout


def test_a_refused_package_is_told_in_one_line_with_its_figures(tmp_path: Path) -> None:
    bad = with_negated_evidence(VARIANTS["int8"], tmp_path / "bad.tflite")
    data, folder = breast_data(tmp_path / "data"), variants_folder(tmp_path / "variants", {**VARIANTS, "int8": bad})
    done = package(tmp_path, folder, *RECIPE, "--data", data, "--out", "models")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("hedgerow:")]
    assert "int8 loses too much against float" in line
    assert "class benign -100.00 points" in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_package_without_metadata_gets_them_in_place(tmp_path: Path) -> None:
    copy = shutil.copytree(BREAST, tmp_path / "breast_ultrasound")
    before = load_package(copy).manifest
    done = package(tmp_path, "breast_ultrasound", "--refresh")
    assert done.returncode == 0, done.stderr
    after = load_package(copy).manifest
    assert after.version != before.version
    assert f"{before.version} is now {after.version}" in done.stderr


@pytest.mark.parametrize(("words", "told"), [
    (("variants",), "a package needs --recipe DOMAIN/MODEL and --data FOLDER"),
    (("variants", "--recipe", "pathology", "--data", "data"), "a package needs --recipe DOMAIN/MODEL and --data FOLDER"),
    (("variants", "--recipe", "pathology/knee", "--data", "data"), "no recipe 'knee'; choose from breast_ultrasound, lung_ultrasound"),
    (("variants", "--recipe", "kitchen/breast_ultrasound", "--data", "data"), "there is no domain of that name; choose from"),
    (("variants", *RECIPE, "--data", "data"), "the data folder lacks breast_busi/manifest.csv"),
    (("absent", *RECIPE, "--data", "data"), "absent holds no variants.json"),
    (("variants", *RECIPE, "--data", "data", "--int8", "qat_int8"), "variants has no variant 'qat_int8'; there are float32, int8"),
    (("changed", *RECIPE, "--data", "data"), "int8.tflite was changed since it was made"),
    (("variants", "--refresh"), "model package variants: model.toml is missing"),
    (("absent", "--refresh"), "model package absent: model.toml is missing"),
])
def test_what_can_not_be_packaged_is_told_in_one_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    variants_folder(tmp_path / "variants")
    shutil.copyfile(SAMPLE, variants_folder(tmp_path / "changed") / "int8.tflite")
    done = package(tmp_path, *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("hedgerow:")] == done.stderr.splitlines()[-1:]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
