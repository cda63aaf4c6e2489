"""PS3.15 table E.1-1, the Basic Application Level Confidentiality Profile, as data.

`profile.tsv` holds a line for each attribute: tag, action, name; edition 2026c. The row for private attributes stands in
header.py. Actions: D a dummy value, Z empty, X removed, U another UID; X/Z and the like are choices by the attribute's
type in the object at hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FREE = "X"
"""Stands for any digit of a tag, in repeating groups."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The table. `groups`: of repeating groups, (mask, value) of tags to their action."""

    attributes: Mapping[int, str]
    groups: Mapping[tuple[int, int], str]

    def action(self, tag: int) -> str:
        """The action on `tag` as the table writes it; "" where it isn't in there."""
        found = self.attributes.get(tag)
        if found is not None:
            return found
        return next((action for (mask, value), action in self.groups.items() if tag & mask == value), "")


@cache
def basic_profile() -> Profile:
    """The table, read once."""
    attributes, groups = {}, {}
    for line in Path(__file__).with_name("profile.tsv").read_text().splitlines():
        place, action, _ = line.split("\t")
        digits = place.replace(",", "")
        if _FREE in digits:
            mask = int("".join("0" if digit == _FREE else "F" for digit in digits), 16)
            groups[mask, int(digits.replace(_FREE, "0"), 16)] = action
        else:
            attributes[int(digits, 16)] = action
    return Profile(attributes, groups)


def choice(action: str, vr: str) -> str:
    """One of D, Z, X and U for an attribute of the value representation `vr`, where the table leaves a choice.

    Dates, times and sequences take the choice that leaves least; what can be given a dummy takes the one that fits an
    attribute of any type. X/Z/U* keeps references between instances, under their new UIDs.
    """
    choices = action.split("/")
    if choices[-1] == "U*":
        return "U"
    return choices[0] if vr in {"DA", "DT", "TM", "SQ"} else choices[-1]
