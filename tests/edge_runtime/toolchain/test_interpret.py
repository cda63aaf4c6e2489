"""Any TFLite file is run as its own numbers say: with the two mistakes of the published script these tests fail."""

from pathlib import Path

import numpy as np
import pytest

from domains import registry
from domains.core import InputSpec
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.interpret import Runner
from tests.edge_runtime.toolchain.report.linear_models import Output, linear

SHAPE = (2, 2, 1)
SPEC = InputSpec(2, 2, 127.0, 128.0, channels=1)
FIRST = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
SECOND = np.array([[0, 0, 1, -1], [0, 0, 0, 1]], np.float32)
REAL = np.array([0.5, -0.25, 0.75, -1.0], np.float32).reshape(1, 2, 2, 1)
EXPECTED = {"first": REAL.reshape(1, 4) @ FIRST.T, "second": REAL.reshape(1, 4) @ SECOND.T}


def outputs(first: float = 0.02, second: float = 0.1) -> list[Output]:
    """Two outputs, each with a scale and a zero point of its own; the input's scale is 1 / 128."""
    return [Output("first", FIRST, first, -7), Output("second", SECOND, second, 11)]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_each_output_is_dequantised_with_its_own_scale_and_zero_point(tmp_path: Path, dtype: str) -> None:
    answer = Runner(linear(tmp_path / "model.tflite", SHAPE, outputs(), dtype=dtype)).run(REAL)
    assert answer["first"] == pytest.approx(EXPECTED["first"], abs=0.03)
    assert answer["second"] == pytest.approx(EXPECTED["second"], abs=0.12)
    assert answer["second"][0, 0] == pytest.approx(1.75, abs=0.12), "with the input's scale it would be 0.14"


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_file_for_any_number_of_pictures_is_resized_at_its_input(tmp_path: Path, dtype: str) -> None:
    runner = Runner(linear(tmp_path / "model.tflite", SHAPE, outputs(), dtype=dtype, any_batch=True))
    pictures = np.concatenate([REAL, -REAL, 0.5 * REAL])
    tensor = np.concatenate([runner.encode(picture[None]) for picture in pictures])
    together = runner.decode(runner.invoke_raw(tensor))
    assert together["first"].shape == (3, 3)
    for name, alone in runner.run(pictures).items():
        np.testing.assert_array_equal(together[name], alone)
    shapes = {detail["index"]: tuple(detail["shape"]) for detail in runner.interpreter.get_input_details()}
    assert shapes == {runner.input.index: (1, *SHAPE)}, "back to one picture, with no other input"


def test_a_file_for_one_picture_says_so(tmp_path: Path) -> None:
    runner = Runner(linear(tmp_path / "model.tflite", SHAPE, outputs()))
    with pytest.raises(ValueError, match=r"model.tflite takes \(1, 2, 2, 1\), got \(3, 2, 2, 1\)"):
        runner.invoke_raw(np.zeros((3, *SHAPE), np.float32))


def test_real_values_go_to_the_nearest_step_and_stay_in_range(tmp_path: Path) -> None:
    runner = Runner(linear(tmp_path / "model.tflite", SHAPE, outputs(), dtype="int8"))
    given = np.array([0.6 / 128, -0.6 / 128, 5.0, -5.0], np.float32).reshape(1, 2, 2, 1)
    assert runner.encode(given).ravel().tolist() == [0, -2, 127, -128]
    with pytest.raises(ValueError, match="no numbers"):
        runner.encode(np.full((1, 2, 2, 1), np.nan, np.float32))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_pixels_become_what_the_models_mean_and_std_say(tmp_path: Path, dtype: str) -> None:
    runner = Runner(linear(tmp_path / "model.tflite", SHAPE, outputs(), dtype=dtype), spec=SPEC)
    pixels = np.array([0, 127, 200, 255], np.uint8).reshape(1, 2, 2, 1)
    real = (pixels.astype(np.float32) - 127) / 128
    np.testing.assert_array_equal(runner.encode(pixels), runner.encode(real))
    assert runner.run(pixels)["first"] == pytest.approx(real.reshape(1, 4) @ FIRST.T, abs=0.03)


def test_pixels_need_the_models_mean_and_std(tmp_path: Path) -> None:
    path = linear(tmp_path / "model.tflite", SHAPE, outputs())
    with pytest.raises(ValueError, match="mean and std"):
        Runner(path).run(np.zeros((1, *SHAPE), np.uint8))
    with pytest.raises(ValueError, match=r"takes \(1, 2, 2, 1\), the model's pictures are \(1, 2, 3, 1\)"):
        Runner(path, spec=InputSpec(2, 3, 0.0, 1.0, channels=1))


def test_a_uint8_file_of_another_maker_runs(tmp_path: Path) -> None:
    runner = Runner(linear(tmp_path / "model.tflite", SHAPE, [Output("first", FIRST, 0.02, 120)], dtype="uint8"), spec=SPEC)
    assert runner.encode(np.array([0, 127, 200, 255], np.uint8).reshape(1, 2, 2, 1)).ravel().tolist() == [0, 127, 200, 255]
    assert runner.run(REAL)["first"] == pytest.approx(EXPECTED["first"], abs=0.03)


def test_outputs_have_the_signatures_names_whatever_their_order(tmp_path: Path) -> None:
    path = linear(tmp_path / "model.tflite", SHAPE, outputs(), signature=("second", "first"))
    runner = Runner(path)
    assert runner.input.name == "pixels"
    answer = runner.run(REAL)
    assert answer["second"] == pytest.approx(EXPECTED["second"])
    assert answer["first"] == pytest.approx(EXPECTED["first"])


def test_what_takes_no_single_picture_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"two.tflite must have one input, it has 2"):
        Runner(linear(tmp_path / "two.tflite", SHAPE, outputs(), inputs=2))
    with pytest.raises(ValueError, match=r"wide.tflite must take a picture .* it takes \(1, 2, 2, 4\)"):
        Runner(linear(tmp_path / "wide.tflite", (2, 2, 4), [Output("first", np.ones((2, 16), np.float32))]))
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    with pytest.raises(ValueError, match=r"photo.jpg is no TFLite file: it is a JPEG"):
        Runner(tmp_path / "photo.jpg")
    whole = linear(tmp_path / "whole.tflite", SHAPE, outputs()).read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut.tflite"):
        Runner(tmp_path / "cut.tflite")


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_a_shipped_model_answers_as_the_gateway_lets_it(variant: str) -> None:
    package = load_package(registry.models_folder("pathology") / "lung_ultrasound")
    pixels = package.known_answer.pixels
    found = Runner(package.path_of(variant), spec=package.spec.input).run(pixels)
    expected = LoadedModel(package, load_backend("litert"), variant=variant).run(pixels)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
