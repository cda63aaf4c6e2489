"""The asynchronous client."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from hedgerow_client.errors import timed_out
from hedgerow_client.reading import read, read_analysis, read_model, read_progress
from hedgerow_client.rest import RestTransport, address_of
from hedgerow_client.results import Analysis, Domain, Model, Progress
from hedgerow_client.retries import Retries, retried
from hedgerow_client.rpc import GrpcTransport
from hedgerow_client.session import StreamOptions
from hedgerow_client.stream import AsyncStream
from hedgerow_client.transport import AnalysisFilter, AnalyzeRequest, StreamStart, Transport

DEFAULT_TIMEOUT_S = 120.0
GRACE_S = 2.0
"""How much longer than its deadline an answer is waited for: the gateway says itself that it was missed."""
File = str | os.PathLike[str] | bytes
OnProgress = Callable[[Progress], None]
T = TypeVar("T")


class AsyncClient:
    """One gateway, at `http://`, `https://` (REST, streams over WebSocket), `grpc://` or `grpcs://HOST:PORT`.

    `key`: the API key. `timeout_s`: how long a call may take where it doesn't say, repetitions included. `retries`: how often and
    when a request is sent again. Analyses bear an idempotency key, so that they are made once however often they are sent. Another
    request that does something is sent again only where it was certainly not carried out; `retry_unsafe` sends it again after a
    cut connection too. `trust_env`: whether httpx takes proxies from the environment.

    Use it in `async with`, or close it. Every method raises HedgerowError.
    """

    def __init__(
        self, url: str, key: str = "", *, timeout_s: float = DEFAULT_TIMEOUT_S, retries: Retries | None = None,
        retry_unsafe: bool = False, trust_env: bool = True,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "grpc", "grpcs"} or not parts.hostname:
            raise ValueError("a gateway's URL begins with http://, https://, grpc:// or grpcs:// and names a host")
        if parts.scheme.startswith("grpc") and parts.port is None:
            raise ValueError("a gateway's gRPC address names its port, such as grpc://127.0.0.1:8081")
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._retries = retries or Retries()
        self._retry_unsafe = retry_unsafe
        self._trust_env = trust_env
        self._opened: Transport | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({address_of(self._url)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every connection."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def analyze(
        self, domain: str, file: File, parameters: Mapping[str, Any] | None = None, *, timeout_s: float | None = None,
        on_progress: OnProgress | None = None, idempotency_key: str | None = None, consents: Collection[str] = (),
    ) -> Analysis:
        """Analyses a picture or a clip: its path or its bytes. `on_progress` is called while a clip is worked on.

        Every repetition bears the same idempotency key, a new one unless given. `consents`: `cloud` lets the picture leave for
        the cloud once it is de-identified, `learning` lets it be kept to learn from, both where the tenant lets it too.
        """
        content = file if isinstance(file, bytes) else await asyncio.to_thread(Path(file).read_bytes)
        request = AnalyzeRequest(domain, content, parameters or {}, idempotency_key or str(uuid4()), tuple(consents))
        told = None if on_progress is None else lambda document: on_progress(read_progress(document))
        return read_analysis(await self._ask(
            lambda left: self._transport.analyze(request, left, told), timeout_s
        ))

    async def get(self, analysis_id: str, *, timeout_s: float | None = None) -> Analysis:
        """A stored answer."""
        return read_analysis(await self._ask(lambda left: self._transport.get(analysis_id, left), timeout_s))

    async def list(
        self, *, domain: str | None = None, model: str | None = None, label: str | None = None,
        abstained: bool | None = None, created_after: datetime | None = None, created_before: datetime | None = None,
        page_size: int = 50, timeout_s: float | None = None,
    ) -> AsyncIterator[Analysis]:
        """Stored answers, newest first, a page at a time as they are read. `timeout_s` is for a page; times are aware."""
        chosen = AnalysisFilter(domain, model, label, abstained, created_after, created_before)
        cursor = ""
        while True:
            page, cursor = await self._ask(
                lambda left, at=cursor: self._transport.page(chosen, at, page_size, left), timeout_s  # type: ignore[misc] # binds `cursor`
            )
            for document in page:
                yield read_analysis(document)
            if not cursor:
                return

    async def delete(self, analysis_id: str, *, timeout_s: float | None = None) -> None:
        """Removes a stored answer and its pictures for good."""
        await self._ask(
            lambda left: self._transport.delete(analysis_id, left), timeout_s, repeatable=self._retry_unsafe
        )

    async def overlay(self, analysis_id: str, *, timeout_s: float | None = None) -> bytes:
        """The picture with the result drawn over it, as PNG; of a clip its best key frame."""
        return await self._picture(analysis_id, "overlay", timeout_s)

    async def mask(self, analysis_id: str, *, timeout_s: float | None = None) -> bytes:
        """Segmentations: the class map as PNG, whose pixel values are class indices."""
        return await self._picture(analysis_id, "mask", timeout_s)

    async def heatmap(self, analysis_id: str, *, timeout_s: float | None = None) -> bytes:
        """Classifications: evidence for the leading label as PNG, 0 to 255."""
        return await self._picture(analysis_id, "heatmap", timeout_s)

    async def key_frame(self, analysis_id: str, number: int = 1, *, timeout_s: float | None = None) -> bytes:
        """Clips and streams: a key frame with its result drawn over it, as PNG. `number` 1 is the best one."""
        return await self._picture(analysis_id, "key_frame", timeout_s, number)

    async def domains(self, *, timeout_s: float | None = None) -> tuple[Domain, ...]:
        """Every domain."""
        found = await self._ask(lambda left: self._transport.domains(left), timeout_s)
        return tuple(read(Domain, document) for document in found)

    async def models(self, *, timeout_s: float | None = None) -> tuple[Model, ...]:
        """Every model package."""
        found = await self._ask(lambda left: self._transport.models(left), timeout_s)
        return tuple(read_model(document) for document in found)

    async def health(self, *, timeout_s: float | None = None) -> bool:
        """Whether the gateway can answer now. Needs no key. Raises Unreachable where nobody answers."""
        return await self._ask(lambda left: self._transport.ready(left), timeout_s)

    def stream(
        self, domain: str, parameters: Mapping[str, Any] | None = None, *, codec: str = "pictures",
        policy: str = "latest", sample_fps: float = 0.0, with_pictures: bool = False,
        options: StreamOptions | None = None,
    ) -> AsyncStream:
        """A live stream, opened by `async with`. docs/streams.md says what codecs and policies there are. Raises ValueError for
        one that isn't known.
        """
        start = StreamStart(domain, dict(parameters or {}), codec, policy, sample_fps, with_pictures)
        return AsyncStream(lambda: self._transport, start, options)

    @property
    def _transport(self) -> Transport:
        """Made at the first use, on the event loop that uses it."""
        if self._opened is None:
            parts = urlsplit(self._url)
            if parts.scheme.startswith("grpc"):
                self._opened = GrpcTransport(
                    address_of(self._url), parts.netloc.rpartition("@")[2], self._key, secure=parts.scheme == "grpcs"
                )
            else:
                self._opened = RestTransport(self._url, self._key, trust_env=self._trust_env)
        return self._opened

    async def _picture(self, analysis_id: str, name: str, timeout_s: float | None, key_frame: int = 0) -> bytes:
        return await self._ask(lambda left: self._transport.picture(analysis_id, name, key_frame, left), timeout_s)

    async def _ask(
        self, send: Callable[[float], Awaitable[T]], timeout_s: float | None, *, repeatable: bool = True
    ) -> T:
        allowed_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(allowed_s + GRACE_S):
                return await retried(send, self._retries, allowed_s, repeatable=repeatable)
        except TimeoutError:
            raise timed_out(self._transport.address, allowed_s) from None
