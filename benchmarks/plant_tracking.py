"""Whether a forward video counts each plant once: simulated motion over real photos.

    .venv/bin/python benchmarks/plant_tracking.py --data DIR [--part val] [--plot docs/images/plant_tracking.png]

Prints JSON. There is no field video in the data sets, so a video is made of what there is: labelled photos of
`crop_peanut`, three of one spot of the field at most, are laid end to end, and a window of 640 x 480 pixels is driven over
them with changing speed, stops, sway, turn and zoom; some frames are blurred along the motion, all are JPEG. The shipped
int8 model answers each frame as the gateway would. Photos that lie end to end cut plants at their seams: in the truth as in
the frames. Light, wind, parallax and rolling shutter are not simulated.

The truth is counted in what the window swept: connected patches of one class of 24 pixels or more, of the model's own
answer for the whole strip (`strip`; what is wrong against it is the tracking's fault or flicker of the model) and of the
people's labels (`labels`; what the model gets wrong adds to it). The rows `labelled` track frames cut from the labels
instead of the model's answers: the tracking alone.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from domains import media, registry
from domains.core import Box, Image, Instance, MediaHeader, Segmentation
from domains.core.documents import to_document
from domains.core.image import Pixels
from domains.core.quality import measure_answer
from domains.core.results import ClassMap
from domains.crop_weed.sequence import PlantSequence, open_sequence
from domains.crop_weed.training.cards import GROUND_RESOLUTION_MM
from domains.crop_weed.training.data import LABELS, SMALLEST_PLANT_PX, Photo, peanut, read_photo
from domains.sequences import Frame
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.toolchain.bootstrap import with_intervals

WINDOW = (640, 480)
FRAMES_A_SECOND = 30.0
PHOTOS_A_STRIP = 3
SPEED_PX = 33.0
"""A frame: 1 cm, so 0.3 m/s."""
SEED = 11
EVERY = (1, 2, 4, 8)
SOURCES = ("model", "labelled")
TRUTHS = {"model": ("strip", "labels"), "labelled": ("labels",)}
DOMAIN = registry.load("crop_weed")

Matrix = NDArray[np.float64]
Patches = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Strip:
    """Ground to drive over. `patches`: truth to a map of numbered patches, 0 for none, and the class of each number."""

    name: str
    group: str
    pixels: Pixels
    mask: ClassMap
    path: tuple[Matrix, ...]
    patches: dict[str, tuple[Patches, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class View:
    """One frame: what a sequence takes, and for each truth which patch lies under each instance, 0 for none."""

    frame: Frame
    under: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Drive:
    """A strip's truth and its frames, by source."""

    name: str
    group: str
    classes: dict[str, tuple[str, ...]]
    views: dict[str, tuple[View, ...]]


class Answerer:
    """The shipped model, as the gateway runs it."""

    def __init__(self) -> None:
        package = load_package(registry.models_folder("crop_weed") / "crop_peanut")
        self.options = DOMAIN.sequence_options(package.spec)
        self._model = LoadedModel(package, load_backend("litert"), variant="int8", threads=1)

    def answer(self, pixels: Pixels) -> tuple[Image, Segmentation]:
        """The result for `pixels`, of which one is GROUND_RESOLUTION_MM wide."""
        height, width = pixels.shape[:2]
        image, header = Image(pixels, width, height), MediaHeader("jpeg", width, height)
        plan = DOMAIN.plan(header, {"ground_resolution_mm": GROUND_RESOLUTION_MM}, [self._model.spec])
        result, _ = run_flow(DOMAIN.flow(image, plan), {self._model.spec.name: self._model})
        if not isinstance(result, Segmentation):
            raise TypeError(f"a Segmentation was expected, got {type(result).__name__}")
        return image, result


def strips(data: Path, part: str, answerer: Answerer) -> Iterator[Strip]:
    """Strips of up to three photos of one spot, turned so that the way leads up along their long side."""
    groups: dict[str, list[Photo]] = defaultdict(list)
    for photo in peanut(data):
        if photo.part == part:
            groups[photo.group].append(photo)
    for group, members in sorted(groups.items()):
        for start in range(0, len(members), PHOTOS_A_STRIP):
            chosen = members[start : start + PHOTOS_A_STRIP]
            pixels = np.concatenate([np.rot90(read_photo(photo.file)) for photo in chosen])
            mask = np.concatenate([np.rot90(photo.truth().classes) for photo in chosen])
            random = np.random.default_rng((SEED, int(group), start))
            path = tuple(drive(pixels.shape[0], pixels.shape[1], random))
            swept = swept_by(path, mask.shape)
            _, result = answerer.answer(np.ascontiguousarray(pixels))
            patches = {"strip": patches_of(result.class_map * swept), "labels": patches_of(mask * swept)}
            yield Strip("+".join(photo.file.stem for photo in chosen), group, pixels, mask, path, patches)


def drive(length: int, width: int, random: np.random.Generator) -> Iterator[Matrix]:
    """For each frame the 2x3 matrix from the strip to the window: 33 pixels a frame on average, from 13 to 53, with stops."""
    across, along = WINDOW
    phases = random.uniform(0, 2 * math.pi, 4)
    edge = 0.5 * along * 1.03 + 0.5 * across * math.sin(math.radians(2))
    y, number, standing = length - edge - 2, 0, 0
    while y > edge + 2:
        wave = [math.sin(number / period + phase) for period, phase in zip((9, 23, 17, 31), phases, strict=True)]
        x = width / 2 + 13 * wave[1] + random.normal(0, 1.5)
        turn, zoom = 2 * wave[2], 1 + 0.03 * wave[3]
        matrix = np.asarray(cv2.getRotationMatrix2D((x, y), turn, zoom), np.float64)
        matrix[:, 2] += (across / 2 - x, along / 2 - y)
        yield matrix
        number += 1
        standing = standing - 1 if standing else 8 * int(random.random() < 0.02)
        y -= 0 if standing else SPEED_PX * (1 + 0.5 * wave[0]) + random.normal(0, 1.5)


def swept_by(path: Sequence[Matrix], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """1 where the window came, uint8 (height, width)."""
    swept = np.zeros(shape, np.uint8)
    corners = np.array([[0, 0], [WINDOW[0], 0], WINDOW, [0, WINDOW[1]]], np.float64)
    for matrix in path:
        back = np.asarray(cv2.invertAffineTransform(matrix))
        cv2.fillConvexPoly(swept, np.round(corners @ back[:, :2].T + back[:, 2]).astype(np.int32), 1)
    return swept


def patches_of(class_map: ClassMap) -> tuple[Patches, tuple[str, ...]]:
    """Connected patches of one class, numbered from 1, int32 (height, width), and their classes."""
    numbered, classes = np.zeros(class_map.shape, np.int32), list[str]()
    for kind, label in enumerate(LABELS):
        if kind:
            _, pieces, stats, _ = cv2.connectedComponentsWithStats((class_map == kind).astype(np.uint8), connectivity=8)
            large = np.asarray(stats)[:, cv2.CC_STAT_AREA] >= SMALLEST_PLANT_PX
            large[0] = False
            numbers = np.zeros(len(large), np.int32)
            numbers[large] = len(classes) + 1 + np.arange(large.sum())
            numbered += numbers[pieces]
            classes += [label] * int(large.sum())
    return numbered, tuple(classes)


def picture(pixels: Pixels, matrix: Matrix, step_px: float, random: np.random.Generator) -> Pixels:
    """What the camera sends: a tenth of the frames blurred along the way, and JPEG's losses."""
    seen = np.asarray(cv2.warpAffine(pixels, matrix, WINDOW, flags=cv2.INTER_LINEAR), np.uint8)
    if random.random() < 0.1:
        reach = 1 + int(step_px * random.uniform(0.1, 0.4))
        seen = np.asarray(cv2.blur(seen, (1, reach)), np.uint8)
    sent = cv2.imencode(".jpg", np.ascontiguousarray(seen[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    limits = media.Limits()
    return media.decode(sent, media.read_header(sent, limits), limits).pixels


def labelled(mask: ClassMap, matrix: Matrix) -> Segmentation:
    """The labels seen through the window, as a result of a model that makes no mistake."""
    seen = np.asarray(cv2.warpAffine(mask, matrix, WINDOW, flags=cv2.INTER_NEAREST), np.uint8)
    numbered, classes = patches_of(seen)
    instances = []
    for number, label in enumerate(classes, 1):
        rows, columns = np.nonzero(numbered == number)
        x, y = int(columns.min()), int(rows.min())
        inside = numbered[y : rows.max() + 1, x : columns.max() + 1] == number
        instances.append(Instance(label, 1.0, Box(x, y, inside.shape[1], inside.shape[0]), inside,
                                  (float(columns.mean()), float(rows.mean()))))
    return Segmentation(LABELS, seen, tuple(instances))


def driven(strip: Strip, answerer: Answerer) -> Drive:
    """Every frame of the strip, answered and told apart."""
    random = np.random.default_rng((SEED, len(strip.path)))
    views: dict[str, list[View]] = {source: [] for source in SOURCES}
    before = strip.path[0]
    for number, matrix in enumerate(strip.path, 1):
        step_px = float(np.hypot(*(matrix[:, 2] - before[:, 2])))
        image, result = answerer.answer(picture(strip.pixels, matrix, step_px, random))
        view = partial(viewed, number, matrix, strip)
        views["model"].append(view(result, measure_answer(image, result)))
        views["labelled"].append(view(labelled(strip.mask, matrix), {}))
        before = matrix
    classes = {truth: classes for truth, (_, classes) in strip.patches.items()}
    return Drive(strip.name, strip.group, classes, {source: tuple(rows) for source, rows in views.items()})


def viewed(number: int, matrix: Matrix, strip: Strip, result: Segmentation, quality: dict[str, Any]) -> View:
    """The frame with the truth's patch under each of its instances: the one with most pixels, if that is 30 % or more."""
    under = {}
    for truth, (patches, _) in strip.patches.items():
        seen = np.asarray(cv2.warpAffine(patches.astype(np.float32), matrix, WINDOW, flags=cv2.INTER_NEAREST))
        under[truth] = tuple(_under(plant, seen.astype(np.int32)) for plant in result.instances)
    return View(Frame(number, (number - 1) / FRAMES_A_SECOND, to_document(result)[0], quality), under)


def _under(plant: Instance, patches: Patches) -> int:
    box = plant.box
    counts = np.bincount(patches[box.y : box.y + box.height, box.x : box.x + box.width][plant.mask])
    counts[0] = 0
    best = int(counts.argmax())
    return best if counts[best] >= 0.3 * plant.area_px else 0


def followed(views: Sequence[View], classes: Sequence[str], truth: str, options: dict[str, Any]) -> Counter[str]:
    """What the tracking made of `views`, in plants; see `figures`."""
    sequence = open_sequence(options)
    assert isinstance(sequence, PlantSequence)
    lies: dict[int, Counter[int]] = defaultdict(Counter)
    last: dict[int, int] = {}
    found: Counter[str] = Counter()
    sizes: list[Counter[str]] = []
    for view in views:
        began = time.perf_counter()
        unusable = sequence.add(view.frame)
        found["microseconds"] += int((time.perf_counter() - began) * 1e6)
        sizes.append(Counter(row["label"] for row in view.frame.result["instances"]))
        if unusable:
            found["unusable"] += 1
            continue
        rows = view.frame.result["instances"]
        largest: dict[int, tuple[int, int]] = {}
        for track, patch, row in zip(sequence.visible, view.under[truth], rows, strict=True):
            lies[track][patch] += 1
            if patch:
                largest[patch] = max(largest.get(patch, (0, 0)), (row["area_px"], track))
        for patch, (_, track) in largest.items():
            found["switches"] += last.get(patch, track) != track
            last[patch] = track
    document = sequence.verdict().document
    on = Counter(lies[row["id"]].most_common(1)[0][0] for row in document["tracks"])
    found["false"] = on.pop(0, 0)
    found["double"] = sum(count - 1 for count in on.values())
    found["missed"] = len(classes) - len(on)
    found["frames"] = len(views)
    found["instances"] = sum(size.total() for size in sizes)
    counts = {row["label"]: row["count"] for row in document["classes"]}
    for label in LABELS[1:]:
        found[f"true_{label}"] = classes.count(label)
        found[f"tracked_{label}"] = counts[label]
        found[f"sum_{label}"] = sum(size[label] for size in sizes)
        found[f"max_{label}"] = max(size[label] for size in sizes)
    for way in ("true", "tracked", "sum", "max"):
        found[way] = sum(found[f"{way}_{label}"] for label in LABELS[1:])
    for way in ("tracked", "sum", "max"):
        found[f"error_{way}"] = abs(found[way] - found["true"])
    return found


def figures(rows: Sequence[object]) -> dict[str, float]:
    """Over drives: plants counted for each true one, and, for each true plant, the absolute error of a drive's count,
    second counts of one plant, plants missed, counts of no plant, and changes of a plant's track.
    """
    total: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, Counter):
            total.update(row)
    true = total["true"] or math.nan
    found = {f"{way}_ratio": total[way] / true for way in ("tracked", "sum", "max")}
    found |= {f"{way}_error": total[f"error_{way}"] / true for way in ("tracked", "sum", "max")}
    found |= {f"tracked_ratio_{label}": total[f"tracked_{label}"] / (total[f"true_{label}"] or math.nan)
              for label in LABELS[1:]}
    return found | {name: total[name] / true for name in ("double", "missed", "false", "switches")}


def report(drives: Sequence[Drive], options: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each source, truth and share of frames kept."""
    rows = []
    for source, truths in TRUTHS.items():
        for truth in truths:
            for every in EVERY:
                scores = [followed(d.views[source][::every], d.classes[truth], truth, options) for d in drives]
                total = sum(scores, Counter[str]())
                rows.append({
                    "source": source, "truth": truth, "every": every,
                    **{name: total[name] for name in ("frames", "unusable", "true", "tracked", "sum", "max", "double",
                                                      "missed", "false", "switches")},
                    "instances_a_frame": round(total["instances"] / total["frames"], 1),
                    "ms_a_frame": round(total["microseconds"] / 1000 / total["frames"], 2),
                    "by_drive": [{"drive": d.name, "true": s["true"], "tracked": s["tracked"], "max": s["max"]}
                                 for d, s in zip(drives, scores, strict=True)],
                    "figures": with_intervals(scores, [d.group for d in drives], figures),
                })
    return rows


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Left: plants counted for each true one. Right: every drive."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    chosen = [row for row in rows if (row["source"], row["truth"]) == ("model", "strip")]
    figure, (bars, dots) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    ways = (("tracked", "tracked"), ("max", "most in one frame"), ("sum", "sum over frames"))
    for place, (way, title) in enumerate(ways):
        values = [row["figures"][f"{way}_ratio"]["value"] for row in chosen]
        drawn = bars.bar(np.arange(len(chosen)) + 0.27 * (place - 1), values, 0.25, label=title)
        bars.bar_label(drawn, fmt="%.2f", fontsize=8)
    bars.axhline(1, color="black", linewidth=0.8)
    bars.set(yscale="log", ylabel="plants counted for each plant there is",
             xticks=range(len(chosen)), xticklabels=[f"1 of {row['every']}" if row["every"] > 1 else "all" for row in chosen],
             xlabel="frames analysed (of 30 a second)")
    bars.margins(y=0.12)
    bars.legend(fontsize=8)
    first = chosen[0]["by_drive"]
    most = 1.05 * max(max(row["true"], row["tracked"]) for row in first)
    dots.plot([0, most], [0, most], color="black", linewidth=0.8)
    for row, marker in zip(chosen, "osvx", strict=True):
        dots.scatter([drive["true"] for drive in row["by_drive"]], [drive["tracked"] for drive in row["by_drive"]], 18,
                     marker=marker, label=f"1 of {row['every']} frames" if row["every"] > 1 else "all frames")
    dots.set(xlabel="plants in the model's answer for the whole strip", ylabel="plants tracked", xlim=(0, most), ylim=(0, most))
    dots.legend(fontsize=8)
    figure.suptitle("Simulated drives over real photos (crop_peanut, held out); int8 model on each frame", fontsize=10)
    figure.savefig(file, dpi=110)


def main() -> None:
    """Drives over all strips and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="where crop_peanut lies")
    parser.add_argument("--part", choices=("val", "calibration"), default="val")
    parser.add_argument("--plot", type=Path, help="where to write the picture")
    wanted = parser.parse_args()
    answerer = Answerer()
    drives = []
    for strip in strips(wanted.data, wanted.part, answerer):
        drives.append(driven(strip, answerer))
        print(f"{strip.name}: {len(strip.path)} frames", file=sys.stderr, flush=True)
    rows = report(drives, dict(answerer.options))
    if wanted.plot:
        plot(rows, wanted.plot)
    print(json.dumps({"part": wanted.part, "drives": len(drives), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
