"""Reads the two training sets of the pathology domain, each by the split that its manifest gives.

`breast_busi`: one row a scan. `lus_pocus`: one row a clip or still; frames of one clip never part ways.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from domains.core import Pixels
from domains.core.training import part_of
from domains.media.video import read_clip

BREAST = ("benign", "malignant", "normal")
LUNG = ("normal", "abnormal")
FRAMES_PER_CLIP = 12
STILLS = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One scan or clip: `label` is an index, `part` is train, calibration or val, `group` must not be split and
    `source` says where the file comes from.
    """

    file: Path
    label: int
    part: str
    group: str
    source: str


def breast(data: Path) -> list[Sample]:
    """Every scan of `breast_busi` under `data`. Raises FileNotFoundError where the folder isn't there."""
    folder = data / "breast_busi"
    return [
        Sample(folder / row["file"], BREAST.index(row["label"]), part_of(row["split"], row["file"]), row["file"],
               "BUSI")
        for row in _rows(folder)
    ]


def lung(data: Path) -> list[Sample]:
    """Every clip and still of `lus_pocus` under `data`: `regular` is normal, all else abnormal."""
    folder = data / "lus_pocus"
    return [
        Sample(folder / "files" / row["file"], LUNG.index("normal" if row["label"] == "regular" else "abnormal"),
               part_of(row["split"], row["group"]), row["group"], row["source"])
        for row in _rows(folder)
    ]


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
