"""`hedgerow model reencode`, the program itself."""

import subprocess
from pathlib import Path

import pytest

from edge_runtime.toolchain.reencode import reencode
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import kept
from tests.edge_runtime.toolchain.uint8_networks import convolution
from tests.gateway_process import HEDGEROW


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HEDGEROW), "model", "reencode", *map(str, words)], capture_output=True, text=True, check=False, timeout=120)


def test_it_is_written_beside_the_file_and_says_what_did_not_stay(tmp_path: Path) -> None:
    path = convolution(tmp_path, farthest=135)
    done = run(path)
    target = tmp_path / "network_int8.tflite"
    assert (done.returncode, done.stderr) == (0, "")
    assert target.read_bytes() == reencode(path).content
    assert "Of 8 channels of weights 1 reach too far from zero for int8" in done.stdout
    assert f"hedgerow model parity {path} {target}" in done.stdout


def test_a_file_may_be_named_for_it(tmp_path: Path) -> None:
    assert run(convolution(tmp_path), "--out", tmp_path / "other.tflite").returncode == 0
    assert (tmp_path / "other.tflite").is_file()


@pytest.mark.parametrize(("name", "told"), [
    ("relu", "hedgerow: relu.tflite can't be encoded anew in int8: its network is int8 already"),
    ("float32", "hedgerow: float32.tflite can't be encoded anew in int8: it isn't quantised to uint8"),
])
def test_what_can_not_be_done_is_said_in_one_line_and_writes_nothing(name: str, told: str, tmp_path: Path) -> None:
    path = kept(name, tmp_path)
    done = run(path)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", told)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run(convolution(tmp_path), "--out", tmp_path / "none" / "x.tflite")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == f"hedgerow: {tmp_path}/none/x.tflite can't be written: No such file or directory"
