"""What a caller prefers, and by which key it knows its request again: the headers `Prefer` (RFC 7240) and `Idempotency-Key`
(draft-ietf-httpapi-idempotency-key-header). Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.orders import check_key

PREFER = "Prefer"
APPLIED = "Preference-Applied"
IDEMPOTENCY_KEY = "Idempotency-Key"

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
"""One element of the list: commas inside quoted strings don't part it."""
_PREFERENCE = re.compile(rf'\s*({_WORD})\s*(?:=\s*(?:({_WORD})|"((?:[^"\\]|\\.)*)")?\s*)?(?:;.*)?')
_SECONDS = re.compile(r"[0-9]{1,9}")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
"""A string of RFC 8941 3.3.3."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Those that are heeded here. `wait_s`: how long the caller would wait for the answer; None where it doesn't say."""

    respond_async: bool = False
    wait_s: int | None = None


def preferences(values: Sequence[str]) -> Preferences:
    """From the header's values, one for each time that it was sent. The first of a name counts; what isn't known here, or
    has another form, is passed over, as RFC 7240 2 wants it.
    """
    found: dict[str, str] = {}
    for element in _ELEMENT.findall(",".join(values)):
        if match := _PREFERENCE.fullmatch(element):
            found.setdefault(match[1].lower(), match[2] or match[3] or "")
    wait = found.get("wait", "")
    return Preferences("respond-async" in found, int(wait) if _SECONDS.fullmatch(wait) else None)


def idempotency_key(values: Sequence[str]) -> str:
    """The key, quoted or bare, which is the same; empty where none was sent. Raises INVALID_ARGUMENT."""
    if not values:
        return ""
    if len(values) > 1:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "the header is sent twice", parameter=IDEMPOTENCY_KEY)
    text = values[0].strip()
    if text.startswith('"'):
        match = _STRING.fullmatch(text)
        text = re.sub(r"\\(.)", r"\1", match[1]) if match else ""
    return check_key(text, IDEMPOTENCY_KEY)
