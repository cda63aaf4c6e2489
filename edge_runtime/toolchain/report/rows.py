"""What a report holds. Read and written as JSON; light, so that whoever shows a report loads nothing else."""

from collections.abc import Iterator
from typing import Literal

import msgspec

FLOAT32 = "float32"
"""The variant that all others are compared with."""
FORMAT = 2


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class ClassFigure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label's own figure, and what it lost or won against float32 on the same cases. `cases`: those it rests on."""

    figure: Interval
    change: Interval
    cases: int


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one variant says of the held-out cases.

    `change`: of the main figure against float32, paired by case. `agreement`: the share of answers (for segmentation: of
    pixels) that have the same label as float32's.
    """

    main: Interval
    change: Interval
    classes: dict[str, ClassFigure]
    agreement: float

    @property
    def worst(self) -> str:
        """The label that lost most."""
        return min(self.classes, key=lambda label: self.classes[label].change.value)


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds of one run at one thread: the median, and the quartiles of all timed runs.

    `speed`: how many times as fast as float32, the median over rounds of the ratio within the round.
    """

    median_ms: float
    q1_ms: float
    q3_ms: float
    speed: float


class Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the Edge TPU compiler is predicted to do. `fatal`: why it refuses the file; empty where it doesn't."""

    mapped: int
    total: int
    fatal: str = ""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One variant. `peak_bytes`: None where the system doesn't tell it. `worst_class`: a key of `figures.classes`."""

    variant: str
    file: str
    sha256: str
    size_bytes: int
    gzip_bytes: int
    figures: Figures
    worst_class: str
    latency: Latency
    peak_bytes: int | None
    edgetpu: Mapped


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it was measured. `flags`: the CPU's instructions that decide how fast int8 is, as its system calls them."""

    cpu: str
    architecture: str
    cores: int
    flags: list[str]
    interpreter: str
    system: str


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of `report.json`.

    `unit`: what `agreement` counts. `groups`: what was resampled for the intervals. `runs`: timed runs of each variant.
    `busy_cores`: how many cores other processes took while latency was measured, on average; None where unknown.
    `skipped`: variants that can't be measured, each with the reason. `notes`: sentences for whoever reads the table.
    """

    format: int = FORMAT
    name: str
    title: str
    main_figure: str
    unit: Literal["answers", "pixels"]
    cases: int
    groups: int
    data_sha256: str
    machine: Machine
    runs: int
    busy_cores: float | None
    rows: list[Row]
    skipped: dict[str, str]
    notes: list[str] = []
    plots: list[str] = []

    def of(self, variant: str) -> Row | None:
        """The variant's row, where it has one."""
        return next((row for row in self.rows if row.variant == variant), None)

    def fatal(self) -> Iterator[tuple[str, list[str]]]:
        """Each reason why the Edge TPU compiler would refuse files, with the variants that it is said of."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.edgetpu.fatal:
                reasons.setdefault(row.edgetpu.fatal, []).append(row.variant)
        yield from reasons.items()
