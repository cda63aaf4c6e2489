"""Nothing that is in a file, and could name a patient, is repeated in an error, a warning or a log line."""

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from domains.core import DomainError
from domains.media import read_header
from tests.domains.media.dicom_objects import file_of, image_object
from tests.domains.media.pictures import LIMITS, opened

SECRET = "Maier^Rosa"
ROOT = Path(__file__).parents[3]
GREY = np.zeros((1, 60, 80), np.uint8)


def object_with_secrets(**elements: object) -> bytes:
    """An object that names a patient in places where pydicom complains about values."""
    dataset = image_object(GREY, "MONOCHROME2", PatientName=SECRET, StudyDescription=SECRET, **elements)
    return file_of(dataset)


COMPLAINTS = [
    object_with_secrets(SpecificCharacterSet="ISO_IR 100").replace(b"ISO_IR 100", b"MaierRosa1"),
    object_with_secrets(PatientBirthDate="19500101").replace(b"19500101", b"Maier123"),
    object_with_secrets(WindowCenter="100", WindowWidth="200").replace(b"DS\x04\x00100 ", b"DS\x04\x00Rosa"),
    object_with_secrets(NumberOfFrames="1").replace(b"IS\x02\x001 ", b"IS\x02\x00Ro"),
    object_with_secrets().replace(b"MONOCHROME2 ", b"MaierRosa   "),
    object_with_secrets()[:-500],
    object_with_secrets().replace(b"1.2.840.10008.5.1.4.1.1.6.1", b"9.8.765.43210.1.2.3.4.5.6.7"),
]


@pytest.mark.parametrize("index", range(len(COMPLAINTS)))
def test_errors_warnings_and_logs_say_nothing_of_the_patient(index: int, caplog: pytest.LogCaptureFixture) -> None:
    said = []
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        try:
            opened(COMPLAINTS[index])
        except DomainError as error:
            said.append(str(error))
    said += [str(warning.message) for warning in caught] + [record.getMessage() for record in caplog.records]
    assert not any(word in text for text in said for word in ("Maier", "Rosa", "9.8.765"))


def test_an_object_that_pydicom_complains_about_is_still_read() -> None:
    assert opened(COMPLAINTS[0]).pixels.shape == (60, 80, 3)
    assert opened(COMPLAINTS[1]).pixels.shape == (60, 80, 3)
    assert read_header(COMPLAINTS[1], LIMITS).dicom is not None


def test_a_service_that_gets_only_photos_never_loads_the_dicom_and_heic_libraries() -> None:
    script = ("import sys, cv2, numpy, domains.media as media\n"
              "payload = cv2.imencode('.jpg', numpy.zeros((64, 64, 3), numpy.uint8))[1].tobytes()\n"
              "limits = media.Limits()\n"
              "media.decode(payload, media.read_header(payload, limits), limits)\n"
              "print(sorted({'pydicom', 'PIL', 'pi_heif', 'gdcm', 'jpeg_ls'} & set(sys.modules)))\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
