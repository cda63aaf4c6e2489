"""Packages of some hundred bytes: what they run is made of arrays, so their files hold nothing."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec
from domains.core.training import Identity
from edge_runtime.known_answer import write
from edge_runtime.models import KnownAnswerInfo, ModelPackage, TensorInfo, VariantInfo, load_package, sha256_of
from edge_runtime.toolchain.manifest import write_package

Arrays = Mapping[str, NDArray[np.generic]]
SIDE = 4
INPUT = TensorInfo("int8", (1, SIDE, SIDE, 3), 1 / 128, -1)


def tiny_package(folder: Path, variants: Mapping[str, Mapping[str, TensorInfo]], known: Arrays, tolerance: int = 0,
                 ) -> ModelPackage:
    """A package for pictures of 4 by 4. `variants`: the outputs of each; `known`: their tensors, by VARIANT.OUTPUT."""
    write_tiny_package(folder, variants, known, tolerance)
    return load_package(folder / "tiny")


def write_tiny_package(folder: Path, variants: Mapping[str, Mapping[str, TensorInfo]], known: Arrays, tolerance: int = 0,
                       ) -> Path:
    """As `tiny_package`, not loaded."""
    package = folder / "tiny"
    package.mkdir(parents=True)
    described = {}
    for name, outputs in variants.items():
        (package / f"{name}.tflite").write_bytes(b"weights")
        described[name] = VariantInfo(f"{name}.tflite", sha256_of(package / f"{name}.tflite"), 7, INPUT, dict(outputs))
    identity = Identity("tiny", "1", "none", "classification", "t", ("a", "b"), "", "", "",
                        InputSpec(SIDE, SIDE, 127.0, 128.0))
    write_package(package, identity, described, write_known_answer(package, SIDE, known, tolerance), {}, {}, "")
    return package


def write_known_answer(folder: Path, side: int, known: Arrays, tolerance: int = 0) -> KnownAnswerInfo:
    """The known answer for a grey picture."""
    return write(folder, {"pixels": np.full((1, side, side, 3), 127, np.uint8), **known}, tolerance)
