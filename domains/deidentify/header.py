"""The attributes of a DICOM object: the profile's actions on each, in nested items too, and nets for what it can't name.

The nets, beyond the table: attributes that the data dictionary doesn't know, values that can't be read, bytes of unknown
meaning, names and dates in attributes outside of the table, and text that repeats a word of the patient's identity.
"""

import re
from collections.abc import Callable, Iterator

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from domains.deidentify.profile import basic_profile, choice

NewUid = Callable[[str], str]

DUMMY_TEXT = "REMOVED"
_DUMMIES: dict[str, object] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), DUMMY_TEXT),
    "AS": "000Y", "DA": "19000101", "DT": "19000101000000", "TM": "000000", "UR": "http://removed.invalid",
    **dict.fromkeys(("DS", "IS"), "0"), **dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("OB", "OW"), b"\0\0"),
}
_TEXT = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_DATES = frozenset({"DA", "DT", "TM"})
_FORMS = {
    "AS": re.compile(r"(\d{3}[DWMY])?"), "DS": re.compile(r"[-+0-9.eE ]*"), "IS": re.compile(r"[-+0-9 ]*"),
}
"""Texts that are numbers; pydicom hands out whatever else stands there."""

_LOOKUP_TABLES = frozenset({0x00281201, 0x00281202, 0x00281203, 0x00281204, 0x00281221, 0x00281222, 0x00281223, 0x00283006})
"""The bytes that mean something to pixels, apart from those themselves: palettes and LUT Data."""
_PIXEL_DATA = 0x7FE00010
_PIXEL_GROUPS = frozenset({0x0028, 0x7FE0})
_KIND = frozenset({0x00080005, 0x00080008, 0x00080016, 0x00080060})
"""Character set, image type, kind of object, modality: words of a closed list, without which nothing can be read."""

_PATIENT, _ACCESSION_NUMBER, _INSTITUTION = 0x0010, 0x00080050, 0x00080080
_IDENTIFYING = frozenset({"DA", "LO", "SH"})
_WORD = re.compile(r"[^\W_]+")
MIN_LETTERS, MIN_DIGITS = 3, 4
"""A shorter word of a name or number says nothing of whom it is about."""
LONG = 5
"""A word of so many letters is found inside of others too."""


def clean_header(dataset: Dataset, new_uid: NewUid) -> None:
    """Applies the profile to `dataset` in place; its pixel data, palettes and regions stay."""
    words = frozenset(_identity(dataset))
    _clean(dataset, new_uid, words, nested=False)


def _clean(dataset: Dataset, new_uid: NewUid, words: frozenset[str], *, nested: bool) -> None:
    for tag in list(dataset.keys()):
        element = None if _has_no_place(tag, nested=nested) else _readable(dataset, tag)
        if element is None:
            del dataset[tag]
            continue
        action = _action(element, words)
        if action == "X":
            del dataset[tag]
        elif element.VR == "SQ" and action in {"U", "K"}:
            for item in element.value:
                _clean(item, new_uid, words, nested=True)
        elif action == "U":
            _map_uids(element, new_uid)
        elif action == "Z":
            element.clear()
        elif action == "D" and not _replace(element, new_uid):
            del dataset[tag]


def _has_no_place(tag: BaseTag, *, nested: bool) -> bool:
    """Second pictures (icons), and all that the dictionary has no entry for.

    That is private attributes, those of newer standards than it, and overlays and curves: their groups repeat. They go
    whole, since what the table leaves of them describes data that are gone.
    """
    if tag.group == 0x7FE0:
        return nested or tag != _PIXEL_DATA
    return not dictionary_has_tag(tag)


def _readable(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    try:
        return dataset[tag]
    except Exception:  # whatever pydicom makes of it: a value that can't be read can't be judged
        return None


def _action(element: DataElement, words: frozenset[str]) -> str:
    """D, Z, X, U, or K for what stays."""
    action = basic_profile().action(element.tag)
    if action:
        return choice(action, element.VR)
    if element.VR in _BYTES:
        return "K" if element.tag in _LOOKUP_TABLES or element.tag == _PIXEL_DATA else "X"
    if element.VR == "PN" or element.VR in _DATES:
        return "Z"
    if element.VR == "UI":
        return "U"
    if element.VR in _FORMS and not all(map(_FORMS[element.VR].fullmatch, _texts(element))):
        return "X"
    stays = element.VR not in _TEXT or element.tag.group in _PIXEL_GROUPS or element.tag in _KIND
    return "K" if stays or not _repeats(element, words) else "Z"


def _map_uids(element: DataElement, new_uid: NewUid) -> None:
    if isinstance(element.value, MultiValue):
        element.value = [new_uid(str(uid)) for uid in element.value]
    elif element.value is not None:
        element.value = new_uid(str(element.value))


def _replace(element: DataElement, new_uid: NewUid) -> bool:
    """Gives `element` a dummy value; False where there is none of its kind."""
    if element.VR == "UI":
        _map_uids(element, new_uid)
        return True
    if element.VR == "SQ":
        for item in element.value:
            for tag in list(item.keys()):
                inner = None if _has_no_place(tag, nested=True) else _readable(item, tag)
                if inner is None or not _replace(inner, new_uid):
                    del item[tag]
        return True
    if element.VR not in _DUMMIES:
        return False
    element.value = _DUMMIES[element.VR]
    return True


def _identity(dataset: Dataset) -> Iterator[str]:
    """The words by which a person could be found: names, and what numbers and dates the object has of the patient."""
    for tag in list(dataset.keys()):
        element = _readable(dataset, tag)
        if element is None:
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _identity(item)
        elif element.VR == "PN" or (
            element.VR in _IDENTIFYING and (tag.group == _PATIENT or tag in {_ACCESSION_NUMBER, _INSTITUTION})
        ):
            yield from (word for word in _words(element) if len(word) >= (MIN_DIGITS if word.isdigit() else MIN_LETTERS))


def _repeats(element: DataElement, words: frozenset[str]) -> bool:
    found = _words(element)
    return not words.isdisjoint(found) or any(word in text for word in words if len(word) >= LONG for text in found)


def _words(element: DataElement) -> set[str]:
    return {word.casefold() for text in _texts(element) for word in _WORD.findall(text)}


def _texts(element: DataElement) -> list[str]:
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    return [str(value) for value in values if value is not None]
