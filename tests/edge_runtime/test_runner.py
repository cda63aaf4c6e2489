"""Driving a flow with loaded models, on a device made of arrays."""

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from domains.core import Box, Classification, InputSpec, ModelCall, Outputs
from domains.core.training import Identity
from edge_runtime.backends import Backend, Session
from edge_runtime.errors import PackageError
from edge_runtime.models import ModelPackage, TensorInfo, VariantInfo, load_package, sha256_of
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.toolchain.manifest import write_package


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
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "int8.tflite").write_bytes(b"weights")
    outputs = {"least": TensorInfo("int8", (1, 1), 1.0, -128, 1), "most": TensorInfo("int8", (1, 1), 0.5, -128, 0)}
    variant = VariantInfo("int8.tflite", sha256_of(folder / "int8.tflite"), 7,
                          TensorInfo("int8", (1, 4, 4, 3), 1 / 128, -1), outputs)
    identity = Identity("tiny", "1", "none", "classification", "t", ("a", "b"), "", "", "",
                        InputSpec(4, 4, 127.0, 128.0))
    write_package(folder, identity, {"int8": variant}, {}, {}, "")
    return load_package(folder)


def test_pixels_come_back_through_each_outputs_own_scale(package: ModelPackage) -> None:
    pixels = np.full((1, 4, 4, 3), 200, np.uint8)
    pixels[0, 1, 1] = 10
    outputs = LoadedModel(package, ArrayBackend()).run(pixels)
    assert outputs["least"].item() == 10
    assert outputs["most"].item() == 100


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


def test_a_variant_that_a_package_lacks_is_refused(package: ModelPackage) -> None:
    with pytest.raises(PackageError, match=r"tiny.*float32"):
        LoadedModel(package, ArrayBackend(), variant="float32")


def test_provenance_names_the_file_that_ran(package: ModelPackage) -> None:
    described = LoadedModel(package, ArrayBackend()).describe()
    assert described["variant"] == "int8"
    assert described["sha256"] == package.manifest.variants["int8"].sha256
