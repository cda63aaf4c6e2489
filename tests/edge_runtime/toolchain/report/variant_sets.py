"""A folder of variants and its data set, as `hedgerow model optimize` leaves them, of models whose answers are known."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.models import InputInfo, sha256_of
from edge_runtime.toolchain.variants import VariantFile, VariantSet, write_variants
from tests.edge_runtime.toolchain.report.linear_models import Output, linear

SIDE = 2
LABELS = ("dark", "bright")
DARK = np.array([[-1] * 4, [1] * 4], np.float32)
"""Weights that tell dark pictures from bright ones: the real value of a pixel is (pixel - 127) / 128."""
ALWAYS_DARK = np.zeros((2, 4), np.float32)
"""Both labels are as likely, and then the first one counts."""


def data_set(path: Path, brightness: list[int], truth: list[int], groups: list[str] | None = None) -> Path:
    """Grey pictures of 2 by 2, one for each brightness, to train and to test with."""
    images = np.repeat(np.array(brightness, np.uint8), 4).reshape(-1, SIDE, SIDE, 1)
    names = groups or [str(number) for number in range(len(truth))]
    np.savez(path, train_images=images, train_labels=np.array(truth), test_images=images, test_labels=np.array(truth),
             label_names=np.array(LABELS), test_groups=np.array(names))
    return path


def variants_folder(folder: Path, weights: Mapping[str, NDArray[np.float32]], skipped: Mapping[str, str] = {},
                    data: Path | None = None) -> Path:
    """`weights`: by variant; those with int8 in their name are int8 files. `data`: what they were made with."""
    made = {}
    for name, real in weights.items():
        dtype = "int8" if "int8" in name else "float32"
        path = linear(folder / f"{name}.tflite", (SIDE, SIDE, 1), [Output("logits", real)], dtype=dtype)
        made[name] = VariantFile(path.name, sha256_of(path), path.stat().st_size, f"Made as {name}.", 1.0, 10**8, 0)
    write_variants(folder, VariantSet(
        name="brightness", labels=list(LABELS), input=InputInfo(SIDE, SIDE, 127.0, 128.0, 1), model_sha256="0" * 64,
        dataset_sha256=sha256_of(data) if data else "0" * 64, parameters=8, seed=7, versions={}, variants=made, skipped=dict(skipped),
    ))
    return folder
