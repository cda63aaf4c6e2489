"""Many threads and processes at one job table, some of them killed anywhere."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import TypeVar

from sqlalchemy import text

from gateway.service.jobs.records import Job, JobFilter, JobState, Submission
from gateway.service.records import AnalysisFilter
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database, open_database
from gateway.store.jobs import SqlJobStore
from tests.gateway.store.job_samples import LEASE_S, analysis_of, claim_one, new_job, submit_all
from tests.gateway.store.samples import NOON
from tests.servers import PostgresServer

ROOT = Path(__file__).parents[3]
JOBS = 500

HERD = """
import os, random, sys, time
from datetime import UTC, datetime
from sqlalchemy import event
from gateway.service.jobs.records import JobState
from gateway.store.database import open_database
from gateway.store.jobs import SqlJobStore
from tests.gateway.store.job_samples import analysis_of

url, log, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])

def perhaps_die(*_):
    if random.random() < 0.004:
        os._exit(9)

def work(number):
    random.seed(number)
    database = open_database(url)
    event.listen(database.engine, "before_cursor_execute", perhaps_die)  # in the middle of transactions
    store = SqlJobStore(database)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        claimed = store.claim(f"worker-{number}", datetime.now(UTC), lease_s=1.0, limit=random.randint(1, 6))
        for job in claimed:
            os.write(out, f"claimed {job.id} {job.turn}\\n".encode())
        perhaps_die()
        for job in claimed:
            if store.complete(job, analysis_of(job)):
                os.write(out, f"done {job.id}\\n".encode())
            perhaps_die()
        if not claimed:
            states = store.counts(None).states
            if states[JobState.QUEUED] + states[JobState.RUNNING] == 0:
                os._exit(0)
            time.sleep(0.05)

def start(number):
    child = os.fork()
    if child == 0:
        try:
            work(number)
        finally:
            os._exit(1)
    return child

alive, killed, number = set(), 0, 0
for number in range(workers):
    alive.add(start(number))
while alive:
    child, status = os.wait()
    alive.remove(child)
    code = os.waitstatus_to_exitcode(status)
    if code == 9:
        killed, number = killed + 1, number + 1
        alive.add(start(number))
    elif code != 0:
        sys.exit("a worker failed")
print(killed)
"""


def test_workers_that_are_killed_anywhere_lose_no_job_and_answer_none_twice(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with closing(open_database(url)) as database:
        made = submit_all(database, (new_job(f"t{number % 3}") for number in range(JOBS)))
    herd = subprocess.run(
        [sys.executable, "-c", HERD, url, str(log), "8"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert herd.returncode == 0, herd.stderr
    assert int(herd.stdout) >= 3, "too few were killed to show anything"
    lines = Counter(log.read_text().splitlines())
    assert set(lines.values()) == {1}, "a job was given to two claimants, or done twice"
    assert {line.split()[1] for line in lines} == {job.id for job in made}
    with closing(open_database(url)) as database:
        assert SqlJobStore(database).counts(None).states[JobState.DONE] == JOBS
        answered = [
            analysis.id
            for tenant in ("t0", "t1", "t2")
            for analysis in SqlAnalysisStore(database).page(tenant, AnalysisFilter(), before_id=None, limit=JOBS)
        ]
    assert sorted(answered) == sorted(job.id for job in made)


Result = TypeVar("Result")


def at_once(number: int, act: Callable[[int], Result]) -> list[Result]:
    """What that many threads got that did it at the same instant."""
    barrier = Barrier(number)

    def wait_and_act(index: int) -> Result:
        barrier.wait()
        return act(index)

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(wait_and_act, range(number)))


def test_submissions_of_one_key_at_the_same_instant_give_one_job(url: str) -> None:
    databases = [open_database(url) for _ in range(4)]  # as so many processes
    stores = [SqlJobStore(database) for database in databases]
    for key in map(str, range(10)):

        def submit(index: int, key: str = key) -> Submission:
            return stores[index % 4].submit(new_job(key=key))

        submissions = at_once(16, submit)
        assert sum(submission.is_new for submission in submissions) == 1
        assert len({submission.job.id for submission in submissions}) == 1
    assert len(stores[0].page("clinic", JobFilter(), before_id=None, limit=99)) == 10
    for database in databases:
        database.close()


def test_a_key_that_is_deleted_and_taken_all_the_time_is_always_somebodys(url: str) -> None:
    databases = [open_database(url) for _ in range(4)]

    def submit_or_delete(index: int) -> None:
        store = SqlJobStore(databases[index])
        for _ in range(40):
            if index == 0:
                store.delete_finished(datetime.now(UTC) + timedelta(days=1), limit=9)
            else:
                holder = store.submit(new_job(key="k")).job
                store.cancel("clinic", holder.id)

    at_once(4, submit_or_delete)
    for database in databases:
        database.close()


def test_claims_at_the_same_instant_share_no_job_and_leave_none(url: str) -> None:
    databases = [open_database(url) for _ in range(8)]
    submit_all(databases[0], (new_job(f"t{number % 5}", number=number) for number in range(200)))

    def claim_until_nothing_is_left(index: int) -> list[Job]:
        store, mine = SqlJobStore(databases[index]), list[Job]()
        while claimed := store.claim(f"gateway-{index}", NOON, lease_s=LEASE_S, limit=7):
            mine += claimed
        return mine

    claimed = [job for mine in at_once(8, claim_until_nothing_is_left) for job in mine]
    assert len(claimed) == len({job.id for job in claimed}) == 200
    for database in databases:
        database.close()


def test_of_completing_cancelling_and_taking_over_at_the_same_instant_one_happens(database: Database) -> None:
    store, analyses = SqlJobStore(database), SqlAnalysisStore(database)
    late = NOON + timedelta(seconds=LEASE_S)
    for _ in range(25):
        job = new_job()
        store.submit(job)
        held = claim_one(store, "gateway-1")

        def act(index: int, held: Job = held) -> object:
            if index == 0:
                return store.complete(held, analysis_of(held))
            if index == 1:
                return store.cancel("clinic", held.id)
            return store.claim("gateway-2", late, lease_s=LEASE_S, limit=1)

        completed, _, taken_over = at_once(3, act)
        now = store.get("clinic", job.id)
        assert now is not None
        assert now.state is (JobState.DONE if completed else JobState.CANCELLED)
        assert (analyses.get("clinic", job.id) is not None) is completed
        assert not (completed and taken_over)


def test_a_busy_sqlite_file_never_says_that_it_is_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hedgerow.db'}"
    databases = [open_database(url) for _ in range(8)]

    def work(index: int) -> int:
        store, done = SqlJobStore(databases[index]), 0
        for number in range(20):
            store.submit(new_job(f"t{index}", key=str(number)))
            for job in store.claim(f"gateway-{index}", datetime.now(UTC), lease_s=60, limit=1):
                done += store.complete(job, analysis_of(job))
            store.page(f"t{index}", JobFilter(), before_id=None, limit=5)
            store.counts(None)
        return done

    assert sum(at_once(8, work)) == 8 * 20
    for database in databases:
        database.close()


def test_a_claim_of_postgresql_waits_for_nobody(postgres_server: PostgresServer) -> None:
    url = f"{postgres_server.new_database()}?options=-c%20lock_timeout%3D5000"  # fail instead of waiting for ever
    with closing(open_database(url)) as database:
        store = SqlJobStore(database)
        made = submit_all(database, (new_job(number=number) for number in range(4)))
        with database.writing() as at_work:
            at_work.execute(text("SELECT id FROM jobs ORDER BY id LIMIT 2 FOR UPDATE"))
            claimed = store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=2)
        assert [job.id for job in claimed] == [made[2].id, made[3].id]
