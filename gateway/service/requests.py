"""What every request has on either transport: an id, a caller once it is known, and one line in the log."""

import re
import time
import traceback
from dataclasses import dataclass, field

import structlog

from gateway.service.errors import ErrorCode, ServiceError, translate
from gateway.service.keys import Caller
from gateway.service.records import new_id

logger = structlog.get_logger("hedgerow.request")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class RequestContext:
    """One request while it is answered. `wanted_id` is the caller's own id for it, taken where it is harmless."""

    transport: str
    operation: str
    wanted_id: str | None = None
    id: str = field(init=False)
    caller: Caller | None = None
    analysis_id: str | None = None
    error: ErrorCode | None = None
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.id = self.wanted_id if self.wanted_id and _REQUEST_ID.fullmatch(self.wanted_id) else new_id()

    def failed(self, error: Exception) -> ServiceError:
        """The error as callers see it. One that nobody foresaw is logged by its class and its way through the code:
        its text could quote an input.
        """
        told = translate(error)
        self.error = told.code
        if told.code is ErrorCode.INTERNAL:
            way = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
            logger.error("unforeseen error", request_id=self.id, kind=type(error).__name__, way=way)
        return told

    def log(self, status: int | str) -> None:
        """The request's one line: no parameter, file name, address, key or content."""
        logger.info(
            "request",
            request_id=self.id,
            transport=self.transport,
            operation=self.operation,
            status=status,
            code=self.error,
            tenant=self.caller and self.caller.tenant,
            key_id=self.caller and self.caller.key_id,
            analysis_id=self.analysis_id,
            duration_ms=round((time.perf_counter() - self.started) * 1000, 2),
        )
