import numpy as np
import pytest

from domains.core import InputSpec
from edge_runtime.models import TensorInfo
from edge_runtime.tensors import PixelEncoder, decode_output

SPEC = InputSpec(2, 128, 127.0, 128.0)
ALL_PIXELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 2, 128, 3)


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -1), ("uint8", 127)])
def test_pixels_become_what_normalising_and_quantising_would_give(dtype: str, zero_point: int) -> None:
    info = TensorInfo(dtype, (1, 2, 128, 3), 1 / 128, zero_point)  # type: ignore[arg-type] # one of the literals
    encoded = PixelEncoder(SPEC, info).encode(ALL_PIXELS)
    real = (ALL_PIXELS.astype(np.float64) - 127) / 128
    assert encoded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(encoded, np.round(real * 128) + zero_point)


def test_a_coarser_scale_saturates_and_does_not_wrap() -> None:
    encoded = PixelEncoder(SPEC, TensorInfo("int8", (1, 2, 128, 3), 1 / 512, 0)).encode(ALL_PIXELS)
    assert (encoded.min(), encoded.max()) == (-128, 127)
    assert np.all(np.diff(encoded[0, :, :, 0].ravel().astype(int)) >= 0)


def test_a_float_model_gets_normalised_reals() -> None:
    encoded = PixelEncoder(SPEC, TensorInfo("float32", (1, 2, 128, 3))).encode(ALL_PIXELS)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, (ALL_PIXELS.astype(np.float32) - 127) / 128)


def test_another_shape_or_dtype_is_refused() -> None:
    encoder = PixelEncoder(SPEC, TensorInfo("int8", (1, 2, 128, 3), 1 / 128, -1))
    with pytest.raises(ValueError, match="input must be uint8"):
        encoder.encode(np.zeros((1, 2, 127, 3), np.uint8))
    with pytest.raises(ValueError, match="float32"):
        encoder.encode(ALL_PIXELS.astype(np.float32))


def test_an_output_is_dequantised_with_its_own_scale_and_not_the_inputs() -> None:
    output = TensorInfo("int8", (1, 3), 0.25, 10)
    np.testing.assert_array_equal(decode_output(np.array([[10, 14, -128]], np.int8), output), [[0, 1, -34.5]])
