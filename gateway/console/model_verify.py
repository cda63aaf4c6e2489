"""`hedgerow model verify` and `sign` on a terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.package_check import PackageReport

_STATES = {"passed": "[green]passed[/green]", "failed": "[red]failed[/red]", "not checked": "[yellow]not checked[/yellow]"}


def report_view(report: PackageReport) -> RenderableType:
    """A line a check, and what it comes to."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for check in report.checks:
        table.add_row(escape(check.name), _STATES[check.state], escape(check.detail))
    failed = [check.name for check in report.checks if check.state == "failed"]
    left = [check.name for check in report.checks if check.state == "not checked"]
    end = f"[red]refused[/red] for its {', '.join(failed)}" if failed else "nothing was found wrong"
    more = f"; not checked: {', '.join(left)}" if left else ""
    return Group(table, f"{escape(report.folder)}: {end}{more}")
