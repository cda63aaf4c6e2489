"""`hedgerow model report`: the table of variants for a terminal."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.toolchain.report.markdown import cells, explained, headings
from edge_runtime.toolchain.report.rows import Report


def report_view(report: Report, width: int) -> RenderableType:
    """As many tables as it takes on a terminal of so many columns, so that no figure is broken; below what they mean."""
    lines = [[_heading(name) for name in headings(report)], *map(cells, report.rows)]
    columns = list(zip(*lines, strict=True))
    told = [f"[dim]{escape(line)}[/dim]" for line in explained(report)]
    return Group(f"[bold]{escape(report.title)}[/bold]", *(_table(shown) for shown in _fitting(columns, width)), *told)


def _fitting(columns: Sequence[Sequence[str]], width: int) -> list[list[Sequence[str]]]:
    """Columns by table, the first one in each."""
    variant, *rest = columns
    tables = [[variant]]
    for column in rest:
        if len(tables[-1]) > 1 and sum(map(_width, [*tables[-1], column])) > width:
            tables.append([variant])
        tables[-1].append(column)
    return tables


def _width(column: Sequence[str]) -> int:
    """Of the longest line, and the space beside it."""
    return max(cell_len(line) for cell in column for line in cell.split("\n")) + 1


def _table(columns: Sequence[Sequence[str]]) -> Table:
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for place, column in enumerate(columns):
        shown.add_column(escape(column[0]), justify="right" if place else "left", no_wrap=True)
    for row in list(zip(*columns, strict=True))[1:]:
        shown.add_row(*map(escape, row))
    return shown


def _heading(name: str) -> str:
    """Its unit on a line of its own."""
    return name.replace(" [", "\n[").replace(" (", "\n(")
