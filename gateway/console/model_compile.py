"""`hedgerow model compile` on a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape

from edge_runtime.toolchain.edgetpu.compile_models import Result
from edge_runtime.toolchain.edgetpu.compile_report import CompileReport, Disagreement


def results_text(results: Sequence[Result]) -> RenderableType:
    """A paragraph for each model: what the TPU does of it, where the prediction was wrong, and what was put where."""
    return Group(*(line for result in results for line in _lines(result)))


def _lines(result: Result) -> list[str]:
    report = result.report
    on_cpu = sum(report.ops_on_cpu.values())
    kinds = ", ".join(f"{op} {count}" if count > 1 else op for op, count in report.ops_on_cpu.items())
    lines = [
        f"[bold]{escape(result.source)}[/bold]",
        f"  {report.ops_total} operators, "
        + (f"[yellow]{on_cpu} left on the CPU[/yellow]: {escape(kinds)}" if on_cpu else "all on the Edge TPU"),
        f"  {report.cached_bytes:,} bytes of parameters cached, {report.streamed_bytes:,} streamed with every run{_memory(report)}",
        f"  runtime {report.runtime_version} or later, chip {escape(report.chip)}, compiler {escape(report.compiler or 'unknown')}",
    ]
    if report.co_compiled_with:
        lines.append(f"  co-compiled with {escape(', '.join(report.co_compiled_with))}, token {', '.join(report.tokens)}")
    lines += [f"  [yellow]{escape(doubt)}[/yellow]" for doubt in report.doubts]
    if report.disagreements:
        lines.append("  [yellow]`hedgerow model check` predicts otherwise; please report it with the .json file:[/yellow]")
        lines += [f"    {escape(_told(found))}" for found in report.disagreements]
    return [*lines, *(f"  {escape(note)}" for note in result.notes)]


def _memory(report: CompileReport) -> str:
    left = report.log.on_chip_remaining_bytes
    return "" if left is None else f"; {left / 2**20:.2f} MiB of the TPU's memory left"


def _told(found: Disagreement) -> str:
    check = f" ({found.check_says})" if found.check_says else ""
    compiler = f" ({found.compiler_says})" if found.compiler_says else ""
    return (
        f"{found.op}: check maps {found.predicted} of {found.total}{check}, the compiler mapped {found.mapped}{compiler}"
    )
