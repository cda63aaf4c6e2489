"""The sample files work as the demo promises, and each states where it is from."""

from pathlib import Path

import pytest

from domains.core import DicomDescription
from domains.media import read_header
from samples.make_breast_dicom import breast_scan
from tests.domains.media.dicom_objects import file_of
from tests.domains.media.pictures import LIMITS, difference, opened

SAMPLES = Path(__file__).parents[3] / "samples"
PICTURES = sorted(path for path in SAMPLES.iterdir() if path.suffix in (".png", ".jpg", ".dcm"))
SIZES = {"lung_scan.png": (370, 370), "breast_scan.jpg": (512, 441), "breast_scan.dcm": (512, 441),
         "ultrasound.dcm": (1024, 768), "ultrasound_clip.dcm": (320, 240), "field.jpg": (960, 720),
         "field_sideways.jpg": (461, 1000), "house_number.png": (120, 96), "chest_xray.jpg": (224, 224)}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_sample_is_read_and_its_source_is_stated(path: Path) -> None:
    header = read_header(path.read_bytes(), LIMITS)
    assert (header.width, header.height) == SIZES[path.name]
    assert opened(path.read_bytes()).pixels.std() > 5
    assert (SAMPLES / "README.md").read_text().count(f"**{path.name}**") == 1


def test_the_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in PICTURES) < 3 * 2**20


def test_the_breast_dicom_names_its_exam_and_shows_the_breast_scan() -> None:
    payload = (SAMPLES / "breast_scan.dcm").read_bytes()
    assert read_header(payload, LIMITS).dicom == DicomDescription("US", "BREAST", "US breast")
    image = opened(payload)
    assert difference(image.pixels, opened((SAMPLES / "breast_scan.jpg").read_bytes()).pixels) == 0
    region, = image.regions
    assert (region.x1, region.y1, region.is_2d, region.spacing_x_mm) == (511, 440, True, None)


def test_the_breast_dicom_is_what_its_script_writes() -> None:
    written = opened(file_of(breast_scan()))
    assert difference(written.pixels, opened((SAMPLES / "breast_scan.dcm").read_bytes()).pixels) == 0
