"""What asks for too much is refused from its header: no memory is spent on it."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, RLELossless

from domains.core import CorruptMedia, EmptyMedia, MediaError, MediaTooLarge, UnsupportedMedia
from domains.media import Limits, decode, read_header
from tests.domains.media.dicom_objects import (
    deflated_object,
    encapsulated,
    file_of,
    image_object,
    jpeg2000,
    rle,
)
from tests.domains.media.pictures import (
    LIMITS,
    jpeg,
    opened,
    pillow,
    png_of_zeros,
    saved,
    scene,
    tiff,
)

FILES = Path(__file__).parent / "files"
SCENE = scene()
GREY = np.zeros((1, 64, 64), np.uint8)


def jpeg_claiming(width: int, height: int) -> bytes:
    """A JPEG whose frame header says `width` x `height`."""
    payload = jpeg(SCENE)
    at = payload.index(b"\xff\xc0") + 5
    return payload[:at] + struct.pack(">HH", height, width) + payload[at + 4 :]


def heic_claiming(width: int, height: int) -> bytes:
    """A HEIC photo whose ispe box says `width` x `height`."""
    payload = (FILES / "upright.heic").read_bytes()
    at = payload.index(b"ispe") + 8
    return payload[:at] + struct.pack(">II", width, height) + payload[at + 8 :]


def webp_claiming_most() -> bytes:
    """A WebP animation on the largest canvas there is, 16384x16384."""
    payload = saved(pillow(np.dstack([SCENE, SCENE[..., 0]])), "WEBP")
    at = payload.index(b"VP8X") + 8
    return payload[:at] + b"\x12\0\0\0" + b"\xff\x3f\0" * 2 + payload[at + 10 :]


def bmp_claiming(width: int, height: int) -> bytes:
    """A BMP that says `width` x `height`."""
    payload = saved(pillow(SCENE), "BMP")
    return payload[:18] + struct.pack("<ii", width, height) + payload[26:]


def dicom_claiming(**elements: object) -> bytes:
    """A 64x64 object whose header says otherwise."""
    return file_of(image_object(GREY, "MONOCHROME2", **elements))


TOO_LARGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "png": (lambda: png_of_zeros(30000, 30000),
            "the picture is 30000x30000 = 900 megapixels; the limit is 100 megapixels"),
    "png of 16-bit RGBA": (lambda: png_of_zeros(9000, 9000, depth=16, colour_type=6),
                           "decoding the picture takes 618 MiB of memory; the limit is 512 MiB"),
    "jpeg": (lambda: jpeg_claiming(65000, 65000), "65000x65000 = 4225 megapixels"),
    "progressive jpeg": (lambda: jpeg_claiming(10000, 9999).replace(b"\xff\xc0", b"\xff\xc2"), "MiB of memory"),
    "webp": (webp_claiming_most, "16384x16384 = 268.435456 megapixels"),
    "tiff": (lambda: tiff(SCENE, 2, more={256: 30000, 257: 30000}), "900 megapixels"),
    "tiff with a large tile": (lambda: tiff(SCENE, 2, more={322: 2**16, 323: 2**16}), "MiB of memory"),
    "bmp": (lambda: bmp_claiming(30000, -30000), "900 megapixels"),
    "heic": (lambda: heic_claiming(30000, 30000), "900 megapixels"),
    "dicom": (lambda: dicom_claiming(Rows=65535, Columns=65535), "65535x65535"),
    "dicom of many frames": (lambda: dicom_claiming(NumberOfFrames=1_000_000),
                             "the file claims 1000000 frames; the limit is 2000"),
    "dicom, deflated": (lambda: deflated_object(100 * 2**20), "inflates to more than 64 MiB"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_bomb_is_refused_with_its_size_and_the_limit(name: str) -> None:
    make, message = TOO_LARGE[name]
    with pytest.raises(MediaTooLarge) as caught:
        read_header(make(), LIMITS)
    assert message in str(caught.value)


LIARS: dict[str, tuple[Callable[[], bytes], str]] = {
    "jpeg in dicom": (
        lambda: encapsulated(image_object(GREY, "MONOCHROME2"), [jpeg_claiming(65000, 65000)], JPEGBaseline8Bit),
        "compressed frame is 65000x65000"),
    "jpeg lossless in dicom": (
        lambda: encapsulated(image_object(GREY, "MONOCHROME2"),
                             [jpeg_claiming(65000, 65000).replace(b"\xff\xc0", b"\xff\xc3")], JPEGLosslessSV1),
        "compressed frame is 65000x65000"),
    "jpeg 2000 in dicom": (
        lambda: encapsulated(image_object(GREY, "MONOCHROME2"), [jpeg2000_claiming(60000, 60000)], JPEG2000Lossless),
        "compressed frame is 60000x60000"),
    "jpeg 2000 in tiles of a pixel": (
        lambda: encapsulated(image_object(np.zeros((1, 250, 250), np.uint8), "MONOCHROME2"), [jpeg2000_in_tiles()],
                             JPEG2000Lossless),
        "no tiles or more than 4096"),
    "rle in dicom": (
        lambda: encapsulated(image_object(GREY, "MONOCHROME2"), [rle([b"\x81\0" * 10_000_000])], RLELossless),
        "an RLE segment has another size"),
    "rle of nothing in dicom": (
        lambda: encapsulated(image_object(GREY, "MONOCHROME2"), [rle([b"\x80" * 20_000_000])], RLELossless),
        "an RLE segment has another size"),
    "segmented palette in dicom": (lambda: segmented_palette([1, 65535, 0] * 40_000), "palette is malformed"),
    "indirect palette in dicom": (lambda: segmented_palette([0, 1, 5] + [2, 65535, 3, 0] * 1000), "indirect segments"),
    "dicom of a million elements": (lambda: dicom_with(empty_elements(9)), "too many elements"),
    "dicom of a million nested elements": (
        lambda: dicom_with(b"\x09\0\x01\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" + empty_elements(11)),
        "too many elements"),
    "dicom of a million fragments": (
        lambda: encapsulated(image_object(GREY, "MONOCHROME2"), [b"\0\0"] * 1_000_000, JPEGBaseline8Bit),
        "too many elements"),
    "tiff of millions of strips": (lambda: tiff_of_strips(4_000_000), "more than 262144 values"),
    "short tiff strips": (lambda: tiff(SCENE, 2, more={256: 9999, 257: 9999}), "strips or tiles are missing"),
    "short bmp": (lambda: bmp_claiming(9999, 9999), "rows are missing"),
    "short png": (lambda: png_of_zeros(9999, 10)[:-20], "its end is missing"),
    "short heic": (lambda: heic_claiming(8000, 8000), "broken or cut short"),
    "a jpeg of a thousand scans": (lambda: many_scans(1000), "more than 100 scans"),
    "a jpeg of a million comments": (lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000 + jpeg(SCENE)[2:],
                                     "more than 10000 segments"),
}


def empty_elements(group: int) -> bytes:
    """A million private elements without a value, from `group` on."""
    return b"".join(struct.pack("<HH2sH", group + 2 * (number >> 16), number & 0xFFFF, b"LO", 0)
                    for number in range(1_000_000))


def dicom_with(elements: bytes) -> bytes:
    """A 64x64 object with raw `elements` (explicit, little-endian) between SOPInstanceUID and what follows."""
    payload = dicom_claiming()
    at = payload.index(b"\x28\0\x02\0US")
    return payload[:at] + elements + payload[at:]


def jpeg2000_in_tiles() -> bytes:
    """A JPEG 2000 codestream of 250x250 whose tiles are one pixel each."""
    payload = jpeg2000(np.zeros((250, 250), np.uint8))
    return payload[:24] + struct.pack(">II", 1, 1) + payload[32:]


def tiff_of_strips(count: int) -> bytes:
    """A TIFF that lists `count` strips."""
    payload = tiff(SCENE, 2)
    at = payload.index(struct.pack("<HHI", 273, 4, 1))
    return payload[: at + 4] + struct.pack("<II", count, len(payload)) + payload[at + 12 :] + b"\0" * (4 * count)


def jpeg2000_claiming(width: int, height: int) -> bytes:
    """A JPEG 2000 codestream of one tile that says `width` x `height`."""
    payload = jpeg2000(GREY[0])
    sizes = struct.pack(">IIIIII", width, height, 0, 0, width, height)
    return payload[:8] + sizes + payload[32:]


def segmented_palette(segments: list[int]) -> bytes:
    """A PALETTE COLOR object whose three palettes are `segments`."""
    data = struct.pack(f"<{len(segments)}H", *segments)
    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    return file_of(image_object(GREY, "PALETTE COLOR", **{f"{name}Descriptor": [0, 0, 16] for name in names},
                                **{f"Segmented{name}Data": data for name in names}))


def many_scans(count: int) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    payload = jpeg(SCENE, progressive=True)
    last = payload.rindex(b"\xff\xda")
    return payload[:last] + payload[last:-2] * count + payload[-2:]


@pytest.mark.parametrize("name", LIARS)
def test_a_file_whose_parts_contradict_each_other_is_refused(name: str) -> None:
    make, message = LIARS[name]
    with pytest.raises((CorruptMedia, UnsupportedMedia)) as caught:
        opened(make())
    assert message in str(caught.value)


HEADS: dict[str, Callable[[], bytes]] = {
    "dicom of a million regions": lambda: dicom_with(
        b"\x18\0\x11\x60SQ\0\0" + struct.pack("<I", 8_000_000) + b"\xfe\xff\0\xe0\0\0\0\0" * 1_000_000),
    "dicom of a region of a million coordinates": lambda: dicom_with(
        b"\x18\0\x11\x60SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff\x18\0\x18\x60UN\0\0"
        + struct.pack("<I", 4_000_000) + bytes(4_000_000) + b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"),
    "dicom of a million windows": lambda: dicom_with(
        b"\x28\0\x50\x10UN\0\0" + struct.pack("<I", 4_000_000) + b"7\\" * 2_000_000),
    "dicom of a long description": lambda: dicom_with(
        b"\x08\0\x30\x10UN\0\0" + struct.pack("<I", 4_000_000) + b"7\\" * 2_000_000),
}


@pytest.mark.parametrize("name", HEADS)
def test_elements_that_are_absurdly_long_are_as_good_as_absent(name: str) -> None:
    image = opened(HEADS[name]())
    assert image.regions == ()
    assert image.pixels.max() == 0


MEASURE = """
import json, resource, sys
from pathlib import Path
from domains.core import MediaError
from domains.media import Limits, decode, read_header
from tests.domains.media.pictures import jpeg, scene
from domains.media import dicom, heic

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

decode(jpeg(scene()), read_header(jpeg(scene()), Limits()), Limits())
growth = {}
for path in map(Path, sys.argv[1:]):
    payload, before = path.read_bytes(), peak_mib()
    try:
        decode(payload, read_header(payload, Limits()), Limits())
    except MediaError:
        growth[path.name] = peak_mib() - before
print(json.dumps(growth))
"""


def test_refusing_a_bomb_takes_next_to_no_memory(tmp_path: Path) -> None:
    bombs = {name: make for name, (make, _) in (TOO_LARGE | LIARS).items()}
    paths = []
    for name, make in bombs.items():
        path = tmp_path / name.replace(" ", "_")
        path.write_bytes(make())
        paths.append(str(path))
    done = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[3])
    growth = json.loads(done.stdout)
    assert len(growth) == len(bombs), "a bomb was decoded"
    # Inflating stops at 64 MiB, held twice; nothing else may hold more than a few copies of its file of up to 20 MB.
    assert max(mib for name, mib in growth.items() if "deflated" not in name) < 100
    assert growth["dicom,_deflated"] < 200


def test_no_bytes_are_called_empty() -> None:
    with pytest.raises(EmptyMedia):
        read_header(b"", LIMITS)


def test_a_file_beyond_the_byte_limit_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(MediaTooLarge, match="the file has 101 bytes; the limit is 100"):
        read_header(b"x" * 101, Limits(max_bytes=100))


def test_a_tiny_picture_is_refused_by_size() -> None:
    with pytest.raises(UnsupportedMedia, match="the picture is 1x1 pixels; at least 16x16 is needed"):
        read_header(saved(pillow(np.zeros((1, 1, 3), np.uint8)), "PNG"), LIMITS)
    tiny = jpeg(scene(1, 1))
    assert decode(tiny, read_header(tiny, Limits(min_side=1)), Limits(min_side=1)).pixels.shape == (1, 1, 3)


def test_limits_hold_when_decoding_even_if_the_header_was_read_with_others() -> None:
    payload = jpeg(SCENE)
    header = read_header(payload, LIMITS)
    with pytest.raises(MediaError):
        decode(payload, header, Limits(max_pixels=100))
    with pytest.raises(MediaError):
        decode(saved(pillow(scene(20, 20)), "JPEG"), header, LIMITS)


@pytest.mark.parametrize("name", ["max_bytes", "max_pixels", "max_frames", "max_decoded_bytes", "min_side"])
def test_a_limit_of_nothing_is_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})
