"""One POST to a receiver that nobody vouches for: a name is resolved once and what it leads to is judged, the connection
goes to that very address, and the receiver gets neither our time without end nor our memory.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import httpx

from gateway.service.jobs.callbacks import may_go_to

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, best first. Raises OSError where it has none."""

MOST_CONNECT_S = 5.0
"""For one address; then the host's next one is tried."""
MOST_ANSWER_BYTES = 64 * 1024
DRAIN_S = 1.0
_RESOLVERS = 16
_HTTPS, _HTTP = 443, 80


class NoAnswer(Exception):
    """No status came back. The message is a sentence that holds nothing of the payload and nothing that the receiver said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered; its body is left out."""

    status: int
    retry_after: str = ""
    """The header as it came."""


class Poster:
    """Posts to callbacks. Use from one event loop."""

    def __init__(
        self, *, allow_private: bool = False, timeout_s: float = 15.0, resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` says whose certificates are good: those of the system's store unless given."""
        self.allow_private = allow_private
        self.timeout_s = timeout_s
        self._tls = tls or ssl.create_default_context()
        # Threads of its own: a name server that hangs must not keep those that wait for the database.
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, "callback-names")
        self._resolve = resolve or self._ask_system

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises NoAnswer. A redirect is an answer like any other: it isn't followed."""
        # A client for each: a connection that was checked for one name is never taken for another. No proxy from the
        # environment: it would choose the address.
        async with httpx.AsyncClient(
            verify=self._tls, trust_env=False, timeout=httpx.Timeout(None, connect=min(MOST_CONNECT_S, self.timeout_s))
        ) as client:
            try:
                async with asyncio.timeout(self.timeout_s):
                    response = await self._send(client, httpx.URL(url), headers, body)
            except TimeoutError:
                raise NoAnswer(f"no answer within {self.timeout_s:g} s") from None
            try:
                await _drain(response)
            finally:
                await response.aclose()
            return Answer(response.status_code, response.headers.get("retry-after", ""))

    def close(self) -> None:
        """Ends its threads once they are done; waits for none."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _send(self, client: httpx.AsyncClient, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        """To the first address that takes the connection."""
        host = url.raw_host.decode("ascii")
        unreachable = NoAnswer("its host has no address")
        for address in await self._addresses(host, url.port or (_HTTP if url.scheme == "http" else _HTTPS)):
            request = client.build_request(
                "POST", url.copy_with(host=address), content=body, extensions={"sni_hostname": host},
                headers={
                    **headers, "Host": url.netloc.decode("ascii"), "User-Agent": "Hedgerow-Webhook",
                    "Accept-Encoding": "identity", "Connection": "close",
                },
            )
            try:
                return await client.send(request, stream=True, follow_redirects=False)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreachable = NoAnswer(_why_unreachable(error))
            except httpx.HTTPError as error:
                raise NoAnswer("the connection broke before an answer came") from error
        raise unreachable

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NoAnswer("its host has no address") from error
        allowed = [address for address in found if may_go_to(address, self.allow_private)]
        if found and not allowed:
            raise NoAnswer("its host leads to a private or local address, where results are not sent")
        return allowed

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        def ask() -> list[str]:
            return [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

        return list(dict.fromkeys(await asyncio.get_running_loop().run_in_executor(self._resolvers, ask)))


async def _drain(response: httpx.Response) -> None:
    """Lets the receiver finish a short answer. The status has come: nothing that happens here changes what it said."""
    seen = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for chunk in response.aiter_raw():
                seen += len(chunk)
                if seen > MOST_ANSWER_BYTES:
                    return


def _why_unreachable(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its TLS certificate is not valid for its name"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        cause = cause.__cause__ or cause.__context__
    return "it can't be reached"
