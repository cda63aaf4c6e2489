"""Who waits for an answer of the cloud, and is told as soon as the result backend knows of one."""

import asyncio

import structlog

from gateway.service.cloud.ports import CloudLink

logger = structlog.get_logger("hedgerow.cloud")


class News:
    """One loop asks for all that wait. Use from one event loop."""

    def __init__(self, link: CloudLink, *, every_s: float) -> None:
        self._link = link
        self._every_s = every_s
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def run(self) -> None:
        """Asks until it is cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            if not self._waiting:
                continue
            try:
                answered = await self._link.news(tuple(self._waiting))
            except Exception as error:
                logger.error("news of the cloud could not be asked for", kind=type(error).__name__)
                continue
            for job_id in answered & self._waiting.keys():
                if not self._waiting[job_id].done():
                    self._waiting[job_id].set_result(None)

    async def wait(self, job_id: str, timeout_s: float) -> bool:
        """Until the job is said to be answered, or so long; whether it is said to be."""
        told = self._waiting[job_id] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([told], timeout=timeout_s)
            return told.done()
        finally:
            if self._waiting.get(job_id) is told:
                del self._waiting[job_id]
