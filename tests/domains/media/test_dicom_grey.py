"""Grey values and palettes of DICOM objects are shown as a viewer shows them (PS3.4 annex N)."""

import struct
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut

from domains.core import CorruptMedia
from tests.domains.media.dicom_objects import file_of, image_object
from tests.domains.media.pictures import opened

RAMP = np.tile(np.arange(256, dtype=np.uint8), (20, 1))
DEEP = np.tile(np.arange(0, 4096, 16, dtype=np.uint16), (20, 1))
SIGNED = np.tile(np.arange(-1000, 1048, 8, dtype=np.int16), (20, 1))


def shown(frame: np.ndarray, photometric: str = "MONOCHROME2", **elements: object) -> list[int]:
    """One row of the picture that `frame` comes out as."""
    pixels = opened(file_of(image_object(frame[np.newaxis], photometric, **elements))).pixels
    assert (pixels == pixels[:1]).all()
    if photometric != "PALETTE COLOR":
        assert (pixels == pixels[..., :1]).all()
    return [int(value) for value in pixels[0, :, 0]]


def test_8_bits_are_shown_as_they_are() -> None:
    assert shown(RAMP) == list(range(256))
    assert shown(RAMP, RescaleSlope=1, RescaleIntercept=0) == list(range(256))
    assert shown(RAMP[:, 50:100]) == list(range(50, 100))


def test_monochrome1_is_inverted() -> None:
    assert shown(RAMP, "MONOCHROME1") == list(range(255, -1, -1))
    assert shown(DEEP, "MONOCHROME1")[0] == 255


def test_more_than_8_bits_are_spread_from_darkest_to_brightest() -> None:
    row = shown(DEEP + 1000, BitsStored=13, HighBit=12)
    assert (row[0], row[128], row[255]) == (0, 128, 255)
    row = shown(SIGNED)
    assert (row[0], row[255]) == (0, 255)
    assert set(shown(np.full((20, 30), 700, np.uint16))) == {0}


def test_fewer_than_8_bits_fill_the_range() -> None:
    assert shown(RAMP[:, :16], BitsStored=4, HighBit=3) == [17 * value for value in range(16)]


def test_signed_8_bits_run_from_black_to_white() -> None:
    assert shown(np.tile(np.arange(-128, 128).astype(np.int8), (20, 1))) == list(range(256))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("frame", "rescale"), [(RAMP, None), (DEEP, None), (DEEP, (2, -1024)), (SIGNED, (1, 0))])
def test_a_window_is_applied_as_pydicom_does(function: str, frame: np.ndarray, rescale: tuple[int, int] | None) -> None:
    elements: dict[str, Any] = {"WindowCenter": 120, "WindowWidth": 80, "VOILUTFunction": function}
    real = frame.astype(float)
    if rescale:
        elements |= {"RescaleSlope": rescale[0], "RescaleIntercept": rescale[1]}
        real = real * rescale[0] + rescale[1]
    dataset = image_object(frame[np.newaxis], "MONOCHROME2", **elements)
    ends = np.array([-1e6, 1e6])
    with np.errstate(over="ignore"):
        black, white = apply_voi_lut(ends, dataset)
        expected = (apply_voi_lut(real, dataset) - black) * 255 / (white - black)
    assert shown(frame, **elements) == pytest.approx(expected[0], abs=0.51)


def test_the_first_of_several_windows_counts() -> None:
    assert shown(RAMP, WindowCenter=[128, 10], WindowWidth=[1, 10]) == [0] * 128 + [255] * 128


@pytest.mark.parametrize("width", [0, -5, ""])
def test_an_impossible_window_is_left_out(width: object) -> None:
    assert shown(RAMP, WindowCenter=100, WindowWidth=width) == list(range(256))


def lut(first: int, bits: int, entries: list[int]) -> Dataset:
    """One item of a Modality or VOI LUT Sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = struct.pack(f"<{len(entries)}H", *entries)
    item["LUTData"].VR = "OW"
    return item


def test_a_voi_lut_is_applied_and_its_ends_hold_beyond_it() -> None:
    row = shown(RAMP, VOILUTSequence=[lut(100, 12, [0, 4095, 2048])], WindowCenter=1, WindowWidth=1)
    assert row[:101] == [0] * 101
    assert row[101:103] == [255, 128]
    assert row[200] == 128


def test_a_modality_lut_comes_before_the_window() -> None:
    row = shown(RAMP[:, :64], ModalityLUTSequence=[lut(0, 16, [1000 * value for value in range(64)])],
                WindowCenter=31500, WindowWidth=63001)
    assert row[0] == 0
    assert row[63] == 255
    assert row[32] == pytest.approx(129, abs=1)


@pytest.mark.parametrize("item", [lut(0, 0, [1]), lut(0, 16, []), Dataset()])
def test_a_malformed_table_is_refused(item: Dataset) -> None:
    with pytest.raises(CorruptMedia):
        shown(RAMP, VOILUTSequence=[item])


def palette(bits: int, **tables: object) -> dict[str, object]:
    """The elements of a palette that runs from blue to red."""
    scale = 257 if bits == 16 else 1
    up = [scale * value for value in range(256)]
    colours = {"Red": up, "Green": [0] * 256, "Blue": up[::-1]}
    elements: dict[str, object] = {}
    for colour, entries in colours.items():
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        data = struct.pack(f"<256{'H' if bits == 16 else 'B'}", *entries)
        elements[f"{colour}PaletteColorLookupTableData"] = data
    return elements | tables


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("frame", [RAMP, RAMP[:, 30:200], RAMP.astype(np.uint16)])
def test_a_palette_gives_its_colours(bits: int, frame: np.ndarray) -> None:
    pixels = opened(file_of(image_object(frame[np.newaxis], "PALETTE COLOR", **palette(bits)))).pixels
    assert pixels[0, 10].tolist() == [int(frame[0, 10]), 0, 255 - int(frame[0, 10])]


def test_a_segmented_palette_is_unfolded() -> None:
    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    segments = struct.pack("<7H", 0, 1, 0, 1, 255, 65535, 0)  # one entry of 0, then a line of 255 up to 65535
    elements = {f"{name}Descriptor": [256, 0, 16] for name in names} | {f"Segmented{name}Data": segments for name in names}
    row = shown(RAMP, "PALETTE COLOR", **elements)
    assert row == list(range(256))
