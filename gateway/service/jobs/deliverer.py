"""Results to those who named a callback: claimed from the store with leases, posted, tried again until they arrive.

A delivery is stored together with its job's end, and every step of it afterwards, so that a crash at any point repeats a
message at worst. Receivers tell repetitions by its id, which stays the same. One receiver has at most so many messages on
their way: what waits for it is left in the store, and what waits for others is claimed past it.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog

from gateway.service.errors import ServiceError
from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.callbacks import check_callback, origin_of
from gateway.service.jobs.ports import DeliveryStore, JobStore, WebhookSecretStore
from gateway.service.jobs.posting import Answer, NoAnswer, Poster
from gateway.service.jobs.records import Delivery, Job, JobState
from gateway.service.jobs.signing import new_secret, signed_headers
from gateway.service.ports import AnalysisStore
from gateway.service.records import Analysis

logger = structlog.get_logger("hedgerow.webhooks")

Document = Callable[[Job, Analysis | None], bytes]
"""The body of a message: the job's document as REST sends it, with the analysis where the job has given one."""

PAUSES = Backoff(first_s=5.0, longest_s=4 * 3600.0, most_attempts=100)
_GONE = 410
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How often, how long, how many at once."""

    backoff: Backoff = PAUSES
    give_up_after: timedelta = timedelta(days=3)
    """Counted from the job's end."""
    lease_s: float = 60.0
    """Must be longer than a post may take: a message whose sender is gone is sent again after it."""
    most_in_flight: int = 32
    most_per_host: int = 4
    poll_s: float = 2.0
    """How often deliveries of other processes, and those whose pause is over, are looked for."""


DEFAULT_POLICY = DeliveryPolicy()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How one try went. `error` is empty where the receiver took the message."""

    status: int | None = None
    error: str = ""
    final: bool = False
    """Whether trying again would be of no use."""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Message:
    """What is posted, or why nothing is."""

    headers: dict[str, str]
    body: bytes
    refused: str = ""


class Deliverer:
    """Delivers what is due until it is cancelled. Several, in one process or many, share one store. Use from one event loop."""

    def __init__(
        self, deliveries: DeliveryStore, jobs: JobStore, analyses: AnalysisStore, secrets: WebhookSecretStore,
        document: Document, poster: Poster, policy: DeliveryPolicy = DEFAULT_POLICY, *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC), luck: Callable[[], float] = random.random,
    ) -> None:
        """Raises ValueError where a lease could end before its post does."""
        if policy.lease_s <= poster.timeout_s:
            raise ValueError("a lease must be longer than a post may take")
        self._deliveries = deliveries
        self._jobs = jobs
        self._analyses = analyses
        self._secrets = secrets
        self._document = document
        self._poster = poster
        self._policy = policy
        self._clock = clock
        self._luck = luck
        self._bell = asyncio.Event()
        self._in_flight: dict[asyncio.Task[None], str] = {}

    def wake(self) -> None:
        """Something new is due: says so at once instead of at the next look."""
        self._bell.set()

    async def run(self) -> None:
        """Goes on until it is cancelled. What is on its way then is sent again once its lease is over."""
        try:
            while True:
                self._bell.clear()
                await self._start_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._policy.poll_s):
                        await self._bell.wait()
        finally:
            for task in self._in_flight:
                task.cancel()
            await asyncio.gather(*self._in_flight, return_exceptions=True)
            self._poster.close()

    async def _start_due(self) -> None:
        try:
            while len(self._in_flight) < self._policy.most_in_flight:
                count = Counter(self._in_flight.values())
                busy = [origin for origin, number in count.items() if number >= self._policy.most_per_host]
                claimed = await asyncio.to_thread(
                    self._deliveries.claim, self._clock(), lease_s=self._policy.lease_s, limit=1, skip=busy
                )
                if not claimed:
                    return
                for delivery in claimed:
                    task = asyncio.create_task(self._deliver(delivery))
                    self._in_flight[task] = origin_of(delivery.url)
                    task.add_done_callback(self._landed)
        except Exception as error:
            logger.error("deliveries can't be claimed, which is tried again", kind=type(error).__name__)

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self._bell.set()

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            outcome = await self._try(delivery)
        except Exception as error:  # its text could quote the result
            logger.error("a delivery failed here", delivery=delivery.id, job=delivery.job_id, kind=type(error).__name__)
            outcome = _Outcome(error="an internal error; the log has more under this delivery's id")
        try:
            await asyncio.to_thread(self._record, delivery, outcome)
        except Exception as error:
            logger.error("a delivery isn't recorded and will be repeated", delivery=delivery.id, kind=type(error).__name__)

    async def _try(self, delivery: Delivery) -> _Outcome:
        try:
            check_callback(delivery.url, self._poster.allow_private)  # it was accepted under the settings of that time
        except ServiceError as error:
            return _Outcome(error=str(error), final=True)
        message = await asyncio.to_thread(self._write, delivery)
        if message.refused:
            return _Outcome(error=message.refused, final=True)
        try:
            answer = await self._poster.post(delivery.url, message.headers, message.body)
        except NoAnswer as error:
            return _Outcome(error=str(error))
        return self._judge(answer)

    def _write(self, delivery: Delivery) -> _Message:
        """The message as it is now, signed. Blocks."""
        job = self._jobs.get(delivery.tenant, delivery.job_id)
        if job is None:
            return _Message({}, b"", refused="its job is gone")
        if job.state in {JobState.QUEUED, JobState.RUNNING}:
            return _Message({}, b"", refused="its job was taken back into the queue; its new end is told in another message")
        analysis = self._analyses.get(job.tenant, job.id) if job.state is JobState.DONE else None
        body, now = self._document(job, analysis), self._clock()
        valid = self._secrets.obtain(delivery.tenant, new_secret(), now).valid(now)
        return _Message({"Content-Type": "application/json", **signed_headers(valid, delivery.id, now, body)}, body)

    def _judge(self, answer: Answer) -> _Outcome:
        if 200 <= answer.status < 300:
            return _Outcome(answer.status)
        if answer.status == _GONE:
            return _Outcome(answer.status, "answered 410: it wants no more of this", final=True)
        wait_s = min(_asked_pause_s(answer.retry_after, self._clock()), self._policy.backoff.longest_s)
        if 300 <= answer.status < 400:
            return _Outcome(answer.status, f"answered {answer.status}: redirects are not followed", retry_after_s=wait_s)
        return _Outcome(answer.status, f"answered {answer.status}", retry_after_s=wait_s)

    def _record(self, delivery: Delivery, outcome: _Outcome) -> None:
        """Stores how it went. Whoever lost the lease meanwhile writes nothing: another has taken over."""
        again = None if not outcome.error or outcome.final else self._next_try(delivery, outcome.retry_after_s)
        if not outcome.error:
            self._deliveries.delivered(delivery, outcome.status or 0)
        elif again is not None:
            self._deliveries.retry(delivery, again, status=outcome.status, error=outcome.error)
        else:
            given_up = "" if outcome.final else f"; given up after {delivery.attempts} attempts"
            self._deliveries.fail(delivery, status=outcome.status, error=outcome.error + given_up)
        logger.info(
            "webhook", delivery=delivery.id, job=delivery.job_id, to=origin_of(delivery.url), attempt=delivery.attempts,
            status=outcome.status, error=outcome.error, next_try=None if again is None else again.isoformat(),
        )

    def _next_try(self, delivery: Delivery, retry_after_s: float) -> datetime | None:
        backoff = self._policy.backoff
        if delivery.attempts >= backoff.most_attempts:
            return None
        pause_s = backoff.pause_s(delivery.attempts, luck=self._luck(), retry_after_s=retry_after_s)
        moment = self._clock() + timedelta(seconds=pause_s)
        return None if moment > delivery.created_at + self._policy.give_up_after else moment


def _asked_pause_s(retry_after: str, now: datetime) -> float:
    """What the header Retry-After asks for, in either form; 0 where it says nothing that makes sense."""
    if _SECONDS.fullmatch(retry_after):
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
