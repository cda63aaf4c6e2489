"""The known answer of a model package: one picture and what the network gives for it.

Every device must come close to it before it takes tasks, and an accelerator again while it serves: so a device that
computes wrongly, but without an error, is found. Where the bounds come from: docs/model-packages.md.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from domains.core import InputSpec, Pixels
from edge_runtime.backends import load_backend
from edge_runtime.errors import DeviceFault, FaultKind
from edge_runtime.models import PIXELS, KnownAnswerInfo, ModelPackage, VariantInfo, sha256_of, twin_of
from edge_runtime.runner import LoadedModel
from edge_runtime.tensors import PixelEncoder

FILE = "known_answer.npz"
TOLERANCE = 24
"""Quantisation steps. Kernels that round in another way differ by up to 19 of 255 for the shipped models, in what their gates ask,
and by up to 11 elsewhere.
"""
FLOAT_TOLERANCE = 1e-3
"""Of the largest magnitude in a float32 output. Kernels that add in another order differ by up to 7e-6."""

_SEED = 7
_DISCS = 600
_SMALLEST, _LARGEST = 0.02, 0.4
"""Radii, as shares of the shorter side."""


def picture(height: int, width: int, channels: int = 3) -> Pixels:
    """Discs of all sizes and colours that hide each other, uint8 (1, height, width, channels), the same at every call.

    This "dead leaves" model has the edges and the spectrum of a photo (Lee, Mumford and Huang 2001, "Occlusion models for
    natural images"), so that it drives a network as a photo does; being flat in patches, it packs to some kilobytes.
    """
    random = np.random.default_rng(_SEED)
    pixels = np.full((height, width, 3), 127, np.uint8)
    for share, x, y, colour in zip(random.random(_DISCS), random.random(_DISCS), random.random(_DISCS),
                                   random.integers(0, 256, (_DISCS, 3)).tolist(), strict=True):
        radius = min(height, width) / (1 / _LARGEST + share * (1 / _SMALLEST - 1 / _LARGEST))
        cv2.circle(pixels, (int(x * width), int(y * height)), max(1, int(radius)), colour, cv2.FILLED)
    return pixels[np.newaxis, :, :, :channels]


def make(folder: Path, spec: InputSpec, variants: Mapping[str, VariantInfo], tolerance: int = TOLERANCE) -> KnownAnswerInfo:
    """Runs the variants that lie in `folder` on the CPU and writes their answers beside them; gives the manifest's entry.

    Compiled variants need none of their own: they answer as their twin does. Raises PackageError for a file that can't be
    loaded.
    """
    backend = load_backend("litert")
    pixels = picture(spec.height, spec.width, spec.channels)
    arrays: dict[str, NDArray[np.generic]] = {PIXELS: pixels}
    for name, variant in variants.items():
        if twin_of(name) == name:
            tensors = backend.open(folder / variant.file).invoke(PixelEncoder(spec, variant.input).encode(pixels))
            arrays |= {f"{name}.{output}": tensors[info.position] for output, info in variant.outputs.items()}
    return write(folder, arrays, tolerance)


def write(folder: Path, arrays: Mapping[str, NDArray[np.generic]], tolerance: int) -> KnownAnswerInfo:
    """Writes `pixels` and the tensors by VARIANT.OUTPUT as numpy's savez_compressed would; gives the manifest's entry."""
    with zipfile.ZipFile(folder / FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as stream:
                npy.write_array(stream, np.asarray(array), version=(1, 0), allow_pickle=False)
    return KnownAnswerInfo(FILE, sha256_of(folder / FILE), tolerance)


def check(package: ModelPackage, model: LoadedModel) -> None:
    """Runs the known picture. Raises DeviceFault with WRONG_ANSWER, saying by how much, where an output of `model`, loaded
    from `package`, is farther from the known answer than the package allows.
    """
    allowed = package.manifest.known_answer.tolerance
    for name, tensor in model.run_raw(package.known_answer.pixels).items():
        wrong = _compare(tensor, package.known_answer.of(model.variant, name), allowed)
        if wrong:
            raise DeviceFault(
                f"wrong answer: output {name!r} of {model.spec.name} ({model.variant}) {wrong}", kind=FaultKind.WRONG_ANSWER
            )


def _compare(found: NDArray[np.generic], known: NDArray[np.generic], allowed: int) -> str:
    """What is wrong with `found`; empty where nothing is."""
    if (found.shape, found.dtype) != (known.shape, known.dtype):
        return f"is {found.dtype} {found.shape} instead of {known.dtype} {known.shape}"
    difference = np.abs(found.astype(np.float64) - known.astype(np.float64)).max()
    if known.dtype.kind != "f":
        return f"is {difference:.0f} quantisation steps off, {allowed} are allowed" if difference > allowed else ""
    largest = np.abs(known.astype(np.float64)).max()
    within = difference <= FLOAT_TOLERANCE * largest  # false for NaN
    return "" if within else f"is {difference:.3g} off, {FLOAT_TOLERANCE:g} of {largest:.3g} is allowed"
