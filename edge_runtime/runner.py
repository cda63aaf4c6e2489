"""Drives a domain's flow with models loaded on a device: the one place where a `ModelCall` becomes numbers.

The worker process, the toolchain's evaluation and the tests all come through here, so a figure in a model card is a
figure of what the gateway answers.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domains.core import Flow, ModelSpec, Outputs, Pixels, Result
from edge_runtime.abandonment import Proceed, wanted
from edge_runtime.backends import Backend
from edge_runtime.errors import PackageError
from edge_runtime.models import ModelPackage
from edge_runtime.tensors import PixelEncoder, decode_output


@dataclass(frozen=True, slots=True)
class FlowTimings:
    """Seconds of one flow. `preprocess_s` is all of the domain's own work up to its last call, `postprocess_s` after."""

    preprocess_s: float
    infer_s: float
    postprocess_s: float


class LoadedModel:
    """One variant of a package, ready on a device. It keeps nothing of a call, so that as many threads may share it as its
    backend's sessions allow.

    `variant`: by default the best that the backend runs. Raises PackageError where the package has none of those.
    """

    def __init__(self, package: ModelPackage, backend: Backend, *, variant: str = "", threads: int = 1) -> None:
        offered = package.manifest.variants
        chosen = variant or next((name for name in backend.variants if name in offered), "")
        if chosen not in offered:
            raise PackageError(f"model package {package.spec.name}: it has no variant for {chosen or backend.name}")
        self.spec: ModelSpec = package.spec
        self.variant = chosen
        self._info = offered[chosen]
        self._encoder = PixelEncoder(package.spec.input, self._info.input)
        self._session = backend.open(package.path_of(chosen), threads=threads)

    def run(self, pixels: Pixels) -> Outputs:
        """Real values of every output for uint8 `pixels` (1, height, width, channels). Raises ValueError for another shape,
        DeviceFault where the device fails.
        """
        return {name: decode_output(tensor, self._info.outputs[name]) for name, tensor in self.run_raw(pixels).items()}

    def run_raw(self, pixels: Pixels) -> Mapping[str, NDArray[np.generic]]:
        """As `run`, but the output tensors as the device gives them."""
        tensors = self._session.invoke(self._encoder.encode(pixels))
        return {name: tensors[info.position] for name, info in self._info.outputs.items()}

    def warm(self) -> None:
        """Runs once on a black picture, so that the first caller doesn't wait for lazy set-up. Raises PackageError where
        the file takes or gives other tensors than the manifest says.
        """
        try:
            self.run(np.zeros(self.spec.input.shape, np.uint8))
        except (ValueError, IndexError) as error:
            raise PackageError(
                f"model package {self.spec.name}: variants.{self.variant}: the file's tensors are others ({error})"
            ) from error

    def describe(self) -> dict[str, str]:
        """Provenance: which model, version, variant and file hash."""
        return {"name": self.spec.name, "version": self.spec.version, "variant": self.variant,
                "sha256": self._info.sha256}


def run_flow(flow: Flow, models: Mapping[str, LoadedModel], proceed: Proceed = wanted) -> tuple[Result, FlowTimings]:
    """Runs `flow` to its end. `models`: by name; KeyError for a model that a flow asks for and that isn't there.

    `proceed` is asked before and after each run of a model; the flow goes no further where it raises Abandoned.
    """
    started = last_ended = time.perf_counter()
    inferring = 0.0
    try:
        call = next(flow)
        while True:
            proceed()
            began = time.perf_counter()
            outputs = models[call.model].run(call.pixels)
            last_ended = time.perf_counter()
            inferring += last_ended - began
            proceed()
            call = flow.send(outputs)
    except StopIteration as stop:
        ended = time.perf_counter()
        spent = FlowTimings(last_ended - started - inferring, inferring, ended - last_ended)
        result: Result = stop.value
        return result, spent
    finally:
        flow.close()
