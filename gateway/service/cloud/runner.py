"""Works on jobs that the cloud is to answer: each is claimed with a lease, sent, waited for, and its answer stored with its
end in one transaction.

The truth is the job's row and the object store. Whoever claims a job that was sent before looks for its answer first, so a
gateway that dies between the two costs no second analysis. While the cloud can't be reached, jobs wait: no attempt is lost.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from domains.errors import DomainError
from gateway.service.cloud.breaker import BreakerState
from gateway.service.cloud.endings import Endings
from gateway.service.cloud.guarded import GuardedLink
from gateway.service.cloud.news import News
from gateway.service.cloud.ports import CloudUnreachable
from gateway.service.cloud.sending import Departures, MayNotLeave, StorageFails
from gateway.service.errors import ErrorCode, ServiceError, translate
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.leases import Leases
from gateway.service.jobs.ports import JobStore
from gateway.service.jobs.records import Job

logger = structlog.get_logger("hedgerow.cloud")

LONGEST_ANSWERS = 12.0
"""The pause before a job is sent once more doubles, to so many times `answer_s`."""


@dataclass(frozen=True, slots=True)
class CloudPolicy:
    """`in_flight`: jobs at once, of which `preparing` are cleaned and sent, and of `taking` the answers are read and stored;
    `answer_s`: no answer for so long, and a job is sent again; `news_s`: how often the result backend is asked, for all;
    `look_s`, `longest_look_s`: how often the object store is, for each; `most_attempts`: after so many claims that were
    never ended a job is given up.
    """

    in_flight: int = 64
    preparing: int = 2
    taking: int = 4
    answer_s: float = 300.0
    news_s: float = 0.5
    look_s: float = 2.0
    longest_look_s: float = 30.0
    lease_s: float = 20.0
    poll_s: float = 1.0
    most_attempts: int = 10


@dataclass(frozen=True, slots=True)
class CloudState:
    """For a status page. `retry_in_s`: until the cloud is tried again, where it can't be reached, for the reason `trouble`;
    `oldest`: when the oldest of the jobs in flight was made.
    """

    breaker: BreakerState
    in_flight: int
    oldest: datetime | None
    retry_in_s: float
    trouble: str


class CloudRunner:
    """Use from one event loop. `run` works until it is cancelled."""

    def __init__(
        self, store: JobStore, link: GuardedLink, departures: Departures, endings: Endings, policy: CloudPolicy, bell: Bell,
        *, owner: str,
    ) -> None:
        """`departures` and `endings` must have the same store and link."""
        self._store = store
        self._link = link
        self._departures = departures
        self._endings = endings
        self._policy = policy
        self._bell = bell
        self._owner = owner
        self._news = News(link, every_s=policy.news_s)
        self._leases = Leases(store, bell, lease_s=policy.lease_s, on_end=self._leaves_desk)
        self._at_desk: set[str] = set()
        """Claimed, and not yet sent for the first time."""
        self._desk = asyncio.Semaphore(policy.preparing)
        self._hands = asyncio.Semaphore(policy.taking)

    @property
    def state(self) -> CloudState:
        """As it is now."""
        link = self._link
        return CloudState(link.state, len(self._leases), self._leases.oldest, link.pause_s, link.trouble)

    async def run(self) -> None:
        """Claims and works until it is cancelled; then gives back what isn't answered, and leaves what was sent."""
        helpers = [asyncio.create_task(self._leases.keep()), asyncio.create_task(self._news.run())]
        try:
            while True:
                room = self._room()
                claimed = await self._claim(room) if room else []
                for job in claimed:
                    self._at_desk.add(job.id)
                    self._leases.begin(job, self._work(job))
                if not claimed:
                    await self._bell.wait(self._policy.poll_s)
        finally:
            for helper in helpers:
                helper.cancel()
            await self._leases.stop()
            await asyncio.gather(*helpers, return_exceptions=True)

    def _room(self) -> int:
        """How many jobs may be claimed: no more than can be sent at once, since others could send the rest."""
        places = {
            BreakerState.CLOSED: self._policy.preparing, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 0,
        }[self._link.state]
        return max(0, min(self._policy.in_flight - len(self._leases), places - len(self._at_desk)))

    def _leaves_desk(self, job: Job) -> None:
        self._at_desk.discard(job.id)
        self._bell.ring()

    async def _claim(self, limit: int) -> list[Job]:
        try:
            return list(await asyncio.to_thread(
                self._store.claim, self._owner, datetime.now(UTC), lease_s=self._policy.lease_s, limit=limit, tier="cloud"
            ))
        except Exception as error:
            logger.error("jobs for the cloud could not be claimed", kind=type(error).__name__)
            return []

    async def _work(self, job: Job) -> None:
        try:
            await self._try(job)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(job))
            raise
        except Exception as error:
            logger.error("a job could not be ended; its lease runs out", job_id=job.id, kind=type(error).__name__)

    async def _give_back(self, job: Job) -> None:
        try:
            await self._endings.give_back(job)
        except Exception as error:
            logger.error("a job could not be given back", job_id=job.id, kind=type(error).__name__)

    async def _try(self, job: Job) -> None:
        try:
            await self._answer(job)
        except CloudUnreachable as error:
            await self._endings.wait_for_cloud(job, str(error))
        except StorageFails as error:
            logger.error("a disk or database fails; a job for the cloud waits", job_id=job.id, kind=str(error))
            await self._endings.wait_for_storage(job)
        except MayNotLeave as error:
            await self._endings.stay(job, error)
        except (ServiceError, DomainError) as error:
            await self._endings.fail(job, translate(error))
        except Exception as error:
            logger.error("a job for the cloud met an unforeseen error", job_id=job.id, kind=type(error).__name__)
            await self._endings.try_again(job, translate(error))

    async def _answer(self, job: Job) -> None:
        """Has the job answered, whatever that takes."""
        async with self._desk:
            if await self._is_answered_already(job):
                return
            await self._departures.send(job)
        self._leaves_desk(job)
        patience_s = self._policy.answer_s
        while not await self._is_answered_within(job, patience_s):
            logger.warning("no answer of the cloud; a job is sent again", job_id=job.id, after_s=patience_s)
            async with self._desk:
                await self._departures.send(job)
            patience_s = min(2 * patience_s, LONGEST_ANSWERS * self._policy.answer_s)

    async def _is_answered_already(self, job: Job) -> bool:
        """Looked up where it can be; also where the cloud couldn't be reached: no cheaper probe is to be had."""
        looks = self._link.state is not BreakerState.CLOSED or await self._departures.was_sent(job)
        if looks and await self._took_answer(job):
            return True
        if job.attempts > self._policy.most_attempts:
            raise ServiceError(ErrorCode.INPUT_BREAKS_WORKER, f"given up: {job.attempts - 1} tries were never ended")
        return False

    async def _is_answered_within(self, job: Job, patience_s: float) -> bool:
        """False where the object store says, after so long, that there is no answer. Raises EXPIRED."""
        loop = asyncio.get_running_loop()
        deadline, pause_s = loop.time() + patience_s, self._policy.look_s
        listens = True
        while True:
            left_s = max(self._policy.look_s, deadline - loop.time())
            wait_s = _until_expiry(job, min(pause_s, left_s))
            told = await self._news.wait(job.id, wait_s) if listens else await asyncio.sleep(wait_s, result=False)
            listens = not told  # news of what isn't there would be told again at once
            pause_s = min(2 * pause_s, self._policy.longest_look_s)
            try:
                if await self._took_answer(job):
                    return True
                waited = loop.time() >= deadline
            except CloudUnreachable:
                waited = False
            if _until_expiry(job, 1.0) == 0:
                raise ServiceError(ErrorCode.EXPIRED, "its time was over before the cloud answered")
            if waited:
                return False

    async def _took_answer(self, job: Job) -> bool:
        """Whether the answer is there; then it is stored, and the job ended."""
        async with self._hands:
            answer = await self._link.look(job.id)
            if answer is not None:
                await self._endings.take(job, answer)
            return answer is not None


def _until_expiry(job: Job, seconds: float) -> float:
    """So many seconds, or fewer where the job expires before."""
    if job.expires_at is None:
        return seconds
    return max(0.0, min(seconds, (job.expires_at - datetime.now(UTC)).total_seconds()))
