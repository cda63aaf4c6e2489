"""A runner that could not renew a lease, and claims the job again itself, works on it once."""

import asyncio
from pathlib import Path

from gateway.service.jobs.bell import Bell
from gateway.service.jobs.leases import Leases
from gateway.service.jobs.service import new_job
from gateway.store.database import open_database
from gateway.store.jobs import SqlJobStore


def test_work_on_a_job_stops_when_its_runner_has_claimed_it_anew(tmp_path: Path) -> None:
    stopped: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.append(name)
            raise

    async def main() -> None:
        database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
        job = new_job("clinic", "pathology", {}, "r", size_bytes=1, sha256="0" * 64)
        leases = Leases(SqlJobStore(database), Bell(), lease_s=60, on_end=lambda _: None)
        leases.begin(job, work("first"))
        await asyncio.sleep(0)
        leases.begin(job, work("second"))
        await asyncio.sleep(0.05)
        assert (stopped, len(leases), leases.oldest) == (["first"], 1, job.created_at)
        await leases.stop()
        assert (stopped, len(leases), leases.oldest) == (["first", "second"], 0, None)
        database.close()

    asyncio.run(main())
