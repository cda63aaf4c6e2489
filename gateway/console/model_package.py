"""What `hedgerow model package` says of a package that it made: where it is, its files, and what int8 costs in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from edge_runtime.models import Manifest
from edge_runtime.toolchain.release_gate import Losses


def package_to_json(folder: Path, manifest: Manifest, losses: Losses) -> Mapping[str, Any]:
    """As JSON values; changes are int8 minus float32, as shares."""
    return {
        "folder": str(folder),
        "name": manifest.name,
        "version": manifest.version,
        "files": {variant: {"file": info.file, "sha256": info.sha256, "size_bytes": info.size_bytes}
                  for variant, info in manifest.variants.items()},
        "figures": {name: {"float32": pair[0], "int8": pair[1], "change": round(pair[1] - pair[0], 4)}
                    for name, pair in losses.rows()},
        "over_limit": [name for name, _, _ in losses.over_limit()],
    }


def package_table(folder: Path, manifest: Manifest, losses: Losses) -> RenderableType:
    """For terminals."""
    table = Table("figure", title=f"{manifest.name} {manifest.version}", title_justify="left")
    for heading in ("float32", "int8", "change in points"):
        table.add_column(heading, justify="right")
    over = {name for name, _, _ in losses.over_limit()}
    for name, (before, after) in losses.rows():
        table.add_row(name, f"{before:.4f}", f"{after:.4f}", f"{100 * (after - before):+.2f}{' (explained in the card)' if name in over else ''}")
    sizes = ", ".join(f"{info.file} {info.size_bytes:,} bytes" for info in manifest.variants.values())
    return Group(table, f"{sizes}", f"package: {folder}")
