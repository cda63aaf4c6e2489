"""A model that Google's compiler made for the Edge TPU, read as data: it can't be loaded without a TPU's driver.

It is a TFLite file in which one `edgetpu-custom-op` (several with `--multiple-subgraphs`) stands for the mapped operators;
whatever stands beside it stayed on the CPU.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from edge_runtime.errors import PackageError
from edge_runtime.models import load_package
from edge_runtime.tflite_file import CUSTOM_OP
from edge_runtime.toolchain.edgetpu.executable import Budget, Package, read_package
from edge_runtime.toolchain.tflite import Op, Tensor, read_bytes, read_model

VARIANT = "int8_edgetpu"
"""What a compiled model is called in a package."""
_CACHED = "PARAMETER_CACHING"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled model. `inputs` and `outputs` are the file's own tensors, in the interpreter's order; the layers of each
    executable are what crosses to the TPU. `packages`: one for each `edgetpu-custom-op`.
    """

    name: str
    size_bytes: int
    description: str
    packages: tuple[Package, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops_on_cpu: tuple[str, ...]

    @property
    def chip(self) -> str:
        """For which chip; `beagle` is the Edge TPU of every Coral product."""
        return ", ".join(dict.fromkeys(executable.chip for package in self.packages for executable in package.executables))

    @property
    def runtime_version(self) -> int:
        """The lowest version of the Edge TPU runtime that runs it."""
        return max(package.runtime_version for package in self.packages)

    @property
    def compiler(self) -> str:
        """The compiler's version, "" where it left it out."""
        return ", ".join(dict.fromkeys(package.compiler for package in self.packages if package.compiler))

    @property
    def cached_bytes(self) -> int:
        """Parameters that stay in the TPU's memory between runs, padding included."""
        return self._parameters(cached=True)

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent to the TPU with every run."""
        return self._parameters(cached=False)

    @property
    def instruction_bytes(self) -> int:
        """Of all executables."""
        return sum(executable.instruction_bytes for package in self.packages for executable in package.executables)

    @property
    def tokens(self) -> tuple[int, ...]:
        """Models with the same token were co-compiled: their parameters lie in the TPU's memory together."""
        return tuple(dict.fromkeys(
            executable.token for package in self.packages for executable in package.executables if executable.token
        ))

    def _parameters(self, *, cached: bool) -> int:
        return sum(
            executable.parameter_bytes
            for package in self.packages for executable in package.executables if (executable.kind == _CACHED) is cached
        )


def read_compiled(path: Path) -> Compiled:
    """Reads a compiled model. Raises ValueError, with the file's name and what is wrong, for every other file."""
    model = read_model(path)
    on_tpu = [op for op in model.ops if _is_compiled(op)]
    if not on_tpu:
        raise ValueError(
            f"{path.name} is not compiled for the Edge TPU: `hedgerow model check {path.name}` predicts what would be mapped"
        )
    try:
        packages = _packages(read_bytes(path), on_tpu)
    except (ValueError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise ValueError(f"{path.name} is damaged: {CUSTOM_OP}: {error}") from error
    return Compiled(
        path.name, model.size_bytes, model.description, packages,
        tuple(model.tensors[index] for index in model.inputs), tuple(model.tensors[index] for index in model.outputs),
        tuple(op.name for op in model.ops if not _is_compiled(op)),
    )


def compiled_of(folder: Path) -> Path:
    """The compiled file in a package. Raises PackageError where the folder is no package, or holds none."""
    package = load_package(folder.resolve())
    if VARIANT not in package.manifest.variants:
        raise PackageError(f"model package {package.folder.name}: it has no variant {VARIANT}; `hedgerow model compile` makes it")
    return package.path_of(VARIANT)


def _is_compiled(op: Op) -> bool:
    return op.is_custom and op.name == CUSTOM_OP


def _packages(data: bytes, ops: list[Op]) -> tuple[Package, ...]:
    graph = schema.Model.GetRootAs(data, 0).Subgraphs(0)
    budget = Budget(8 * len(data))
    packages = []
    for op in ops:
        operator = graph.Operators(op.index)
        size = operator.CustomOptionsLength()
        if not 0 < size <= len(data):
            raise ValueError("its options are missing or cut short")
        budget.take(size_bytes=size)
        packages.append(read_package(operator.CustomOptionsAsNumpy().tobytes(), budget))
    return tuple(packages)
