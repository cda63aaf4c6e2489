"""What is around every call: here, a connection that is lost while an answer goes out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
import structlog.testing

from gateway.grpc.calls import Calls, send
from gateway.service.keys import READ, Caller, KeyService
from gateway.service.requests import RequestContext
from gateway.store.database import open_database
from gateway.store.keys import SqlKeyStore
from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.gateway.grpc.any_call import AnyCall


class LostConnection(AnyCall):
    """A call's context just before gRPC cancels the call."""

    def __init__(self, key: str) -> None:
        self._key = key

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """What the caller sent along."""
        return (("authorization", f"Bearer {self._key}"),)

    async def write(self, message: object, /) -> None:
        """As gRPC fails."""
        raise grpc.aio.InternalError(f"Failed to send {type(message).__name__}")


def test_a_connection_lost_in_the_midst_of_an_answer_is_logged_as_such_and_as_no_fault(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
    keys = KeyService(SqlKeyStore(database))
    context = LostConnection(keys.create(tenant="clinic", name="", scopes=(READ,))[0])

    async def work(_: Caller, __: RequestContext) -> None:
        await send(context, pb.StreamResponse())

    with structlog.testing.capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        asyncio.run(Calls(keys).answer("Stream", context, work))
    database.close()
    assert [(line["event"], line["status"]) for line in lines] == [("request", "CANCELLED")]
