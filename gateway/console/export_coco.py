"""Hard cases as a data set in COCO's form (https://cocodataset.org/#format-data): images/ and annotations.json.

What a model drew of a segmentation is there as annotations to begin with, each with `proposed: true`, its `score`, and a mask
as run-length encoding, which pycocotools reads for any annotation. Classifications have none: what the models said stands in
each image's `hedgerow`.
"""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as PillowImage

from domains import media
from domains.core import Pixels
from domains.errors import UnsupportedMedia
from edge_runtime.folders import write_whole
from gateway.console.export_form import (
    CleanCase,
    ExportRefused,
    Leaving,
    Target,
    answers_of,
    open_folder,
    write_json,
)

INDEX = "annotations.json"
DESCRIPTION = "Hard cases of Hedgerow, to be labelled"
RENDERED = "rendered-as-png"
_LICENCE = {"id": 1, "name": "As those decide whose pictures they are; not for publication", "url": ""}
_ORIENTATION = 0x0112


class CocoFolder(Target):
    """Goes on with an earlier export. Raises ExportRefused for a folder that is none."""

    def __init__(self, folder: Path, limits: media.Limits) -> None:
        self._folder = folder
        self._limits = limits
        found = open_folder(folder, INDEX, ("cases.json",))
        self._document = _new_document() if found is None else _checked(found, folder)
        self._images: list[dict[str, Any]] = self._document["images"]
        self._names = {image["hedgerow"]["case"] for image in self._images}
        (folder / "images").mkdir(exist_ok=True)

    def holds(self, name: str) -> bool:
        return name in self._names

    def form(self, clean: CleanCase) -> Leaving:
        """An upright JPEG stays as it is; everything else becomes a PNG of the frame that the model saw."""
        header = media.read_header(clean.payload, self._limits)
        frame = int(clean.analysis.media.get("frame", 1))
        pixels = media.decode(clean.payload, header, self._limits, frame_number=frame).pixels
        size = (pixels.shape[1], pixels.shape[0])
        if header.format == "jpeg" and _is_plain(clean.payload):
            return Leaving(f"{clean.name}.jpg", clean.payload, "jpeg", clean.rules, size)
        return Leaving(f"{clean.name}.png", _png_of(pixels), "png", (*clean.rules, RENDERED), size)

    def keep(self, clean: CleanCase, leaving: Leaving) -> None:
        write_whole(self._folder / "images" / leaving.file_name, leaving.payload)
        categories = {label: self._category(clean.case.model, label) for label in clean.labels}
        image_id = _next_id(self._images)
        width, height = leaving.size
        self._images.append({
            "id": image_id, "file_name": leaving.file_name, "width": width, "height": height, "license": _LICENCE["id"],
            "hedgerow": {
                "case": clean.name, "domain": clean.case.domain, "model": clean.case.model, "reason": clean.case.reason,
                "answers": answers_of(clean.case),
            },
        })
        self._names.add(clean.name)
        result = clean.analysis.result
        if result["kind"] == "segmentation" and (result["width"], result["height"]) == leaving.size:
            for instance in result["instances"]:
                self._propose(image_id, categories[instance["label"]], instance)

    def save(self) -> None:
        write_json(self._folder / INDEX, self._document)

    def _category(self, model: str, label: str) -> int:
        categories: list[dict[str, Any]] = self._document["categories"]
        for row in categories:
            if (row["supercategory"], row["name"]) == (model, label):
                return int(row["id"])
        categories.append({"id": _next_id(categories), "name": label, "supercategory": model})
        return int(categories[-1]["id"])

    def _propose(self, image_id: int, category_id: int, instance: dict[str, Any]) -> None:
        box, annotations = instance["box"], self._document["annotations"]
        annotations.append({
            "id": _next_id(annotations), "image_id": image_id, "category_id": category_id, "iscrowd": 0,
            "bbox": [box["x"], box["y"], box["width"], box["height"]], "area": instance["area_px"],
            "segmentation": instance["mask"], "score": instance["score"], "proposed": True,
        })


def _new_document() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "info": {
            "description": DESCRIPTION, "version": "1", "year": now.year, "contributor": "", "url": "",
            "date_created": now.date().isoformat(),
        },
        "licenses": [_LICENCE], "images": [], "annotations": [], "categories": [],
    }


def _checked(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Raises ExportRefused for what an earlier export didn't write, or what was labelled since: labels aren't touched."""
    info, images, annotations = (document.get(name) for name in ("info", "images", "annotations"))
    ours = (
        isinstance(info, dict) and info.get("description") == DESCRIPTION
        and isinstance(images, list) and isinstance(annotations, list) and isinstance(document.get("categories"), list)
        and all(isinstance(image, dict) and isinstance(image.get("hedgerow"), dict) for image in images)
    )
    if not ours:
        raise ExportRefused(f"{folder / INDEX} was not written by an earlier export")
    if any(not isinstance(row, dict) or row.get("proposed") is not True for row in annotations or ()):
        raise ExportRefused(f"{folder} was labelled since the last export; name another folder, so that no label is lost")
    return document


def _next_id(rows: list[dict[str, Any]]) -> int:
    return max((int(row["id"]) for row in rows), default=0) + 1


def _is_plain(jpeg: bytes) -> bool:
    """Whether every reader shows it as our own does: grey or RGB, and stored upright."""
    try:
        with PillowImage.open(BytesIO(jpeg)) as opened:
            return opened.mode in {"L", "RGB"} and opened.getexif().get(_ORIENTATION, 1) == 1
    except Exception:  # whatever a library makes of it: then it is written anew
        return False


def _png_of(pixels: Pixels) -> bytes:
    grey = bool((pixels == pixels[:, :, :1]).all())
    written = pixels[:, :, 0] if grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(".png", np.ascontiguousarray(written))
    if not done:
        raise UnsupportedMedia("the picture could not be written as PNG")
    return bytes(content.tobytes())
