"""A report in Markdown, and the words and numbers that its table shares with the terminal's."""

from collections.abc import Sequence

from edge_runtime.toolchain.report.rows import FLOAT32, Interval, Machine, Report, Row

DASH = "–"


def render(report: Report) -> str:
    """The whole page. Its plots lie beside it."""
    lines = [f"# {report.title}", "", *table(report), "", *map("- {}".format, explained(report)), ""]
    for plot in report.plots:
        lines += [f"![{plot.removesuffix('.png').replace('_', ' ')}]({plot})", ""]
    return "\n".join(lines)


def table(report: Report) -> list[str]:
    """The lines of the Markdown table."""
    names = headings(report)
    return [
        _line(names), _line(["---", *["---:"] * (len(names) - 1)]),
        *(_line(cells(row)) for row in report.rows),
    ]


def headings(report: Report) -> list[str]:
    """One for each of `cells`."""
    return [
        "variant", "bytes", "gzip bytes", f"{figure_name(report.main_figure)} [95 %]", "change", "worst class (cases)",
        "agreement", "ms (quartiles)", "speed", "peak MB", "Edge TPU",
    ]


def cells(row: Row) -> list[str]:
    """A row in words; a dash for what doesn't apply."""
    figures, latency = row.figures, row.latency
    compared = row.variant != FLOAT32
    worst = figures.classes[row.worst_class]
    return [
        row.variant, f"{row.size_bytes:,}", f"{row.gzip_bytes:,}", share(figures.main),
        points(figures.change) if compared else DASH,
        f"{row.worst_class}: {signed(worst.change.value)} ({worst.cases})" if compared else DASH,
        f"{100 * figures.agreement:.2f} %" if compared else DASH,
        f"{milliseconds(latency.median_ms)} ({milliseconds(latency.q1_ms)}–{milliseconds(latency.q3_ms)})", f"{latency.speed:.2f}x",
        DASH if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.1f}",
        DASH if row.edgetpu.fatal else f"{row.edgetpu.mapped}/{row.edgetpu.total}",
    ]


def explained(report: Report) -> list[str]:
    """What the table means and where it was measured, a sentence or two each."""
    share_of = "answers with the same label" if report.unit == "answers" else "pixels with the same class"
    found = [
        f"{report.cases} cases in {report.groups} groups, data {report.data_sha256[:12]}; intervals: 95 %, by group.",
        "Changes are in points (hundredths) against float32 on the same cases; the worst class is the one that lost most.",
        f"Agreement: the share of {share_of} as float32's.",
        f"Latency: median and quartiles of {report.runs} runs at one thread, variants in turns; speed: against float32 then.",
        "Memory: the peak of loading and one run, less what Python and the interpreter take.",
        "Edge TPU: operations that its compiler is predicted to map, of all.",
        *(f"Edge TPU: {', '.join(variants)}: {reason}" for reason, variants in report.fatal()),
        where(report.machine), *report.notes,
        *(f"Not measured: {name}: {why}" for name, why in report.skipped.items()),
    ]
    return [f"{text.rstrip('.')}." for text in found]


def where(machine: Machine) -> str:
    """The machine in a sentence."""
    flags = ", ".join(machine.flags) or "none that matter"
    return (f"Machine: {machine.cpu} ({machine.architecture}), {machine.cores} cores; instructions: {flags}; "
            f"{machine.interpreter}; {machine.system}.")


def figure_name(figure: str) -> str:
    """A figure's name for people."""
    return figure.replace("_", " ")


def share(figure: Interval) -> str:
    """A share with its interval."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def points(change: Interval) -> str:
    """A change in points with its interval."""
    return f"{signed(change.value)} [{signed(change.low)}, {signed(change.high)}]"


def signed(change: float) -> str:
    """Points with a sign; plain 0 for none."""
    rounded = round(100 * change, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def milliseconds(value: float) -> str:
    """Three digits, and all of a larger number."""
    return f"{value:#.3g}" if value < 100 else f"{value:.0f}"


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
