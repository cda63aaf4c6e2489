"""A photo that leaves shows what it showed, and carries nothing beside: unless the tenant wants, not even where it was taken."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pi_heif
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from domains.media import decode, read_header
from tests.domains.deidentify.readers import Sees, cleaned, reason_held
from tests.domains.media.pictures import LIMITS, exif, jpeg, opened, pillow, png_chunk, saved, scene, tiff, turned

SECRET = "Maier"
ORIENTATION, MAKE, EXIF, GPS = 0x0112, 0x010F, 0x8769, 0x8825
HEIC = Path(__file__).parents[1] / "media" / "files"


def telling_exif(orientation: int = 1) -> Image.Exif:
    """An EXIF block with place, time, maker, owner, serial number and comments."""
    block = Image.Exif()
    block[ORIENTATION], block[MAKE], block[0x013B], block[0x8298] = orientation, f"{SECRET} Optics", SECRET, f"(c) {SECRET}"
    block[GPS] = {
        0: b"\2\3\0\0", 1: "N", 2: (52.0, 31.0, 12.5), 3: "E", 4: (13.0, 24.0, 18.0), 5: b"\0", 6: 34.5, 7: (9.0, 15.0, 7.0),
        0x1D: "2026:05:04", 0x1B: b"ASCII\0\0\0" + SECRET.encode(), 0x1C: SECRET.encode(), 0x12: SECRET,
    }
    block[EXIF] = {0x9003: "2026:05:04 09:15:07", 0x9286: b"ASCII\0\0\0" + SECRET.encode(), 0xA430: SECRET, 0xA431: SECRET}
    return block


def telling_jpeg(orientation: int = 1) -> bytes:
    """A JPEG photo that names its owner in EXIF, XMP, IPTC, a comment, a colour profile, and behind its end."""
    content = jpeg(
        np.asarray(turned(pillow(scene()), orientation)), exif=telling_exif(orientation).tobytes(), comment=SECRET.encode(),
        icc_profile=SECRET.encode() * 9, xmp=f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode(),
    )
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x50\0\5" + SECRET.encode()
    content = content[:2] + b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc + content[2:]
    assert content.count(SECRET.encode()) > 10
    return content + jpeg(scene(32, 32), comment=SECRET.encode())


def telling(file_format: str) -> bytes:
    """The same in another format."""
    image, block = pillow(scene()), telling_exif()
    if file_format == "png":
        texts = PngInfo()
        texts.add_text("Author", SECRET)
        texts.add_itxt("Comment", SECRET, zip=False)
        return saved(image, "PNG", pnginfo=texts, exif=block, icc_profile=SECRET.encode()) + SECRET.encode()
    if file_format == "webp":
        return saved(image, "WEBP", lossless=True, exif=block.tobytes(), xmp=SECRET.encode(), icc_profile=SECRET.encode())
    if file_format == "tiff":
        loaded = Image.Exif()
        loaded.load(block.tobytes())  # Pillow writes a TIFF's place only from a block that was read
        return saved(image, "TIFF", exif=loaded)
    return telling_jpeg()


def left_exif(payload: bytes) -> dict[int, Any]:
    with Image.open(io.BytesIO(payload)) as image:
        return dict(image.getexif())


def place(payload: bytes) -> dict[int, Any]:
    with Image.open(io.BytesIO(payload)) as image:
        return dict(image.getexif().get_ifd(GPS))


FORMATS = ["jpeg", "png", "webp", "tiff"]


@pytest.mark.parametrize("keep_gps", [False, True], ids=["without place", "with place"])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_photo_keeps_its_picture_and_nothing_that_names_anybody(file_format: str, keep_gps: bool) -> None:
    payload = telling(file_format)
    assert SECRET.encode() in payload
    left = cleaned(payload, file_format, keep_gps=keep_gps)
    assert SECRET.encode() not in left.payload
    assert (opened(left.payload).pixels == opened(payload).pixels).all()
    assert ("gps-kept" in left.rules) == keep_gps


@pytest.mark.parametrize("file_format", FORMATS)
def test_place_and_time_stay_only_where_the_tenant_wants(file_format: str) -> None:
    payload = telling(file_format)
    assert place(cleaned(payload, file_format).payload) == {}
    assert b"2026:05:04" not in cleaned(payload, file_format).payload
    kept = place(cleaned(payload, file_format, keep_gps=True).payload)
    assert (kept[1], kept[2], kept[3], kept[4], kept[6]) == ("N", (52.0, 31.0, 12.5), "E", (13.0, 24.0, 18.0), 34.5)
    assert kept.keys() <= {0, 1, 2, 3, 4, 5, 6, 7, 0x1D}
    with Image.open(io.BytesIO(cleaned(payload, file_format, keep_gps=True).payload)) as image:
        assert dict(image.getexif().get_ifd(EXIF)) == {0x9003: "2026:05:04 09:15:07"}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stays_turned_by_its_one_tag(orientation: int) -> None:
    left = cleaned(telling_jpeg(orientation), "jpeg").payload
    assert left_exif(left) == ({} if orientation == 1 else {ORIENTATION: orientation})
    assert (opened(left).pixels == opened(telling_jpeg(orientation)).pixels).all()


def test_the_coded_pixels_of_a_jpeg_are_copied() -> None:
    payload = jpeg(scene(), progressive=True)
    left = cleaned(payload, "jpeg").payload
    assert left == payload  # Pillow writes nothing beside but the JFIF marker


def test_a_jpeg_thumbnail_goes() -> None:
    block = Image.Exif()
    block[ORIENTATION] = 6
    content = jpeg(scene(), exif=block.tobytes() + jpeg(scene(20, 20)))
    assert content.count(b"\xff\xd8\xff") == 2
    assert cleaned(content, "jpeg").payload.count(b"\xff\xd8\xff") == 1


def test_an_animation_keeps_its_first_picture_or_is_held() -> None:
    frames = [pillow(scene()), pillow(scene()[::-1])]
    animated = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert b"fdAT" in animated
    left = cleaned(animated, "png").payload
    assert b"fdAT" not in left
    assert (opened(left).pixels == scene()).all()
    webp = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert reason_held(webp, "webp").startswith("an animated picture")


@pytest.mark.parametrize("name", ["upright.heic", "turned.heic"])
def test_a_heic_photo_becomes_an_upright_png(name: str) -> None:
    payload = (HEIC / name).read_bytes()
    left = cleaned(payload, "heic")
    assert left.format == "png"
    assert "reencoded-as-png" in left.rules
    assert (opened(left.payload).pixels == opened(payload).pixels).all()
    assert left_exif(left.payload) == {}
    assert pi_heif.open_heif(payload).size in {opened(payload).pixels.shape[1::-1], opened(payload).pixels.shape[:2]}


def test_further_pages_of_a_tiff_go() -> None:
    image = pillow(scene())
    pages = saved(image, "TIFF", save_all=True, append_images=[pillow(scene()[::-1])])
    left = cleaned(pages, "tiff")
    assert left.format == "png"
    assert (opened(left.payload).pixels == scene()).all()
    deep = tiff(np.full((40, 60, 3), 40000, np.uint16), 2)
    assert (opened(cleaned(deep, "tiff").payload).pixels == opened(deep).pixels).all()


def test_a_photo_that_shows_text_is_held_back() -> None:
    assert reason_held(jpeg(scene()), "jpeg", Sees()) == "text was found in the picture"


def test_broken_exif_is_no_reason_to_hold_a_photo_and_none_of_it_stays() -> None:
    block = b"Exif\0\0II*\0\xff\xff\xff\xff" + SECRET.encode() * 3
    content = jpeg(scene())
    content = content[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + content[2:]
    assert SECRET.encode() not in cleaned(content, "jpeg", keep_gps=True).payload
    png = saved(pillow(scene()), "PNG")
    png = png[:33] + png_chunk(b"eXIf", block) + png[33:]
    assert SECRET.encode() not in cleaned(png, "png", keep_gps=True).payload


def test_a_place_without_coordinates_is_none() -> None:
    block = Image.Exif()
    block[GPS] = {0x1D: "2026:05:04", 0x1C: SECRET.encode()}
    left = cleaned(jpeg(scene(), exif=block.tobytes()), "jpeg", keep_gps=True)
    assert left_exif(left.payload) == {}
    assert "gps-kept" not in left.rules


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_photo_cut_short_is_held_back(file_format: str) -> None:
    payload = telling(file_format)
    for length in (40, len(payload) // 3):
        assert SECRET not in reason_held(payload[:length], file_format)


def test_a_video_is_held_back() -> None:
    gif = saved(pillow(scene()), "GIF")
    assert reason_held(gif, "gif").startswith("a video can't be de-identified here")


def test_a_plain_frame_becomes_a_png() -> None:
    pgm = b"P5\n# " + SECRET.encode() + b"\n60 40\n255\n" + bytes(range(60)) * 40
    left = cleaned(pgm, "pnm")
    assert SECRET.encode() not in left.payload
    assert left.format == "png"
    header = read_header(left.payload, LIMITS)
    assert decode(left.payload, header, LIMITS).pixels.shape == (40, 60, 3)
    assert exif(1) not in left.payload
