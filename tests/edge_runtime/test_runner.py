"""Driving a flow with loaded models, on a device made of arrays."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from domains.core import Box, Classification, ModelCall, Outputs
from edge_runtime.abandonment import Abandoned
from edge_runtime.backends import Backend, Session
from edge_runtime.errors import PackageError
from edge_runtime.models import ModelPackage, TensorInfo
from edge_runtime.runner import LoadedModel, run_flow
from tests.edge_runtime.tiny_package import tiny_package

LEAST, MOST = TensorInfo("int8", (1, 1), 1.0, -128, 1), TensorInfo("int8", (1, 1), 0.5, -128, 0)
KNOWN = {"int8.least": np.full((1, 1), -1, np.int8), "int8.most": np.full((1, 1), -1, np.int8)}


class SummingSession(Session):
    """A network of two outputs, in an order unlike the manifest's: the input's maximum and its minimum."""

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        whole = tensor.astype(np.int8)
        return [np.array([[whole.max()]], np.int8), np.array([[whole.min()]], np.int8)]


class ArrayBackend(Backend):
    name = "arrays"
    variants = ("int8",)

    def describe(self) -> str:
        return "arrays"

    def open(self, path: Path, *, threads: int = 1) -> Session:  # noqa: ARG002  # the port's
        return SummingSession()


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    return tiny_package(tmp_path, {"int8": {"least": LEAST, "most": MOST}}, KNOWN)


def test_pixels_come_back_through_each_outputs_own_scale(package: ModelPackage) -> None:
    pixels = np.full((1, 4, 4, 3), 200, np.uint8)
    pixels[0, 1, 1] = 10
    outputs = LoadedModel(package, ArrayBackend()).run(pixels)
    assert outputs["least"].item() == 10
    assert outputs["most"].item() == 100


def test_threads_that_share_a_model_get_each_its_own_answer(package: ModelPackage) -> None:
    model = LoadedModel(package, ArrayBackend())

    def least_of(value: int) -> float:
        return float(model.run(np.full((1, 4, 4, 3), value, np.uint8))["least"].item())

    values = [number % 256 for number in range(1000)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(least_of, values)) == values


@pytest.mark.parametrize("wrong", [
    {"least": LEAST, "most": TensorInfo("int8", (1, 1), 0.5, -128, 2)},
    {"least": LEAST, "most": TensorInfo("int8", (1, 1), 0.5, -128, 7)},
])
def test_a_file_that_gives_fewer_tensors_than_its_manifest_says_is_refused(
    tmp_path: Path, wrong: dict[str, TensorInfo]
) -> None:
    package = tiny_package(tmp_path, {"int8": wrong}, KNOWN)
    with pytest.raises(PackageError, match=r"tiny: variants\.int8: the file's tensors are others"):
        LoadedModel(package, ArrayBackend()).warm()


def test_a_flow_of_several_calls_gets_its_outputs_and_is_timed(package: ModelPackage) -> None:
    def flow() -> Generator[ModelCall, Outputs, Classification]:
        total = 0.0
        for value in (0, 255):
            outputs = yield ModelCall("tiny", np.full((1, 4, 4, 3), value, np.uint8))
            total += outputs["least"].item()
        return Classification(("a", "b"), (total / 255, 0.0), Box(0, 0, 1, 1))

    result, spent = run_flow(flow(), {"tiny": LoadedModel(package, ArrayBackend())})
    assert isinstance(result, Classification)
    assert result.probabilities == (1.0, 0.0)
    assert min(spent.preprocess_s, spent.infer_s, spent.postprocess_s) >= 0


@pytest.mark.parametrize("allowed", range(5))
def test_a_flow_that_nobody_waits_for_runs_no_further_call(package: ModelPackage, allowed: int) -> None:
    asked, sent, closed = 0, 0, False

    def flow() -> Generator[ModelCall, Outputs, Classification]:
        nonlocal sent, closed
        try:
            for _ in range(10):
                yield ModelCall("tiny", np.zeros((1, 4, 4, 3), np.uint8))
                sent += 1
        finally:
            closed = True
        raise AssertionError("it went on")

    def proceed() -> None:
        nonlocal asked
        asked += 1
        if asked > allowed:
            raise Abandoned

    with pytest.raises(Abandoned):
        run_flow(flow(), {"tiny": LoadedModel(package, ArrayBackend())}, proceed)
    assert sent == allowed // 2
    assert closed


def test_a_variant_that_a_package_lacks_is_refused(package: ModelPackage) -> None:
    with pytest.raises(PackageError, match=r"tiny.*float32"):
        LoadedModel(package, ArrayBackend(), variant="float32")


def test_provenance_names_the_file_that_ran(package: ModelPackage) -> None:
    described = LoadedModel(package, ArrayBackend()).describe()
    assert described["variant"] == "int8"
    assert described["sha256"] == package.manifest.variants["int8"].sha256
