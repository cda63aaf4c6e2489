"""A call that a test fills in."""

from collections.abc import Sequence
from typing import Any, NoReturn

import grpc

from gateway.grpc.calls import Context


class AnyCall(Context):
    """Nobody sends anything along or sets a deadline; what goes out is lost, and an error fails the test."""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        return None

    def time_remaining(self) -> float | None:
        return None

    async def send_initial_metadata(self, initial_metadata: Sequence[tuple[str, str]], /) -> None:
        pass

    async def write(self, message: Any, /) -> None:
        pass

    async def abort_with_status(self, status: grpc.Status, /) -> NoReturn:
        raise AssertionError(status.details)
