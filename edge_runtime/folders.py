"""Where model packages lie. Apart from models.py, so that finding them needs no numpy."""

from collections.abc import Iterable, Iterator
from pathlib import Path

MANIFEST = "model.toml"
SIGNATURE = "model.sig"
"""A package's signature over all its other files; a package needs none."""


def find_packages(folders: Iterable[Path]) -> Iterator[Path]:
    """Every package folder directly under `folders`, in order of name; folders that don't exist are passed over."""
    for folder in folders:
        if folder.is_dir():
            yield from sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
