"""What was measured so far, kept beside the report, so that a stopped one goes on where it was."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from edge_runtime.folders import write_whole
from edge_runtime.toolchain.report.rows import Figures, Latency

PARTS_FILE = "report.part.json"
T = TypeVar("T")


class Race(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Latency of all variants, and the cores that other processes took meanwhile."""

    busy_cores: float | None
    times: dict[str, Latency]


class Parts(msgspec.Struct):
    """By a key that changes with everything that the figure depends on."""

    figures: dict[str, Figures] = {}
    peaks: dict[str, int | None] = {}
    races: dict[str, Race] = {}


class Kept:
    """The parts in `folder`. A file that can't be read is as good as none."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._path = folder / PARTS_FILE
        self._parts = Parts() if fresh else _read(self._path)

    def figures(self, key: str, measure: Callable[[], Figures]) -> Figures:
        """What is kept under the key, else what `measure` gives, kept from now on."""
        return self._kept(self._parts.figures, key, measure)

    def has_figures(self, key: str) -> bool:
        """Whether they needn't be measured."""
        return key in self._parts.figures

    def peak(self, key: str, measure: Callable[[], int | None]) -> int | None:
        """As `figures`."""
        return self._kept(self._parts.peaks, key, measure)

    def race(self, key: str, measure: Callable[[], Race]) -> Race:
        """As `figures`, of all variants together."""
        return self._kept(self._parts.races, key, measure)

    def _kept(self, parts: dict[str, T], key: str, measure: Callable[[], T]) -> T:
        if key not in parts:
            parts[key] = measure()
            write(self._path, msgspec.json.encode(self._parts))
        return parts[key]


def key_of(*things: object) -> str:
    """A short name for all of them together."""
    return hashlib.sha256(repr(things).encode()).hexdigest()[:24]


def write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def _read(path: Path) -> Parts:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Parts)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Parts()
