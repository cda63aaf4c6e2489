"""Which files `hedgerow analyze` takes from what it was given."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".pgm", ".ppm", ".dcm", ".dicom",
    ".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".gif", ".mpg", ".mpeg", ".ts",
})
_DICOM_MARK = b"DICM"
_DICOM_MARK_AT = 128


@dataclass(frozen=True, slots=True)
class Item:
    """A file to analyse; `name` is where its results go under the output folder."""

    path: Path
    name: str


def collect(given: Iterable[Path]) -> Iterator[Item]:
    """Files as they are; of folders every picture, clip and DICOM file below them, in order. Raises FileNotFoundError."""
    for path in given:
        if path.is_dir():
            for found in sorted(path.rglob("*")):
                if found.is_file() and _is_picture(found):
                    yield Item(found, str(found.relative_to(path)))
        elif path.is_file():
            yield Item(path, path.name)
        else:
            raise FileNotFoundError(str(path))


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix or path.name.startswith("."):
        return False
    with path.open("rb") as stream:
        stream.seek(_DICOM_MARK_AT)
        return stream.read(len(_DICOM_MARK)) == _DICOM_MARK
