"""Fitting and converting, in the training environment: a small recipe of its own, no data set."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] environment")

from domains.core import InputSpec, Pixels
from domains.core.training import Identity
from edge_runtime import known_answer
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.convert import convert
from edge_runtime.toolchain.fit import fit
from edge_runtime.toolchain.manifest import write_package

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's own, of other libraries' changes

SPEC = InputSpec(8, 8, 127.0, 128.0)


def slow_batches(pause_s: float) -> Any:
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
        epoch = 0

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            time.sleep(pause_s)
            random = np.random.default_rng((self.epoch, index))
            pixels = random.normal(size=(8, 8, 8, 3)).astype(np.float32)
            return pixels, np.eye(2, dtype=np.float32)[(pixels.mean(axis=(1, 2, 3)) > 0).astype(int)]

    return Batches()


class SmallRecipe:
    """Is the picture bright? Two outputs, as the pathology models have."""

    identity = Identity("small", "1", "none", "classification", "t", ("dark", "bright"), "", "", "", SPEC)
    epochs = 6
    runs = 1
    learning_rate = 1e-2

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s

    def build(self, backbone: Path) -> Any:  # noqa: ARG002  # the contract's
        import keras

        pixels = keras.Input((None, None, 3))
        features = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu6")(pixels)
        activation = keras.layers.Conv2D(2, 1)(keras.layers.Dropout(0.2)(features))
        logits = keras.layers.GlobalAveragePooling2D()(activation)
        return keras.Model(pixels, {"logits": logits, "activation": activation})

    def batches(self, data: Path, seed: int) -> Any:  # noqa: ARG002  # the contract's
        return slow_batches(self.pause_s)

    def loss(self) -> Mapping[str, Any]:
        import keras

        return {"logits": keras.losses.CategoricalCrossentropy(from_logits=True)}

    def loss_weights(self) -> Mapping[str, float]:
        return {}

    def finish(self, model: Any, data: Path) -> None:
        """It has no gate."""

    def representative(self, data: Path) -> Iterator[Pixels]:  # noqa: ARG002  # the contract's
        random = np.random.default_rng(0)
        yield from (random.integers(40, 200, (1, 8, 8, 3)).astype(np.uint8) for _ in range(8))


def weights(model: Any) -> list[Any]:
    return [np.asarray(weight) for weight in model.get_weights()]


def trained(work: Path, said: list[str], seed: int = 1) -> Any:
    recipe: Any = SmallRecipe()
    return fit(recipe, work, work, seed=seed, epochs=6, say=said.append)


def test_training_says_a_line_for_each_epoch_and_is_the_same_for_a_seed(tmp_path: Path) -> None:
    said: list[str] = []
    first, second = trained(tmp_path / "a", said), trained(tmp_path / "b", [])
    assert [line.split(",")[0] for line in said] == [f"small: epoch {n} of 6" for n in range(1, 7)]
    for left, right in zip(weights(first), weights(second), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first = trained(tmp_path, [])
    said: list[str] = []
    second = trained(tmp_path, said)
    assert len(said) == 1
    for left, right in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_second_model_of_a_process_has_the_bytes_that_it_would_have_as_the_first(tmp_path: Path) -> None:
    files = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        convert(trained(tmp_path / "work", []), SPEC, SmallRecipe().representative(tmp_path), folder)
        files.append({path.name: path.read_bytes() for path in folder.glob("*.tflite")})
    assert set(files[0]) == {"float32.tflite", "int8.tflite"}
    assert files[0] == files[1]


def test_the_mean_of_several_runs_from_one_start_is_the_model_and_a_finished_run_isnt_repeated(tmp_path: Path) -> None:
    recipe: Any = SmallRecipe()
    recipe.runs = 2
    said: list[str] = []
    mean = fit(recipe, tmp_path, tmp_path, seed=1, epochs=2, say=said.append)
    assert [line.split(" of ")[0] for line in said] == [f"small, run-{run}: epoch {epoch}" for run in range(2) for epoch in (1, 2)]
    (folder,) = tmp_path.glob("small-*")
    runs = []
    for number in range(2):
        run = recipe.build(tmp_path)
        run.load_weights(folder / f"run-{number}" / "trained.weights.h5")
        runs.append(weights(run))
    for found, first, second in zip(weights(mean), *runs, strict=True):
        np.testing.assert_allclose(found, (first + second) / 2, atol=1e-6)
    (folder / "trained.weights.h5").unlink()
    said.clear()
    fit(recipe, tmp_path, tmp_path, seed=1, epochs=2, say=said.append)
    assert said == []


def test_the_mean_of_another_number_of_runs_is_not_taken_for_the_model(tmp_path: Path) -> None:
    recipe: Any = SmallRecipe()
    recipe.runs = 2
    mean = fit(recipe, tmp_path, tmp_path, seed=1, epochs=2, say=print)
    recipe.runs = 1
    said: list[str] = []
    first = fit(recipe, tmp_path, tmp_path, seed=1, epochs=2, say=said.append)
    assert said == []
    (folder,) = tmp_path.glob("small-*")
    run = recipe.build(tmp_path)
    run.load_weights(folder / "run-0" / "trained.weights.h5")
    for left, right in zip(weights(first), weights(run), strict=True):
        np.testing.assert_array_equal(left, right)
    assert any(np.abs(left - right).max() > 1e-6 for left, right in zip(weights(first), weights(mean), strict=True))


SCRIPT = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("recipe", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
work = pathlib.Path(sys.argv[2])
module.fit(module.SmallRecipe(0.1), work, work, seed=1, epochs=6, say=lambda line: print(line, flush=True))
"""


def test_a_killed_training_goes_on_where_it_was_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", SCRIPT, __file__, str(tmp_path / "killed")], cwd=root,
                          stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(root), "PATH": ""}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "epoch 3 of 6" in line:
                process.kill()
                break
    said: list[str] = []
    resumed = trained(tmp_path / "killed", said)
    assert said[0].startswith(("small: epoch 3", "small: epoch 4"))
    for left, right in zip(weights(resumed), weights(trained(tmp_path / "whole", [])), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_the_int8_file_takes_every_pixel_value_and_names_its_outputs(tmp_path: Path) -> None:
    recipe = SmallRecipe()
    variants = convert(recipe.build(tmp_path), SPEC, recipe.representative(tmp_path), tmp_path)
    entry = variants["int8"].input
    assert (entry.dtype, entry.shape) == ("int8", (1, 8, 8, 3))
    assert entry.scale == pytest.approx(1 / 128)
    assert entry.zero_point == -1
    for variant in variants.values():
        assert variant.outputs["logits"].shape == (1, 2)
        assert variant.outputs["activation"].shape == (1, 4, 4, 2)
        assert {info.position for info in variant.outputs.values()} == {0, 1}
    assert variants["float32"].outputs["logits"].dtype == "float32"


def test_what_was_converted_is_packaged_with_its_known_answer(tmp_path: Path) -> None:
    recipe = SmallRecipe()
    folder = tmp_path / "small"
    folder.mkdir()
    variants = convert(recipe.build(tmp_path), SPEC, recipe.representative(tmp_path), folder)
    known = known_answer.make(folder, SPEC, variants)
    write_package(folder, recipe.identity, variants, known, {}, {}, "")
    package = load_package(folder)
    assert set(package.known_answer.outputs) == {"int8.logits", "int8.activation", "float32.logits", "float32.activation"}
    for variant in variants:
        known_answer.check(package, LoadedModel(package, load_backend("litert"), variant=variant))
