"""The gateway's end, over real brokers that stop, hang and come back: it never waits long, and never tells a password."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cloud.config import CloudConfig
from gateway.cloud.link import SEND_LIMIT_S, CeleryLink, open_link
from gateway.cloud.messages import TASK, answer_to_bytes, error_answer, read_task
from gateway.cloud.objects import ObjectFolder, StoreRefused
from gateway.cloud.paths import answer_path, input_path
from gateway.service.cloud.ports import CloudError, CloudUnreachable
from tests.cloud_servers import ServerProcess
from tests.gateway.cloud.samples import SCAN, task_of

LONG_S = 20.0
END_S = 30.0


@pytest.fixture(params=["redis_server", "rabbitmq_server"])
def broker(request: pytest.FixtureRequest) -> ServerProcess:
    server: ServerProcess = request.getfixturevalue(request.param)
    return server


@asynccontextmanager
async def linked(broker: ServerProcess, folder: Path, queue: str = "here") -> AsyncIterator[CeleryLink]:
    link = open_link(CloudConfig(broker.url, (folder / "store").as_uri(), queue=queue))
    try:
        yield link
    finally:
        await link.close()


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def received(link: CeleryLink, queue: str) -> Any:
    """The next message's body, read as a stranger to Celery would; it is taken away."""

    def read() -> Any:
        with link._app.connection_for_read() as connection:
            simple = connection.SimpleQueue(queue)
            message = simple.get(timeout=LONG_S)
            message.ack()
            assert message.content_type == "application/json"
            simple.close()
            return message

    return await asyncio.to_thread(read)


async def refused(link: CeleryLink, broker: ServerProcess) -> float:
    """Seconds that a broker's silence costs."""
    began = time.monotonic()
    with pytest.raises(CloudUnreachable, match="broker") as caught:
        await link.send(task_of(), SCAN)
    assert "://" not in str(caught.value)
    assert broker.url not in str(caught.value)
    return time.monotonic() - began


async def delivered(link: CeleryLink, *, within_s: float = LONG_S) -> None:
    """Sends until the broker takes it, as a gateway does."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                await link.send(task_of(), SCAN)
            except CloudUnreachable:
                await asyncio.sleep(0.2)
            else:
                return


def test_the_picture_goes_into_the_store_and_only_its_name_into_the_message(broker: ServerProcess, tmp_path: Path) -> None:
    async def test() -> None:
        async with linked(broker, tmp_path, "by-reference") as link:
            task = task_of()
            await link.send(task, SCAN)
            message = await received(link, "by-reference")
            (told,), _, _ = message.decode()
            assert read_task(told).sha256 == task.sha256
            assert message.headers["task"] == TASK
            assert len(message.body) < 1000
            assert set(filter(None, map(message.headers.get, ("origin", "argsrepr", "kwargsrepr")))) == {"hedgerow"}
            assert await ObjectFolder((tmp_path / "store").as_uri()).get(input_path(task.id, task.sha256)) == SCAN

    in_loop(test)


def test_a_broker_that_is_gone_is_told_at_once_and_used_again_when_it_is_back(broker: ServerProcess, tmp_path: Path) -> None:
    async def test() -> None:
        async with linked(broker, tmp_path) as link:
            await link.send(task_of(), SCAN)
            broker.kill()
            try:
                assert await refused(link, broker) < SEND_LIMIT_S + 2
                assert await link.news([task_of().id]) == frozenset()
            finally:
                broker.start()
            assert await link.news([task_of().id]) == frozenset()
            await delivered(link)

    in_loop(test)


def test_a_broker_that_hangs_holds_nobody_up(broker: ServerProcess, tmp_path: Path) -> None:
    async def test() -> None:
        async with linked(broker, tmp_path) as link:
            await link.send(task_of(), SCAN)
            broker.freeze()
            try:
                assert await refused(link, broker) < SEND_LIMIT_S + 2
                began = time.monotonic()
                assert await link.news([task_of().id]) == frozenset()
                assert time.monotonic() - began < SEND_LIMIT_S + 2
            finally:
                broker.thaw()
            await delivered(link)

    in_loop(test)


@pytest.mark.parametrize("hangs", [False, True], ids=["gone", "hanging"])
def test_a_gateway_can_end_while_its_broker_is_of_no_use(broker: ServerProcess, tmp_path: Path, hangs: bool) -> None:
    """What asks the broker has a limit of its own: else it would keep the program from ending."""

    async def test() -> None:
        link = open_link(CloudConfig(broker.url, (tmp_path / "store").as_uri(), queue="here"))
        await link.send(task_of(), SCAN)
        if hangs:
            broker.freeze()
        else:
            broker.kill()
        try:
            await refused(link, broker)
            async with asyncio.timeout(END_S):
                await link.close()
        finally:
            if hangs:
                broker.thaw()
            else:
                broker.start()

    in_loop(test)


def test_what_is_forgotten_is_gone_and_forgetting_never_fails(broker: ServerProcess, tmp_path: Path) -> None:
    async def test() -> None:
        async with linked(broker, tmp_path) as link:
            store, task = ObjectFolder((tmp_path / "store").as_uri()), task_of()
            await link.send(task, SCAN)
            await store.put(answer_path(task.id), b"{}")
            await link.forget(task.id)
            assert [one async for one in store.list()] == []
            (tmp_path / "store").rmdir()
            await link.forget(task.id)
            with pytest.raises(CloudUnreachable):
                await link.look(task.id)

    in_loop(test)


@pytest.mark.parametrize(("final", "kept"), [(False, False), (True, True)])
def test_sending_again_takes_an_answer_away_that_another_try_may_mend(
    redis_server: ServerProcess, tmp_path: Path, final: bool, kept: bool
) -> None:
    async def test() -> None:
        async with linked(redis_server, tmp_path) as link:
            store, task = ObjectFolder((tmp_path / "store").as_uri()), task_of()
            error = CloudError("UNAVAILABLE", "no device", "", final)
            await store.put(answer_path(task.id), answer_to_bytes(error_answer(task.id, error)))
            await link.send(task, SCAN)
            assert (await link.look(task.id) is not None) is kept

    in_loop(test)


def test_a_store_that_can_not_be_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreRefused, match="can't be made"):
        open_link(CloudConfig("redis://127.0.0.1", (tmp_path / "file/store").as_uri()))
