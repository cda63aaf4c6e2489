"""Who may let a picture leave: the tenant by its settings, and the request for this one picture. Both, or it stays."""

import enum
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.service.errors import ErrorCode, ServiceError

CLOUD = "cloud"
"""The request lets its picture go to the cloud, once it is de-identified."""
LEARNING = "learning"
"""The request lets its picture be set aside to learn from."""
CONSENTS = (CLOUD, LEARNING)
"""All that a request can consent to."""

MIN_SECRET_BYTES = 32

_PURPOSE = b"hedgerow de-identification\0"


@dataclass(frozen=True, slots=True)
class TenantLeave:
    """What a tenant lets happen with its pictures, once and for all. A tenant that said nothing lets nothing happen."""

    to_cloud: bool = False
    """Whether pictures may go to the cloud once they are de-identified, where a request consents too."""
    keep_gps: bool = False
    """Whether photos keep place and time: a field's owner may want that, a patient doesn't."""


class Refusal(enum.StrEnum):
    """Why a picture stays here; the values are sentences for whoever asks."""

    TENANT = "the tenant doesn't let pictures leave for the cloud"
    REQUEST = "the request doesn't consent to the picture leaving for the cloud"
    VIDEO = "a video can't be de-identified, so it doesn't leave for the cloud"


@dataclass(frozen=True, slots=True)
class Leave:
    """May it leave? `refusal` is None where it may; `keep_gps` goes to `deidentify`."""

    refusal: Refusal | None
    keep_gps: bool = False

    @property
    def is_given(self) -> bool:
        """Whether it may leave."""
        return self.refusal is None


def leave_for(tenant: TenantLeave, *, request_consents: bool | None) -> Leave:
    """The rule. `request_consents`: what the request says, None where it says nothing, which is no consent."""
    if not tenant.to_cloud:
        return Leave(Refusal.TENANT)
    if request_consents is not True:
        return Leave(Refusal.REQUEST)
    return Leave(None, keep_gps=tenant.keep_gps)


def check_consents(words: Iterable[str], parameter: str) -> tuple[str, ...]:
    """What a request consents to, each word once and in the order of CONSENTS.

    Raises ServiceError for any other word, and names the `parameter` that holds it: a misspelt consent is told, not ignored.
    """
    given = set(words)
    if not given <= set(CONSENTS):
        message = f"{parameter} holds a word that is no consent; choose from {', '.join(CONSENTS)}"
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, message, parameter=parameter)
    return tuple(word for word in CONSENTS if word in given)


def tenant_key(secret: bytes, tenant: str) -> bytes:
    """The key of the tenant's pseudonyms, from the installation's secret: 32 bytes, another for each tenant.

    Whoever has the secret can tell whether a UID that he knows is the one behind a pseudonym. A new secret means new
    pseudonyms: what left before can't be joined with what leaves after. Raises ValueError for a secret under 32 bytes.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret must have at least {MIN_SECRET_BYTES} bytes")
    return hmac.new(secret, _PURPOSE + tenant.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
