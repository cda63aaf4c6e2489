"""The form of an analysis id and the time inside it: UUIDv7, RFC 9562 section 5.7, in lower-case canonical text.

The first 48 bits are milliseconds since 1970-01-01 UTC, so that ids, as text too, sort by the time of their making.
"""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_ANY_VERSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_id(text: str) -> bool:
    """Whether it is a UUIDv7 in the one form that this program writes."""
    return _FORM.fullmatch(text) is not None


def check_id(text: str) -> str:
    """Gives the id back. Raises ValueError where it isn't one."""
    if not is_id(text):
        raise ValueError("an analysis id must be a UUIDv7 in lower-case canonical form")
    return text


def check_bound(text: str) -> str:
    """Gives back what ids are compared with: a UUID of any version. Raises ValueError for other text."""
    if _ANY_VERSION.fullmatch(text) is None:
        raise ValueError("a bound of ids must be a UUID in lower-case canonical form")
    return text


def lowest_id(moment: datetime, shift: timedelta = timedelta(0)) -> str:
    """A UUID that sorts before every id made in the millisecond of `moment + shift` or later, and after all earlier ones.

    Times before 1970 give the lowest UUID of all. Raises ValueError where `moment` has no time zone, or lies outside the
    years 1 to 9999 of UTC.
    """
    if moment.tzinfo is None:
        raise ValueError("a time must have a time zone")
    try:
        since_epoch = moment.astimezone(UTC) - _EPOCH
    except OverflowError as error:
        raise ValueError("a time must lie in the years 1 to 9999 of UTC") from error
    stamp_ms = (since_epoch + shift) // timedelta(milliseconds=1)
    return str(UUID(int=max(0, stamp_ms) << 80))
