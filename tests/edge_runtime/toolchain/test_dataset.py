"""The data set's file, and what is told of one that can't be used."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.models import sha256_of
from edge_runtime.toolchain.dataset import load_dataset

IMAGES = np.zeros((4, 5, 6, 1), np.uint8)
TRUTH = np.array([0, 1, 2, 1])


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "digits.npz"
    arrays = {"train_images": IMAGES, "train_labels": TRUTH, "test_images": IMAGES[:2], "test_labels": TRUTH[:2], **changes}
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    return path


def test_a_file_with_only_what_it_must_have_gets_numbers_as_labels_and_each_picture_its_own_group(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = load_dataset(path)
    assert data.labels == ("0", "1", "2")
    assert data.picture_shape == (5, 6, 1)
    assert data.train.images.dtype == np.uint8
    assert data.train.truth.dtype == np.int64
    assert data.train.truth.tolist() == [0, 1, 2, 1]
    assert data.test.groups == ("0", "1")
    assert data.sha256 == sha256_of(path)


def test_labels_and_groups_are_taken_where_they_are_given(tmp_path: Path) -> None:
    data = load_dataset(write(
        tmp_path, label_names=np.array(["crop", "weed", "soil", "never seen"]), train_groups=np.array([7, 7, 8, 9]),
        test_groups=np.array(["a", "b"]), train_images=IMAGES.astype(np.float32) * 9e9, test_images=IMAGES[:2].astype(np.float32)))
    assert data.labels == ("crop", "weed", "soil", "never seen")
    assert data.train.groups == ("7", "7", "8", "9")
    assert data.train.images.dtype == np.float32


@pytest.mark.parametrize(("changes", "told"), [
    ({"test_labels": None}, "test_labels is missing"),
    ({"train_images": IMAGES[..., 0]}, r"train_images must be \(N, height, width, channels\), it is \(4, 5, 6\); grey pictures"),
    ({"train_images": IMAGES.astype(np.float64)}, "train_images must be uint8 or float32, it is float64"),
    ({"train_images": np.zeros((4, 5, 6, 4), np.uint8)}, "train_images must have 1 channel"),
    ({"train_images": IMAGES[:0]}, "train_images holds no picture"),
    ({"train_images": np.full((4, 5, 6, 1), np.nan, np.float32)}, "train_images holds values that are no numbers"),
    ({"test_images": np.zeros((2, 5, 5, 1), np.uint8)}, "test_images must be uint8"),
    ({"train_labels": TRUTH[:3]}, "train_labels must have one entry for each of the 4 pictures, it has 3"),
    ({"train_labels": np.eye(4)}, "train_labels must be .*not one-hot"),
    ({"train_labels": TRUTH / 2}, "train_labels must be whole numbers"),
    ({"train_labels": TRUTH - 1}, "train_labels must be 0 to 1, .* it holds -1"),
    ({"test_labels": TRUTH[:2] + 2, "label_names": np.array(["a", "b", "c"])}, "test_labels must be 0 to 2, .* it holds 3"),
    ({"label_names": np.array(["a", "b", "a"])}, "label_names: there must be at least two labels, each with a name of its own"),
    ({"label_names": np.array(["a", None, 3], object)}, "label_names can't be read: pickled objects"),
    ({"label_names": np.array([[1.5]])}, "label_names must be strings"),
    ({"test_groups": np.array(["a"])}, "test_groups must have one entry for each of the 2 pictures, it has 1"),
    ({"train_groups": np.array(list("abcd")), "test_groups": np.array(list("xd"))}, "test_groups: 'd' is in train_groups as well"),
])
def test_a_fault_is_told_with_the_file_and_the_key(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^digits.npz: {told}"):
        load_dataset(write(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 a JPEG", b"PK\x03\x04 half of a ZIP", b"\x80\x04\x95 a pickle"])
def test_what_is_no_npz_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"picture\.npz: it is no \.npz file"):
        load_dataset(path)


def test_a_single_array_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", IMAGES)
    with pytest.raises(ValueError, match=r"one\.npy: it holds one array"):
        load_dataset(tmp_path / "one.npy")
    with pytest.raises(ValueError, match="is not there"):
        load_dataset(tmp_path / "none.npz")


def test_a_file_that_is_cut_or_was_changed_is_told_and_never_half_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole.replace(IMAGES.tobytes(), IMAGES.tobytes()[:-1] + b"\x01", 1)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"no \.npz file|train_images can't be read: it is damaged"):
            load_dataset(path)
