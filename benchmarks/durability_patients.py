"""Files of benchmarks/durability.py that tell whose they are, where they were made and when; what must not leave of them; and
what became of a DICOM object's header.
"""

import base64
import importlib
import io
import json
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from tests.gateway_process import SAMPLES

NAME, BIRTH, PATIENT = "Brandtner^Rosalinde", "19500131", "PAT-48151"
BANNER_TEXT = "BRANDTNER ROSALINDE  1950-01-31"
BANNER_PX = 40
WORDS = ("Brandtner", "Rosalinde", BIRTH, "1950-01-31", PATIENT, "Waldkirch", "Hausarzt", "1.2.3.4.5.6.7")
"""Every form in which they stand in the files below; looked for in capitals, small letters and several encodings."""
ENCODINGS = ("latin-1", "utf-8", "utf-16-le", "utf-16-be")
LATITUDE, LONGITUDE, TAKEN = (52, 31, 1250), (13, 24, 1875), "2026:05:04 09:15:07"
"""Degrees, minutes, hundredths of seconds."""
GPS_IFD, EXIF_IFD, MAKE = 0x8825, 0x8769, 0x010F
SURE = 60.0
LEAST_LETTERS = 4
MOST_SHOWN = 48


@dataclass(frozen=True, slots=True)
class Upload:
    """A file, and where it is sent."""

    name: str
    path: str
    content_type: str
    payload: bytes


class Change(msgspec.Struct):
    """One attribute of a header. `what`: kept, changed, emptied, removed or added."""

    attribute: str
    what: str
    before: str
    after: str


def scan_with_banner() -> NDArray[np.uint8]:
    """The breast scan under a banner that names a patient. uint8 grey (height, width)."""
    scan = cv2.imread(str(SAMPLES / "breast_scan.jpg"), cv2.IMREAD_GRAYSCALE)
    if scan is None:
        raise ValueError("samples/breast_scan.jpg is no picture")
    picture = np.concatenate([np.zeros((BANNER_PX, scan.shape[1]), np.uint8), scan])
    cv2.putText(picture, BANNER_TEXT, (8, BANNER_PX - 13), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,), 1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def patient_object() -> bytes:
    """A DICOM ultrasound with the patient in its header, in an item of a sequence, in private attributes, in words outside of the
    standard's table, and in a banner above the one region that it declares.
    """
    picture = scan_with_banner()
    dataset = pydicom.dcmread(SAMPLES / "breast_scan.dcm")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientBirthDate, dataset.PatientID, dataset.PatientSex = NAME, BIRTH, PATIENT, "F"
    dataset.PatientAddress, dataset.InstitutionName = "Waldkirch 7", "Klinikum Waldkirch"
    dataset.ReferringPhysicianName, dataset.AccessionNumber = "Hausarzt^Jo", f"A-{PATIENT}"
    dataset.StudyDate = dataset.ContentDate = "20260504"
    dataset.StudyTime, dataset.StudyDescription = "091507", f"{NAME} 1950-01-31"
    dataset.ProtocolName, dataset.TransducerType = "breast of Brandtner", "ROSALINDE"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4.5.6.7.1", "1.2.3.4.5.6.7.2"
    inner = Dataset()
    inner.PatientName, inner.CodeMeaning, inner.ReferencedSOPInstanceUID = NAME, "echo of Brandtner", "1.2.3.4.5.6.7.3"
    dataset.PerformedProtocolCodeSequence = [inner]
    dataset.private_block(0x0009, "MAKER 1.0", create=True).add_new(1, "LO", f"{NAME} {BIRTH}")
    region = dataset.SequenceOfUltrasoundRegions[0]
    region.RegionLocationMinY0, region.RegionLocationMaxY1 = BANNER_PX, picture.shape[0] - 1
    dataset.Rows, dataset.Columns = picture.shape
    dataset.BurnedInAnnotation = "YES"
    dataset.PixelData = picture.tobytes() + b"\0" * (picture.size % 2)
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def photo_with_place() -> bytes:
    """A photo of a field with the place and the moment at which it was taken, and whose camera it was."""
    block = Image.Exif()
    block[MAKE] = "Brandtner Optics"
    block[GPS_IFD] = {1: "N", 2: _degrees(LATITUDE), 3: "E", 4: _degrees(LONGITUDE)}
    block[EXIF_IFD] = {0x9003: TAKEN}
    file = io.BytesIO()
    with Image.open(SAMPLES / "field.jpg") as photo:
        photo.resize((320, 240)).save(file, "JPEG", quality=85, exif=block.tobytes(), comment=NAME.encode())
    return file.getvalue()


def scan_without_regions() -> bytes:
    """The scan and its banner as a plain picture: nothing says what of it is the scan."""
    return cv2.imencode(".png", scan_with_banner())[1].tobytes()


def telling() -> dict[str, set[bytes]]:
    """What must not be found in anything that left, by what it tells."""
    told = {word: {form.encode(encoding) for form in (word, word.upper(), word.lower()) for encoding in ENCODINGS} for word in WORDS}
    for name, place in (("latitude", LATITUDE), ("longitude", LONGITUDE)):
        degrees, minutes, hundredths = place
        told[name] = {struct.pack(f"{order}4I", degrees, 1, minutes, 1) for order in "<>"} | {f"{degrees}, {minutes}".encode()}
        told[name].add(f"{degrees + minutes / 60 + hundredths / 360_000:.3f}".encode())
    told["when it was taken"] = {TAKEN.encode()}
    return told


def found_in(contents: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Which of it stands where."""
    return {
        name: sorted({what for what, forms in telling().items() if any(form in content for form in forms)})
        for name, content in contents.items()
    }


def words_on(pixels: NDArray[np.uint8]) -> list[str]:
    """What tesseract itself reads, the program and none of the gateway's code: words of four letters or more of which it is sure,
    light on dark and dark on light, twice as large.
    """
    larger = cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    words = []
    for picture in (larger, cv2.bitwise_not(larger)):
        png = cv2.imencode(".png", picture)[1].tobytes()
        done = subprocess.run(
            ["tesseract", "stdin", "stdout", "--psm", "11", "-l", "eng", "tsv"], input=png, capture_output=True, check=True,
        )
        for line in done.stdout.decode(errors="replace").splitlines()[1:]:
            *_, confidence, word = line.split("\t")
            if float(confidence) >= SURE and sum(map(str.isalnum, word)) >= LEAST_LETTERS:
                words.append(word)
    return words


def frame_of(payload: bytes) -> NDArray[np.uint8]:
    """The pixels of a DICOM object."""
    return np.asarray(pydicom.dcmread(io.BytesIO(payload)).pixel_array, np.uint8)


def header_changes(before: bytes, after: bytes) -> list[Change]:
    """What became of each attribute, those of items and of the file's meta information too; pixels apart."""
    old, new = (dict(_attributes(pydicom.dcmread(io.BytesIO(one)))) for one in (before, after))
    return [_change(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())]


def messages_in(broker_url: str, queue: str) -> dict[str, bytes]:
    """The messages that wait in Redis, with their bodies as they are meant: Celery codes those once more."""
    client = importlib.import_module("redis").Redis.from_url(broker_url)
    found: dict[str, bytes] = {}
    for number, message in enumerate(client.lrange(queue, 0, -1)):
        found[f"message {number}"] = message + base64.b64decode(json.loads(message)["body"])
    client.close()
    return found


def _degrees(place: tuple[int, int, int]) -> tuple[float, float, float]:
    return float(place[0]), float(place[1]), place[2] / 100


def _attributes(dataset: Dataset, before: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(dataset, pydicom.FileDataset):
        yield from _attributes(dataset.file_meta, "file meta / ")
    for element in dataset:
        name = f"{before}{element.tag} {element.keyword or 'private'}"
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from _attributes(item, f"{name} [{number}] / ")
        elif element.keyword != "PixelData":
            yield name, str(element.value)


def _change(name: str, before: str | None, after: str | None) -> Change:
    if before is None or after is None:
        what = "added" if before is None else "removed"
    elif before == after:
        what = "kept"
    else:
        what = "changed" if after else "emptied"
    return Change(name, what, (before or "")[:MOST_SHOWN], (after or "")[:MOST_SHOWN])
