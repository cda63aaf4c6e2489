"""`hedgerow model check`, the program itself."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.edge_runtime.toolchain.edgetpu.tflite_builder import kept
from tests.gateway_process import HEDGEROW, SAMPLES


def check(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HEDGEROW), "model", "check", *map(str, words)], capture_output=True, text=True, check=False, timeout=120)


def test_a_model_is_predicted_as_json_and_the_program_ends_well_though_not_all_of_it_maps(tmp_path: Path) -> None:
    done = check(kept("leaky_relu", tmp_path), "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (document["ops_total"], document["ops_mapped"], document["fatal"]) == (9, 3, "")


def test_with_strict_it_ends_with_one_unless_all_maps(tmp_path: Path) -> None:
    assert check(kept("leaky_relu", tmp_path), "--strict").returncode == 1
    assert check(kept("relu", tmp_path), "--strict").returncode == 0


def test_many_subgraphs_map_what_comes_behind(tmp_path: Path) -> None:
    done = check(kept("leaky_relu", tmp_path), "--json", "--multiple-subgraphs")
    assert json.loads(done.stdout)["ops_mapped"] == 8


def test_several_models_are_told_whether_they_fit_together(tmp_path: Path) -> None:
    document = json.loads(check(kept("relu", tmp_path), kept("transposed", tmp_path), "--json").stdout)
    assert [Path(model["file"]).name for model in document["models"]] == ["relu.tflite", "transposed.tflite"]
    assert document["together"]["fits"] is True


@pytest.mark.parametrize(("make", "told"), [
    (lambda _folder: SAMPLES / "lung_scan.png", "lung_scan.png is no TFLite file: it is a PNG picture"),
    (lambda folder: folder, "is no TFLite file: it is a folder"),
    (lambda folder: folder / "none.tflite", "none.tflite is no TFLite file: there is no such file"),
    (lambda folder: _written(folder / "empty.tflite", b""), "empty.tflite is no TFLite file: it is empty"),
    (lambda folder: _written(folder / "cut.tflite", kept("relu", folder).read_bytes()[:1000]),
     "cut.tflite is no whole TFLite file: it is cut short or damaged"),
])
def test_what_can_not_be_read_is_refused_in_one_line(make: object, told: str, tmp_path: Path) -> None:
    assert callable(make)
    done = check(make(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hedgerow: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
