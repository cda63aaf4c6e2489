"""A way to the cloud that isn't tried again and again while it is blocked."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

import structlog

from gateway.service.cloud.breaker import Breaker, BreakerRule, BreakerState
from gateway.service.cloud.ports import CloudAnswer, CloudLink, CloudTask, CloudUnreachable

logger = structlog.get_logger("hedgerow.cloud")

T = TypeVar("T")

LOOK_LIMIT_S = 300.0
SEND_LIMIT_S = 1800.0
"""A large picture over a narrow line."""
_WORST_FIRST = (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED)


class GuardedLink(CloudLink):
    """A link behind two breakers, since an object store may answer while the broker doesn't: one for looking, one for
    sending. What a breaker doesn't permit raises CloudUnreachable at once.
    """

    def __init__(self, link: CloudLink, rule: BreakerRule | None = None) -> None:
        self.where = link.where
        self.trouble = ""
        """Why it couldn't be reached last; empty since it could."""
        self._link = link
        self._looking, self._sending = Breaker(rule), Breaker(rule)

    @property
    def state(self) -> BreakerState:
        """Of the breaker that permits less."""
        states = {breaker.state(_now()) for breaker in (self._looking, self._sending)}
        return next(state for state in _WORST_FIRST if state in states)

    @property
    def pause_s(self) -> float:
        """When both permit a try again, in seconds from now."""
        return max(breaker.pause_s(_now()) for breaker in (self._looking, self._sending))

    def check_sending(self) -> None:
        """Raises CloudUnreachable where nothing could be sent now."""
        if not self._sending.would_permit(_now()):
            raise CloudUnreachable(self.trouble)

    async def send(self, task: CloudTask, payload: bytes) -> None:
        """Raises CloudUnreachable also where it takes longer than SEND_LIMIT_S."""
        await self._over(self._sending, SEND_LIMIT_S, lambda: self._link.send(task, payload))

    async def look(self, job_id: str) -> CloudAnswer | None:
        """Raises CloudUnreachable also where it takes longer than LOOK_LIMIT_S."""
        return await self._over(self._looking, LOOK_LIMIT_S, lambda: self._link.look(job_id))

    async def news(self, ids: Collection[str]) -> frozenset[str]:
        """As the link has them."""
        return await self._link.news(ids)

    async def forget(self, job_id: str) -> None:
        """Leaves them for the sweep while the store can't be reached."""
        if self._looking.state(_now()) is BreakerState.CLOSED:
            await self._link.forget(job_id)

    async def close(self) -> None:
        """Closes the link."""
        await self._link.close()

    async def _over(self, breaker: Breaker, limit_s: float, call: Callable[[], Awaitable[T]]) -> T:
        if not breaker.permits(_now()):
            raise CloudUnreachable(self.trouble)
        try:
            async with asyncio.timeout(limit_s):
                result = await call()
        except TimeoutError as error:
            self._blocked(breaker, f"the cloud gave no answer within {limit_s:g} s")
            raise CloudUnreachable(self.trouble) from error
        except CloudUnreachable as error:
            self._blocked(breaker, str(error))
            raise
        except Exception:
            self._blocked(breaker, "the way to the cloud met an unforeseen error")
            raise
        self._free(breaker)
        return result

    def _blocked(self, breaker: Breaker, trouble: str) -> None:
        was = self.state
        breaker.failed(_now())
        self.trouble = trouble
        if was is BreakerState.CLOSED and self.state is not was:
            logger.warning("the cloud can't be reached; its jobs wait", cause=trouble)

    def _free(self, breaker: Breaker) -> None:
        was = self.state
        breaker.succeeded()
        if self.state is BreakerState.CLOSED:
            self.trouble = ""
            if was is not BreakerState.CLOSED:
                logger.info("the cloud can be reached again")


def _now() -> float:
    return asyncio.get_running_loop().time()
