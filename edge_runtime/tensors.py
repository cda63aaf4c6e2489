"""Pixels to a variant's input tensor, output tensors to real numbers: the only place where quantisation is applied."""

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec, Pixels
from edge_runtime.models import TensorInfo

INTEGER_TYPES = {"int8": np.int8, "uint8": np.uint8}


class PixelEncoder:
    """Turns uint8 pixels into the input tensor of one variant.

    A pixel has 256 values, so normalisation and quantisation together are one table of 256 entries.
    """

    def __init__(self, spec: InputSpec, tensor: TensorInfo) -> None:
        real = (np.arange(256, dtype=np.float64) - spec.mean) / spec.std
        if tensor.dtype == "float32":
            self._table: NDArray[np.floating | np.integer] = real.astype(np.float32)
        else:
            kind = INTEGER_TYPES[tensor.dtype]
            limits = np.iinfo(kind)
            quantised = np.round(real / tensor.scale) + tensor.zero_point
            self._table = np.clip(quantised, limits.min, limits.max).astype(kind)
        self._shape = tensor.shape

    def encode(self, pixels: Pixels) -> NDArray[np.generic]:
        """`pixels`: uint8 (1, H, W, channels), the variant's shape. Raises ValueError for another shape or dtype."""
        if pixels.shape != self._shape or pixels.dtype != np.uint8:
            raise ValueError(f"input must be uint8 {self._shape}, got {pixels.dtype} {pixels.shape}")
        flat = np.ascontiguousarray(pixels).reshape(self._shape[1], -1)
        return np.asarray(cv2.LUT(flat, self._table)).reshape(self._shape)


def decode_output(values: NDArray[np.generic], tensor: TensorInfo) -> NDArray[np.float32]:
    """Real values of an output tensor, with that output's own scale and zero point (never the input's)."""
    if tensor.dtype == "float32":
        return np.asarray(values, np.float32)
    return (values.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)
