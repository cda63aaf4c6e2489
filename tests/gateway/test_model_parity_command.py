"""`hedgerow model parity`, as it is called."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.edge_runtime.toolchain.parity.pictures import folder_of_scans
from tests.gateway_process import HEDGEROW


def parity(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HEDGEROW), "model", "parity", *words], capture_output=True, text=True, check=False)


def test_it_prints_json_and_says_what_it_wrote_where(tmp_path: Path) -> None:
    pictures, out = folder_of_scans(tmp_path / "pictures", 2), tmp_path / "out"
    done = parity("breast_ultrasound:float32", "breast_ultrasound:int8", "--data", str(pictures), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["decisions"]["inputs"] == 2
    assert len(found["tensors"]["ops"]) == 62
    assert f"written to {out}/parity.json" in done.stderr
    assert json.loads((out / "parity.json").read_text()) == found


def test_it_shows_tables(tmp_path: Path) -> None:
    done = parity("breast_ultrasound:int8", "breast_ultrasound:int8@simulated:usb3", "--data", str(folder_of_scans(tmp_path, 1)))
    assert done.returncode == 0, done.stderr
    assert "simulated Edge TPU (USB 3)" in done.stdout
    assert "bit for bit the same" in done.stdout


@pytest.mark.parametrize(("words", "told"), [
    (("breast_ultrasound:int8", "nowhere.tflite"), "nowhere.tflite is no TFLite file: there is no such file"),
    (("breast_ultrasound:int8", "lung_ultrasound:int8"), "A and B are no variants of one another"),
    (("breast_ultrasound:int8", "breast_ultrasound:float32", "--mean", "127"), "--mean and --std are given together"),
    (("breast_ultrasound:int8", "breast_ultrasound:float32@tpu"), "there is no device 'tpu'"),
])
def test_bad_input_is_one_line_that_says_what_is_wrong(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = parity(*words, "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    done = parity("breast_ultrasound:int8", "breast_ultrasound:float32", "--data", str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path} holds no pictures" in done.stderr
    assert "Traceback" not in done.stderr
