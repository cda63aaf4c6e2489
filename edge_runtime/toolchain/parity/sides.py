"""What A and B are: a TFLite file or a package's variant, on a device.

    FILE.tflite[@DEVICE]          a file; what it says of its pixels is looked for in it and beside it
    PACKAGE[:VARIANT][@DEVICE]    an installed package by name, or a package's folder

Without a device it is the CPU; without a variant the best one for the device.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec
from edge_runtime.backends import Backend, load_backend
from edge_runtime.devices import DeviceSpec, parse_device
from edge_runtime.folders import MANIFEST
from edge_runtime.models import ModelPackage, TensorInfo, load_package, sha256_of
from edge_runtime.tensors import INTEGER_TYPES, PixelEncoder
from edge_runtime.tflite_file import CUSTOM_OP
from edge_runtime.toolchain.describe import describe
from edge_runtime.toolchain.interpret import End, Runner, dequantise, quantise
from edge_runtime.toolchain.metadata import Metadata, read_metadata
from edge_runtime.toolchain.parity import report
from edge_runtime.toolchain.tflite import Model, Tensor, read_model
from edge_runtime.toolchain.variants import VARIANTS_FILE, VariantSet, read_variants

CPU = "cpu"
Tensors = Sequence[NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two. `package`, `variant`: where it is one's. Nothing has been opened yet."""

    text: str
    path: Path
    device: DeviceSpec
    model: Model
    package: ModelPackage | None
    variant: str
    sha256: str

    @property
    def on_cpu(self) -> bool:
        """Whether every tensor of it can be seen."""
        return self.device.backend == "litert" and not self.compiled

    @property
    def compiled(self) -> bool:
        """Whether its operators were made one, for an Edge TPU."""
        return any(op.name == CUSTOM_OP for op in self.model.ops)

    @property
    def quantised(self) -> bool:
        """Whether it computes with integers: most of its operators give them."""
        given = [self.model.tensors[op.outputs[0]].dtype for op in self.model.ops if op.outputs]
        return self.compiled or sum(dtype in {"int8", "uint8", "int16"} for dtype in given) * 2 > len(given)

    @property
    def input(self) -> End:
        """Its one input. Raises ValueError where it has several or none."""
        if len(self.model.inputs) != 1:
            raise ValueError(f"{self.path.name} must have one input, it has {len(self.model.inputs)}")
        return _end(self.model.tensors[self.model.inputs[0]], "")

    @property
    def outputs(self) -> tuple[End, ...]:
        """Its outputs in the file's order, by the names of its signature where it has one."""
        names = {index: name for found in self.model.signatures[:1] for name, index in found.outputs.items()}
        return tuple(_end(self.model.tensors[index], names.get(index, "")) for index in self.model.outputs)

    def told(self, backend: Backend) -> report.Side:
        """For the report."""
        return report.Side(self.text, str(self.path), self.sha256, backend.describe(), self.quantised, self.compiled)


def parse_side(text: str, packages: Sequence[Path]) -> Side:
    """What `text` names. `packages`: the installed packages' folders. Raises ValueError or PackageError, with what is wrong."""
    name, at, device = text.rpartition("@")
    if not at or not name:
        name, device = text, CPU
    spec = parse_device(device)
    if name.endswith(".tflite"):
        return _file(text, Path(name), spec)
    return _variant(text, name, spec, packages)


def open_backend(side: Side) -> Backend:
    """Its device. Raises DeviceFault where it can't be used."""
    return load_backend(side.device.backend, "" if side.device.backend == "litert" else side.device.address)


def spec_of(side: Side) -> InputSpec | None:
    """How pixels become its real values, by its package, the `variants.json` beside it, or the metadata in it."""
    if side.package is not None:
        return side.package.spec.input
    if (found := _beside(side.path)) is not None:
        return InputSpec(**msgspec.structs.asdict(found.input))
    return _told_by_file(side)


def spec_by_scale(side: Side) -> InputSpec | None:
    """The same where only an integer input tells: its 256 values are taken for a pixel's."""
    end = side.input
    if end.dtype not in INTEGER_TYPES or not end.scale or len(end.shape) != 4 or end.shape[3] not in {1, 3}:
        return None
    least = np.iinfo(INTEGER_TYPES[end.dtype]).min
    return InputSpec(end.shape[1], end.shape[2], float(end.zero_point - least), 1 / end.scale, end.shape[3])


def labels_of(side: Side) -> tuple[str, ...]:
    """What its classes are called, where it is known."""
    if side.package is not None:
        return side.package.spec.labels
    if (found := _beside(side.path)) is not None:
        return tuple(found.labels)
    metadata = _metadata(side.path)
    told = [output.labels for output in metadata.outputs if output.labels] if metadata else []
    return told[0] if told else ()


class Opened:
    """A side on its device, fed with pixels or real values. One thread at a time."""

    def __init__(self, side: Side, backend: Backend, spec: InputSpec | None) -> None:
        self.side, self.input, self.outputs = side, side.input, side.outputs
        if side.compiled and side.device.backend != "edgetpu":
            raise ValueError(f"{side.path.name} is compiled for the Edge TPU: only that can run it, as {side.path.name}@edgetpu")
        self._invoke: Callable[[NDArray[np.generic]], Tensors]
        if side.on_cpu:
            self._invoke = Runner(side.path, threads=2).invoke_raw
        else:
            self._invoke = backend.open(side.path).invoke
        self._encoder = None if spec is None else encoder(self.input, spec)

    def encode(self, sample: NDArray[np.generic]) -> NDArray[np.generic]:
        """The input tensor for uint8 pixels or real values (1, height, width, channels). Raises ValueError where pixels aren't
        enough, or have another shape.
        """
        if sample.dtype != np.uint8:
            return quantise(np.asarray(sample, np.float32), self.input)
        if self._encoder is None:
            raise ValueError(
                f"{self.side.path.name} takes real numbers, and nothing tells how pixels become them: give --mean and --std"
            )
        return self._encoder.encode(np.asarray(sample, np.uint8))

    def run(self, sample: NDArray[np.generic]) -> Tensors:
        """The outputs as they are, for one sample."""
        return self._invoke(self.encode(sample))

    def reals(self, outputs: Tensors) -> Mapping[str, NDArray[np.float32]]:
        """The outputs as real values, by name."""
        return {end.name: dequantise(value, end) for end, value in zip(self.outputs, outputs, strict=True)}


def encoder(end: End, spec: InputSpec) -> PixelEncoder:
    """Pixels to the input tensor."""
    if end.dtype not in {"float32", *INTEGER_TYPES}:
        raise ValueError(f"the input is {end.dtype}; only float32, int8 and uint8 can be fed")
    info = msgspec.convert({"dtype": end.dtype, "shape": spec.shape, "scale": end.scale, "zero_point": end.zero_point}, TensorInfo)
    return PixelEncoder(spec, info)


def as_variant(side: Side, of: ModelPackage) -> ModelPackage | None:
    """`of` with the side's file as its variant `file`; None where the file doesn't take or give what the package's variants do."""
    try:
        described = describe(side.path)
    except ValueError:
        return None
    like = next(iter(of.manifest.variants.values()))
    if described.input.shape != like.input.shape or shapes(described.outputs) != shapes(like.outputs):
        return None
    placed = msgspec.structs.replace(described, file=str(side.path.resolve()))
    variants = {**of.manifest.variants, "file": placed}
    return replace(of, manifest=msgspec.structs.replace(of.manifest, variants=variants))


def shapes(outputs: Mapping[str, TensorInfo]) -> dict[str, tuple[int, ...]]:
    """The outputs' shapes by name."""
    return {name: info.shape for name, info in outputs.items()}


def _file(text: str, path: Path, device: DeviceSpec) -> Side:
    model = read_model(path)
    package, variant = _package_around(path)
    return Side(text, path, device, model, package, variant, sha256_of(path))


def _package_around(path: Path) -> tuple[ModelPackage | None, str]:
    """The package that a file lies in as one of its variants."""
    if not (path.parent / MANIFEST).is_file():
        return None, ""
    package = load_package(path.resolve().parent)
    named = [name for name, info in package.manifest.variants.items() if info.file == path.name]
    return (package, named[0]) if named else (None, "")


def _variant(text: str, name: str, device: DeviceSpec, packages: Sequence[Path]) -> Side:
    folder, variant = _folder(name, packages), ""
    if folder is None:
        front, _, variant = name.rpartition(":")
        folder = _folder(front, packages)
    if folder is None:
        known = ", ".join(path.name for path in packages)
        raise ValueError(f"{name!r} is neither a .tflite file nor PACKAGE:VARIANT; installed packages: {known}")
    package = load_package(folder.resolve())
    offered = package.manifest.variants
    wanted = _wanted(device) if not variant else (variant,)
    chosen = next((one for one in wanted if one in offered), None)
    if chosen is None:
        raise ValueError(f"package {package.spec.name} has no variant {' or '.join(wanted)}; it has {', '.join(offered)}")
    path = package.path_of(chosen)
    return Side(text, path, device, read_model(path), package, chosen, offered[chosen].sha256)


def _wanted(device: DeviceSpec) -> tuple[str, ...]:
    from edge_runtime.backends import VARIANTS

    named = (device.address,) if device.backend == "litert" and device.address else ()
    return (*named, *VARIANTS[device.backend])


def _folder(name: str, packages: Sequence[Path]) -> Path | None:
    """The package's folder, by its path or by the name of an installed one."""
    if name and (Path(name) / MANIFEST).is_file():
        return Path(name)
    return next((path for path in packages if path.name == name), None)


def _beside(path: Path) -> VariantSet | None:
    """The set of variants that lies with a file, where the file is one of them. Raises ValueError where one of them was changed."""
    if not (path.parent / VARIANTS_FILE).is_file():
        return None
    found = read_variants(path.parent)
    return found if any(variant.file == path.name for variant in found.variants.values()) else None


def _told_by_file(side: Side) -> InputSpec | None:
    """Of a float file alone: an integer input tells it better (`spec_by_scale`), and others mean other things by it."""
    end, metadata = side.input, _metadata(side.path)
    told = metadata.inputs[0] if metadata is not None and metadata.inputs else None
    if end.dtype != "float32" or len(end.shape) != 4 or end.shape[3] not in {1, 3}:
        return None
    if told is None or not told.mean or not told.std:
        return None
    return InputSpec(end.shape[1], end.shape[2], told.mean[0], told.std[0], end.shape[3])


def _metadata(path: Path) -> Metadata | None:
    """Damaged ones count as none: what a file computes doesn't hang on them."""
    try:
        return read_metadata(path)
    except ValueError:
        return None


def _end(tensor: Tensor, name: str) -> End:
    scale = tensor.scales[0] if len(tensor.scales) == 1 else 0.0
    zero_point = tensor.zero_points[0] if len(tensor.zero_points) == 1 else 0
    return End(name or tensor.name, tensor.index, tensor.dtype, tensor.shape, float(scale), int(zero_point))
