"""What a folder of pictures holds, without asking the store by id."""

import os
from pathlib import Path

from gateway.store import images


def kept_pictures(root: Path) -> dict[str, set[str]]:
    """The names of the pictures that are there, by the id of their analysis."""
    kept: dict[str, set[str]] = {}
    for path in root.rglob("*.*"):
        if images._FILE.fullmatch(path.name):
            descriptor = os.open(path, os.O_RDONLY)
            kept |= {entry.id: set(entry.lengths) for entry in images._entries(descriptor) if not entry.gone}
            os.close(descriptor)
    return kept
