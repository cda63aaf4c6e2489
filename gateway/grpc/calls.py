"""Around every call: its id in and out, its caller, its error as a status, its line in the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
from grpc_status import rpc_status

from gateway.grpc.status import STATUS, to_status
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller, KeyService
from gateway.service.requests import RequestContext

REQUEST_ID = "x-request-id"
DEFAULT_PAGE = 50
T = TypeVar("T")


class Context(Protocol):
    """All that a servicer needs of the call that it answers, so that it can be reached in other ways than gRPC's own:
    grpc.aio.ServicerContext is one as it is, gateway.connect.call.HttpCall another.
    """

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        """What the caller sent along; names in lower case."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None where it set none."""

    async def send_initial_metadata(self, initial_metadata: Sequence[tuple[str, str]], /) -> None:
        """Goes out before the first message."""

    async def write(self, message: Any, /) -> None:
        """Sends one message of an answer that has many."""

    async def abort_with_status(self, status: grpc.Status, /) -> NoReturn:
        """Ends the call with an error. Raises whatever its server knows this by."""


class Calls:
    """What the servicers have in common. `transport`: what the log calls the way by which their calls come."""

    def __init__(self, keys: KeyService, transport: str = "grpc") -> None:
        self._keys = keys
        self._transport = transport

    async def answer(
        self, method: str, context: Context, work: Callable[[Caller, RequestContext], Awaitable[T]]
    ) -> T:
        """Has `work` done for whoever calls `method`, and gives what it gives. Aborts the call where it raises."""
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        about = RequestContext(self._transport, method, metadata.get(REQUEST_ID))
        try:
            await context.send_initial_metadata(((REQUEST_ID, about.id),))
            caller = await self._keys.caller_of(metadata.get("authorization", ""), metadata.get("x-api-key", ""))
            about.caller = caller
            answer = await work(caller, about)
        except asyncio.CancelledError:
            about.error = ErrorCode.CANCELLED
            about.log(grpc.StatusCode.CANCELLED.name)
            raise
        except Exception as error:
            told = about.failed(error)
            about.log(STATUS[told.code].name)
            await _abort(context, told, about.id)
        about.log(grpc.StatusCode.OK.name)
        return answer


async def send(context: Context, message: Any) -> None:
    """Sends one message of an answer that has many, once the caller has room for it.

    A lost connection shows here some moments before gRPC cancels the call for it. Raises CancelledError then.
    """
    try:
        await context.write(message)
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None


async def _abort(context: Context, error: ServiceError, request_id: str) -> NoReturn:
    await context.abort_with_status(rpc_status.to_status(to_status(error, request_id)))
    raise AssertionError("abort_with_status raises")
