"""`hedgerow model optimize`, the program itself."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.edge_runtime.toolchain.optimize.small_data import write_data
from tests.gateway_process import HEDGEROW


def optimize(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HEDGEROW), "model", "optimize", *map(str, words)], capture_output=True, text=True, check=False, timeout=120)


def test_an_unknown_variant_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    done = optimize("model.keras", "--data", "data.npz", "--out", tmp_path / "out", "--only", "int4")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hedgerow: there is no variant 'int4'; there are float32, float16, dynamic_range, int8, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(find_spec("tensorflow") is not None, reason="TensorFlow is here")
def test_without_tensorflow_it_says_what_to_install(tmp_path: Path) -> None:
    done = optimize("model.keras", "--data", write_data(tmp_path / "data.npz"), "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("hedgerow: this needs tensorflow, tf_keras, tensorflow_model_optimization, which is not installed")
    assert not (tmp_path / "out").exists()
