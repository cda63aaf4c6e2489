"""Where model packages lie, and how a file in one is replaced. Apart from models.py, so that finding them needs no numpy."""

import os
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


def write_whole(path: Path, content: bytes) -> None:
    """The file has all of the content or isn't changed. A name with a dot before it is no part of a package."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
