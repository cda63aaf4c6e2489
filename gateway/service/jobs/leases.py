"""Jobs that a runner holds: the lease of each is renewed while a task of its own works on it."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from gateway.service.jobs.bell import Bell
from gateway.service.jobs.ports import JobStore
from gateway.service.jobs.records import Job
from gateway.service.records import new_id

logger = structlog.get_logger("hedgerow.jobs")


def holder_name() -> str:
    """A name for a new holder of leases, unlike any other's."""
    return f"{socket.gethostname()}-{os.getpid()}-{new_id()[-12:]}"


class Leases:
    """Use from one event loop. A job whose lease is lost is somebody else's now, or nobody's: the work on it is cancelled; at
    once where `bell` tells that it was withdrawn.
    """

    def __init__(self, store: JobStore, bell: Bell, *, lease_s: float, on_end: Callable[[Job], None]) -> None:
        """`on_end` is called after the work on a job has ended, however it did."""
        self._store = store
        bell.on_withdrawn(self._drop)
        self._lease_s = lease_s
        self._on_end = on_end
        self._held: dict[str, tuple[Job, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Also of work that was cancelled and hasn't ended yet."""

    def __len__(self) -> int:
        """How many jobs are worked on."""
        return len(self._held)

    @property
    def oldest(self) -> datetime | None:
        """When the oldest of them was made."""
        return min((job.created_at for job, _ in self._held.values()), default=None)

    def begin(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        """Works on a job that was just claimed: also on one whose lease was over before it could be renewed here."""
        if job.id in self._held:
            self._held[job.id][1].cancel()
        task = asyncio.create_task(work)
        self._held[job.id] = job, task
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, job))

    async def keep(self) -> None:
        """Renews leases until it is cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            held = {job_id: job for job_id, (job, _) in self._held.items()}
            if not held:
                continue
            until = datetime.now(UTC) + timedelta(seconds=self._lease_s)
            try:
                kept = await asyncio.to_thread(self._store.renew, list(held.values()), until)
            except Exception as error:
                logger.error("leases could not be renewed", kind=type(error).__name__)
                continue
            for job_id in held.keys() - kept:
                self._drop(job_id)

    async def stop(self) -> None:
        """Cancels all work, and waits until each has given back what it held."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drop(self, job_id: str) -> None:
        if job_id in self._held:
            self._held[job_id][1].cancel()

    def _ended(self, job: Job, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if job.id in self._held and self._held[job.id][1] is task:
            del self._held[job.id]
        self._on_end(job)
