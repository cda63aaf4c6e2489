"""Every attribute that PS3.15 table E.1-1 names is gone or replaced, at the top and in nested items."""

import io

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from domains.deidentify.profile import basic_profile, choice
from tests.domains.deidentify.readers import cleaned
from tests.domains.media.dicom_objects import file_of, image_object

GREY = np.full((1, 40, 60), 90, np.uint8)
NESTING = "PerformedProtocolCodeSequence"
"""Stands in no line of the table, so what is in its items is kept."""

KNOWN = sorted(tag for tag in basic_profile().attributes if dictionary_has_tag(tag) and tag >> 16 not in {0x0000, 0x0002})
REFUSED = {0x00420011, 0x0040A730}
"""Documents and reports: objects with these are held."""

SECRETS: dict[str, object] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"), "ZYXWVUT SECRET"), "PN": "Zyxwvut^Secret",
    "AS": "081Y", "DA": "19431122", "DT": "19431122091133", "TM": "091133", "UI": "1.2.3.987654321.77", "UR": "http://zyxwvut.test",
    "DS": "98765.4", "IS": "987654321", "US": 0xBEE1, "UL": 0xBEE1BEE1, "FL": 98765.5, "FD": 98765.4321, "SL": -987654321,
    "OB": b"ZYXWVUT.", "OW": b"ZYXWVUT.", "UN": b"ZYXWVUT.", "SS": -12345, "AT": 0x00100010,
}
TRACES = (b"ZYXWVUT", b"Zyxwvut", b"zyxwvut", b"19431122", b"091133", b"987654321", b"98765.4", b"081Y", b"SECRET", b"Secret")


def secret_of(tag: int) -> object:
    """A value that the attribute may have, and that is found again wherever it is left."""
    vr = dictionary_VR(tag)
    if vr == "SQ":
        item = Dataset()
        item.CodeMeaning, item.PatientName = SECRETS["LO"], SECRETS["PN"]
        item.ReferencedSOPInstanceUID = SECRETS["UI"]
        return [item]
    return SECRETS[vr.split(" or ")[0]]


def object_with(tags: list[int]) -> bytes:
    """An ultrasound image that has these attributes twice: by themselves, and in a nested item."""
    dataset, item = image_object(GREY, "MONOCHROME2"), Dataset()
    for tag in tags:
        for place in (dataset, item):
            place.add_new(tag, dictionary_VR(tag).split(" or ")[0], secret_of(tag))
    setattr(dataset, NESTING, [item])
    return file_of(dataset)


def check_gone(payload: bytes, tags: list[int]) -> None:
    content = cleaned(payload, "dicom").payload
    assert not [trace for trace in TRACES if trace in content]
    left = pydicom.dcmread(io.BytesIO(content))
    for tag in tags:
        action, vr = basic_profile().attributes[tag], dictionary_VR(tag)
        for place in (left, left[NESTING].value[0]):
            if choice(action, vr) == "X":
                assert tag not in place, Tag(tag)
            elif choice(action, vr) == "Z":
                assert place[tag].is_empty, Tag(tag)
            elif vr != "SQ" and tag in place:
                assert place[tag].value != secret_of(tag), Tag(tag)


def test_the_table_has_every_kind_of_action_and_the_attributes_that_everybody_knows() -> None:
    profile = basic_profile()
    assert set(profile.attributes.values()) == {"D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}
    assert len(profile.attributes) + len(profile.groups) == 654
    assert [profile.action(tag) for tag in (0x00100010, 0x00100030, 0x00081030, 0x0020000D, 0x00080060)] == ["Z", "Z", "X", "U", ""]
    assert [profile.action(tag) for tag in (0x60023000, 0x60FE4000, 0x50100010, 0x60020010)] == ["X", "X", "X", ""]


@pytest.mark.parametrize("tag", [tag for tag in KNOWN if tag not in REFUSED], ids=lambda tag: f"{Tag(tag)} {pydicom.datadict.keyword_for_tag(tag)}")
def test_an_attribute_of_the_profile_is_gone_or_replaced(tag: int) -> None:
    check_gone(object_with([tag]), [tag])


@given(st.lists(st.sampled_from([tag for tag in KNOWN if tag not in REFUSED]), min_size=2, max_size=80, unique=True))
@settings(max_examples=25, deadline=None)
def test_any_set_of_them_is_gone_or_replaced(tags: list[int]) -> None:
    check_gone(object_with(tags), tags)


def test_attributes_too_new_for_the_dictionary_are_removed() -> None:
    unknown = [tag for tag in basic_profile().attributes if not dictionary_has_tag(tag)]
    assert unknown
    dataset = image_object(GREY, "MONOCHROME2")
    for tag in [*unknown, 0x00191234 - 0x00010000]:  # and one that no standard has
        dataset.add_new(tag, "LO", SECRETS["LO"])
    content = cleaned(file_of(dataset), "dicom").payload
    assert b"ZYXWVUT" not in content
