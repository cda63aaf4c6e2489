"""All variants of a small model, made for real, each in its own process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs the [train] environment")

import keras
from ai_edge_litert.interpreter import Interpreter

from edge_runtime.toolchain.optimize.driver import Request, optimize
from edge_runtime.toolchain.optimize.proof import check_values, check_zeros
from edge_runtime.toolchain.tflite import read_model
from edge_runtime.toolchain.variants import NAMES, VariantSet
from tests.edge_runtime.toolchain.optimize.small_data import LABELS, SIDE, pictures, write_data

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's own, of other libraries' changes

FILTERS = {"CONV_2D", "FULLY_CONNECTED"}


def trained(path: Path) -> Path:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((SIDE, SIDE, 1)), layers.Conv2D(8, 3, strides=2, use_bias=False), layers.BatchNormalization(momentum=0.5),
        layers.ReLU(), layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(len(LABELS), activation="softmax"),
    ])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    images, truth = pictures(256, 3)
    model.fit(images / 255, truth, epochs=25, verbose=0)
    model.save(path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Request, VariantSet, list[str]]:
    folder = tmp_path_factory.mktemp("optimize")
    request = Request(trained(folder / "quarters.keras"), write_data(folder / "quarters.npz", train=320), folder / "out", epochs=12,
                      mean=0.0, std=255.0)
    said: list[str] = []
    return request, optimize(request, say=said.append), said


Made = tuple[Request, VariantSet, list[str]]


def answers(path: Path) -> tuple[Any, Any, float]:
    """Details of both ends, and the share of test pictures that the file gets right."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    images, truth = pictures(24, 2)
    right = 0
    for image, label in zip(images, truth, strict=True):
        real = image[None].astype(np.float32) / 255
        if entry["dtype"] == np.int8:
            scale, zero = entry["quantization"]
            real = np.clip(np.round(real / scale) + zero, -128, 127)
        interpreter.set_tensor(entry["index"], real.astype(entry["dtype"]))
        interpreter.invoke()
        right += int(interpreter.get_tensor(end["index"])[0].argmax() == label)
    return entry, end, right / len(truth)


def test_every_variant_is_made_and_tells_right_from_left(made: Made) -> None:
    request, found, said = made
    assert (list(found.variants), found.skipped) == (list(NAMES), {})
    for name in NAMES:
        assert answers(request.out / f"{name}.tflite")[2] >= 0.8, name
    assert any(line.startswith("pruned_80: epoch 12 of 12") for line in said)
    assert all(variant.peak_bytes > 200 * 2**20 and variant.seconds > 0.5 for variant in found.variants.values())


def test_the_ends_are_named_and_take_one_picture_and_int8_takes_every_pixel_value(made: Made) -> None:
    request, _, _ = made
    for name in NAMES:
        path = request.out / f"{name}.tflite"
        signature = read_model(path).signatures[0]
        assert (signature.key, list(signature.inputs), list(signature.outputs)) == ("serving_default", ["pixels"], ["probabilities"])
        entry, end, _ = answers(path)
        assert tuple(entry["shape"]) == (1, SIDE, SIDE, 1)
        if name.endswith("int8"):
            assert (entry["dtype"], end["dtype"]) == (np.int8, np.int8), name
            assert entry["quantization"] == (pytest.approx(1 / 255), -128), name
        else:
            assert (entry["dtype"], end["dtype"]) == (np.float32, np.float32), name


def filters(path: Path) -> Iterator[tuple[Any, Any]]:
    model, interpreter = read_model(path), Interpreter(model_path=str(path))
    for op in model.ops:
        if op.name in FILTERS:
            yield model.tensors[op.inputs[1]], interpreter.get_tensor(op.inputs[1])


@pytest.mark.parametrize(("name", "share"), [
    ("float32", 0.0), ("pruned_50", 0.5), ("pruned_80", 0.8), ("pruned_80_int8", 0.8), ("pruned_80_qat_int8", 0.8)])
def test_pruned_weights_are_zero_in_the_file(made: Made, name: str, share: float) -> None:
    found = list(filters(made[0].out / f"{name}.tflite"))
    assert len(found) == 3
    for _, values in found:
        assert np.mean(values == 0) == pytest.approx(share, abs=0.03 + 1 / values.size)


@pytest.mark.parametrize(("name", "most"), [("clustered_32", 32), ("clustered_16", 16), ("clustered_16_int8", 16)])
def test_a_clustered_layer_has_so_many_different_weights_in_the_file(made: Made, name: str, most: int) -> None:
    for tensor, values in filters(made[0].out / f"{name}.tflite"):
        channels = values if len(tensor.scales) > 1 else values[None]
        assert all(1 < len(np.unique(channel)) <= most for channel in channels)


def test_no_dense_layer_is_quantised_per_channel_since_the_compiler_refuses_that(made: Made) -> None:
    for name in NAMES:
        model = read_model(made[0].out / f"{name}.tflite")
        dense = [model.tensors[op.inputs[1]] for op in model.ops if op.name == "FULLY_CONNECTED"]
        assert len(dense) == 2
        if name.endswith("int8"):
            assert all(len(tensor.scales) == 1 for tensor in dense), name


def test_what_is_not_so_in_the_file_is_refused(made: Made) -> None:
    out = made[0].out
    kernels = [np.asarray(values) for _, values in filters(out / "pruned_80.tflite")]
    assert check_zeros(out / "pruned_80.tflite", kernels).startswith("80.")
    with pytest.raises(ValueError, match="weights were pruned, but only"):
        check_zeros(out / "pruned_50.tflite", kernels)
    with pytest.raises(ValueError, match="has more than the 16 different ones"):
        check_values(out / "clustered_32.tflite", kernels, 16)


def test_the_same_seed_gives_the_same_bytes_in_whatever_order_they_are_made(made: Made, tmp_path: Path) -> None:
    first, found, _ = made
    only = ("int8", "pruned_80_qat_int8", "clustered_16_int8")
    again = optimize(Request(first.model, first.data, tmp_path / "again", only=only, epochs=12, mean=0.0, std=255.0), say=print)
    assert {name: again.variants[name].sha256 for name in only} == {name: found.variants[name].sha256 for name in only}


def test_a_layer_that_tfmot_cannot_quantise_is_named_and_the_others_are_made(made: Made, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((SIDE, SIDE, 1)), layers.Rescaling(1 / 255, name="scaled"), layers.Conv2D(4, 3), layers.Flatten(),
        layers.Dense(len(LABELS)),
    ])
    model.save(tmp_path / "scaled.keras")
    found = optimize(Request(tmp_path / "scaled.keras", made[0].data, tmp_path / "out", only=("int8", "qat_int8"), epochs=1))
    assert list(found.variants) == ["int8"]
    assert found.skipped["qat_int8"].startswith("tfmot can't quantise the layer 'scaled' (Rescaling): leave it out")
    assert (found.input.mean, found.input.std) == (0.0, 1.0)


def test_a_model_that_does_not_say_how_pixels_are_scaled_needs_to_be_told(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--mean 0 --std 255 where pixels were divided by 255"):
        optimize(Request(made[0].model, made[0].data, tmp_path / "out"), say=print)
