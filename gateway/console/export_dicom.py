"""Hard cases as DICOM files: objects as they were de-identified, photos and screenshots as Secondary Capture (PS3.3 A.8.1).

`cases.json` beside them says which models answered what; a picture of a patient is a study of its own.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from domains import media
from domains.core import Pixels
from domains.deidentify.uids import pseudonyms
from edge_runtime.folders import write_whole
from gateway.console.export_form import (
    CleanCase,
    ExportRefused,
    Leaving,
    Target,
    answers_of,
    open_folder,
    write_json,
)

INDEX = "cases.json"
DESCRIPTION = "Hard cases of Hedgerow, to be labelled; DICOM"
CAPTURED = "secondary-capture"
METHOD = "Metadata stripped; searched for text"
_LOSSY = frozenset({"jpeg", "webp", "heic"})
_UID_KEY = b"hedgerow secondary capture"
"""The names of cases are pseudonyms already: whoever has none can't go back from a UID that is made of one."""


class DicomFolder(Target):
    """Goes on with an earlier export. Raises ExportRefused for a folder that is none."""

    def __init__(self, folder: Path, limits: media.Limits) -> None:
        self._folder = folder
        self._limits = limits
        found = open_folder(folder, INDEX, ("annotations.json",))
        new: dict[str, Any] = {"description": DESCRIPTION, "cases": []}
        self._document = new if found is None else _checked(found, folder)
        self._cases: list[dict[str, Any]] = self._document["cases"]
        self._names = {row["case"] for row in self._cases}

    def holds(self, name: str) -> bool:
        return name in self._names

    def form(self, clean: CleanCase) -> Leaving:
        header = media.read_header(clean.payload, self._limits)
        size, name = (header.width, header.height), f"{clean.name}.dcm"
        if header.format == "dicom":
            return Leaving(name, clean.payload, "dicom", clean.rules, size)
        pixels = media.decode(clean.payload, header, self._limits).pixels
        captured = secondary_capture(pixels, clean.name, was_lossy=header.format in _LOSSY)
        return Leaving(name, captured, "dicom", (*clean.rules, CAPTURED), size)

    def keep(self, clean: CleanCase, leaving: Leaving) -> None:
        write_whole(self._folder / leaving.file_name, leaving.payload)
        self._names.add(clean.name)
        self._cases.append({
            "case": clean.name, "file": leaving.file_name, "domain": clean.case.domain, "model": clean.case.model,
            "reason": clean.case.reason, "labels": list(clean.labels), "answers": answers_of(clean.case),
        })

    def save(self) -> None:
        write_json(self._folder / INDEX, self._document)


def secondary_capture(pixels: Pixels, name: str, *, was_lossy: bool) -> bytes:
    """A DICOM file of uint8 RGB (height, width, 3); grey where all channels are the same. The same `name` gives the same UIDs."""
    new_uid = pseudonyms(_UID_KEY)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    for keyword, level in (("SOPInstanceUID", "image"), ("StudyInstanceUID", "study"), ("SeriesInstanceUID", "series")):
        setattr(dataset, keyword, new_uid(f"{level} {name}"))
    dataset.PatientName, dataset.PatientID = name, name
    for keyword in (  # type 2: there, and empty
        "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex", "StudyID",
        "PatientOrientation",
    ):
        setattr(dataset, keyword, None)
    dataset.Modality, dataset.ConversionType = "OT", "DI"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", METHOD
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "01" if was_lossy else "00"
    _set_pixels(dataset, pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _set_pixels(dataset: Dataset, pixels: Pixels) -> None:
    grey = bool((pixels == pixels[:, :, :1]).all())
    dataset.SamplesPerPixel = 1 if grey else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if grey else "RGB"
    if not grey:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.add_new("PixelData", "OB", (pixels[:, :, 0] if grey else pixels).tobytes())


def _checked(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    cases = document.get("cases")
    ours = document.get("description") == DESCRIPTION and isinstance(cases, list) and all(
        isinstance(row, dict) and isinstance(row.get("case"), str) for row in cases
    )
    if not ours:
        raise ExportRefused(f"{folder / INDEX} was not written by an earlier export")
    return document
