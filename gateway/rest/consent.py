"""What a request lets happen with its file: the header `Hedgerow-Consent`, a list of words with commas between."""

from collections.abc import Sequence

from fastapi import Request

from gateway.service.leaving.consent import check_consents

CONSENT = "Hedgerow-Consent"


def consents(values: Sequence[str]) -> tuple[str, ...]:
    """From the header's values, one for each time that it was sent. Raises INVALID_ARGUMENT."""
    words = (word.strip().lower() for word in ",".join(values).split(","))
    return check_consents([word for word in words if word], CONSENT)


def consents_of(request: Request) -> tuple[str, ...]:
    """The request's. Raises INVALID_ARGUMENT."""
    return consents(request.headers.getlist(CONSENT))
