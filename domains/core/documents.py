"""Results as JSON documents with pictures beside them, and back: `to_document` and `from_document` are a pair.

The document is what is stored and what REST sends as `result`; docs/api.md describes it for callers. Arrays never stand
in it as numbers: a class map is a PNG whose pixel values are class indices (with a palette, so that it also looks
right), instance masks are COCO run-length encoding, an evidence map is an 8-bit PNG of the model's own resolution.
"""

import io
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from pycocotools import mask as coco_mask

from domains.core.palette import colour_of
from domains.core.results import Abstention, BoolMask, Box, Classification, Instance, Result, Segmentation

MASK = "mask.png"
EVIDENCE = "evidence.png"

NOTHING_KNOWN = {"label": "", "probability": 0.0}
"""Of a foreign picture."""

Document = dict[str, Any]
Attachments = Mapping[str, bytes]


def to_document(result: Result) -> tuple[Document, dict[str, bytes]]:
    """The result as a JSON document, and its pictures as PNG bytes by name."""
    if isinstance(result, Classification):
        return _classification(result)
    return _segmentation(result)


def from_document(document: Document, attachments: Attachments) -> Result:
    """The result again; evidence keeps 8 bits, and of a foreign picture's classification the labels are gone. Raises KeyError where
    a picture or key is missing.
    """
    abstention = document["abstention"] and Abstention(**document["abstention"])
    notices = tuple(document["notices"])
    if document["kind"] == "classification":
        chosen = document["prediction_set"]
        return Classification(
            labels=tuple(row["label"] for row in document["probabilities"]),
            probabilities=tuple(row["probability"] for row in document["probabilities"]),
            region=Box(**document["region"]),
            prediction_set=tuple(chosen["labels"]) if chosen else (),
            coverage=chosen["coverage"] if chosen else None,
            abstention=abstention,
            heatmap=_decode_evidence(attachments[EVIDENCE]) if document["evidence"] else None,
            notices=notices,
        )
    return Segmentation(
        labels=tuple(row["label"] for row in document["classes"]),
        class_map=np.asarray(PillowImage.open(io.BytesIO(attachments[MASK])), np.uint8),
        instances=tuple(_decode_instance(row) for row in document["instances"]),
        abstention=abstention,
        notices=notices,
    )


def _classification(result: Classification) -> tuple[Document, dict[str, bytes]]:
    rows = [
        {"label": label, "probability": _rounded(value)}
        for label, value in zip(result.labels, result.probabilities, strict=False)  # a foreign picture has no probabilities
    ]
    document = {
        "kind": "classification",
        **(rows[result.leading] if result.leading is not None else NOTHING_KNOWN),
        "probabilities": rows,
        "prediction_set": None
        if result.coverage is None
        else {"labels": list(result.prediction_set), "coverage": result.coverage},
        **_shared(result),
        "region": _box(result.region),
        "evidence": None,
    }
    if result.heatmap is None:
        return document, {}
    document["evidence"] = {"width": result.heatmap.shape[1], "height": result.heatmap.shape[0]}
    return document, {EVIDENCE: _encode_evidence(result.heatmap)}


def _segmentation(result: Segmentation) -> tuple[Document, dict[str, bytes]]:
    height, width = result.class_map.shape
    areas = result.areas_px()
    document = {
        "kind": "segmentation",
        "width": width,
        "height": height,
        "classes": [
            {"index": index, "label": label, "area_px": areas[label],
             "area_fraction": _rounded(areas[label] / result.class_map.size)}
            for index, label in enumerate(result.labels)
        ],
        "instances": [_encode_instance(instance, height, width) for instance in result.instances],
        **_shared(result),
    }
    return document, {MASK: _encode_class_map(result)}


def _shared(result: Result) -> Document:
    abstention = result.abstention
    return {
        "abstained": abstention is not None,
        "abstention": abstention and {"code": abstention.code, "reason": abstention.reason},
        "notices": list(result.notices),
    }


def _encode_class_map(result: Segmentation) -> bytes:
    picture = PillowImage.fromarray(result.class_map)
    picture.putpalette([channel for index in range(len(result.labels)) for channel in colour_of(index)])
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _encode_evidence(heatmap: NDArray[np.float32]) -> bytes:
    levels = np.round(np.clip(heatmap, 0, 1) * 255).astype(np.uint8)
    return cv2.imencode(".png", levels)[1].tobytes()


def _decode_evidence(png: bytes) -> NDArray[np.float32]:
    levels = np.asarray(PillowImage.open(io.BytesIO(png)), np.float32)
    return levels / np.float32(255)


def _encode_instance(instance: Instance, height: int, width: int) -> Document:
    return {
        "label": instance.label,
        "score": _rounded(instance.score),
        "box": _box(instance.box),
        "centroid": {"x": round(instance.centroid[0], 1), "y": round(instance.centroid[1], 1)},
        "area_px": instance.area_px,
        "mask": {"size": [height, width], "counts": _run_lengths(instance.mask, instance.box, height, width)},
    }


def _decode_instance(row: Document) -> Instance:
    box = Box(**row["box"])
    whole = coco_mask.decode({"size": row["mask"]["size"], "counts": row["mask"]["counts"].encode()})
    mask = whole[box.y : box.y + box.height, box.x : box.x + box.width].astype(np.bool_)
    return Instance(row["label"], row["score"], box, np.ascontiguousarray(mask),
                    (row["centroid"]["x"], row["centroid"]["y"]))


def _run_lengths(mask: BoolMask, box: Box, height: int, width: int) -> str:
    """COCO's compressed counts of a mask in a picture, from its box alone: work grows with the box, not the picture.

    COCO counts runs down the columns, alternating absent and present, beginning with absent.
    """
    padded = np.zeros((mask.shape[1], mask.shape[0] + 2), np.int8)
    padded[:, 1:-1] = mask.T
    steps = np.diff(padded, axis=1)
    start_columns, start_rows = np.nonzero(steps == 1)
    stop_columns, stop_rows = np.nonzero(steps == -1)
    starts = (box.x + start_columns) * height + box.y + start_rows
    stops = (box.x + stop_columns) * height + box.y + stop_rows
    joined = np.flatnonzero(starts[1:] == stops[:-1])  # a run that goes on at the top of the next column
    edges = np.empty(2 * (starts.size - joined.size), np.int64)
    edges[0::2] = np.delete(starts, joined + 1)
    edges[1::2] = np.delete(stops, joined)
    counts = np.diff(edges, prepend=0, append=height * width)
    counts = counts[: counts.size - (counts[-1] == 0)]  # a run of nothing at the end isn't written
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return str(encoded["counts"], "ascii")


def _box(box: Box) -> Document:
    return {"x": box.x, "y": box.y, "width": box.width, "height": box.height}


def _rounded(value: float) -> float:
    return round(float(value), 6)
