"""What Google's compiler writes, taken apart: on its standard output, and into the `.log` file beside what it compiled.

Its forms are known from logs of the versions 2 to 16 that people published (docs/compile.md). A line of no known form is passed over.
Sizes are as it rounds them (`6.02MiB`), so the bytes are good to three digits; the compiled file has the exact ones.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

MAPPED = "Mapped to Edge TPU"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_HEAD = re.compile(r"Operator\s+Count\s+Status")
_ROW = re.compile(r"(\S+)\s+(\d{1,9})\s+(\S.*)")
_FATAL = re.compile(
    r"Model not quantized|Model could not be parsed|Internal compiler error.*|Compilation failed: .*|Compilation timeout.*"
    r"|Did not get operators, tensors, or buffers in subgraph \d+.*|.*terminating with uncaught exception.*|terminate called.*"
    r"|Segmentation fault.*|Aborted.*|Usage: edgetpu_compiler.*|.*nrecognized option.*|.*nvalid option.*"
)
_FAILED = re.compile(r"Compilation failed!|Invalid model: (?P<model>.*)")
_ERROR = re.compile(r"ERROR: (.*)")
_NOISE = ("Registration failed.", "Restored original execution plan after delegate application failure.")
_ADVICE = (
    ("not quantized", "it holds float tensors: `hedgerow model optimize` makes an int8 variant"),
    ("dynamic-sized", "fix the batch size, and every other size of the input"),
    ("Didn't find op", "an operator is newer than the compiler: `hedgerow model check` says which, and what to put in its place"),
    ("out of range", "an operator is newer than the compiler: `hedgerow model check` says which, and what to put in its place"),
    ("large activation tensors", "a feature map is too large for the TPU: take a smaller input, or fewer channels where the picture is large"),
    ("timeout", "give it longer with --timeout, or take a smaller input"),
    ("Internal compiler error", "some models fail so by chance: run it once more"),
    ("option", "this version of the compiler is too old for the options"),
)


class OpLine(msgspec.Struct, frozen=True):
    """So many operators of a kind met the same fate; `status` in the compiler's words."""

    op: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        """Whether they run on the TPU."""
        return self.status == MAPPED


class ModelLog(msgspec.Struct, frozen=True):
    """What the log says of one model; None where it says nothing. Sizes in bytes, rounded by the compiler.

    `on_chip_*`: the TPU's memory for parameters; `off_chip_bytes`: parameters sent with every run.
    """

    input: str
    output: str = ""
    input_bytes: int | None = None
    output_bytes: int | None = None
    on_chip_used_bytes: int | None = None
    on_chip_remaining_bytes: int | None = None
    on_chip_available_bytes: int | None = None
    off_chip_bytes: int | None = None
    subgraphs: int | None = None
    ops_total: int | None = None
    ops_on_tpu: int | None = None
    ops_on_cpu: int | None = None
    ops: tuple[OpLine, ...] = ()


class CompilerLog(msgspec.Struct, frozen=True):
    """A run. `error`: why nothing was compiled, in the compiler's words; "" where it was, or where the log doesn't say."""

    version: str = ""
    milliseconds: int | None = None
    models: tuple[ModelLog, ...] = ()
    error: str = ""

    def of(self, output: str) -> ModelLog | None:
        """What it says of the model that was written to a file called `output`; of the only one, whatever that is called.

        None where it says nothing of it, or of several of that name.
        """
        named = [model for model in self.models if _base(model.output) == output]
        found = named or self.models
        return found[0] if len(found) == 1 else None


def parse_log(text: str) -> CompilerLog:
    """Takes a log apart. Never raises: of a text that is no log, an empty one comes."""
    reader = _Reader()
    for line in text.splitlines():
        reader.take(line.strip())
    return reader.log()


def advice_on(error: str) -> str:
    """What can be done about the compiler's `error`; "" where nothing is known."""
    return next((advice for words, advice in _ADVICE if words in error), "")


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _size(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    return round(float(found[1]) * _UNITS[found[2]]) if found else None


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


_FIELDS: dict[str, tuple[str, Callable[[str], int | None]]] = {
    "Input size": ("input_bytes", _size),
    "Output size": ("output_bytes", _size),
    "On-chip memory used for caching model parameters": ("on_chip_used_bytes", _size),
    "On-chip memory remaining for caching model parameters": ("on_chip_remaining_bytes", _size),
    "On-chip memory available for caching model parameters": ("on_chip_available_bytes", _size),
    "Off-chip memory used for streaming uncached model parameters": ("off_chip_bytes", _size),
    "Number of Edge TPU subgraphs": ("subgraphs", _count),
    "Total number of operations": ("ops_total", _count),
    "Number of operations that will run on Edge TPU": ("ops_on_tpu", _count),
    "Number of operations that will run on CPU": ("ops_on_cpu", _count),
}


@dataclass(slots=True)
class _Model:
    input: str
    output: str = ""
    figures: dict[str, int] = field(default_factory=dict)
    ops: list[OpLine] = field(default_factory=list)

    def log(self) -> ModelLog:
        figures = dict(self.figures)
        if self.ops:  # the table is whole, and the counts are left out where everything was mapped
            on_tpu = sum(line.count for line in self.ops if line.mapped)
            total = sum(line.count for line in self.ops)
            figures = {"ops_total": total, "ops_on_tpu": on_tpu, "ops_on_cpu": total - on_tpu, **figures}
        return ModelLog(self.input, self.output, ops=tuple(self.ops), **figures)


@dataclass(slots=True)
class _Reader:
    """Line by line. What went wrong in one attempt is forgotten when a later one succeeds."""

    version: str = ""
    milliseconds: int | None = None
    models: list[_Model] = field(default_factory=list)
    fatal: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    failed: str = ""
    in_table: bool = False

    def take(self, line: str) -> None:
        if not line:
            return
        row = _ROW.fullmatch(line) if self.in_table else None
        if row:
            self._model().ops.append(OpLine(row[1], int(row[2]), row[3]))
            return
        self.in_table = bool(_HEAD.fullmatch(line))
        key, _, value = line.partition(":")
        if key in _FIELDS:
            name, read = _FIELDS[key]
            figure = read(value.strip())
            if figure is not None:
                self._model().figures[name] = figure
        elif key in {"Input model", "Input"}:
            self._begin(value.strip())
        elif key in {"Output model", "Output"}:
            self._model().output = value.strip()
        else:
            self._event(line)

    def log(self) -> CompilerLog:
        return CompilerLog(
            self.version, self.milliseconds, tuple(model.log() for model in self.models), self._error()
        )

    def _begin(self, name: str) -> None:
        """What comes next is on this model. A second part on one adds to the first, but for the table, which it replaces."""
        model = next((model for model in self.models if model.input == name), _Model(name))
        model.ops = []
        self.models = [*(other for other in self.models if other is not model), model]

    def _model(self) -> _Model:
        """The one that the log is at; a table without a name before it has one of its own."""
        if not self.models:
            self.models.append(_Model(""))
        return self.models[-1]

    def _event(self, line: str) -> None:
        version = re.fullmatch(r"Edge TPU Compiler version (\S+)", line)
        success = re.fullmatch(r"Models? compiled successfully in (\d{1,9}) ms\.?", line)
        if version or success or line == "Compilation succeeded!":
            self.fatal, self.details, self.failed = [], [], ""
        if version:
            self.version = version[1]
        elif success:
            self.milliseconds = int(success[1])
        elif _FATAL.fullmatch(line):
            self.fatal.append(line.removeprefix("Compilation failed: "))
        elif detail := _ERROR.fullmatch(line):
            self.details.append(detail[1])
        elif failed := _FAILED.fullmatch(line):
            self.failed = f"{_base(failed['model'])} is an invalid model" if failed["model"] else line

    def _error(self) -> str:
        """The most telling words, and the first detail. A detail alone is no failure: the compiler goes on after some."""
        if not (self.fatal or self.failed):
            return ""
        what = self.fatal[0] if self.fatal else self.failed
        detail = next((detail for detail in self.details if detail not in _NOISE), "")
        return f"{what.rstrip('.')}: {detail}" if detail else what
