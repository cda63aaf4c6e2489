"""Folders that only their owner may enter, and that survive a loss of power."""

import os
from pathlib import Path


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
