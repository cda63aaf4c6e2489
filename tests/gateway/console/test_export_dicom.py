"""Hard cases exported as DICOM: objects as they were de-identified, photos as Secondary Capture; and the command itself."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as PillowImage
from pydicom.dataset import FileDataset

from domains import media
from gateway.console.export_cases import Export
from gateway.console.export_form import ExportRefused
from gateway.service.records import Analysis
from tests.gateway.console.hard_case_site import SAMPLES, Site, field_answer, files_in, scan_answer, with_banner

ROOT = Path(__file__).parents[3]
PRESENT = (  # type 1 and 2 of the modules that Secondary Capture asks for: PS3.3 table A.8-1 and the modules' own
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber", "Modality", "SeriesInstanceUID", "SeriesNumber",
    "ConversionType", "InstanceNumber", "PatientOrientation", "SamplesPerPixel", "PhotometricInterpretation", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "SOPClassUID", "SOPInstanceUID",
)


@dataclass(frozen=True, slots=True)
class Exported:
    """An export of one case of each kind."""

    site: Site
    out: Path
    done: Export
    cases: dict[str, Analysis]

    def path(self, kind: str) -> Path:
        """Of the file of that case."""
        return self.out / f"{self.done.exported[self.cases[kind].id]}.dcm"

    def read(self, kind: str) -> FileDataset:
        """The file of that case."""
        return pydicom.dcmread(self.path(kind))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Read only."""
    folder = tmp_path_factory.mktemp("dicom")
    site = Site(folder / "data")
    cases = {"photo": field_answer(461, 1000), "grey": scan_answer(), "object": scan_answer(), "named": scan_answer()}
    site.set_aside(
        (cases["photo"], (SAMPLES / "field_sideways.jpg").read_bytes()),
        (cases["grey"], (SAMPLES / "lung_scan.png").read_bytes()),
        (cases["object"], (SAMPLES / "breast_scan.dcm").read_bytes()),
        (cases["named"], with_banner("JOHN APPLESEED 1959")),
    )
    return Exported(site, folder / "out", site.export(folder / "out", "dicom"), cases)


@pytest.mark.parametrize("kind", ["photo", "grey"])
def test_a_photo_becomes_a_secondary_capture_that_lacks_nothing(exported: Exported, kind: str) -> None:
    dataset = exported.read(kind)
    assert [name for name in PRESENT if name not in dataset] == []
    assert dataset.SOPClassUID.name == "Secondary Capture Image Storage"
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert dataset.file_meta.MediaStorageSOPClassUID == dataset.SOPClassUID
    uids = [dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID]
    assert all(uid.is_valid and uid.startswith("2.25.") for uid in uids)
    assert len(set(uids)) == 3
    assert (dataset.PatientIdentityRemoved, dataset.BurnedInAnnotation) == ("YES", "NO")
    assert len(dataset.PixelData) % 2 == 0


def test_its_pixels_are_those_that_the_model_saw(exported: Exported) -> None:
    with PillowImage.open(SAMPLES / "lung_scan.png") as opened:
        assert (exported.read("grey").pixel_array == np.asarray(opened.convert("L"))).all()
    photo, limits = exported.read("photo"), media.Limits()
    assert (photo.PhotometricInterpretation, photo.Rows, photo.Columns) == ("RGB", 1000, 461)
    payload = (SAMPLES / "field_sideways.jpg").read_bytes()
    upright = media.decode(payload, media.read_header(payload, limits), limits).pixels
    assert (photo.pixel_array == upright).all()
    assert (photo.LossyImageCompression, exported.read("grey").LossyImageCompression) == ("01", "00")


def test_the_gateway_reads_what_was_exported(exported: Exported) -> None:
    limits = media.Limits()
    for path in exported.out.glob("*.dcm"):
        header = media.read_header(path.read_bytes(), limits)
        image = media.decode(path.read_bytes(), header, limits)
        assert image.pixels.shape == (header.height, header.width, 3)


def test_an_object_leaves_as_it_was_de_identified(exported: Exported) -> None:
    before, after = pydicom.dcmread(SAMPLES / "breast_scan.dcm"), exported.read("object")
    assert after.PatientIdentityRemoved == "YES"
    assert after.SOPClassUID == before.SOPClassUID
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert (after.pixel_array == before.pixel_array).all()
    (entry,) = [entry for entry in exported.site.audit() if entry.analysis_id == exported.cases["object"].id]
    assert entry.form.split()[:3] == ["dicom-basic-profile", "private-removed", "uids-replaced"]
    assert entry.sha256 == hashlib.sha256(exported.path("object").read_bytes()).hexdigest()


def test_beside_the_files_stands_what_was_answered_and_what_can_be_said(exported: Exported) -> None:
    rows = {row["file"]: row for row in json.loads((exported.out / "cases.json").read_text())["cases"]}
    assert set(rows) == {path.name for path in exported.out.glob("*.dcm")}
    photo = rows[exported.path("photo").name]
    assert (photo["model"], photo["reason"], photo["labels"]) == ("crop_peanut", "abstained", ["soil", "crop", "weed"])
    assert exported.done.held == {exported.cases["named"].id: "text was found in the picture"}
    for content in files_in(exported.out).values():
        assert not any(analysis.id.encode() in content for analysis in exported.cases.values())


def test_another_export_has_the_same_uids_and_another_installation_others(exported: Exported, tmp_path: Path) -> None:
    site, grey = exported.site, exported.cases["grey"]
    again = site.export(tmp_path / "again", "dicom", domain="pathology")
    assert (tmp_path / "again" / f"{again.exported[grey.id]}.dcm").read_bytes() == exported.path("grey").read_bytes()
    secret = tmp_path / "secret"
    secret.write_bytes(b"another secret of thirty-two bytes")
    foreign = site.export(
        tmp_path / "foreign", "dicom", domain="pathology", settings=site.settings(pseudonym_secret_file=secret)
    )
    other = pydicom.dcmread(tmp_path / "foreign" / f"{foreign.exported[grey.id]}.dcm")
    assert other.StudyInstanceUID != exported.read("grey").StudyInstanceUID


def test_running_it_again_adds_nothing(exported: Exported) -> None:
    before, departures = files_in(exported.out), len(exported.site.audit())
    again = exported.site.export(exported.out, "dicom")
    assert (again.exported, len(again.already_there), len(again.held)) == ({}, 3, 1)
    assert files_in(exported.out) == before
    assert len(exported.site.audit()) == departures


def test_a_folder_of_the_other_form_is_left_alone(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="an export in another form"):
        exported.site.export(exported.out, "coco")
    (tmp_path / "cases.json").write_text('{"description": "mine", "cases": []}')
    with pytest.raises(ExportRefused, match="not written by an earlier export"):
        exported.site.export(tmp_path, "dicom")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
def test_dciodvfy_finds_no_error(exported: Exported) -> None:
    for kind in ("photo", "grey"):
        done = subprocess.run(["dciodvfy", exported.path(kind)], capture_output=True, text=True, check=False)
        assert "Error" not in done.stderr, done.stderr


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="needs dcmtk")
def test_dcmdump_reads_it(exported: Exported) -> None:
    for path in exported.out.glob("*.dcm"):
        done = subprocess.run(["dcmdump", path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_command_exports_and_lists_what_was_held(tmp_path: Path) -> None:
    site = Site(tmp_path / "data")
    scan, named = scan_answer(), scan_answer()
    site.set_aside((scan, (SAMPLES / "lung_scan.png").read_bytes()), (named, with_banner("JOHN APPLESEED 1959")))
    settings = site.settings()
    environment = {
        **os.environ, "HEDGEROW_DATA_DIR": str(site.data), "COLUMNS": "160", "HEDGEROW_ROUTES": '[{"to_learning": true}]',
        "HEDGEROW_PSEUDONYM_SECRET_FILE": str(settings.pseudonym_secret_file),
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from gateway.entry import main; main()", "export-hard-cases", *words], cwd=ROOT,
            capture_output=True, text=True, check=False, env=environment,
        )

    done = run("--out", str(tmp_path / "out"), "--format", "dicom")
    assert done.returncode == 0, done.stderr
    assert f"1 exported to {tmp_path / 'out'}, 0 there already, 1 held back" in done.stdout
    assert named.id in done.stdout
    assert "text was found in the picture" in done.stdout
    told = json.loads(run("--out", str(tmp_path / "out"), "--format", "dicom", "--json").stdout)
    assert (told["exported"], told["already_there"], list(told["held"])) == ({}, [scan.id], [named.id])
    refused = run("--out", str(tmp_path / "out"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "holds an export in another form" in refused.stderr


def test_a_grey_screenshot_with_an_odd_number_of_pixels_is_padded(tmp_path: Path) -> None:
    site, scan = Site(tmp_path / "data"), scan_answer()
    stream = io.BytesIO()
    PillowImage.new("L", (33, 35), 90).save(stream, "PNG")
    site.set_aside((scan, stream.getvalue()))
    done = site.export(tmp_path / "out", "dicom")
    dataset = pydicom.dcmread(tmp_path / "out" / f"{done.exported[scan.id]}.dcm")
    assert (len(dataset.PixelData), dataset.pixel_array.shape) == (33 * 35 + 1, (35, 33))
