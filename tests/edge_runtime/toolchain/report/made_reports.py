"""Reports that nothing was measured for."""

from collections.abc import Mapping

from edge_runtime.toolchain.report.rows import (
    ClassFigure,
    Figures,
    Interval,
    Latency,
    Machine,
    Mapped,
    Report,
    Row,
)

AVX2 = ["avx2", "fma"]


def row(variant: str, *, size: int = 4_000_000, main: float = 0.8, classes: Mapping[str, float] | None = None,
        speed: float = 1.0, fatal: str = "", peak: int | None = 20_000_000) -> Row:
    """`classes`: by label how much its figure changed."""
    found = {label: ClassFigure(Interval(0.8, 0.7, 0.9), Interval(change, change - 0.01, change + 0.01), 12)
             for label, change in (classes or {"a": 0.0, "b": 0.0}).items()}
    figures = Figures(Interval(main, main - 0.05, main + 0.04), Interval(main - 0.8, main - 0.83, main - 0.77), found, 0.975)
    return Row(variant, f"{variant}.tflite", "0" * 64, size, size - 100_000, figures, figures.worst,
               Latency(2.0 / speed, 1.9 / speed, 2.2 / speed, speed), peak, Mapped(0 if fatal else 8, 9, fatal))


def report(*rows: Row, groups: int = 100, cases: int = 100, flags: list[str] = AVX2, busy_cores: float | None = 0.2) -> Report:
    """Of these rows, on a machine with these instructions."""
    machine = Machine("Some CPU", "x86_64", 2, flags, "ai-edge-litert 2.3.0", "Linux, Python 3.11")
    return Report(name="digits", title="Digits", main_figure="accuracy", unit="answers", cases=cases, groups=groups,
                  data_sha256="1" * 64, machine=machine, runs=100, busy_cores=busy_cores, rows=list(rows), skipped={})
