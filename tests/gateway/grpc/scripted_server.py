"""The gRPC server over services that do as a test says."""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.grpc.server import GrpcServer
from gateway.service.deployments import DeploymentService
from gateway.service.jobs.orders import JobDesk
from gateway.service.jobs.records import Job, JobState
from gateway.service.keys import ANALYZE_ALL, READ, KeyService
from gateway.service.records import Analysis
from gateway.service.services import Services
from gateway.store.database import open_database
from gateway.store.keys import SqlKeyStore
from tests.edge_only import edge_only
from tests.gateway.grpc.scans import SCAN
from tests.gateway.rest.scripted_services import (
    NO_DRIFT,
    NO_INFERENCE,
    NO_REPOSITORY,
    NoUploads,
    ScriptedAnalyses,
    ScriptedStreams,
)
from tests.gateway.scripted_jobs import ScriptedJobs, analysis_of


class GrpcThread:
    """The gRPC server over scripted services, in a thread of its own, ready inside a `with` block."""

    def __init__(self, data_dir: Path) -> None:
        self._database = open_database(f"sqlite:///{data_dir / 'hedgerow.db'}")
        self.keys = KeyService(SqlKeyStore(self._database))
        self.analyses = ScriptedAnalyses()
        self.jobs = ScriptedJobs()
        self._up: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def metadata(self, *scopes: str, tenant: str = "clinic") -> list[tuple[str, str]]:
        """A new key's."""
        key = self.keys.create(tenant=tenant, name="", scopes=scopes or (ANALYZE_ALL, READ))[0]
        return [("authorization", f"Bearer {key}")]

    def answer(self, job: Job) -> Analysis:
        """What a job gives, stored."""
        media = {"format": "png", "width": 64, "height": 48}
        model = {"name": "lung_ultrasound", "version": "1", "variant": "int8", "sha256": "ab"}
        analysis = analysis_of(job, result=SCAN, media=media)
        analysis = replace(analysis, provenance={**analysis.provenance, "model": model})
        self.analyses.stored[job.id] = analysis
        return analysis

    def done(self, job: Job) -> Job:
        """Makes jobs that are done at once."""
        self.answer(job)
        return replace(job, state=JobState.DONE)

    def finish(self, job: Job) -> None:
        """The job has its answer."""
        self.answer(job)
        self.jobs.change(job, state=JobState.DONE)

    def __enter__(self) -> Self:
        self._thread.start()
        self.address = self._up.result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()
        self._database.close()

    async def _serve(self) -> None:
        deployments = DeploymentService.__new__(DeploymentService)
        desk = JobDesk(self.jobs, self.analyses, edge_only(self.jobs), private_callbacks=False)
        services = Services(self.keys, self.analyses, deployments, ScriptedStreams(), desk, NoUploads(), NO_DRIFT, NO_INFERENCE, NO_REPOSITORY)
        server = GrpcServer(services, host="127.0.0.1", port=0)
        await server.start()
        self._up.set_result(f"127.0.0.1:{server.port}")
        await self._stop.wait()
        await server.stop(1)
