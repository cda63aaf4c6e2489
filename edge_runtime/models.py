"""Model packages: a folder with a manifest, one TFLite file for each variant, a known answer, and a model card.

`load_package` trusts nothing: the manifest's form is checked, every file's SHA-256 is computed and compared, and a file
that was changed by one byte is refused by name. Folder layout and keys: docs/model-packages.md.
"""

import hashlib
import math
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.lib import format as npy
from numpy.typing import NDArray

from domains.core import InputSpec, ModelSpec, Pixels
from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST
from edge_runtime.training_statistics import AREA, LABEL, Statistics

FORMAT = 1
PIXELS = "pixels"
"""The known answer's input; its outputs are called VARIANT.OUTPUT."""
Sha256 = str

_TWINS = {"int8_edgetpu": "int8"}
"""Variants that were compiled from another one and must answer as that does."""


class TensorInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor of a variant: `real = (quantised - zero_point) * scale`; scale 0 means that it isn't quantised."""

    dtype: Literal["int8", "uint8", "float32"]
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0
    position: int = 0
    """Where the tensor stands in the interpreter's list of inputs or outputs."""


class VariantInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One TFLite file of the package."""

    file: str
    sha256: Sha256
    size_bytes: int
    input: TensorInfo
    outputs: dict[str, TensorInfo]


class InputInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How pixels become the network's numbers: `real = (pixel - mean) / std`. `channels`: 3 is RGB, 1 is grey."""

    height: int
    width: int
    mean: float
    std: float
    channels: int = 3


class KnownAnswerInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that tells what the network answers for one picture. `tolerance`: by how many quantisation steps an
    integer output may differ from it.
    """

    file: str
    sha256: Sha256
    tolerance: Annotated[int, Meta(ge=0, le=127)]


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Under which terms the weights may be used, and those of the data that they were made from."""

    weights: str
    data: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `model.toml`."""

    format: int
    name: str
    version: str
    domain: str
    task: Literal["classification", "segmentation"]
    title: str
    labels: list[str]
    intended_use: str
    licence: Licence
    input: InputInfo
    variants: dict[str, VariantInfo]
    known_answer: KnownAnswerInfo
    files: dict[str, Sha256]
    """SHA-256 of every other file of the package, at least of MODEL_CARD.md."""
    domain_options: dict[str, object] = {}
    metrics: dict[str, object] = {}
    statistics: Statistics | None = None
    """What the model saw and said where it was made; None in packages from before there were any."""


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """What the network answers for `pixels`, uint8 (1, height, width, channels).

    `outputs`: raw tensors by VARIANT.OUTPUT, with dtype and shape of the manifest; those of a compiled variant are its
    twin's.
    """

    pixels: Pixels
    outputs: Mapping[str, NDArray[np.generic]]

    def of(self, variant: str, output: str) -> NDArray[np.generic]:
        """The tensor that `variant` must give."""
        return self.outputs[f"{twin_of(variant)}.{output}"]


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package whose every byte was checked. `manifest_sha256` stands for all of them, since it names their hashes."""

    folder: Path
    manifest: Manifest
    manifest_sha256: Sha256
    spec: ModelSpec
    known_answer: KnownAnswer

    def path_of(self, variant: str) -> Path:
        """The TFLite file of `variant`."""
        return self.folder / self.manifest.variants[variant].file


def load_package(folder: Path) -> ModelPackage:
    """Reads and verifies one package. Raises PackageError, naming the package and what is wrong with it."""
    content = _manifest_bytes(folder)
    manifest = _manifest(folder, content)
    if not manifest.variants:
        raise PackageError(f"model package {folder.name}: no variant in [variants]")
    for variant in manifest.variants.values():
        _verify(folder, variant.file, variant.sha256)
    _verify(folder, manifest.known_answer.file, manifest.known_answer.sha256)
    for name, digest in manifest.files.items():
        _verify(folder, name, digest)
    try:
        _check_statistics(manifest)
        spec = _spec(manifest)
        known_answer = _known_answer(folder, manifest, spec.input.shape)
    except ValueError as error:
        raise PackageError(f"model package {folder.name}: {error}") from error
    return ModelPackage(folder, manifest, hashlib.sha256(content).hexdigest(), spec, known_answer)


def read_manifest(folder: Path) -> Manifest:
    """The checked manifest, its files not yet verified. Raises PackageError."""
    return _manifest(folder, _manifest_bytes(folder))


def is_unchanged(package: ModelPackage) -> bool:
    """Whether the package's folder still holds the manifest that it was loaded with."""
    try:
        return sha256_of(package.folder / MANIFEST) == package.manifest_sha256
    except OSError:
        return False


def twin_of(variant: str) -> str:
    """The variant whose answers `variant` must give: its own, unless it was compiled from another."""
    return _TWINS.get(variant, variant)


def _manifest_bytes(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise PackageError(f"model package {folder.name}: {MANIFEST} is missing") from error


def _manifest(folder: Path, content: bytes) -> Manifest:
    try:
        manifest = msgspec.convert(tomllib.loads(content.decode("utf-8")), Manifest)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackageError(f"model package {folder.name}: {MANIFEST} is no valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise PackageError(f"model package {folder.name}: {MANIFEST}: {error}") from error
    if manifest.format != FORMAT:
        raise PackageError(f"model package {folder.name}: format {manifest.format}, this version reads format {FORMAT}")
    if manifest.name != folder.name:
        raise PackageError(f"model package {folder.name}: its manifest is that of {manifest.name!r}")
    return manifest


def sha256_of(path: Path) -> Sha256:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _verify(folder: Path, name: str, expected: Sha256) -> None:
    path = folder / name
    if Path(name).name != name:
        raise PackageError(f"model package {folder.name}: {name!r} is not a plain file name")
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise PackageError(f"model package {folder.name}: {name} is missing, or can't be read") from error
    if actual != expected:
        raise PackageError(
            f"model package {folder.name}: {name} was changed (SHA-256 {actual[:12]}..., manifest {expected[:12]}...)"
        )


def _spec(manifest: Manifest) -> ModelSpec:
    return ModelSpec(
        name=manifest.name,
        version=manifest.version,
        domain=manifest.domain,
        title=manifest.title,
        labels=tuple(manifest.labels),
        input=InputSpec(**msgspec.structs.asdict(manifest.input)),
        options=manifest.domain_options,
        outputs=frozenset.intersection(*(frozenset(variant.outputs) for variant in manifest.variants.values())),
    )


def _check_statistics(manifest: Manifest) -> None:
    """Raises ValueError where they are of other labels than the model's."""
    found = manifest.statistics
    if found is None:
        return
    areas = {AREA.format(label) for label in manifest.labels}
    foreign = {name for name in found.outputs if name.startswith(AREA.format(""))} - areas
    if LABEL in found.choices:
        foreign |= set(found.choices[LABEL].shares) ^ set(manifest.labels)
    if foreign:
        raise ValueError(f"statistics: {', '.join(sorted(foreign))}: the labels are {', '.join(manifest.labels)}")


def _known_answer(folder: Path, manifest: Manifest, shape: tuple[int, ...]) -> KnownAnswer:
    """Unpacks no more than the manifest says. Raises ValueError, naming the key or the array at fault."""
    file = manifest.known_answer.file
    expected = dict(_arrays(manifest, shape))
    try:
        with zipfile.ZipFile(folder / file) as archive:
            if {name.removesuffix(".npy") for name in archive.namelist()} != set(expected):
                raise ValueError(f"it must hold {', '.join(expected)}, and nothing else")
            arrays = {name: _array(archive, name, tensor) for name, tensor in expected.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"known_answer: {file}: {error}") from error
    return KnownAnswer(arrays.pop(PIXELS).view(np.uint8), arrays)


def _arrays(manifest: Manifest, shape: tuple[int, ...]) -> Iterator[tuple[str, TensorInfo]]:
    """What the known answer must hold; `shape` is the input's. Raises ValueError where a variant's tensors don't fit the others."""
    yield PIXELS, TensorInfo("uint8", shape)
    for name, variant in manifest.variants.items():
        if variant.input.shape != shape:
            raise ValueError(f"variants.{name}.input: shape must be {shape}, as [input] says, got {variant.input.shape}")
        twin = manifest.variants.get(twin_of(name))
        if twin is None:
            raise ValueError(f"variants.{name}: needs the variant {twin_of(name)} that it was compiled from")
        if {output: _meaning(tensor) for output, tensor in variant.outputs.items()} != {
                output: _meaning(tensor) for output, tensor in twin.outputs.items()}:
            raise ValueError(f"variants.{name}.outputs: must be those of {twin_of(name)}, but for their position")
        if twin is variant:
            yield from ((f"{name}.{output}", tensor) for output, tensor in variant.outputs.items())


def _meaning(tensor: TensorInfo) -> TensorInfo:
    return msgspec.structs.replace(tensor, position=0)


def _array(archive: zipfile.ZipFile, name: str, tensor: TensorInfo) -> NDArray[np.generic]:
    dtype = np.dtype(tensor.dtype)
    size_bytes = math.prod(tensor.shape) * dtype.itemsize
    with archive.open(f"{name}.npy") as stream:
        if npy.read_magic(stream) != (1, 0):
            raise ValueError(f"{name} is not in version 1.0 of the npy format")
        shape, fortran_order, found = npy.read_array_header_1_0(stream)
        if (shape, fortran_order, found) != (tensor.shape, False, dtype):
            raise ValueError(f"{name} must be {tensor.dtype} {tensor.shape}, got {found} {shape}")
        content = stream.read(size_bytes)
    if len(content) != size_bytes:
        raise ValueError(f"{name} is cut short")
    return np.frombuffer(content, dtype).reshape(shape)
