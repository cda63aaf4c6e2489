"""int8 beside float32 for every model that ships: `hedgerow model report` on each package, in one table.

    .venv/bin/python benchmarks/model_reports.py --data /path/to/data [--fresh]

writes docs/model-reports.md. On an idle machine: latency is measured, all else is the same anywhere. A stopped run goes on
where it was.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_runtime.embedded import package_folders
from edge_runtime.models import read_manifest
from edge_runtime.toolchain.report.make import RUNS, Wish, make
from edge_runtime.toolchain.report.markdown import cells, explained, headings
from edge_runtime.toolchain.report.rows import FLOAT32, Report

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "model-reports.md"
INTRODUCTION = """\
# int8 beside float32, for every model that ships

Written by `.venv/bin/python benchmarks/model_reports.py --data DIR`, which runs [`hedgerow model report`](report.md) on each
package, on its held-out cases. Run it again to renew the page; with `--fresh` nothing is taken from an earlier run.
`svhn_digits` ships without its float file: [case-study.md](case-study.md#every-rung) has both, and every other variant."""


def main() -> None:
    """Measures every package and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("var/reports"), help="where each report lies, with its plots")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--fresh", action="store_true")
    asked = parser.parse_args()
    wish = Wish(runs=asked.runs, fresh=asked.fresh)
    folders = [folder for folder in package_folders(()) if FLOAT32 in read_manifest(folder).variants]
    reports = [make(folder, asked.data, asked.out / folder.name, wish, _say) for folder in folders]
    PAGE.write_text(page(reports), encoding="utf-8")
    _say(f"written to {PAGE}")


def page(reports: Sequence[Report]) -> str:
    """The whole of it, Markdown: a table of all models, and what holds for each of them."""
    parts = [INTRODUCTION, "\n".join(_table(reports))]
    common = [line for line in explained(reports[0]) if all(line in explained(report) for report in reports)]
    for report in reports:
        own = [line for line in explained(report) if line not in common]
        parts += [f"**{report.name}** ({report.main_figure.replace('_', ' ')})", "\n".join(map("- {}".format, own))]
    return "\n\n".join([*parts, "**All of them**", "\n".join(map("- {}".format, common))]) + "\n"


def _table(reports: Sequence[Report]) -> Iterator[str]:
    names = headings(reports[0])
    names[3] = "main figure [95 %]"
    yield f"| model | {' | '.join(names)} |"
    yield f"|---|---|{'---:|' * (len(names) - 1)}"
    for report in reports:
        for row in report.rows:
            yield f"| {report.name} | {' | '.join(cells(row))} |"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
