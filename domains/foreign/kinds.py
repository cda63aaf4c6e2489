"""The kinds of foreign pictures, from the data folder and from generators; the same for a part on every machine."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from domains import media
from domains.core import Pixels
from domains.core.training import Part, part_of
from domains.foreign import drawn
from domains.media.video import read_clip

NEVER_FITTED = frozenset({"everyday", "document", "device_screen", "other_ultrasound", "flat_graphic"})
"""Kinds of which no gate sees anything before it is judged: what they show holds for what nobody thought of."""
MOST_OF_A_KIND = 60
LONGEST_SIDE = 640
"""Larger pictures are scaled down to this: the models take 224 pixels, and what is larger only costs time."""
FRAMES_OF_A_CLIP = 4
VIEWS = 5
"""Of a picture of which there are few: the whole, and windows of it."""
_STILLS = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Foreign:
    """One picture. `group`: pictures that must be resampled together. `pixels`: uint8 RGB (height, width, 3)."""

    kind: str
    group: str
    pixels: Pixels


def kinds(data: Path, part: Part, *, most: int = MOST_OF_A_KIND, without: Iterable[str] = (),
          lacking: Callable[[str], None] | None = None) -> dict[str, list[Foreign]]:
    """At most `most` pictures of each kind; `train` has none of NEVER_FITTED.

    `without`: kinds to leave out, as those that the model was made for. `lacking`: told of each kind whose data set isn't there, which
    is then left out; without it that raises FileNotFoundError.
    """
    left_out = set(without) | (NEVER_FITTED if part == "train" else set())
    found = {}
    for kind, read in _KINDS.items():
        if kind in left_out:
            continue
        try:
            found[kind] = list(islice(read(data, part), most))
        except FileNotFoundError:
            if lacking is None:
                raise
            lacking(kind)
    return found


def views(picture: Pixels, count: int, seed: int) -> list[Pixels]:
    """The picture, and `count - 1` windows of it of 50 to 95 % a side."""
    random = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    found = [picture]
    for share in random.uniform(0.5, 0.95, count - 1):
        rows, columns = int(height * share), int(width * share)
        top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
        found.append(np.ascontiguousarray(picture[top : top + rows, left : left + columns]))
    return found


def _table(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())


def _of_table(kind: str, name: str, group: str, folder: str = "") -> Callable[[Path, Part], Iterable[Foreign]]:
    """The pictures and clips of a data set whose manifest has a split."""

    def read(data: Path, part: Part) -> Iterable[Foreign]:
        for row in _table(data / name):
            if part_of(row["split"], row[group]) == part:
                for pixels in _frames(data / name / folder / row["file"]):
                    yield Foreign(kind, row[group], pixels)

    return read


def _of_files(kind: str, files: Callable[[Path], Sequence[Path]], count: int = 1) -> Callable[[Path, Part], Iterable[Foreign]]:
    """`count` views of each file, whatever the part."""

    def read(data: Path, part: Part) -> Iterable[Foreign]:
        del part
        for number, file in enumerate(files(data)):
            for frame in _frames(file):
                for pixels in views(frame, count, number):
                    yield Foreign(kind, file.name, pixels)

    return read


def _of_generator(kind: str, make: Callable[[np.random.Generator], Pixels]) -> Callable[[Path, Part], Iterable[Foreign]]:
    def read(data: Path, part: Part) -> Iterable[Foreign]:
        del data
        for number in range(MOST_OF_A_KIND):
            seed = hashlib.sha256(f"{kind} {part} {number}".encode()).digest()[:8]
            yield Foreign(kind, str(number), make(np.random.default_rng(int.from_bytes(seed, "big"))))

    return read


def _house_numbers(data: Path, part: Part) -> Iterable[Foreign]:
    files = _in(data / "svhn_subset" / "numbers", "*.png")
    for file in files:
        held_out = hashlib.sha256(file.name.encode()).digest()[0] < 64
        if part_of("val" if held_out else "train", file.name) == part:
            yield Foreign("house_number", file.name, _small(_read(file)))


def _screens(data: Path) -> list[Path]:
    return _in(data / "pocus_devices" / "files", "*")


def _other_ultrasound(data: Path) -> list[Path]:
    """Ultrasound of other body parts: hearts, vessels and phantoms, from DICOM files that decode."""
    files = data / "dicom_us" / "files"
    names = ("us_mf_jpegbaseline_ybr422_30f", "us_palette_8bit", "us_rgb_320x240", "us_mf_rle_palette_2f", "us_j2k_lossless_ybr_rct",
             "us_mono_jpeglossless", "us_ybr422_uncompressed", "us_pocus_sonoque_phantom_jpeg")
    return [files / f"{name}.dcm" for name in names]


def _everyday(data: Path) -> list[Path]:
    del data
    return sorted((Path(__file__).parent / "everyday").glob("*.jpg"))


def _in(folder: Path, names: str) -> list[Path]:
    """The files of a folder, in order of name. Raises FileNotFoundError where there is none."""
    files = sorted(folder.glob(names))
    if not files:
        raise FileNotFoundError(folder)
    return files


def _frames(file: Path) -> list[Pixels]:
    if file.suffix.lower() in _STILLS:
        return [_small(_read(file))]
    if file.suffix.lower() == ".dcm":
        limits, payload = media.Limits(), file.read_bytes()
        header = media.read_header(payload, limits)
        return [_small(media.decode(payload, header, limits).pixels)]
    return [_small(frame) for frame in read_clip(file.read_bytes(), FRAMES_OF_A_CLIP)]


def _read(file: Path) -> Pixels:
    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(file)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _small(pixels: Pixels) -> Pixels:
    scale = LONGEST_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


_KINDS: dict[str, Callable[[Path, Part], Iterable[Foreign]]] = {
    "field_photo": _of_table("field_photo", "crop_peanut", "overlap_group"),
    "near_infrared_field": _of_table("near_infrared_field", "crop_cwfid", "file"),
    "house_number": _house_numbers,
    "everyday": _of_files("everyday", _everyday, VIEWS),
    "document": _of_generator("document", drawn.document),
    "flat_graphic": _of_generator("flat_graphic", drawn.graphic),
    "blank": _of_generator("blank", drawn.blank),
    "noise": _of_generator("noise", drawn.noise),
    "device_screen": _of_files("device_screen", _screens, VIEWS),
    "menu_screen": _of_generator("menu_screen", drawn.menu),
    "breast_ultrasound": _of_table("breast_ultrasound", "breast_busi", "file"),
    "lung_ultrasound": _of_table("lung_ultrasound", "lus_pocus", "group", "files"),
    "other_ultrasound": _of_files("other_ultrasound", _other_ultrasound, VIEWS),
    "chest_xray": _of_table("chest_xray", "cxr_kermany", "person"),
    "skin_photo": _of_table("skin_photo", "skin_ham10000", "lesion_id"),
}
