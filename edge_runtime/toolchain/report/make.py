"""The driver of `hedgerow model report`: measures every variant, then writes the table, the JSON and the plots."""

import gzip
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_runtime.models import sha256_of
from edge_runtime.toolchain.edgetpu.predict import predict
from edge_runtime.toolchain.plotting import PlotsMissing
from edge_runtime.toolchain.report import markdown, notes
from edge_runtime.toolchain.report.latency import others, race
from edge_runtime.toolchain.report.machine import machine
from edge_runtime.toolchain.report.measure import compare
from edge_runtime.toolchain.report.memory import peak_bytes
from edge_runtime.toolchain.report.parts import Kept, Race, key_of, write
from edge_runtime.toolchain.report.plots import draw
from edge_runtime.toolchain.report.rows import FLOAT32, FORMAT, Figures, Latency, Machine, Mapped, Report, Row
from edge_runtime.toolchain.report.sources import Answered, Source, open_source
from edge_runtime.toolchain.tflite import read_model

RUNS = 100
JSON_FILE, MARKDOWN_FILE = "report.json", "report.md"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """`variants`: only these, beside float32; all where empty. `runs`: timed runs of each variant. `fresh`: nothing that
    an earlier report kept is taken up again.
    """

    variants: Sequence[str] = ()
    runs: int = RUNS
    fresh: bool = False


def make(folder: Path, data: Path, out: Path, wish: Wish, say: Say) -> Report:
    """Measures what lies in `folder` and writes report.md, report.json and plots into `out`.

    Raises ValueError, PackageError or UnknownDomain, saying what is wrong, FileNotFoundError where `data` lacks the data.
    """
    if wish.runs < 1:
        raise ValueError(f"at least one timed run is needed, got {wish.runs}")
    source = open_source(folder, data)
    files = _chosen(source, wish.variants)
    here = machine()
    kept = Kept(out, fresh=wish.fresh)
    hashes = {name: sha256_of(path) for name, path in files.items()}
    figures = _figures(source, files, hashes, kept, say)
    peaks = {}
    for name, path in files.items():
        key = key_of(FORMAT, hashes[name], source.spec, here)
        peaks[name] = kept.peak(key, lambda path=path: _peak(path, source, say))  # type: ignore[misc]
    raced = _raced(source, files, hashes, here, wish.runs, kept, say)
    rows = [_row(name, files[name], hashes[name], figures[name], raced.times[name], peaks[name]) for name in files]
    report = Report(
        name=source.name, title=source.title, main_figure=source.main_figure, unit=source.unit, cases=len(source.groups),
        groups=len(set(source.groups)), data_sha256=source.data_sha256, machine=here, runs=wish.runs, busy_cores=raced.busy_cores, rows=rows,
        skipped={name: why for name, why in source.skipped.items() if not wish.variants or name in wish.variants},
    )
    return _written(msgspec.structs.replace(report, notes=[*source.remarks, *notes.of(report)]), out, say)


def _chosen(source: Source, wanted: Sequence[str]) -> dict[str, Path]:
    """Files by variant, float32 first."""
    there = ", ".join(source.files)
    if unknown := [name for name in wanted if name not in source.files]:
        raise ValueError(f"{source.name} has no variant {unknown[0]!r}; there are {there}")
    if FLOAT32 not in source.files:
        raise ValueError(f"{source.name} has no variant {FLOAT32!r} to compare the others with; there are {there}")
    return {FLOAT32: source.files[FLOAT32]} | {
        name: path for name, path in source.files.items() if not wanted or name in wanted
    }


def _figures(source: Source, files: dict[str, Path], hashes: dict[str, str], kept: Kept, say: Say) -> dict[str, Figures]:
    """Answers of float32 are had again where another variant's figures are missing, since they are compared by case."""
    keys = {name: key_of(FORMAT, source.key, source.data_sha256, hashes[FLOAT32], digest) for name, digest in hashes.items()}
    reference: list[Answered] = []

    def measure(name: str) -> Figures:
        if not reference:
            reference.extend(source.answers(FLOAT32, say))
        return compare(source, reference if name == FLOAT32 else source.answers(name, say), reference)

    found = {}
    for name in files:
        if kept.has_figures(keys[name]):
            say(f"{source.name}: {name}: figures taken from an earlier run")
        found[name] = kept.figures(keys[name], lambda name=name: measure(name))  # type: ignore[misc]
    return found


def _peak(path: Path, source: Source, say: Say) -> int | None:
    say(f"{source.name}: {path.stem}: measuring memory")
    return peak_bytes(path, source.spec)


def _raced(source: Source, files: dict[str, Path], hashes: dict[str, str], here: Machine, runs: int, kept: Kept, say: Say,
           ) -> Race:
    def measure() -> Race:
        say(f"{source.name}: measuring latency, {runs} runs of {len(files)} variants in turns")
        before, began = others(), time.monotonic()
        times = race(files, source.spec, runs, say)
        after, took = others(), time.monotonic() - began
        return Race(None if before is None or after is None else round(max(0.0, (after - before) / took), 2), times)

    return kept.race(key_of(FORMAT, hashes, source.spec, here, runs), measure)


def _row(name: str, path: Path, sha256: str, figures: Figures, times: Latency, peak: int | None) -> Row:
    predicted = predict(read_model(path))
    content = path.read_bytes()
    return Row(
        variant=name, file=path.name, sha256=sha256, size_bytes=len(content),
        gzip_bytes=len(gzip.compress(content, compresslevel=9, mtime=0)), figures=figures, worst_class=figures.worst,
        latency=times, peak_bytes=peak, edgetpu=Mapped(predicted.ops_mapped, predicted.ops_total, predicted.fatal),
    )


def _written(report: Report, out: Path, say: Say) -> Report:
    """Plots, then the files that name them."""
    try:
        report = msgspec.structs.replace(report, plots=draw(report, out))
    except PlotsMissing as error:
        say(str(error))
    write(out / JSON_FILE, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    write(out / MARKDOWN_FILE, markdown.render(report).encode())
    written = ", ".join((MARKDOWN_FILE, JSON_FILE, *report.plots))
    say(f"{report.name}: {written} written to {out}")
    return report
