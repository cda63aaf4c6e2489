"""The blocking client: the asynchronous one, run in a thread of its own."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from hedgerow_client.client import DEFAULT_TIMEOUT_S, AsyncClient, File, OnProgress
from hedgerow_client.events import Ended, Event
from hedgerow_client.portal import Portal
from hedgerow_client.results import Analysis, Domain, Model
from hedgerow_client.retries import Retries
from hedgerow_client.session import StreamOptions
from hedgerow_client.stream import AsyncStream


class Client:
    """As AsyncClient, for programs without an event loop. May be used from several threads. Use it in `with`, or close it."""

    def __init__(
        self, url: str, key: str = "", *, timeout_s: float = DEFAULT_TIMEOUT_S, retries: Retries | None = None,
        retry_unsafe: bool = False, trust_env: bool = True,
    ) -> None:
        self._client = AsyncClient(
            url, key, timeout_s=timeout_s, retries=retries, retry_unsafe=retry_unsafe, trust_env=trust_env
        )
        self._portal = Portal()

    def __repr__(self) -> str:
        return repr(self._client).removeprefix("Async")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every connection."""
        if not self._portal.closed:
            self._portal.call(self._client.close())
            self._portal.close()

    def analyze(
        self, domain: str, file: File, parameters: Mapping[str, Any] | None = None, *, timeout_s: float | None = None,
        on_progress: OnProgress | None = None, idempotency_key: str | None = None, consents: Collection[str] = (),
    ) -> Analysis:
        """As AsyncClient.analyze; `on_progress` is called in the client's own thread."""
        return self._portal.call(self._client.analyze(
            domain, file, parameters, timeout_s=timeout_s, on_progress=on_progress, idempotency_key=idempotency_key,
            consents=consents,
        ))

    def get(self, analysis_id: str, *, timeout_s: float | None = None) -> Analysis:
        """A stored answer."""
        return self._portal.call(self._client.get(analysis_id, timeout_s=timeout_s))

    def list(
        self, *, domain: str | None = None, model: str | None = None, label: str | None = None,
        abstained: bool | None = None, created_after: datetime | None = None, created_before: datetime | None = None,
        page_size: int = 50, timeout_s: float | None = None,
    ) -> Iterator[Analysis]:
        """Stored answers, newest first, a page at a time as they are read."""
        found = self._client.list(
            domain=domain, model=model, label=label, abstained=abstained, created_after=created_after,
            created_before=created_before, page_size=page_size, timeout_s=timeout_s,
        )

        async def following() -> Analysis | None:
            return await anext(found, None)

        while (analysis := self._portal.call(following())) is not None:
            yield analysis

    def delete(self, analysis_id: str, *, timeout_s: float | None = None) -> None:
        """Removes a stored answer and its pictures for good."""
        self._portal.call(self._client.delete(analysis_id, timeout_s=timeout_s))

    def overlay(self, analysis_id: str, *, timeout_s: float | None = None) -> bytes:
        """The picture with the result drawn over it, as PNG; of a clip its best key frame."""
        return self._portal.call(self._client.overlay(analysis_id, timeout_s=timeout_s))

    def mask(self, analysis_id: str, *, timeout_s: float | None = None) -> bytes:
        """Segmentations: the class map as PNG, whose pixel values are class indices."""
        return self._portal.call(self._client.mask(analysis_id, timeout_s=timeout_s))

    def heatmap(self, analysis_id: str, *, timeout_s: float | None = None) -> bytes:
        """Classifications: evidence for the leading label as PNG, 0 to 255."""
        return self._portal.call(self._client.heatmap(analysis_id, timeout_s=timeout_s))

    def key_frame(self, analysis_id: str, number: int = 1, *, timeout_s: float | None = None) -> bytes:
        """Clips and streams: a key frame with its result drawn over it, as PNG. `number` 1 is the best one."""
        return self._portal.call(self._client.key_frame(analysis_id, number, timeout_s=timeout_s))

    def domains(self, *, timeout_s: float | None = None) -> tuple[Domain, ...]:
        """Every domain."""
        return self._portal.call(self._client.domains(timeout_s=timeout_s))

    def models(self, *, timeout_s: float | None = None) -> tuple[Model, ...]:
        """Every model package."""
        return self._portal.call(self._client.models(timeout_s=timeout_s))

    def health(self, *, timeout_s: float | None = None) -> bool:
        """Whether the gateway can answer now. Needs no key. Raises Unreachable where nobody answers."""
        return self._portal.call(self._client.health(timeout_s=timeout_s))

    def stream(
        self, domain: str, parameters: Mapping[str, Any] | None = None, *, codec: str = "pictures",
        policy: str = "latest", sample_fps: float = 0.0, with_pictures: bool = False,
        options: StreamOptions | None = None,
    ) -> "Stream":
        """A live stream, opened by `with`. Raises ValueError for a codec or policy that isn't known."""
        return Stream(self._portal, self._client.stream(
            domain, parameters, codec=codec, policy=policy, sample_fps=sample_fps, with_pictures=with_pictures,
            options=options,
        ))


class Stream:
    """As AsyncStream, for programs without an event loop: events arrive while the program sends. One thread may send while
    another iterates.
    """

    def __init__(self, portal: Portal, stream: AsyncStream) -> None:
        self._portal = portal
        self._stream = stream

    def __enter__(self) -> Self:
        self._portal.call(self._stream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._stream.__aexit__(kind, error, trace))

    def send_frame(self, content: bytes, time_s: float | None = None, *, width: int = 0, height: int = 0) -> int:
        """Sends the next frame; gives its number. As AsyncStream.send_frame."""
        return self._portal.call(self._stream.send_frame(content, time_s, width=width, height=height))

    def send_chunk(self, content: bytes) -> int:
        """Sends the next bytes of an encoded stream; gives where they begin. As AsyncStream.send_chunk."""
        return self._portal.call(self._stream.send_chunk(content))

    def end(self) -> None:
        """Says that nothing more comes; the verdict follows among the events."""
        self._portal.call(self._stream.end())

    def finish(self) -> Ended:
        """Ends the stream, reads what is left of the events, and gives the last one."""
        return self._portal.call(self._stream.finish())

    def next_event(self) -> Event | None:
        """The next event; None after the last one."""
        return self._portal.call(self._stream.next_event())

    def __iter__(self) -> Iterator[Event]:
        """Every event, the last one is `Ended`."""
        while (event := self.next_event()) is not None:
            yield event
