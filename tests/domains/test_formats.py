"""A clip is known by its first bytes, without a decoder; a picture is not taken for one."""

import subprocess
import sys
from pathlib import Path

import pytest

from domains.formats import clip_format
from tests import clips
from tests.domains.media.dicom_objects import file_of, image_object
from tests.domains.media.pictures import jpeg, opencv_file, pillow, saved, scene

ROOT = Path(__file__).parents[2]
FRAMES = clips.moving_scan(3)
HEIC = Path(__file__).parent / "media" / "files" / "upright.heic"

CLIPS = {
    "mp4": clips.mp4(FRAMES), "mov": clips.mov(FRAMES), "avi": clips.avi(FRAMES), "webm": clips.webm(FRAMES),
    "gif": clips.gif(FRAMES), "mpeg": clips.mpeg_program(FRAMES), "mpegts": clips.mpegts(FRAMES),
}
OTHERS = {
    "jpeg": jpeg(scene()), "png": saved(pillow(scene()), "PNG"), "bmp": opencv_file(".bmp", scene()),
    "webp": saved(pillow(scene()), "WEBP"), "heic": HEIC.read_bytes(), "dicom": clips.dicom_clip(FRAMES),
    "avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf" + bytes(100), "sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
    "text": b"moov is how this text begins, and it is no clip", "nothing": b"", "one byte": b"G", "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_is_known_by_its_bytes(name: str) -> None:
    assert clip_format(CLIPS[name]) == name
    assert clip_format(memoryview(CLIPS[name])) == name


def test_segments_of_a_stream_and_elementary_video_are_known_too() -> None:
    fragments = clips.fragmented_mp4(FRAMES)
    assert clip_format(fragments[fragments.index(b"moof") - 4 :]) == "mp4"
    assert clip_format(clips.mpeg2(FRAMES)) == "mpeg"
    old = clips.mov(FRAMES)
    assert clip_format(old[20:]) == "mov", "QuickTime from before there was a file type"


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_clip_is_not_taken_for_one(name: str) -> None:
    assert clip_format(OTHERS[name]) == ""


def test_a_dicom_object_is_one_whatever_its_preamble_holds() -> None:
    dataset = image_object(scene()[None], "RGB")
    dataset.preamble = b"GIF89a".ljust(128, b"\0")
    payload = b"GIF89a".ljust(128, b"\0") + file_of(dataset)[128:]
    assert clip_format(payload) == ""


def test_asking_loads_neither_numpy_nor_a_decoder() -> None:
    code = "import sys, domains.formats, domains.pnm; print({'numpy', 'cv2', 'av', 'PIL', 'pydicom'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
