"""REST over httpx; streams over WebSocket."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from httpx_sse import EventSource

from hedgerow_client.errors import (
    DEADLINE_EXCEEDED,
    NOT_A_GATEWAY,
    HedgerowError,
    TimedOut,
    Unreachable,
    error_of,
    timed_out,
    unreachable,
)
from hedgerow_client.transport import (
    AnalysisFilter,
    AnalyzeRequest,
    Document,
    Link,
    OnDocument,
    StreamResume,
    StreamStart,
    Transport,
)
from hedgerow_client.websocket import open_websocket

GRACE_S = 1.0
"""The gateway is told the deadline; its own answer to a missed one is waited for that much longer."""
CONNECT_TIMEOUT_S = 10.0
_SERVER_ERROR = 500
_ACCEPTED = 202
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class RestTransport(Transport):
    """A gateway at `http://` or `https://`."""

    def __init__(self, url: str, key: str, *, trust_env: bool = True) -> None:
        self.address = address_of(url)
        self._url = url.rstrip("/")
        self._key = key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(base_url=self._url, headers=headers, trust_env=trust_env)

    async def analyze(self, request: AnalyzeRequest, timeout_s: float, on_progress: OnDocument | None) -> Document:
        files: dict[str, Any] = {
            "file": ("upload", request.content),
            "parameters": (None, json.dumps(dict(request.parameters)), "application/json"),
        }
        headers = {"Request-Timeout": f"{timeout_s:.3f}", "Idempotency-Key": request.idempotency_key}
        if request.consents:
            headers["Hedgerow-Consent"] = ", ".join(request.consents)
        path = f"/v1/domains/{quote(request.domain, safe='')}/analyses"
        if on_progress is None:
            return self._answer(await self._send("POST", path, timeout_s, files=files, headers=headers), timeout_s)
        headers["Accept"] = "text/event-stream, application/json"
        async with self._mapped(timeout_s), self._client.stream(
            "POST", path, files=files, headers=headers, timeout=_timeout(timeout_s)
        ) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                await response.aread()
                return self._answer(self._checked(response), timeout_s)
            return await self._progress(response, on_progress)

    async def get(self, analysis_id: str, timeout_s: float) -> Document:
        return self._document(await self._send("GET", _path(analysis_id), timeout_s))

    async def page(
        self, chosen: AnalysisFilter, cursor: str, limit: int, timeout_s: float
    ) -> tuple[Sequence[Document], str]:
        query: dict[str, Any] = {
            "domain": chosen.domain, "model": chosen.model, "label": chosen.label, "abstained": chosen.abstained,
            "created_after": chosen.created_after and chosen.created_after.isoformat(),
            "created_before": chosen.created_before and chosen.created_before.isoformat(),
            "cursor": cursor or None, "limit": limit,
        }
        wanted = {name: value for name, value in query.items() if value is not None}
        found = self._document(await self._send("GET", "/v1/analyses", timeout_s, params=wanted))
        return found["analyses"], found["next_cursor"] or ""

    async def delete(self, analysis_id: str, timeout_s: float) -> None:
        await self._send("DELETE", _path(analysis_id), timeout_s)

    async def picture(self, analysis_id: str, name: str, key_frame: int, timeout_s: float) -> bytes:
        file = f"key_frames/{key_frame}" if key_frame else name
        headers = {"Request-Timeout": f"{timeout_s:.3f}"}
        return (await self._send("GET", f"{_path(analysis_id)}/{file}.png", timeout_s, headers=headers)).content

    async def domains(self, timeout_s: float) -> Sequence[Document]:
        found: Sequence[Document] = self._document(await self._send("GET", "/v1/domains", timeout_s))["domains"]
        return found

    async def models(self, timeout_s: float) -> Sequence[Document]:
        found: Sequence[Document] = self._document(await self._send("GET", "/v1/models", timeout_s))["models"]
        return found

    async def ready(self, timeout_s: float) -> bool:
        async with self._mapped(timeout_s):
            response = await self._client.get("/readyz", timeout=_timeout(timeout_s))
        return response.is_success

    async def open_link(self, first: StreamStart | StreamResume, timeout_s: float) -> Link:
        scheme, rest = self._url.split("://", 1)
        url = f"{'wss' if scheme == 'https' else 'ws'}://{rest}/v1/domains/{quote(first.domain, safe='')}/stream"
        return await open_websocket(url, self._key, self.address, first, timeout_s)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, timeout_s: float, **more: Any) -> httpx.Response:
        async with self._mapped(timeout_s):
            response = await self._client.request(method, path, timeout=_timeout(timeout_s), **more)
        return self._checked(response)

    @contextlib.asynccontextmanager
    async def _mapped(self, timeout_s: float) -> AsyncIterator[None]:
        """Makes httpx's errors this client's."""
        started = time.monotonic()
        try:
            yield
        except httpx.HTTPError as error:
            if isinstance(error, httpx.TimeoutException) and time.monotonic() - started >= timeout_s:
                raise timed_out(self.address, timeout_s) from None
            cause = type(error).__name__
            raise unreachable(self.address, cause, maybe_processed=not isinstance(error, _NOT_SENT)) from None

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            raise error_of_problem(_json(response), _seconds(response.headers.get("retry-after", "")))
        message = f"{self.address} answered {response.status_code}, but is no Hedgerow gateway"
        if response.status_code >= _SERVER_ERROR:  # of a proxy, most likely, whose gateway is away
            raise Unreachable(NOT_A_GATEWAY, message, maybe_processed=True)
        raise HedgerowError(NOT_A_GATEWAY, message)

    def _answer(self, response: httpx.Response, timeout_s: float) -> Document:
        """The analysis. Raises TimedOut where it has become a job."""
        answer = self._document(response)
        if response.status_code == _ACCEPTED:
            told = f"no answer within {timeout_s:g} s; the gateway goes on with the job {answer['id']}"
            raise TimedOut(DEADLINE_EXCEEDED, told)
        return answer

    def _document(self, response: httpx.Response) -> Document:
        found = _json(response)
        if not found:
            raise HedgerowError(NOT_A_GATEWAY, f"{self.address} is no Hedgerow gateway")
        return found

    async def _progress(self, response: httpx.Response, on_progress: OnDocument) -> Document:
        async for event in EventSource(response).aiter_sse():
            if event.event == "progress":
                on_progress(event.json())
            elif event.event == "analysis":
                found: Document = event.json()
                return found
            elif event.event == "error":
                raise error_of_problem(event.json(), None)
        raise unreachable(self.address, "the answer broke off", maybe_processed=True)


def error_of_problem(problem: Mapping[str, Any], retry_after_s: float | None) -> HedgerowError:
    """The error that a problem document (RFC 9457) stands for."""
    return error_of(
        str(problem.get("code", "INTERNAL")), str(problem.get("detail", "")),
        request_id=str(problem.get("request_id", "")), parameter=str(problem.get("parameter") or ""),
        retry_after_s=retry_after_s if retry_after_s is not None else problem.get("retry_after_s"),
    )


def address_of(url: str) -> str:
    """Scheme, host and port of a URL: what may stand in a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _path(analysis_id: str) -> str:
    return f"/v1/analyses/{quote(analysis_id, safe='')}"


def _timeout(timeout_s: float) -> httpx.Timeout:
    whole = timeout_s + GRACE_S
    return httpx.Timeout(whole, connect=min(CONNECT_TIMEOUT_S, whole))


def _json(response: httpx.Response) -> Document:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: str) -> float | None:
    return float(text) if text.isdecimal() else None
