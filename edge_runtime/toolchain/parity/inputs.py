"""What both sides are shown: an .npz data set, a folder of pictures, or the cases of a domain's recipe."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domains import media, registry
from domains.core import Image, InputSpec, MediaHeader, Pixels
from domains.core.training import Case
from domains.errors import MediaError
from edge_runtime.models import ModelPackage
from edge_runtime.toolchain.evaluate import pictures_of
from edge_runtime.toolchain.recipes import recipes_of

LIMIT = 200
STILLS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".pgm", ".ppm", ".dcm"})


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture with the parameters of a request, for a domain's flow."""

    header: MediaHeader
    image: Image
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Sample:
    """One input. `content`: a picture for a domain, else uint8 pixels or real values (1, height, width, channels).

    `group`: inputs that are alike, such as the frames of one clip. `truth`: index of its label, -1 where it isn't known.
    """

    name: str
    group: str
    content: Picture | NDArray[np.generic]
    truth: int = -1


@dataclass(frozen=True, slots=True)
class Inputs:
    """`chosen` of `found`; `samples` gives them anew each time it is asked. `what`: them in words."""

    what: str
    found: int
    chosen: int
    labels: tuple[str, ...]
    source: "Npz | Folder | Cases"

    def samples(self) -> Iterator[Sample]:
        """One after the other; a clip gives one for each frame. Raises ValueError, naming the file, for a broken one."""
        return self.source.samples()


@dataclass(frozen=True, slots=True)
class Npz:
    """The test part of a data set."""

    images: NDArray[np.generic]
    truth: NDArray[np.int64]
    groups: Sequence[str]
    indices: Sequence[int]

    def samples(self) -> Iterator[Sample]:
        """Each with its number in the test part."""
        for index in self.indices:
            group = self.groups[index] if self.groups else str(index)
            yield Sample(f"test {index}", group, self.images[index : index + 1], int(self.truth[index]))


@dataclass(frozen=True, slots=True)
class Folder:
    """Pictures, for a domain's flow where there is a package, otherwise resized to the model's input."""

    root: Path
    files: Sequence[Path]
    spec: InputSpec
    package: ModelPackage | None

    def samples(self) -> Iterator[Sample]:
        """Each named by its place under the folder."""
        for file in self.files:
            name = str(file.relative_to(self.root))
            header, image = _decoded(file, name)
            if self.package is None:
                yield Sample(name, name, resized(image.pixels, self.spec))
            else:
                spec = self.package.spec
                yield Sample(name, name, Picture(header, image, registry.load(spec.domain).selector(spec)))


@dataclass(frozen=True, slots=True)
class Cases:
    """Held-out cases of a recipe, decoded as the gateway does."""

    cases: Sequence[Case]

    def samples(self) -> Iterator[Sample]:
        """Each named by its file, a clip's with the number of the frame."""
        for case in self.cases:
            pictures = pictures_of(case)
            for number, (header, image) in enumerate(pictures, 1):
                name = case.file.name if len(pictures) == 1 else f"{case.file.name} frame {number} of {len(pictures)}"
                yield Sample(name, case.group, Picture(header, image, case.parameters))


def find_inputs(data: Path, spec: InputSpec, package: ModelPackage | None, limit: int) -> Inputs:
    """The inputs in `data`, at most `limit`, evenly spaced. `spec`: the input of the models. `package`: with whose domain they are
    answered, None for the model alone. Raises ValueError, naming the path and what is wrong.
    """
    if data.suffix == ".npz":
        return _npz(data, spec, limit)
    if not data.is_dir():
        raise ValueError(f"{data} is neither an .npz data set nor a folder")
    if package is not None and (found := _cases(data, package, limit)) is not None:
        return found
    files = sorted(path for path in data.rglob("*") if path.suffix.lower() in STILLS and path.is_file())
    if not files:
        raise ValueError(f"{data} holds no pictures" + _lacking(package))
    chosen = [files[index] for index in spaced(len(files), limit)]
    labels = () if package is None else package.spec.labels
    return Inputs("pictures", len(files), len(chosen), labels, Folder(data, chosen, spec, package))


def spaced(count: int, limit: int) -> list[int]:
    """At most `limit` indices below `count`, evenly spaced, in order; all of them where `limit` is 0."""
    if limit == 0 or count <= limit:
        return list(range(count))
    return sorted({round(position) for position in np.linspace(0, count - 1, limit)})


def resized(pixels: Pixels, spec: InputSpec) -> Pixels:
    """A picture (h, w, 3) at the model's size and with its channels: uint8 (1, height, width, channels). Its shape is changed
    plainly: nothing is cut off or added.
    """
    shrinks = spec.height <= pixels.shape[0] and spec.width <= pixels.shape[1]
    if spec.channels == 1:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    scaled = cv2.resize(pixels, (spec.width, spec.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(scaled, np.uint8).reshape(spec.shape)


def _npz(data: Path, spec: InputSpec, limit: int) -> Inputs:
    from edge_runtime.toolchain.dataset import load_dataset

    found = load_dataset(data)
    images = found.test.images
    if images.shape[1:] != spec.shape[1:]:
        raise ValueError(f"{data.name}: test_images are {images.shape[1:]}, the models take {spec.shape[1:]}")
    chosen = spaced(len(images), limit)
    return Inputs("test images", len(images), len(chosen), found.labels, Npz(images, found.test.truth, found.test.groups, chosen))


def _cases(data: Path, package: ModelPackage, limit: int) -> Inputs | None:
    """None where the domain has no recipe of this model, or `data` isn't its data folder."""
    recipes = [recipe for recipe in recipes_of(package.spec.domain) if recipe.identity.name == package.spec.name]
    try:
        cases = recipes[0].cases(data) if recipes else ()
    except FileNotFoundError:
        return None
    if not cases:
        return None
    chosen = [cases[index] for index in spaced(len(cases), limit)]
    return Inputs("held-out cases", len(cases), len(chosen), package.spec.labels, Cases(chosen))


def _lacking(package: ModelPackage | None) -> str:
    return "" if package is None else f", and isn't the data folder of {package.spec.name}: docs/training.md says what is in that"


def _decoded(file: Path, name: str) -> tuple[MediaHeader, Image]:
    payload, limits = file.read_bytes(), media.Limits()
    try:
        header = media.read_header(payload, limits)
        return header, media.decode(payload, header, limits)
    except MediaError as error:
        raise ValueError(f"{name}: {error}") from error
