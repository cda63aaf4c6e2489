"""`make durability` finds a patient's name where one was left, and says what became of a header."""

import io
import struct

import pydicom
import pytest

from benchmarks.durability_patients import (
    BANNER_PX,
    LATITUDE,
    NAME,
    found_in,
    frame_of,
    header_changes,
    patient_object,
    photo_with_place,
)
from domains.deidentify import Deidentified, deidentify
from tests.domains.deidentify.readers import Blind

KEY = b"a tenant's secret key, 32 bytes."


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", [str, str.upper, str.lower])
def test_a_name_is_found_in_any_case_and_encoding(form: type[str], encoding: str) -> None:
    planted = b"\0\1" + form(NAME).encode(encoding) + b"\2"
    assert found_in({"one": planted, "other": b"\0\1\2"}) == {"one": ["Brandtner", "Rosalinde"], "other": []}


def test_a_place_is_found_as_exif_has_it_and_as_a_number() -> None:
    assert found_in({"photo": photo_with_place()})["photo"] == ["Brandtner", "Rosalinde", "latitude", "longitude", "when it was taken"]
    for order in "<>":
        assert found_in({"tiff": b"\0" + struct.pack(f"{order}4I", LATITUDE[0], 1, LATITUDE[1], 1)}) == {"tiff": ["latitude"]}
    degrees = LATITUDE[0] + LATITUDE[1] / 60 + LATITUDE[2] / 360_000
    assert found_in({"text": f"at {degrees:.5f} north".encode()}) == {"text": ["latitude"]}


def test_every_attribute_of_a_header_is_told_of_also_those_of_items_and_of_the_file() -> None:
    before = patient_object()
    left = deidentify(before, "dicom", tenant_key=KEY, keep_gps=False, find_text=Blind())
    assert isinstance(left, Deidentified)
    changes = {change.attribute: change for change in header_changes(before, left.payload)}
    whats = {name.rpartition(" ")[2]: change.what for name, change in changes.items() if name.startswith("(00")}
    assert (whats["StudyDescription"], whats["Modality"], whats["PatientIdentityRemoved"]) == ("removed", "kept", "added")
    assert changes["(0010,0010) PatientName"].what == "emptied"
    assert changes["(0010,0010) PatientName"].before == NAME
    assert changes["(0040,0260) PerformedProtocolCodeSequence [0] / (0010,0010) PatientName"].what == "emptied"
    assert changes["file meta / (0002,0003) MediaStorageSOPInstanceUID"].what == "changed"
    assert not frame_of(left.payload)[:BANNER_PX].any()
    assert frame_of(before)[:BANNER_PX].any()


def test_a_header_that_was_left_as_it_was_is_told_as_kept() -> None:
    before = patient_object()
    whole = pydicom.dcmread(io.BytesIO(before))
    whole.PatientAddress = "Elsewhere 1"
    file = io.BytesIO()
    whole.save_as(file)
    altered = {change.attribute: change.what for change in header_changes(before, file.getvalue()) if change.what != "kept"}
    assert altered == {"(0010,1040) PatientAddress": "changed"}
