"""Results drawn for people: evidence as a glow over the scan, classes and plants over the photo."""

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core.image import Pixels
from domains.core.palette import Colour, colour_of
from domains.core.results import Box, Classification, Result, Segmentation

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE: Colour = (255, 255, 255)
_TINT = 0.45
_SMALLEST_NAMED = 28
"""A plant of fewer pixels (on a picture of 800) is marked by its box and centre alone: its name would hide it."""


def draw(pixels: Pixels, result: Result) -> Pixels:
    """The picture, uint8 RGB (H, W, 3) at full size, with the result drawn over it and a caption below; taller than
    the input by the caption.
    """
    caption = [(_verdict(result), _WHITE)] if isinstance(result, Classification) else _legend(result)
    return _with_caption(draw_over(pixels, result), caption)


def draw_over(pixels: Pixels, result: Result) -> Pixels:
    """As `draw`, without the caption: of the picture's own size."""
    return _draw_evidence(pixels, result) if isinstance(result, Classification) else _draw_classes(pixels, result)


def heatmap_picture(result: Classification, width: int, height: int) -> NDArray[np.uint8]:
    """The evidence as uint8 (height, width), 0..255; zero outside the region the model saw, or where there is none."""
    picture = np.zeros((height, width), np.uint8)
    if result.heatmap is None:
        return picture
    box = result.region
    smooth = cv2.resize(result.heatmap, (box.width, box.height), interpolation=cv2.INTER_CUBIC)
    picture[box.y : box.y + box.height, box.x : box.x + box.width] = np.round(np.clip(smooth, 0, 1) * 255)
    return picture


def _draw_evidence(pixels: Pixels, result: Classification) -> Pixels:
    height, width = pixels.shape[:2]
    evidence = heatmap_picture(result, width, height)
    glow = cv2.cvtColor(cv2.applyColorMap(evidence, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    weight = (evidence.astype(np.float32) / 255 * 0.65)[..., None]
    drawn = np.round(pixels * (1 - weight) + glow * weight).astype(np.uint8)
    if (result.region.width, result.region.height) != (width, height):
        _rectangle(drawn, result.region, colour_of(3))
    return drawn


def _draw_classes(pixels: Pixels, result: Segmentation) -> Pixels:
    palette = np.array([colour_of(index) for index in range(len(result.labels))], np.uint8)
    tinted = cv2.addWeighted(pixels, 1 - _TINT, palette[result.class_map], _TINT, 0)
    drawn = np.where((result.class_map > 0)[..., None], tinted, pixels)
    size = _text_scale(pixels)
    for instance in result.instances:
        colour = colour_of(result.labels.index(instance.label))
        _rectangle(drawn, instance.box, colour)
        centre = (round(instance.centroid[0]), round(instance.centroid[1]))
        cv2.circle(drawn, centre, max(2, round(3 * size)), _WHITE, -1, cv2.LINE_AA)
    for instance in result.instances:
        if max(instance.box.width, instance.box.height) >= _SMALLEST_NAMED * size:
            colour = colour_of(result.labels.index(instance.label))
            _name(drawn, f"{instance.label} {instance.score:.2f}", instance.box, colour, size)
    return np.asarray(drawn, np.uint8)


def _verdict(result: Classification) -> str:
    said = f"{result.label} {min(max(result.probabilities, default=0.0), 0.99):.0%}"  # no picture says "100 %"
    if result.abstention is None:
        return said
    leading = "" if result.foreign else f"; leading: {said}"
    return f"no verdict ({result.abstention.code}){leading}"


def _legend(result: Segmentation) -> list[tuple[str, Colour]]:
    areas, total = result.areas_px(), result.class_map.size
    counts = {label: sum(i.label == label for i in result.instances) for label in result.labels}
    rows = [("no verdict: " + result.abstention.code, _WHITE)] if result.abstention else []
    if result.foreign:
        return rows
    for index, label in enumerate(result.labels):
        plants = f", {counts[label]} found" if index else ""
        rows.append((f"{label} {areas[label] / total:.1%}{plants}", colour_of(index) if index else _WHITE))
    return rows


def _with_caption(pixels: Pixels, entries: list[tuple[str, Colour]]) -> Pixels:
    scale = _text_scale(pixels)
    gap, line = round(12 * scale), round(26 * scale)
    rows: list[list[tuple[str, Colour, int]]] = [[]]
    left = gap
    for text, colour in entries:
        (width, _), _ = cv2.getTextSize(text, _FONT, 0.6 * scale, 1)
        if rows[-1] and left + width + gap > pixels.shape[1]:
            rows.append([])
            left = gap
        rows[-1].append((text, colour, left))
        left += width + 2 * gap
    bar = np.zeros((line * len(rows) + gap // 2, pixels.shape[1], 3), np.uint8)
    for number, row in enumerate(rows):
        for text, colour, x in row:
            _text(bar, text, (x, line * number + round(19 * scale)), colour, scale)
    return np.vstack([pixels, bar])


def _name(pixels: Pixels, text: str, box: Box, colour: Colour, scale: float) -> None:
    """White on a plate of the class's colour, on top of the box and inside the picture."""
    (width, height), below = cv2.getTextSize(text, _FONT, 0.45 * scale, 1)
    gap = round(3 * scale)
    left = max(0, min(box.x, pixels.shape[1] - width - 2 * gap))
    top = max(0, box.y - height - below - gap)
    cv2.rectangle(pixels, (left, top), (left + width + 2 * gap, top + height + below + gap), colour, -1)
    cv2.putText(pixels, text, (left + gap, top + height + gap), _FONT, 0.45 * scale, _WHITE, 1, cv2.LINE_AA)


def _text(pixels: Pixels, text: str, place: tuple[int, int], colour: Colour, scale: float) -> None:
    cv2.putText(pixels, text, place, _FONT, 0.6 * scale, colour, 1, cv2.LINE_AA)


def _rectangle(pixels: Pixels, box: Box, colour: Colour) -> None:
    width = max(1, round(1.5 * _text_scale(pixels)))
    cv2.rectangle(pixels, (box.x, box.y), (box.x + box.width - 1, box.y + box.height - 1), colour, width)


def _text_scale(pixels: Pixels) -> float:
    """1 for a picture of 800 pixels, growing with the picture so that a 12-megapixel photo's text stays legible."""
    return max(0.7, int(max(pixels.shape[:2])) / 800)
