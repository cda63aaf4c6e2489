"""Where model packages lie, and files and folders that survive a loss of power. Apart from models.py, so that it needs no numpy."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

MANIFEST = "model.toml"
SIGNATURE = "model.sig"
"""A package's signature over all its other files; a package needs none."""
UNFINISHED = ".part"
"""Behind the name of a file that isn't whole yet."""


def find_packages(folders: Iterable[Path]) -> Iterator[Path]:
    """Every package folder directly under `folders`, in order of name; folders that don't exist are passed over."""
    for folder in folders:
        if folder.is_dir():
            yield from sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))


def write_whole(path: Path, content: bytes) -> None:
    """The file has all of the content or isn't changed, after a loss of power too. Where it is stopped `unfinished` may be left."""
    part = unfinished(path)
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where `write_whole` writes before the file takes its name. A name with a dot before it is no part of a package."""
    return path.with_name(f".{path.name}{UNFINISHED}")


def make_private_folder(folder: Path) -> None:
    """Makes the folder and what is missing above it, with mode 0700. A folder that is there keeps its mode."""
    if folder.is_dir():
        return
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for new in reversed(missing):
        new.mkdir(mode=0o700, exist_ok=True)
        sync_folder(new.parent)


def sync_folder(folder: Path) -> None:
    """Puts what was made, renamed or removed in a folder onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
