"""Callers of jobs over REST, and what becomes of their jobs."""

from collections.abc import Callable
from dataclasses import replace

import httpx

from gateway.service.jobs.records import Job, JobState
from tests.gateway.rest.scripted_services import RestThread
from tests.gateway.scripted_jobs import analysis_of

PATH = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
LATER = {"Prefer": "respond-async"}
PROGRESS = {"frames_done": 3, "frames_total": 9, "verdict": {"label": "normal"}}


def caller(gateway: RestThread, key: str) -> httpx.Client:
    """A client with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=f"http://{gateway.address}", headers=headers, trust_env=False)


def key_with(gateway: RestThread, *scopes: str, tenant: str = "clinic") -> str:
    """A new key."""
    return gateway.keys.create(tenant=tenant, name="", scopes=scopes)[0]


def finishing(gateway: RestThread) -> Callable[[Job], Job]:
    """Makes jobs that are done at once."""
    def done(job: Job) -> Job:
        gateway.analyses.stored[job.id] = analysis_of(job)
        return replace(job, state=JobState.DONE, attempts=1)

    return done


def finish(gateway: RestThread, job: Job) -> None:
    """The job has its answer."""
    gateway.analyses.stored[job.id] = analysis_of(job)
    gateway.jobs.change(job, state=JobState.DONE)


def sent(client: httpx.Client, headers: dict[str, str], content: bytes = b"scan", path: str = PATH) -> httpx.Response:
    """The answer to a scan."""
    return client.post(path, content=content, headers=headers)
