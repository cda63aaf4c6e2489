"""The prediction against what Google's compiler did with real models (files/pairs/NOTICE.md)."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.toolchain.edgetpu.predict import Prediction, predict
from edge_runtime.toolchain.tflite import read_model
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import FILES

PAIRS = FILES / "pairs"
COMPILED: dict[str, dict[str, Any]] = json.loads((PAIRS / "compiled.json").read_text())
BYTES_WITHIN = 0.15


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Prediction]:
    folder = tmp_path_factory.mktemp("pairs")
    return {name: predict(read_model(_unpacked(name, folder))) for name in COMPILED}


def _unpacked(name: str, folder: Path) -> Path:
    path = folder / f"{name}.tflite"
    path.write_bytes(gzip.decompress((PAIRS / f"{name}.tflite.gz").read_bytes()))
    return path


def _left(prediction: Prediction) -> dict[str, int]:
    return dict(Counter(op.name for op in prediction.ops if not op.mapped))


def test_the_operators_that_stay_on_the_cpu_are_the_real_ones_for_seven_of_eight_models(predictions: dict[str, Prediction]) -> None:
    right = [name for name, prediction in predictions.items() if _left(prediction) == COMPILED[name]["left_on_cpu"]]
    assert len(COMPILED) == 8
    assert len(right) >= 7, sorted(set(COMPILED) - set(right))


@pytest.mark.parametrize("name", COMPILED)
def test_the_bytes_on_the_chip_are_within_fifteen_percent(name: str, predictions: dict[str, Prediction]) -> None:
    assert predictions[name].parameter_bytes == pytest.approx(COMPILED[name]["cached_bytes"], rel=BYTES_WITHIN)


@pytest.mark.parametrize("name", [
    "deeplabv3_mnv2_dm05_pascal_quant", "bodypix_mobilenet_v1_075_512_512_16_quant_decoder",
    "posenet_mobilenet_v1_075_353_481_16_quant_decoder",
])
def test_of_convolutions_alone_the_bytes_are_exact(name: str, predictions: dict[str, Prediction]) -> None:
    assert predictions[name].parameter_bytes == COMPILED[name]["cached_bytes"]


def test_no_model_is_refused_and_none_is_said_to_stream(predictions: dict[str, Prediction]) -> None:
    assert all(not prediction.fatal and prediction.streamed_bytes == 0 for prediction in predictions.values())


def test_the_runtime_asked_for_is_never_newer_than_the_real_one(predictions: dict[str, Prediction]) -> None:
    assert all(prediction.runtime_version <= COMPILED[name]["runtime_version"] for name, prediction in predictions.items())


def test_deeplab_parts_where_one_pixel_is_spread_over_a_map(predictions: dict[str, Prediction]) -> None:
    found = predictions["deeplabv3_mnv2_dm05_pascal_quant"]
    assert [op.index for op in found.ops if not op.mapped] == [64, 65, 66, 67, 68, 69, 70, 71]
    assert found.ops[64].reason == "Image-interpolation layer won't run precisely enough on Edge TPU"
    assert found.ops[62].mapped, "the branch beside it, in which nothing is wrong"
    assert found.ops[67].reason == "More than one subgraph is not supported"


def test_with_many_subgraphs_what_comes_behind_maps_too(tmp_path: Path) -> None:
    model = read_model(_unpacked("deeplabv3_mnv2_dm05_pascal_quant", tmp_path))
    found = predict(model, many_subgraphs=True)
    assert [op.name for op in found.ops if not op.mapped] == ["RESIZE_BILINEAR", "RESIZE_BILINEAR", "ARG_MAX"]
    assert found.parameter_bytes > predict(model).parameter_bytes
