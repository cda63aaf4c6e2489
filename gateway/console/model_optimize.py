"""`hedgerow model optimize`: what was made, and what wasn't."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from edge_runtime.toolchain.variants import VariantSet


def variants_table(found: VariantSet) -> Table:
    """A row a variant."""
    shown = Table(title=f"{found.name}: {found.parameters:,} parameters, seed {found.seed}")
    for column in ("variant", "bytes", "epochs", "seconds", "peak memory"):
        shown.add_column(column, justify="left" if column == "variant" else "right")
    for name, variant in found.variants.items():
        shown.add_row(name, f"{variant.size_bytes:,}", str(variant.epochs), f"{variant.seconds:.0f}",
                      f"{variant.peak_bytes / 2**20:.0f} MiB")
    return shown


def skipped_lines(found: VariantSet) -> Iterator[str]:
    """A line for each variant that was not made, with the reason."""
    for name, reason in found.skipped.items():
        yield f"[yellow]{name}: not made[/yellow], {escape(reason)}"
