"""Pseudonymous UIDs: the same for the same old one, different for each tenant, no way back without the tenant's key."""

import hashlib
import hmac
from collections.abc import Callable
from uuid import UUID

from pydicom import config
from pydicom.uid import UID

MIN_KEY_BYTES = 16

_PURPOSE = b"hedgerow dicom uid\0"
_UUID_ROOT = "2.25"
"""UIDs made of a UUID's number: PS3.5 section B.2, ISO/IEC 9834-8."""


def is_registered(uid: str) -> bool:
    """Whether `uid` is one of the standard's own, PS3.6 annex A."""
    return UID(uid, validation_mode=config.IGNORE).name != uid


def pseudonyms(tenant_key: bytes) -> Callable[[str], str]:
    """What gives each UID its pseudonym under `tenant_key`; UIDs of the standard itself, and empty ones, stay.

    HMAC-SHA-256, cut to the 122 free bits of a UUID of version 8 (RFC 9562 section 5.8). Raises ValueError for a key of
    less than 16 bytes.
    """
    if len(tenant_key) < MIN_KEY_BYTES:
        raise ValueError(f"the tenant's key must have at least {MIN_KEY_BYTES} bytes")

    def pseudonym(uid: str) -> str:
        if not uid or is_registered(uid):
            return uid
        digest = hmac.new(tenant_key, _PURPOSE + uid.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        number = int.from_bytes(digest[:16], "big")
        number = number & ~(0xF << 76) | 0x8 << 76
        number = number & ~(0b11 << 62) | 0b10 << 62
        return f"{_UUID_ROOT}.{UUID(int=number).int}"

    return pseudonym
