"""Signatures of webhooks, by the Standard Webhooks scheme (https://www.standardwebhooks.com): pure, no clock, no store."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

PREFIX = "whsec_"
OVERLAP = timedelta(hours=24)
"""How long the secret before still signs after a rotation: the time to tell every receiver the new one."""
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """What signs a tenant's webhooks."""

    current: str
    created_at: datetime
    previous: str = ""
    """The one before, where there was a rotation."""
    previous_until: datetime | None = None

    def valid(self, now: datetime) -> tuple[str, ...]:
        """Those that sign now, the newest first."""
        overlaps = self.previous and self.previous_until is not None and now < self.previous_until
        return (self.current, self.previous) if overlaps else (self.current,)


def new_secret() -> str:
    """A secret that nobody can guess, in the form that receivers' libraries take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, with its version. Raises ValueError for a text that is no secret."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a secret begins with {PREFIX}")
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii")


def signed_headers(valid: Sequence[str], message_id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message. It is signed with each secret, so that a receiver may hold any of them."""
    timestamp = int(moment.timestamp())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in valid),
    }
