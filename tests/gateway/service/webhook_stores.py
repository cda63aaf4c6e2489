"""Jobs that ended and whose results are to be delivered, over real stores."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.callbacks import deliveries_of
from gateway.service.jobs.deliverer import Deliverer, DeliveryPolicy, Document
from gateway.service.jobs.posting import Poster, Resolve
from gateway.service.jobs.records import Delivery, DeliveryState, Job
from gateway.service.records import Analysis
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.jobs import SqlJobStore
from gateway.store.webhook_secrets import SqlWebhookSecretStore
from tests.gateway.store.job_samples import Clock, analysis_of, claim_one, new_job

POLICY = DeliveryPolicy(Backoff(first_s=10, longest_s=3600, most_attempts=100, chance=0), poll_s=0.02)
LEASE = timedelta(seconds=POLICY.lease_s)


def document(job: Job, analysis: Analysis | None) -> bytes:
    """A job's document."""
    error = {"code": job.error_code, "message": job.error_message} if job.error_code else None
    return json.dumps({"id": job.id, "state": job.state, "error": error, "analysis": analysis and analysis.label}).encode()


def names(known: Mapping[str, Sequence[str]]) -> Resolve:
    """Names that lead to addresses as the test says."""
    async def resolve(host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        if host not in known:
            raise OSError("no such name")
        return known[host]

    return resolve


class Books:
    """The stores of one gateway, and a clock that stands until it is moved."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder / 'hedgerow.db'}")
        self.clock = Clock()
        self.jobs = SqlJobStore(self.database, clock=self.clock)
        self.deliveries = SqlDeliveryStore(self.database, clock=self.clock)
        self.analyses = SqlAnalysisStore(self.database)
        self.secrets = SqlWebhookSecretStore(self.database)

    def done(self, url: str, *, tenant: str = "clinic") -> Job:
        """A job that was answered just now, whose caller named that address."""
        job = self._running(url, tenant)
        assert self.jobs.complete(job, analysis_of(job), deliveries=deliveries_of(job, self.clock()))
        return job

    def failed(self, url: str) -> Job:
        """A job that became a dead letter just now."""
        job = self._running(url, "clinic")
        assert self.jobs.fail(job, "CORRUPT_MEDIA", "the file ends early", deliveries=deliveries_of(job, self.clock()))
        return job

    def log(self, job: Job) -> Delivery:
        """What is known of its one delivery."""
        (delivery,) = self.deliveries.of_job(job.tenant, job.id)
        return delivery

    def deliverer(
        self, *, policy: DeliveryPolicy = POLICY, timeout_s: float = 10.0, allow_private: bool = True,
        resolve: Resolve | None = None, write: Document = document, deliveries: SqlDeliveryStore | None = None,
    ) -> Deliverer:
        """One that delivers to the machine itself unless told otherwise."""
        poster = Poster(allow_private=allow_private, timeout_s=timeout_s, resolve=resolve)
        return Deliverer(
            deliveries or self.deliveries, self.jobs, self.analyses, self.secrets, write, poster, policy,
            clock=self.clock, luck=lambda: 1.0,
        )

    def _running(self, url: str, tenant: str) -> Job:
        self.jobs.submit(replace(new_job(tenant, at=self.clock()), callback={"url": url}))
        return claim_one(self.jobs, now=self.clock())


@dataclass(frozen=True, slots=True)
class Stage:
    """What a test of a deliverer works with."""

    books: Books

    @asynccontextmanager
    async def delivering(self, *deliverers: Deliverer) -> AsyncIterator[None]:
        """Runs them meanwhile; one of the usual kind where none is given."""
        tasks = [asyncio.create_task(one.run()) for one in deliverers or (self.books.deliverer(),)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until it holds."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)

    async def tried(self, job: Job, attempts: int) -> Delivery:
        """Waits until the delivery was tried so often and the last try is over; gives what is known then."""
        def recorded() -> bool:
            log = self.books.log(job)
            leased = log.state is DeliveryState.PENDING and log.not_before == self.books.clock() + LEASE
            return log.attempts == attempts and not leased

        await self.until(recorded)
        return self.books.log(job)


def play(folder: Path, test: Callable[[Stage], Awaitable[None]]) -> None:
    """Runs a test over fresh stores."""
    books = Books(folder)

    async def main() -> None:
        async with asyncio.timeout(30):
            await test(Stage(books))

    try:
        asyncio.run(main())
    finally:
        books.database.close()
