"""Text in pictures is found: by Tesseract where it is installed, and judged by the same rules whoever reads."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from domains.core import Pixels
from domains.deidentify import TextReader, TextSearchFailed, Word
from domains.deidentify.text import clip_shows_text, shows_text
from gateway.service.leaving.tesseract import Tesseract
from tests.domains.deidentify.readers import BANNER, Blind, Sees, cleaned, reason_held, speckle, with_banner
from tests.domains.deidentify.test_dicom import below_banner, patient, scan
from tests.domains.media.dicom_objects import file_of, image_object
from tests.domains.media.pictures import jpeg, opened, scene
from tests.missing import missing

SAMPLES = Path(__file__).parents[3] / "samples"


class NoticesLetter(TextReader):
    """Reads a word off every picture that shows a light square on dark, wherever that is."""

    def read(self, picture: Pixels) -> Sequence[Word]:
        """A word where the darkest pixel is near white and its surroundings black, the banner's way."""
        return [Word("MAIER", 90.0)] if picture.max() > 250 and np.median(picture) < 30 else []


@pytest.fixture(scope="session")
def tesseract() -> Tesseract:
    """The real program."""
    if shutil.which("tesseract") is None:
        missing("tesseract (Debian: tesseract-ocr)")
    return Tesseract()


@pytest.mark.parametrize(("word", "counts"), [
    (Word("MAIER", 95.0), True), (Word("1950", 61.0), True), (Word("MAIER", 59.0), False), (Word("Ma", 95.0), False),
    (Word("Kim", 90.0), True), (Word("Kim", 80.0), False), (Word("K.-m!", 95.0), False),
    (Word("~-|.", 95.0), False), (Word("", 95.0), False),
])
def test_a_word_counts_when_it_is_long_and_sure_enough(word: Word, counts: bool) -> None:
    assert shows_text(scene(), Sees(word)) is counts


def test_small_pictures_are_enlarged_and_huge_ones_reduced_and_both_polarities_are_read() -> None:
    reader = Blind()
    assert not shows_text(scene(120, 200), reader)
    nearly_white, dark, light = reader.shown
    assert nearly_white.shape == dark.shape == light.shape == (360, 600)
    assert int(dark[10, 10]) + int(light[10, 10]) == 255
    assert set(np.unique(nearly_white)) <= {0, 255}
    reader = Blind()
    assert not shows_text(np.zeros((1500, 6000, 3), np.uint8), reader)
    assert reader.shown[0].shape == (500, 2000)


@pytest.mark.parametrize("shown_in", [0, 7, 39])
def test_a_text_that_flashes_by_on_black_is_found_in_a_long_clip(shown_in: int) -> None:
    frames = [np.zeros((60, 80, 3), np.uint8) for _ in range(40)]
    frames[shown_in][20:40, 20:40] = 255
    assert clip_shows_text(frames, 40, NoticesLetter())
    assert not clip_shows_text(frames[:shown_in] + frames[shown_in + 1 :], 39, NoticesLetter())


def test_a_long_clip_is_read_in_some_frames_only() -> None:
    reader = Blind()
    assert not clip_shows_text([scene()] * 100, 100, reader)
    assert len(reader.shown) == 3 * (15 + 2)  # every seventh frame, and the two that are made of all


def test_a_program_that_is_not_there_or_gives_no_answer_is_a_search_that_failed(tmp_path: Path) -> None:
    with pytest.raises(TextSearchFailed, match="isn't installed"):
        Tesseract("no-such-program")
    for body in ("exit 3", "echo something else", "sleep 9"):
        program = tmp_path / "tesseract"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o700)
        with pytest.raises(TextSearchFailed, match=r"answer"):
            Tesseract(str(program), limit_s=0.3).read(np.zeros((40, 60), np.uint8))


def test_tesseract_finds_a_name_that_is_written_over_the_scan_itself(tesseract: Tesseract) -> None:
    picture = np.repeat(speckle(300, 400)[:, :, np.newaxis], 3, axis=2)
    assert not shows_text(picture, tesseract)
    cv2.putText(picture, "MAIER ROSA", (60, 150), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 80), 2, cv2.LINE_AA)
    assert shows_text(picture, tesseract)


@pytest.mark.parametrize("text", ["MAIER ROSA  1950-01-31", "Maier, Rosa *31.01.1950", "ID 4711-0815", "Praxis Dr. Wald"])
def test_tesseract_finds_a_banner(tesseract: Tesseract, text: str) -> None:
    assert shows_text(with_banner(text), tesseract)
    assert reason_held(file_of(image_object(with_banner(text)[np.newaxis], "RGB")), "dicom", tesseract)
    assert reason_held(jpeg(with_banner(text)), "jpeg", tesseract) == "text was found in the picture"


def test_tesseract_finds_no_text_in_a_scan_whose_banner_was_blanked(tesseract: Tesseract) -> None:
    before = scan()
    assert shows_text(opened(before).pixels, tesseract)
    left = cleaned(before, "dicom", tesseract)
    assert not shows_text(opened(left.payload).pixels, tesseract)


def test_tesseract_takes_speckle_for_no_text(tesseract: Tesseract) -> None:
    picture = np.repeat(speckle(300, 400)[:, :, np.newaxis], 3, axis=2)
    dataset = patient(image_object(picture[np.newaxis], "RGB", SequenceOfUltrasoundRegions=below_banner(picture)))
    assert cleaned(file_of(dataset), "dicom", tesseract).rules[-1] == "no-text-found"
    assert not opened(cleaned(file_of(dataset), "dicom", tesseract).payload).pixels[:BANNER].any()


@pytest.mark.parametrize(("name", "media_format"), [
    ("breast_scan.jpg", "jpeg"), ("breast_scan.dcm", "dicom"), ("lung_scan.png", "png"), ("field.jpg", "jpeg"),
    ("field_sideways.jpg", "jpeg"),
])
def test_tesseract_lets_the_samples_without_text_leave(tesseract: Tesseract, name: str, media_format: str) -> None:
    assert cleaned((SAMPLES / name).read_bytes(), media_format, tesseract).rules[-1] == "no-text-found"
