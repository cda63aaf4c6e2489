"""What the shipped lung model answers for every frame of clips and of other material, kept in a file under var/.

Every frame goes the worker's way: the domain's plan and flow through edge_runtime.runner with the int8 variant, then the
quality measures. Used by clip_verdicts.py.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np

from domains import media, registry
from domains.core import Classification, Image, MediaHeader, Pixels
from domains.core.quality import measure_answer
from domains.pathology.training.data import STILLS, lung
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow

LUNG = registry.models_folder("pathology") / "lung_ultrasound"
FOREIGN_CLIP_FRAMES = 60
FOREIGN_PHOTOS = 40
SEED = 7

Timed = tuple[float, Pixels]


class Observed(msgspec.Struct, frozen=True):
    """One frame: media time, the probability of `abnormal` (0.5 where the frame is foreign), what was measured."""

    time_s: float
    abnormal: float
    foreign: bool
    quality: dict[str, Any]


class Clip(msgspec.Struct, frozen=True):
    """One clip. `part`: train, calibration or val for lung clips, else what kind of material it is."""

    name: str
    part: str
    group: str
    abnormal: bool
    frames: list[Observed]


@dataclass(frozen=True, slots=True)
class Reader:
    """The shipped lung model on the CPU."""

    model: LoadedModel

    def observe(self, frames: Iterable[Timed]) -> list[Observed]:
        """What is answered and measured for each frame."""
        return [self._observe(time_s, pixels) for time_s, pixels in frames]

    def _observe(self, time_s: float, pixels: Pixels) -> Observed:
        height, width = pixels.shape[:2]
        domain = registry.load("pathology")
        plan = domain.plan(MediaHeader("clip", width, height), {"exam": "lung_ultrasound"}, [self.model.spec])
        image = Image(np.ascontiguousarray(pixels), width, height)
        result, _ = run_flow(domain.flow(image, plan), {self.model.spec.name: self.model})
        assert isinstance(result, Classification)
        abnormal = 0.5 if result.foreign else round(result.probabilities[1], 6)
        return Observed(round(time_s, 4), abnormal, result.foreign, measure_answer(image, result))


def reader() -> Reader:
    """The int8 variant, as an edge device runs it."""
    return Reader(LoadedModel(load_package(LUNG), load_backend("litert"), variant="int8", threads=2))


def frames_of(path: Path, most: int | None = None) -> Iterator[Timed]:
    """Every frame of a clip (or the first `most`) with its presentation time in seconds from the first."""
    with av.open(str(path)) as container:
        first: float | None = None
        for number, frame in enumerate(container.decode(video=0)):
            if number == most:
                return
            time_s = float(frame.time if frame.time is not None else number / 25)
            first = time_s if first is None else first
            yield time_s - first, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def lung_clips(data: Path, parts: Iterable[str], using: Reader) -> Iterator[Clip]:
    """The clips (no stills) of `lus_pocus` in `parts`, frame by frame."""
    for sample in lung(data):
        if sample.part in parts and sample.file.suffix.lower() not in STILLS:
            yield Clip(sample.file.name, sample.part, sample.group, sample.label == 1,
                       using.observe(frames_of(sample.file)))


def other_material(data: Path, using: Reader) -> Iterator[Clip]:
    """What isn't a usable frame of a lung: other organs and screens, other DICOM pictures, photos, and spoilt lung
    clips. `part` names the kind.
    """
    for path in sorted((data / "pocus_devices" / "files").iterdir()):
        if path.suffix.lower() in STILLS:
            yield _clip(path.name, "eyes, phantoms, screens", [(0.0, _photo(path))], using)
        elif path.suffix.lower() in {".mov", ".mp4", ".avi", ".gif"}:
            yield _clip(path.name, "eyes, phantoms, screens", frames_of(path, FOREIGN_CLIP_FRAMES), using)
    for path in sorted((data / "dicom_us" / "files").iterdir()):
        if (pixels := _dicom(path)) is not None:
            yield _clip(path.name, "other DICOM pictures", [(0.0, pixels)], using)
    for folder, kind in (("crop_peanut", "field photos"), ("skin_ham10000", "skin photos"), ("cxr_kermany", "chest X-rays"),
                         ("breast_busi", "breast ultrasound")):
        paths = sorted((data / folder / "images").rglob("*.*"))
        step = max(1, len(paths) // FOREIGN_PHOTOS)
        for path in paths[::step][:FOREIGN_PHOTOS]:
            yield _clip(f"{folder}/{path.name}", kind, [(0.0, _photo(path))], using)
    random = np.random.default_rng(SEED)
    noise = [(index / 25, random.integers(0, 256, (400, 400, 3), np.uint8)) for index in range(20)]
    yield _clip("noise", "noise", noise, using)
    blank = [(level / 25, np.full((400, 400, 3), level, np.uint8)) for level in range(12)]
    yield _clip("blank", "blank", blank, using)


def spoilt_clips(data: Path, using: Reader) -> Iterator[Clip]:
    """Every fifth frame of the held-out lung clips, spoilt: blurred, darkened, and frozen (the first frame again and again,
    as H.264 and as JPEG with changing quality).
    """
    for sample in lung(data):
        if sample.part != "val" or sample.file.suffix.lower() in STILLS:
            continue
        kept = [timed for number, timed in enumerate(frames_of(sample.file)) if number % 5 == 0][:FOREIGN_CLIP_FRAMES]
        for share in (0.01, 0.02, 0.04):
            yield _clip(sample.file.name, f"blurred by {share:.0%} of its side",
                        ((at, blurred(pixels, share)) for at, pixels in kept), using)
        yield _clip(sample.file.name, "darkened to a tenth", ((at, pixels // 10) for at, pixels in kept), using)
        still = kept[0][1]
        random = np.random.default_rng(SEED)
        yield _clip(sample.file.name, "frozen, JPEG of changing quality",
                    ((at, coded(still, int(random.integers(75, 96)))) for at, _ in kept), using)
        yield _clip(sample.file.name, "frozen, H.264", _as_h264([still] * len(kept)), using)


def _clip(name: str, kind: str, frames: Iterable[Timed], using: Reader) -> Clip:
    return Clip(name, kind, name, abnormal=False, frames=using.observe(frames))


def _photo(path: Path) -> Pixels:
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB), np.uint8)


def _dicom(path: Path) -> Pixels | None:
    payload, limits = path.read_bytes(), media.Limits()
    try:
        header = media.read_header(payload, limits)
        return media.decode(payload, header, limits).pixels
    except Exception:  # some of these files are broken on purpose
        return None


def _as_h264(frames: list[Pixels]) -> list[Timed]:
    """The same frames after a usual encoder (25 a second, CRF 28)."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "28"})
        stream.height, stream.width = (side // 2 * 2 for side in frames[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            even = np.ascontiguousarray(pixels[:stream.height, :stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as coded:
        return [(number / 25, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
                for number, frame in enumerate(coded.decode(video=0))]


def blurred(pixels: Pixels, share: float) -> Pixels:
    """By a standard deviation of this share of the longer side; uint8 RGB (height, width, 3)."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), share * max(pixels.shape)), np.uint8)


def coded(pixels: Pixels, quality: int) -> Pixels:
    """As JPEG and back; uint8 RGB (height, width, 3)."""
    payload = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(payload, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB), np.uint8)
