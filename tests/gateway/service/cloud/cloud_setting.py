"""A cloud and gateways before it, as a test wants them: real stores, a scripted cloud that outlives each gateway."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.service.cloud.breaker import BreakerRule
from gateway.service.cloud.endings import EndingPolicy, Endings, OnOpinion
from gateway.service.cloud.guarded import GuardedLink
from gateway.service.cloud.ports import Cleaned, Cleaner, CloudAnswer, CloudLink, CloudTask, CloudUnreachable, Held
from gateway.service.cloud.runner import CloudPolicy, CloudRunner
from gateway.service.cloud.sending import Departures
from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.records import Job, JobState, Tier
from gateway.service.jobs.service import new_job
from gateway.service.records import Analysis, AnalysisFilter, JsonObject
from gateway.service.routing.rules import Routes, Rule
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.audit import SqlAuditLog
from gateway.store.database import Database, open_database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.images import FolderImageStore
from gateway.store.jobs import SqlJobStore
from gateway.store.payloads import FolderPayloadStore

QUICK = Backoff(first_s=0.02, longest_s=0.05, most_attempts=3)
BREAKER = BreakerRule(failures=2, first_s=0.05, longest_s=0.2, probe_s=5.0)
POLICY: Mapping[str, Any] = {"news_s": 0.02, "look_s": 0.05, "longest_look_s": 0.1, "poll_s": 0.02, "answer_s": 60.0, "lease_s": 60.0}
STAGES = ("queue", "decode", "preprocess", "infer", "postprocess", "total")
LIMIT_S = 30.0


def answer_to(task: CloudTask, **fields: Any) -> CloudAnswer:
    """A good answer of the cloud's worker, or one that differs in a field."""
    made: dict[str, Any] = {
        "result": {"kind": "classification", "label": "abnormal", "abstained": False, "notices": []},
        "media": {"format": "png", "width": 20, "height": 16, "frame": 1, "frame_count": 1, "size_bytes": task.size_bytes, "sha256": task.sha256},
        "parameters": dict(task.parameters),
        "provenance": {
            "model": {"name": "lung_ultrasound", "version": "9", "variant": "float32", "sha256": "0" * 64}, "device": "cpu",
            "backend": "litert", "simulated": False, "node": "cloud", "tier": "edge", "tier_reason": "the only one", "attempts": 1,
            "timings_ms": dict.fromkeys(STAGES, 1.0), "software": "hedgerow 9", "of_a_later_version": True,
        },
        "pictures": {"heatmap.png": b"heat"},
    }
    return CloudAnswer(task.id, **made | fields)


@dataclass
class Cloud:
    """Object store, broker and worker. A message is worked on as soon as `works`, unless its task is answered already."""

    reached: bool = True
    """Whether the object store can be."""
    rings: bool = True
    """Whether the broker takes messages."""
    works: bool = True
    tells: bool = True
    """Whether the result backend has news."""
    lies: bool = False
    """Whether these are of everything that it is asked for."""
    make: Callable[[CloudTask], CloudAnswer] = answer_to
    tasks: dict[str, CloudTask] = field(default_factory=dict)
    answers: dict[str, CloudAnswer] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Each time that an object came, in order."""
    calls: int = 0
    """To the object store, whether it could be reached or not."""
    worked: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)

    def work(self) -> None:
        """The worker does what its messages say."""
        while self.works and self.messages:
            job_id = self.messages.pop(0)
            if job_id in self.tasks and job_id not in self.answers:
                self.worked.append(job_id)
                self.answers[job_id] = self.make(self.tasks[job_id])

    def begin_to_work(self) -> None:
        """It does from now on."""
        self.works = True
        self.work()


class ScriptedLink(CloudLink):
    """One gateway's way to a Cloud."""

    where = "s3://bucket/pictures"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def _reach(self) -> None:
        self._cloud.calls += 1
        if not self._cloud.reached:
            raise CloudUnreachable("no route to the object store")

    async def send(self, task: CloudTask, payload: bytes) -> None:
        """The object, then the message."""
        await asyncio.sleep(0)
        self._reach()
        self._cloud.tasks[task.id] = task
        self._cloud.sent.append(task.id)
        self._cloud.digests[task.id] = hashlib.sha256(payload).hexdigest()
        if not self._cloud.rings:
            raise CloudUnreachable("the broker refuses")
        self._cloud.messages.append(task.id)
        self._cloud.work()

    async def news(self, ids: Collection[str]) -> frozenset[str]:
        """Of those that are answered."""
        if self._cloud.lies:
            return frozenset(ids)
        return frozenset(self._cloud.answers.keys() & set(ids)) if self._cloud.tells else frozenset()

    async def look(self, job_id: str) -> CloudAnswer | None:
        """In the object store."""
        await asyncio.sleep(0)
        self._reach()
        return self._cloud.answers.get(job_id)

    async def forget(self, job_id: str) -> None:
        """Task and answer."""
        self._cloud.forgotten.append(job_id)
        self._cloud.tasks.pop(job_id, None)
        self._cloud.answers.pop(job_id, None)

    async def close(self) -> None:
        """Nothing is open."""


class ScriptedCleaner(Cleaner):
    """Puts a word before the bytes, unless `says` says something else. `cleaned`: whose pictures, in order."""

    def __init__(self) -> None:
        self.says: Callable[[bytes], Cleaned | Held] = lambda payload: Cleaned(
            b"clean " + payload, "png", ("metadata-stripped", "no-text-found"), {"exam": "lung_ultrasound"}
        )
        self.cleaned: list[tuple[str, bool]] = []

    async def clean(
        self, payload: bytes, domain: str, parameters: JsonObject, *, tenant: str, keep_gps: bool
    ) -> Cleaned | Held:
        """At once."""
        await asyncio.sleep(0)
        assert (domain, dict(parameters)) == ("pathology", {"exam": "lung_ultrasound"})
        self.cleaned.append((tenant, keep_gps))
        return self.says(payload)


class MortalJobStore(SqlJobStore):
    """Jobs as a gateway sees them that may be killed: from then on it writes nothing."""

    killed = False

    def renew(self, held: Collection[Job], until: datetime) -> frozenset[str]:
        """None where it was killed."""
        return self._alive() or super().renew(held, until)

    def claim(self, owner: str, now: datetime, *, lease_s: float, limit: int, tier: Tier = "edge") -> Sequence[Job]:
        """The same."""
        self._alive()
        return super().claim(owner, now, lease_s=lease_s, limit=limit, tier=tier)

    def release(self, job: Job, not_before: datetime, code: str, message: str, *, counts: bool = True) -> bool:
        """The same."""
        self._alive()
        return super().release(job, not_before, code, message, counts=counts)

    def _alive(self) -> frozenset[str]:
        if self.killed:
            raise ConnectionError("this gateway was killed")
        return frozenset()


@dataclass
class Gateway:
    """A gateway that runs."""

    runner: CloudRunner
    task: asyncio.Task[None]
    store: MortalJobStore

    async def stop(self) -> None:
        """As it does when it is told to."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def kill(self) -> None:
        """As a loss of power does: leases stay, nothing is given back."""
        self.store.killed = True
        await self.stop()


@dataclass
class Setting:
    """What a test looks at and changes."""

    folder: Path
    database: Database
    cloud: Cloud = field(default_factory=Cloud)
    cleaner: ScriptedCleaner = field(default_factory=ScriptedCleaner)
    rules: Sequence[Rule] = (Rule(to_cloud=True),)
    on_opinion: OnOpinion | None = None
    ended: int = 0
    gateways: list[Gateway] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = SqlJobStore(self.database)
        self.analyses = SqlAnalysisStore(self.database)
        self.deliveries = SqlDeliveryStore(self.database)
        self.audit = SqlAuditLog(self.database)
        self.images = FolderImageStore(self.folder / "images")
        self.payloads = FolderPayloadStore(self.folder / "jobs")

    def start(self, owner: str = "gateway 1", *, keep_images: bool = True, **policy: Any) -> Gateway:
        """One more gateway."""
        store, link, bell = MortalJobStore(self.database), GuardedLink(ScriptedLink(self.cloud), BREAKER), Bell()
        departures = Departures(self.payloads, Routes(self.rules), self.cleaner, self.audit, link, timeout_s=60)
        endings = Endings(
            store, self.payloads, self.images, link, EndingPolicy(keep_images, 0.02, 0.05, QUICK), on_end=self._note_end,
            on_opinion=self.on_opinion,
        )
        rules = CloudPolicy(**{**POLICY, "most_attempts": QUICK.most_attempts, **policy})
        runner = CloudRunner(store, link, departures, endings, rules, bell, owner=owner)
        self.gateways.append(Gateway(runner, asyncio.create_task(runner.run()), store))
        return self.gateways[-1]

    def submit(self, payload: bytes = b"scan", *, tenant: str = "clinic", why: str = "edge_down", **fields: Any) -> Job:
        """A job that waits for the cloud."""
        job = new_job(
            tenant, "pathology", {"exam": "lung_ultrasound"}, "request-1", size_bytes=len(payload),
            sha256=hashlib.sha256(payload).hexdigest(), tier="cloud", why=why, **{"consents": ("cloud",), **fields},
        )
        self.payloads.put(job.id, payload)
        return self.store.submit(job).job

    def now(self, job: Job) -> Job:
        """The job as it is."""
        found = self.store.get(job.tenant, job.id)
        assert found is not None
        return found

    async def final(self, job: Job) -> Job:
        """The job once it is final."""
        await self.until(lambda: self.now(job).state not in (JobState.QUEUED, JobState.RUNNING))
        return self.now(job)

    async def done(self, job: Job) -> Analysis:
        """Its analysis, once it is done."""
        ended = await self.final(job)
        assert ended.state is JobState.DONE, ended
        analysis = self.analyses.get(job.tenant, job.id)
        assert analysis is not None
        return analysis

    @staticmethod
    async def until(holds: Callable[[], object]) -> None:
        """Waits until it does."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                await asyncio.sleep(0.005)

    def all_analyses(self, tenant: str = "clinic") -> list[str]:
        """Ids, oldest first."""
        return sorted(row.id for row in self.analyses.page(tenant, AnalysisFilter(), before_id=None, limit=200))

    def left(self) -> list[str]:
        """Of which analysis each entry of the audit log is, in order."""
        return [entry.analysis_id for entry in self.audit.entries()]

    def _note_end(self) -> None:
        self.ended += 1


def run(test: Callable[[Setting], Awaitable[None]], folder: Path) -> None:
    """Runs a test; ends its gateways."""
    async def main() -> None:
        database = open_database(f"sqlite:///{folder / 'hedgerow.db'}")
        setting = Setting(folder, database)
        try:
            async with asyncio.timeout(2 * LIMIT_S):
                await test(setting)
        finally:
            for gateway in setting.gateways:
                await gateway.stop()
            database.close()

    asyncio.run(main())
