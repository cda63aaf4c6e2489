"""The object store that gateways and workers share: a folder, or a place in an S3 bucket.

Every call has a limit in time, and every failure is CloudUnreachable with a sentence of ours: what a store says itself may
quote keys.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import LocalStore, S3Store

from gateway.service.cloud.ports import CloudUnreachable

LIMIT_S = 30.0
"""For an answer to a small request; connecting may take CONNECT_S of it."""
CONNECT_S = 5.0
SLOWEST_BYTES_S = 32 * 1024
"""A line that is slower than so many bytes a second isn't waited for."""
PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes as a part of an object; no request carries more at a time."""
PARTS = 2
SWEEP_BATCH = 500

_NO_BUCKET = "NoSuchBucket"
_NO_ROOM = ("os error 28", "os error 122")
_READ_ONLY = ("os error 13", "os error 30")


def folder_at(url: str) -> Path | None:
    """The folder that a store's address names; None where it is none."""
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else None


class StoreRefused(Exception):
    """The address or the options of the object store can't be; `str(error)` says which, without credentials."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object in a listing."""

    path: str
    size_bytes: int
    changed_at: datetime


class ObjectFolder:
    """Objects by their paths, below the store's address. Every method may raise CloudUnreachable."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """`options`: of an S3 store. Connects to nothing. Raises StoreRefused."""
        self.where = _where(url, options or {})
        self._folder = folder_at(url)
        self._store = _opened(url, dict(options or {}), self._folder)

    async def put(self, path: str, content: bytes) -> None:
        """In the place of what is there."""
        async with self._reaching(len(content)):
            await obstore.put_async(self._store, path, content, chunk_size=PART_BYTES, max_concurrency=PARTS)

    async def put_new(self, path: str, content: bytes) -> bool:
        """Unless an object is there already; gives whether it was stored. Of several who try at once one wins."""
        async with self._reaching(len(content)):
            try:
                await obstore.put_async(self._store, path, content, mode="create")
            except AlreadyExistsError:
                return False
            return True

    async def get(self, path: str, *, size_bytes: int = 0) -> bytes | None:
        """The object, or None where there is none. `size_bytes`: what to expect, for the limit in time."""
        async with self._reaching(size_bytes):
            try:
                found = await obstore.get_async(self._store, path)
            except FileNotFoundError as error:
                if _NO_BUCKET in str(error):
                    raise
                return None
            return bytes(await found.bytes_async())

    async def has(self, path: str) -> bool:
        """Whether the object is there."""
        async with self._reaching():
            try:
                await obstore.head_async(self._store, path)
            except FileNotFoundError as error:
                if _NO_BUCKET in str(error):
                    raise
                return False
            return True

    async def list(self, prefix: str = "") -> AsyncIterator[Sequence[Found]]:
        """What lies below a folder, a batch at a time."""
        batches = obstore.list(self._store, prefix or None, chunk_size=SWEEP_BATCH)
        while True:
            async with self._reaching():
                batch = await anext(batches, None)
            if batch is None:
                return
            yield [Found(one["path"], one["size"], one["last_modified"]) for one in batch]

    async def delete(self, paths: Sequence[str]) -> None:
        """Removes them; those that aren't there are none."""
        for path in paths:
            async with self._reaching():
                try:
                    await obstore.delete_async(self._store, path)
                except FileNotFoundError:
                    continue

    async def delete_folder(self, prefix: str) -> None:
        """Removes all that lies below it."""
        async for batch in self.list(prefix):
            await self.delete([one.path for one in batch])

    async def sweep(self, age: timedelta) -> int:
        """Removes what nobody has written to for so long; gives how many objects went."""
        oldest, gone = datetime.now(UTC) - age, 0
        async for batch in self.list():
            old = [one.path for one in batch if one.changed_at < oldest]
            await self.delete(old)
            gone += len(old)
        return gone

    async def check(self) -> None:
        """That objects can be written, read and removed."""
        path = f"probes/{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        await self.put(path, b"hedgerow")
        if await self.get(path) != b"hedgerow":
            raise CloudUnreachable(f"the object store {self.where} gives something else than it was given")
        await self.delete([path])

    @asynccontextmanager
    async def _reaching(self, size_bytes: int = 0) -> AsyncIterator[None]:
        limit_s = LIMIT_S + size_bytes / SLOWEST_BYTES_S
        if self._folder is not None:
            await _in_time(asyncio.to_thread(self._check_folder), limit_s, self.where)
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            raise CloudUnreachable(f"the object store {self.where} gave no answer within {limit_s:.0f} s") from None
        except (BaseError, OSError, ValueError) as error:
            raise CloudUnreachable(f"the object store {self.where} {_failing(error)}") from None

    def _check_folder(self) -> None:
        """A folder whose disk isn't mounted would be made anew, and filled where nobody looks."""
        if self._folder is not None and not self._folder.is_dir():
            raise CloudUnreachable(f"the object store {self.where} isn't there: no such folder")


async def _in_time(work: Awaitable[None], limit_s: float, where: str) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await work
    except TimeoutError:
        raise CloudUnreachable(f"the object store {where} gave no answer within {limit_s:.0f} s") from None


def _failing(error: Exception) -> str:
    """What the store does, in words of ours."""
    said = str(error)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or any(text in said for text in _READ_ONLY):
        return "refuses the access"
    if isinstance(error, FileNotFoundError):
        return "isn't there: no such bucket or folder"
    if any(text in said for text in _NO_ROOM):
        return "is full"
    return "can't be reached"


def _opened(url: str, options: dict[str, str], folder: Path | None) -> Any:
    if folder is not None:
        if options:
            raise StoreRefused("a folder as object store takes no options")
        try:
            return LocalStore(folder, automatic_cleanup=True, mkdir=False)
        except BaseError:
            raise StoreRefused(f"there is no folder {folder} for the object store, or it may not be entered") from None
    allow_http = options.pop("allow_http", "false").lower() == "true"
    parts = urlsplit(url)
    try:
        return S3Store(
            parts.netloc, prefix=parts.path.strip("/") or None,
            config=options,  # type: ignore[arg-type] # checked by obstore
            client_options={
                "allow_http": allow_http,
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "timeout": timedelta(seconds=LIMIT_S + PARTS * PART_BYTES / SLOWEST_BYTES_S),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=LIMIT_S)},
        )
    except UnknownConfigurationKeyError as error:
        unknown = next((name for name in options if f"'{name.lower()}'" in str(error)), "one")
        raise StoreRefused(f"the object store has no option {unknown}") from None
    except (BaseError, ValueError):
        raise StoreRefused("the object store's address or options can't be") from None


def _where(url: str, options: Mapping[str, str]) -> str:
    """The address for people and for the audit log; a user and a password in it are left out."""
    endpoint = urlsplit(options.get("endpoint", ""))
    if not endpoint.hostname:
        return url
    port = f":{endpoint.port}" if endpoint.port else ""
    return f"{url} at {endpoint.scheme}://{endpoint.hostname}{port}"
