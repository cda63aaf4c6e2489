"""What stands inside the operator `edgetpu-custom-op` of a compiled model: a package of executables for the Edge TPU.

The operator's options are a FlexBuffer map, and its key "4" holds the package: a FlatBuffer `DWN1`. Keys and field numbers
are those of libedgetpu (https://github.com/google-coral/libedgetpu: tflite/custom_op_data.cc, executable/executable.fbs).
Nothing of it is run. Packages for further chips (key "7") are not read; no compiler that Coral gave out writes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from flatbuffers import flexbuffers

from edge_runtime.flatbuffer import DAMAGED, Table, read, root_of

MAX_TABLES = 200_000
"""Executables, layers and chunks of instructions that are read of one file; real ones have under a hundred."""
_KINDS = {0: "STAND_ALONE", 1: "PARAMETER_CACHING", 2: "EXECUTION_ONLY"}
_TYPES = {0: "uint8", 1: "uint16", 2: "int32", 3: "bfloat16", 4: "float16", 5: "float32", 8: "int8", 9: "int16"}
_MAX_TEXT = 1024


@dataclass(frozen=True, slots=True)
class Layer:
    """What the TPU takes in or gives out. `shape` is (y, x, z); `size_bytes` has the padding; real = (n - zero_point) * scale."""

    name: str
    shape: tuple[int, int, int]
    dtype: str
    scale: float
    zero_point: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Executable:
    """One program. PARAMETER_CACHING puts its parameters into the TPU's memory once; those of the other kinds, EXECUTION_ONLY
    and STAND_ALONE, are sent with every run. Executables with the same `token` can have their parameters there together.
    """

    kind: str
    chip: str
    parameter_bytes: int
    instruction_bytes: int
    scratch_bytes: int
    token: int
    inputs: tuple[Layer, ...]
    outputs: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """What one `edgetpu-custom-op` holds. `compiler`: "" where the compiler left its version out."""

    runtime_version: int
    compiler: str
    executables: tuple[Executable, ...]


@dataclass(slots=True)
class Budget:
    """How many tables and bytes may still be read: the same bytes can be pointed at from many places."""

    bytes_left: int
    tables_left: int = field(default=MAX_TABLES)

    def take(self, *, size_bytes: int = 0, tables: int = 0) -> None:
        """Raises ValueError where that is more than is left."""
        self.bytes_left -= size_bytes
        self.tables_left -= tables
        if self.bytes_left < 0 or self.tables_left < 0:
            raise ValueError("it holds more than its size allows")


def read_package(options: bytes, budget: Budget) -> Package:
    """Reads an operator's options. Raises ValueError, saying what is wrong, for whatever isn't a whole package."""
    budget.take(size_bytes=len(options))
    try:
        raw = bytes(flexbuffers.GetRoot(options).AsMap["4"].AsStringBytes)
    except Exception as error:  # whatever flexbuffers may raise over a stranger's bytes
        raise ValueError("its options hold no package") from error
    try:
        package = root_of(raw, b"DWN1")
        compiler = _text(package, 4, budget)
        inner = _content(package, 1, budget)
        executables = tuple(_executable(program, budget) for program in _programs(inner, budget)) if inner else ()
        version = package.number(0, "<i")
    except DAMAGED as error:
        raise ValueError(f"its package is cut short or damaged ({error})") from error
    if not executables:
        raise ValueError("its package holds no executable")
    return Package(version, "" if compiler == "cl/" else compiler, executables)


def _programs(inner: bytes, budget: Budget) -> Iterator[Table]:
    """The executables: FlatBuffers in strings in a vector in a FlatBuffer."""
    start, count = Table(inner, read("<I", inner, 0)).vector(0)
    budget.take(tables=count)
    for place in range(start, start + 4 * count, 4):
        string = place + read("<I", inner, place)
        size = read("<I", inner, string)
        if string + 4 + size > len(inner):
            raise ValueError("an executable goes beyond the end")
        budget.take(size_bytes=size)
        program = inner[string + 4 : string + 4 + size]
        yield Table(program, read("<I", program, 0))


def _executable(table: Table, budget: Budget) -> Executable:
    kind = table.number(13, "<h")
    return Executable(
        kind=_KINDS.get(kind, f"KIND_{kind}"),
        chip=_text(table, 10, budget),
        parameter_bytes=table.length(6),
        instruction_bytes=sum(chunk.length(0) for chunk in _tables(table, 5, budget)),
        scratch_bytes=table.number(4, "<i"),
        token=table.number(14, "<Q"),
        inputs=tuple(_layer(layer, budget) for layer in _tables(table, 8, budget)),
        outputs=tuple(_layer(layer, budget) for layer in _tables(table, 9, budget)),
    )


def _layer(table: Table, budget: Budget) -> Layer:
    dtype = table.number(6, "<h")
    numerics = table.table(5)
    return Layer(
        name=_text(table, 0, budget),
        shape=(table.number(2, "<i"), table.number(3, "<i"), table.number(4, "<i")),
        dtype=_TYPES.get(dtype, f"type_{dtype}"),
        scale=float(numerics.number(1, "<f")) if numerics else 0.0,
        zero_point=numerics.number(0, "<i") if numerics else 0,
        size_bytes=table.number(1, "<i"),
    )


def _tables(table: Table, number: int, budget: Budget) -> Iterator[Table]:
    budget.take(tables=table.length(number))
    return table.tables(number)


def _content(table: Table, number: int, budget: Budget) -> bytes:
    budget.take(size_bytes=table.length(number))
    return table.content(number)


def _text(table: Table, number: int, budget: Budget) -> str:
    raw = _content(table, number, budget)[:_MAX_TEXT].decode("utf-8", "replace")
    return "".join(character for character in raw if character.isprintable())
