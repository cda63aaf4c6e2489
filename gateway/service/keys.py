"""API keys: made, checked, revoked. The secret is shown once and stored as a hash.

A key reads `hgr_<id>_<secret>`. The secret is 256 random bits, so a plain SHA-256 at rest is enough: there is nothing to
guess that a slow hash would protect.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import string
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.ports import KeyStore
from gateway.service.records import ApiKey

READ = "read"
ADMIN = "admin"
NODES = "nodes"
"""Sees the nodes and their devices, and nothing of any tenant: what a screen on a wall is given."""
ANALYZE_ALL = "analyze:*"
_SCOPE = re.compile(r"read|admin|nodes|analyze:(\*|[a-z][a-z0-9_]*)")
_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEY = re.compile(r"hgr_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_CACHE_S = 2.0
_CACHE_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the tenant whose data it may see, and what it may do."""

    key_id: str
    tenant: str
    scopes: frozenset[str]

    def require_analyze(self, domain: str) -> None:
        """Raises PERMISSION_DENIED unless the key may analyse in that domain."""
        if not self.scopes & {ANALYZE_ALL, f"analyze:{domain}"}:
            raise _denied(f"analyze:{domain}")

    def require(self, *scopes: str) -> None:
        """Raises PERMISSION_DENIED unless the key has one of the scopes."""
        if not self.scopes & set(scopes):
            raise _denied(" or ".join(scopes))


class KeyService:
    """Keys over a KeyStore. Methods that aren't `async` block; a found key is remembered for 2 s, so a revoked one ends within that."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._known: dict[bytes, tuple[float, Caller]] = {}

    def create(self, *, tenant: str, name: str, scopes: Iterable[str]) -> tuple[str, ApiKey]:
        """A new key: its text, to be shown once, and its record. Raises ServiceError for a malformed tenant or scope."""
        wanted = frozenset(scopes)
        if not _TENANT.fullmatch(tenant):
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "a tenant is 1 to 64 of a-z, 0-9, '.', '_' and '-'")
        for scope in wanted:
            if not _SCOPE.fullmatch(scope):
                raise ServiceError(
                    ErrorCode.INVALID_ARGUMENT, f"unknown scope {scope!r}: choose from read, admin, nodes, analyze:DOMAIN, analyze:*"
                )
        if not wanted:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "a key needs at least one scope")
        key_id = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
        secret = secrets.token_urlsafe(32)
        key = ApiKey(key_id, _digest(secret), tenant, name, wanted, datetime.now(UTC))
        self._store.add(key)
        return f"hgr_{key_id}_{secret}", key

    async def caller_of(self, authorization: str, api_key: str) -> Caller:
        """Who asks, from the headers `Authorization: Bearer KEY` or `X-API-Key: KEY`. Raises UNAUTHENTICATED."""
        scheme, _, token = authorization.partition(" ")
        text = token.strip() if scheme.lower() == "bearer" else api_key
        if not text:
            raise ServiceError(ErrorCode.UNAUTHENTICATED, "send an API key as 'Authorization: Bearer KEY'")
        until, caller = self._known.get(_cache_key(text), (0.0, None))
        if caller is not None and until > time.monotonic():
            return caller
        return await asyncio.to_thread(self.authenticate, text)

    def authenticate(self, text: str) -> Caller:
        """Who a key belongs to. Raises UNAUTHENTICATED for a malformed, unknown or revoked one, without saying which."""
        match = _KEY.fullmatch(text)
        key = self._store.find(match[1]) if match else None
        expected = key.secret_sha256 if key else _digest("")
        if not match or not hmac.compare_digest(_digest(match[2]), expected) or not key or key.revoked_at:
            raise ServiceError(ErrorCode.UNAUTHENTICATED, "the API key is not valid")
        caller = Caller(key.id, key.tenant, key.scopes)
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        self._known[_cache_key(text)] = (time.monotonic() + _CACHE_S, caller)
        return caller

    def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        return self._store.all()

    def revoke(self, key_id: str) -> bool:
        """Ends a key; False where there is no active one of that id."""
        return self._store.revoke(key_id, datetime.now(UTC))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _cache_key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _denied(scope: str) -> ServiceError:
    return ServiceError(ErrorCode.PERMISSION_DENIED, f"this API key lacks the scope {scope}")
