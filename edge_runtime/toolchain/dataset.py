"""A set of labelled pictures in one `.npz`, as `hedgerow model optimize` and `report` take it. No pickle, no TensorFlow.

    train_images   uint8 or float32 (N, height, width, channels), 1 channel (grey) or 3 (RGB)
    train_labels   whole numbers (N,): for each picture the place of its label in label_names
    test_images, test_labels    the same of pictures that no training sees
    label_names    strings (K,); without them the labels are called 0, 1, 2, ...
    train_groups, test_groups   strings or whole numbers (N,): pictures of one photo or patient share a group;
                                without them each picture is one of its own

uint8 images are pixels, which the model's mean and std turn into the network's numbers. float32 images are those numbers
already, whatever their range.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_runtime.models import sha256_of

NEEDED = ("train_images", "train_labels", "test_images", "test_labels")
OPTIONAL = ("label_names", "train_groups", "test_groups")


@dataclass(frozen=True, slots=True)
class Split:
    """One half of the set.

    `images`: uint8 or float32 (N, height, width, channels). `truth`: int64 (N,), places in the data set's labels.
    `groups`: N names; pictures of one group must be resampled together.
    """

    images: NDArray[Any]
    truth: NDArray[np.int64]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Pictures to fine-tune and calibrate with, and others to measure on. `sha256` is the file's."""

    labels: tuple[str, ...]
    train: Split
    test: Split
    sha256: str

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every picture."""
        _, height, width, channels = self.train.images.shape
        return height, width, channels


def load_dataset(path: Path) -> Dataset:
    """Reads the file, one copy of each array. Raises ValueError, naming the file and the key at fault."""
    try:
        sha256 = sha256_of(path)
        with path.open("rb") as stream:  # np.load leaves a file that it opened itself open where it is none of its own
            archive = _open(stream)
            with archive:
                return _read(_Keys(archive), sha256)
    except FileNotFoundError as error:
        raise ValueError(f"{path} is not there") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _open(stream: BinaryIO) -> Any:
    try:
        archive = np.load(stream, allow_pickle=False)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError("it is no .npz file, or not the whole of one") from error
    if isinstance(archive, np.ndarray):
        raise ValueError(f"it holds one array, as .npy files do; it must be an .npz with {', '.join(NEEDED)}")  # noqa: TRY004
    return archive


def _read(found: "_Keys", sha256: str) -> Dataset:
    pictures = {half: _pictures(found, f"{half}_images") for half in ("train", "test")}
    _check_alike(pictures)
    truths = {half: _truth(found, f"{half}_labels", len(images)) for half, images in pictures.items()}
    labels = _labels(found, truths)
    groups = {half: _groups(found, f"{half}_groups", len(images)) for half, images in pictures.items()}
    both = set(groups["train"]) & set(groups["test"])
    if both and "train_groups" in found and "test_groups" in found:
        raise ValueError(f"test_groups: {min(both)!r} is in train_groups as well; what is measured on pictures "
                         "that training saw is worth nothing")
    train, test = (Split(pictures[half], truths[half], groups[half]) for half in ("train", "test"))
    return Dataset(labels, train, test, sha256)


class _Keys:
    """An open .npz whose faults are told by key."""

    def __init__(self, archive: Mapping[str, Any]) -> None:
        self._archive = archive

    def __contains__(self, key: str) -> bool:
        return key in self._archive

    def read(self, key: str) -> NDArray[Any]:
        if key not in self._archive:
            raise ValueError(f"{key} is missing; there must be {', '.join(NEEDED)}")
        try:
            array = self._archive[key]
        except ValueError as error:
            why = "pickled objects; save it as an array of numbers or strings" if "pickle" in str(error) else error
            raise ValueError(f"{key} can't be read: {why}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise ValueError(f"{key} can't be read: it is damaged") from error
        if not isinstance(array, np.ndarray):  # a file of the ZIP that is no array comes as bytes
            raise ValueError(f"{key} can't be read: it is no array")  # noqa: TRY004
        return array


def _pictures(found: _Keys, key: str) -> NDArray[Any]:
    images = found.read(key)
    if images.ndim != 4:
        hint = "; grey pictures get their axis with images[..., None]" if images.ndim == 3 else ""
        raise ValueError(f"{key} must be (N, height, width, channels), it is {images.shape}{hint}")
    if images.dtype not in (np.uint8, np.float32):
        raise ValueError(f"{key} must be uint8 or float32, it is {images.dtype}")
    if images.shape[3] not in {1, 3}:
        raise ValueError(f"{key} must have 1 channel (grey) or 3 (RGB) as its last axis, it is {images.shape}")
    if not images.size:
        raise ValueError(f"{key} holds no picture")
    if images.dtype == np.float32 and not np.isfinite(images).all():
        raise ValueError(f"{key} holds values that are no numbers (NaN or infinity)")
    return images


def _check_alike(pictures: Mapping[str, NDArray[Any]]) -> None:
    train, test = pictures["train"], pictures["test"]
    if (train.dtype, train.shape[1:]) != (test.dtype, test.shape[1:]):
        raise ValueError(f"test_images must be {train.dtype} {train.shape[1:]} a picture, as train_images are, "
                        f"they are {test.dtype} {test.shape[1:]}")


def _truth(found: _Keys, key: str, pictures: int) -> NDArray[np.int64]:
    numbers = found.read(key)
    if numbers.ndim != 1:
        raise ValueError(f"{key} must be (N,), one number a picture (not one-hot), it is {numbers.shape}")
    if not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"{key} must be whole numbers, it is {numbers.dtype}")
    _check_length(key, len(numbers), pictures)
    return numbers.astype(np.int64)


def _labels(found: _Keys, truths: Mapping[str, NDArray[np.int64]]) -> tuple[str, ...]:
    highest = max(int(truth.max()) for truth in truths.values())
    labels = _strings(found, "label_names") if "label_names" in found else tuple(map(str, range(highest + 1)))
    if len(labels) < 2 or len(set(labels)) != len(labels) or not all(labels):
        key = "label_names" if "label_names" in found else "train_labels"
        raise ValueError(f"{key}: there must be at least two labels, each with a name of its own, got {list(labels)}")
    for half, truth in truths.items():
        if wrong := [int(number) for number in (truth.min(), truth.max()) if not 0 <= number < len(labels)]:
            raise ValueError(f"{half}_labels must be 0 to {len(labels) - 1}, places in label_names, it holds {wrong[0]}")
    return labels


def _groups(found: _Keys, key: str, pictures: int) -> tuple[str, ...]:
    if key not in found:
        return tuple(map(str, range(pictures)))
    names = _strings(found, key)
    _check_length(key, len(names), pictures)
    return names


def _strings(found: _Keys, key: str) -> tuple[str, ...]:
    names = found.read(key)
    if names.ndim != 1 or not (names.dtype.kind == "U" or np.issubdtype(names.dtype, np.integer)):
        raise ValueError(f"{key} must be strings (N,), it is {names.dtype} {names.shape}")
    return tuple(map(str, names.tolist()))


def _check_length(key: str, length: int, pictures: int) -> None:
    if length != pictures:
        raise ValueError(f"{key} must have one entry for each of the {pictures} pictures, it has {length}")
