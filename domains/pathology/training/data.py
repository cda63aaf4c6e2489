"""Reads the training sets of the pathology domain, each by the split that its manifest gives.

One row a scan, X-ray or photo; of `lus_pocus` one row a clip or still: frames of one clip never part ways.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.core.training import part_of
from domains.media.video import read_clip

BREAST = ("benign", "malignant", "normal")
LUNG = ("normal", "abnormal")
CHEST = ("normal", "pneumonia")
SKIN = ("other", "melanoma")
FRAMES_PER_CLIP = 12
MAY_BE_SHOWN = frozenset({"CC BY 4.0", "CC BY 2.0", "CC0"})
"""Licences under which anyone may pass a picture on."""
STILLS = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One scan or clip: `label` is an index, `part` is train, calibration or val, `group` must not be split and
    `source` says where the file comes from. `mask`: an outline of the lesion, where one was drawn. `credit`: as
    of a Case.
    """

    file: Path
    label: int
    part: str
    group: str
    source: str
    mask: Path | None = None
    credit: str = ""


def breast(data: Path) -> list[Sample]:
    """Every scan of `breast_busi` under `data`. Raises FileNotFoundError where the folder isn't there."""
    folder = data / "breast_busi"
    return [
        Sample(folder / row["file"], BREAST.index(row["label"]), part_of(row["split"], row["file"]), row["file"], "BUSI",
               folder / row["mask"] if row.get("mask") and row["label"] != "normal" else None)
        for row in _rows(folder)
    ]


def lung(data: Path) -> list[Sample]:
    """Every clip and still of `lus_pocus` under `data`: `regular` is normal, all else abnormal."""
    folder = data / "lus_pocus"
    return [
        Sample(folder / "files" / row["file"], LUNG.index("normal" if row["label"] == "regular" else "abnormal"),
               part_of(row["split"], row["group"]), row["group"], row["source"],
               credit=f"{row['doi'] or row['url']}, {row['license']}" if row.get("license") in MAY_BE_SHOWN else "")
        for row in _rows(folder)
    ]


def chest(data: Path) -> list[Sample]:
    """Every X-ray of `cxr_kermany` under `data`; a group is a child."""
    folder = data / "cxr_kermany"
    return [
        Sample(folder / row["file"], CHEST.index(row["label"]), part_of(row["split"], row["person"]), row["person"], "Kermany",
               credit="Kermany et al., Cell 172:1122, 2018, CC BY 4.0")
        for row in _rows(folder)
    ]


def skin(data: Path) -> list[Sample]:
    """Every dermoscopy photo of `skin_ham10000` under `data`; a group is a lesion."""
    folder = data / "skin_ham10000"
    return [
        Sample(folder / row["file"], SKIN.index(row["label"]), part_of(row["split"], row["lesion_id"]), row["lesion_id"], "HAM10000")
        for row in _rows(folder)
    ]


def mask_of(sample: Sample) -> NDArray[np.uint8] | None:
    """The lesion, uint8 0 or 255 at the scan's size; None where nobody drew it. Raises FileNotFoundError."""
    if sample.mask is None:
        return None
    mask = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise FileNotFoundError(sample.mask)
    return np.where(mask > 0, 255, 0).astype(np.uint8)


def frames_of(path: Path, count: int = FRAMES_PER_CLIP) -> list[Pixels]:
    """At most `count` frames of a clip or still, evenly spaced, uint8 RGB (height, width, 3)."""
    if path.suffix.lower() in STILLS:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            raise FileNotFoundError(path)
        return [np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)]
    return read_clip(path.read_bytes(), count)


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
