"""Model packages: a folder with a manifest, one TFLite file for each variant, and a model card.

`load_package` trusts nothing: the manifest's form is checked, every file's SHA-256 is computed and compared, and a file
that was changed by one byte is refused by name. Folder layout and keys: docs/model-packages.md.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from domains.core import InputSpec, ModelSpec
from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST

FORMAT = 1
Sha256 = str


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
    """How pixels become the network's numbers: `real = (pixel - mean) / std`."""

    height: int
    width: int
    mean: float
    std: float


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
    files: dict[str, Sha256]
    """SHA-256 of every other file of the package, at least of MODEL_CARD.md."""
    domain_options: dict[str, object] = {}
    metrics: dict[str, object] = {}


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package whose every byte was checked."""

    folder: Path
    manifest: Manifest
    spec: ModelSpec

    def path_of(self, variant: str) -> Path:
        """The TFLite file of `variant`."""
        return self.folder / self.manifest.variants[variant].file


def load_package(folder: Path) -> ModelPackage:
    """Reads and verifies one package. Raises PackageError, naming the package and what is wrong with it."""
    manifest = read_manifest(folder)
    if not manifest.variants:
        raise PackageError(f"model package {folder.name}: no variant in [variants]")
    for variant in manifest.variants.values():
        _verify(folder, variant.file, variant.sha256)
    for name, digest in manifest.files.items():
        _verify(folder, name, digest)
    try:
        spec = _spec(manifest)
    except ValueError as error:
        raise PackageError(f"model package {folder.name}: {error}") from error
    return ModelPackage(folder, manifest, spec)


def read_manifest(folder: Path) -> Manifest:
    """The checked manifest, its files not yet verified. Raises PackageError."""
    try:
        table = tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = msgspec.convert(table, Manifest)
    except FileNotFoundError as error:
        raise PackageError(f"model package {folder.name}: {MANIFEST} is missing") from error
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
    if not path.is_file():
        raise PackageError(f"model package {folder.name}: {name} is missing")
    actual = sha256_of(path)
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
        input=InputSpec(manifest.input.height, manifest.input.width, manifest.input.mean, manifest.input.std),
        options=manifest.domain_options,
    )
