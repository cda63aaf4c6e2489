"""Real workers over real brokers and stores: what was sent is answered, whoever is killed or stopped in between."""

import asyncio
import os
import pickle
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from gateway.cloud.config import CloudConfig
from gateway.cloud.link import CeleryLink
from gateway.cloud.messages import TASK, task_to_builtins
from gateway.cloud.objects import ObjectFolder
from gateway.cloud.paths import input_path
from gateway.service.cloud.ports import CloudAnswer, CloudTask, CloudUnreachable
from gateway.service.records import new_id
from tests.cloud_servers import S3Server, ServerProcess
from tests.cloud_worker import CloudWorkerProcess
from tests.gateway.cloud.samples import SCAN, answer_to, task_of, told_of

QUEUE = "tests"
BACK_S = 90.0
"""A worker looks for its broker at growing intervals."""


@dataclass
class Tier:
    """A broker and a store, and a worker that tests leave as they found it."""

    broker: ServerProcess
    store: str
    options: dict[str, str]
    queue: str
    redelivers: bool
    """Whether the broker notices by itself that a worker is gone; else the gateway sends again."""

    def worker(self, folder: Path, *, queue: str = "", waits: bool = True) -> CloudWorkerProcess:
        return CloudWorkerProcess(
            folder, self.broker.url, self.store, self.options, cloud_queue=queue or self.queue, waits=waits, workers="1"
        )

    @asynccontextmanager
    async def link(self, queue: str = "") -> AsyncIterator[CeleryLink]:
        config = CloudConfig(self.broker.url, self.store, self.options, queue or self.queue)
        link = CeleryLink(config, ObjectFolder(self.store, self.options))
        try:
            yield link
        finally:
            await link.close()


@pytest.fixture(scope="module", params=["redis and a folder", "rabbitmq and s3"])
def tier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tier:
    if request.param == "redis and a folder":
        broker: ServerProcess = request.getfixturevalue("redis_server")
        return Tier(broker, tmp_path_factory.mktemp("store").as_uri(), {}, QUEUE, redelivers=False)
    broker = request.getfixturevalue("rabbitmq_server")
    s3: S3Server = request.getfixturevalue("s3_server")
    return Tier(broker, f"s3://{s3.new_bucket()}/tier", s3.options, QUEUE, redelivers=True)


@pytest.fixture(scope="module")
def worker(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudWorkerProcess]:
    with tier.worker(tmp_path_factory.mktemp("worker")) as running:
        yield running


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def asked(link: CeleryLink, task: CloudTask, payload: bytes = SCAN) -> CloudAnswer:
    await link.send(task, payload)
    return await answer_to(link, task.id)


def is_empty(link: CeleryLink, queue: str) -> bool:
    """Whether a worker would be given nothing now; what was taken and not acknowledged is there again."""
    with link._app.connection_for_read() as connection:
        try:
            connection.SimpleQueue(queue).get_nowait()
        except Empty:
            return True
        return False


def check(answer: CloudAnswer) -> None:
    """An answer to the scan, by the cloud's float model."""
    assert answer.error is None
    assert (answer.provenance["tier"], answer.provenance["model"]["variant"]) == ("cloud", "float32")
    assert answer.result["kind"] == "classification"


def test_a_scan_is_answered_by_the_float_model_in_the_cloud_and_both_ends_know_it(
    tier: Tier, worker: CloudWorkerProcess
) -> None:
    async def test() -> None:
        async with tier.link() as link:
            task = task_of()
            await link.send(task, SCAN)
            await told_of(link, task.id)
            answer = await answer_to(link, task.id)
            check(answer)
            assert answer.id == task.id
            assert answer.provenance["node"] == os.uname().nodename
            assert set(answer.pictures) == {"evidence.png"}
            assert answer.pictures["evidence.png"].startswith(b"\x89PNG")
            await link.forget(task.id)
            assert await link.look(task.id) is None
            assert await link.news([task.id]) == frozenset()
            assert [batch async for batch in ObjectFolder(tier.store, tier.options).list(task.id)] == []

    in_loop(test)
    assert worker.process.poll() is None


def test_a_file_that_is_none_is_told_as_the_edge_would(tier: Tier, worker: CloudWorkerProcess) -> None:
    async def test() -> None:
        async with tier.link() as link:
            told = (await asked(link, task_of(SCAN[:3000]), SCAN[:3000])).error
            assert told is not None
            assert (told.code, told.final) == ("CORRUPT_MEDIA", True)

    in_loop(test)
    assert worker.process.poll() is None


def test_what_a_worker_must_not_take_is_refused_and_it_goes_on(
    tier: Tier, worker: CloudWorkerProcess, tmp_path: Path
) -> None:
    """Another version, a changed object, and a pickle, which would run code."""

    class Attack:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "broken in"),)

    async def test() -> None:
        async with tier.link() as link:
            store, newer, changed = ObjectFolder(tier.store, tier.options), task_of(), task_of()
            link._app.send_task(TASK, args=[task_to_builtins(newer) | {"version": 2}], task_id=newer.id, queue=tier.queue)
            await store.put(input_path(changed.id, changed.sha256), SCAN + b"!")
            link._app.send_task(TASK, args=[task_to_builtins(changed)], task_id=changed.id, queue=tier.queue)
            with link._app.connection_for_write() as connection:
                connection.Producer().publish(
                    pickle.dumps(([Attack()], {}, {})), routing_key=tier.queue, content_type="application/x-python-serialize",
                    content_encoding="binary", headers={"task": TASK, "id": new_id(), "lang": "py"},
                )
            for task, why in ((newer, "version 2"), (changed, "isn't what was sent")):
                told = (await answer_to(link, task.id)).error
                assert told is not None
                assert why in told.message
                assert not told.final
            check(await asked(link, task_of()))

    in_loop(test)
    assert not (tmp_path / "broken in").exists()
    assert worker.process.poll() is None


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(tier: Tier, tmp_path: Path) -> None:
    async def test() -> None:
        async with tier.link("killed") as link:
            tasks = [task_of() for _ in range(4)]
            with tier.worker(tmp_path / "first", queue="killed") as first:
                first.freeze_models()
                for task in tasks:
                    await link.send(task, SCAN)
                await asyncio.sleep(2)
                assert [await link.look(task.id) for task in tasks] == [None] * 4
                first.kill()
            with tier.worker(tmp_path / "second", queue="killed"):
                if not tier.redelivers:
                    for task in tasks:
                        await link.send(task, SCAN)
                for task in tasks:
                    check(await answer_to(link, task.id))

    in_loop(test)


def test_a_worker_that_is_told_to_end_finishes_what_it_has_begun(tier: Tier, tmp_path: Path) -> None:
    async def test() -> None:
        async with tier.link("ended") as link:
            with tier.worker(tmp_path, queue="ended") as running:
                task = task_of()
                frozen = running.freeze_models()
                await link.send(task, SCAN)
                await asyncio.sleep(2)
                running.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(2)
                assert running.process.poll() is None
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
                check(await answer_to(link, task.id))
                assert running.process.wait(20) == 0
                await told_of(link, task.id)
                assert await asyncio.to_thread(is_empty, link, "ended")

    in_loop(test)


def test_a_worker_finds_its_broker_again(tier: Tier, worker: CloudWorkerProcess) -> None:
    async def test() -> None:
        async with tier.link() as link:
            check(await asked(link, task_of()))
            tier.broker.kill()
            await asyncio.sleep(3)
            tier.broker.start()
            task = task_of()
            async with asyncio.timeout(BACK_S):
                while True:
                    try:
                        await link.send(task, SCAN)
                    except CloudUnreachable:
                        await asyncio.sleep(0.5)
                    else:
                        break
                check(await answer_to(link, task.id, within_s=BACK_S))
                again = task_of()
                await link.send(again, SCAN)
                await told_of(link, again.id)

    in_loop(test)
    assert worker.process.poll() is None
    assert tier.broker.password not in worker.log_text


def test_a_worker_that_starts_before_its_broker_waits_for_it(tier: Tier, tmp_path: Path) -> None:
    async def test() -> None:
        tier.broker.stop()
        try:
            with tier.worker(tmp_path, queue="early", waits=False) as early:
                await asyncio.sleep(6)
                assert early.process.poll() is None
                tier.broker.start()
                async with tier.link("early") as link:
                    await asyncio.to_thread(early.wait_for, "ready")
                    check(await asked(link, task_of()))
        finally:
            if not tier.broker.is_running:
                tier.broker.start()

    in_loop(test)
