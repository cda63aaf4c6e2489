"""What making a package cost, and the page that tells it of all of them."""

from collections.abc import Mapping, Sequence

import msgspec


class Made(msgspec.Struct, frozen=True):
    """One package, or what became of it. `runs`: those that it took, `seconds`: of all of them; `peak_mb`: the most resident memory of
    its process. `key`: of data, code, words and seed. `manifest_sha256`: "" until it is finished; `error`: why it isn't.
    """

    model: str
    domain: str
    seed: int
    key: str = ""
    runs: int = 0
    seconds: float = 0.0
    peak_mb: int = 0
    version: str = ""
    manifest_sha256: str = ""
    size_mb: float = 0.0
    main_figure: str = ""
    figures: dict[str, dict[str, float]] = {}
    error: str = ""


def page(rows: Sequence[Made]) -> str:
    """Markdown: a row a package, and the size of all together."""
    lines = [
        "# Packages made", "",
        "| package | seed | runs | minutes | peak memory | size | main figure (95 % interval) | log |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for row in rows:
        told = f"**not made**: {row.error}".replace("|", "\\|") if row.error else _figures(row)
        lines.append(f"| {row.model} {row.version} | {row.seed} | {row.runs} | {row.seconds / 60:.1f} | {row.peak_mb} MB | "
                     f"{row.size_mb:.2f} MB | {told} | [log](logs/{row.model}.log) |")
    return "\n".join([*lines, "", f"{sum(row.size_mb for row in rows):.1f} MB in all.", ""])


def _figures(row: Made) -> str:
    return f"{row.main_figure}: " + ", ".join(f"{variant} {_words(figure)}" for variant, figure in row.figures.items())


def _words(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
