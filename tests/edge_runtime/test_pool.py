"""The pool with real processes that crash, hang and vanish on command."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.device import DeviceConfig
from edge_runtime.errors import DeadlineExceeded, InputBreaksWorker, NodeStopped, Overloaded, TaskFailed
from edge_runtime.node import Answer
from edge_runtime.pool import Pool, PoolConfig
from edge_runtime.scheduler import Priority
from edge_runtime.wire import TaskMessage
from tests.scripted_node import until

FAKES = Path(__file__).parents[1] / "fakes"


@pytest.fixture(autouse=True)
def _fakes_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKES))


CPU = DeviceConfig("cpu", "fake", 2)


@asynccontextmanager
async def running(
    *devices: DeviceConfig, slots: int = 2, waiting: int = 300, task_limit_s: float = 20.0
) -> AsyncIterator[Pool]:
    pool = Pool(PoolConfig(
        devices=devices or (replace(CPU, slots=slots),), packages=("/a/one", "/a/other"), limits={}, max_waiting=waiting,
        max_waiting_bytes=1_000_000, task_limit_s=task_limit_s, worker_module="faulty_worker",
    ))
    await pool.start()
    try:
        async with asyncio.timeout(20):
            await pool.wait_ready()
        yield pool
    finally:
        await pool.stop()


async def run(
    pool: Pool, do: str, *, timeout_s: float = 30.0, priority: Priority = Priority.INTERACTIVE, model: str | None = "",
    **more: object,
) -> Answer:
    message = TaskMessage(0, "analyse", "any", parameters={"do": do, **more})
    return await pool.submit(message, {"input": b"12345"}, priority=priority, timeout_s=timeout_s, model=model)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_an_answer_comes_back_with_its_pictures_and_times() -> None:
    async def test() -> None:
        async with running() as pool:
            answer = await run(pool, "echo")
            assert answer.pictures == {"echo": b"12345"}
            assert answer.attempts == 1
            assert 0 <= answer.reply.timings.queue <= answer.reply.timings.total

    in_loop(test)


def test_what_may_be_renewed_is_chosen_when_a_worker_takes_it_and_stays_the_same_when_it_is_run_again(tmp_path: Path) -> None:
    async def test() -> None:
        newest = b"old"
        async with running(slots=1) as pool:
            busy = asyncio.create_task(run(pool, "sleep", seconds=0.2))
            message = TaskMessage(0, "analyse", "any", parameters={"do": "crash_first", "mark": str(tmp_path / "mark")})
            asked: list[bytes] = []

            def renew() -> bytes:
                asked.append(newest)
                return asked[0]

            waiting = asyncio.create_task(pool.submit(
                message, {"input": b"older"}, priority=Priority.LIVE, timeout_s=20, renew=renew
            ))
            await asyncio.sleep(0.05)
            assert not asked
            newest = b"the newest"
            await busy
            answer = await waiting
            newest = b"too late"
            assert answer.pictures == {"echo": b"the newest"}
            assert (answer.attempts, len(asked)) == (2, 2)

    in_loop(test)


def test_a_worker_killed_in_a_burst_costs_no_request_its_answer() -> None:
    async def test() -> None:
        async with running() as pool:
            first = (await run(pool, "echo")).reply.document["pid"]
            burst = [asyncio.create_task(run(pool, "sleep", seconds=0.01)) for _ in range(200)]
            await asyncio.sleep(0.2)
            os.kill(first, signal.SIGKILL)
            answers = await asyncio.gather(*burst)
            assert len(answers) == 200
            assert len({answer.reply.document["pid"] for answer in answers}) == 2
            assert {answer.attempts for answer in answers} == {1, 2}

    in_loop(test)


def test_an_input_that_kills_its_worker_twice_is_refused_and_takes_no_other_along() -> None:
    async def test() -> None:
        async with running(slots=4) as pool:
            good = [asyncio.create_task(run(pool, "sleep", seconds=0.05)) for _ in range(20)]
            bad = asyncio.create_task(run(pool, "crash"))
            results = await asyncio.gather(bad, *good, return_exceptions=True)
            assert isinstance(results[0], InputBreaksWorker)
            assert all(isinstance(result, Answer) for result in results[1:])

    in_loop(test)


def test_an_input_whose_worker_dies_once_is_run_again_and_answered(tmp_path: Path) -> None:
    async def test() -> None:
        async with running() as pool:
            answer = await run(pool, "crash_first", mark=str(tmp_path / "mark"))
            assert answer.attempts == 2

    in_loop(test)


def test_a_hung_worker_is_replaced_and_the_task_that_hangs_again_is_refused() -> None:
    async def test() -> None:
        async with running(task_limit_s=0.4) as pool:
            hung = asyncio.create_task(run(pool, "hang"))
            other = asyncio.create_task(run(pool, "sleep", seconds=0.3))
            with pytest.raises(InputBreaksWorker):
                await hung
            assert (await other).reply.document["bytes"] == 5
            (device,) = pool.state().devices
            assert device.faults == {"hung": 2}
            assert device.last_cause == "a task took longer than 0.4 s"

    in_loop(test)


def test_a_deadline_that_passes_is_told_at_once_and_the_waiting_task_is_never_run() -> None:
    async def test() -> None:
        async with running(slots=1) as pool:
            blocker = asyncio.create_task(run(pool, "sleep", seconds=2.5))
            await asyncio.sleep(0.05)
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded, match=r"0\.1 s"):
                await run(pool, "crash", timeout_s=0.1)
            assert time.monotonic() - started < 2
            await blocker
            assert (await run(pool, "echo")).attempts == 1

    in_loop(test)


def test_a_task_whose_caller_left_is_dropped_from_the_queue() -> None:
    async def test() -> None:
        async with running(slots=1) as pool:
            blocker = asyncio.create_task(run(pool, "sleep", seconds=0.3))
            leaving = asyncio.create_task(run(pool, "crash"))
            await asyncio.sleep(0.05)
            leaving.cancel()
            await blocker
            assert pool.state().waiting == 0
            assert (pool.state().abandoned.waiting, pool.state().abandoned.running) == (1, 0)
            (device,) = pool.state().devices
            assert device.restarts == 0

    in_loop(test)


def steps_done(mark: Path) -> int:
    """How many steps the task has begun that notes them there."""
    return len(mark.read_text()) if mark.exists() else 0


@pytest.mark.parametrize("gone", ["caller", "deadline"])
def test_a_task_that_runs_stops_at_its_next_step_once_nobody_waits_for_it(tmp_path: Path, gone: str) -> None:
    mark = tmp_path / "mark"

    async def test() -> None:
        async with running(slots=1) as pool:
            timeout_s = 0.6 if gone == "deadline" else 60.0
            task = asyncio.create_task(run(pool, "steps", steps=400, mark=str(mark), timeout_s=timeout_s))
            await until(lambda: steps_done(mark) > 1)
            if gone == "caller":
                task.cancel()
            with pytest.raises(DeadlineExceeded if gone == "deadline" else asyncio.CancelledError):
                await task
            answer = await run(pool, "echo")
            begun = steps_done(mark)
            assert begun < 200
            assert answer.attempts == 1
            await asyncio.sleep(0.2)
            assert steps_done(mark) == begun
            state = pool.state()
            assert (state.waiting, state.running, state.devices[0].restarts) == (0, 0, 0)
            assert (state.abandoned.waiting, state.abandoned.running) == (0, 1)
            assert 0 < state.abandoned.device_s < 20
            assert state.devices[0].answers == 1

    in_loop(test)


def test_a_worker_that_dies_with_work_that_nobody_waits_for_runs_only_what_is_waited_for_again(tmp_path: Path) -> None:
    waited = tmp_path / "waited"

    async def test() -> None:
        async with running(slots=2) as pool:
            leaving = asyncio.create_task(run(pool, "sleep", seconds=30))
            wanted = asyncio.create_task(run(pool, "steps", steps=4, mark=str(waited)))
            await until(waited.exists)
            process = pool._devices["cpu"]._process
            assert process is not None
            leaving.cancel()
            await asyncio.sleep(0)
            process.kill()
            assert (await wanted).attempts == 2
            assert (pool.state().running, pool.state().waiting) == (0, 0)

    in_loop(test)


def test_what_ends_in_time_before_it_hears_that_its_caller_left_ends_as_usual() -> None:
    async def test() -> None:
        async with running(slots=1) as pool:
            task = asyncio.create_task(run(pool, "sleep", seconds=0.2))
            await asyncio.sleep(0.1)
            task.cancel()
            assert (await run(pool, "echo")).attempts == 1
            assert pool.state().abandoned.running == 1
            assert 0.1 < pool.state().abandoned.device_s < 10

    in_loop(test)


def test_a_full_queue_says_overloaded_at_once() -> None:
    async def test() -> None:
        async with running(slots=1, waiting=3) as pool:
            tasks = [asyncio.create_task(run(pool, "sleep", seconds=0.1)) for _ in range(10)]
            results = await asyncio.gather(*tasks, return_exceptions=True)
            refused = [result for result in results if isinstance(result, Overloaded)]
            assert len(refused) == 6
            assert sum(isinstance(result, Answer) for result in results) == 4

    in_loop(test)


def test_live_work_overtakes_batch_work_that_waits() -> None:
    async def test() -> None:
        async with running(slots=1) as pool:
            blocker = asyncio.create_task(run(pool, "sleep", seconds=0.2))
            await asyncio.sleep(0.05)
            batch = asyncio.create_task(run(pool, "echo", priority=Priority.BATCH))
            await asyncio.sleep(0.05)
            live = asyncio.create_task(run(pool, "echo", priority=Priority.LIVE))
            await blocker
            assert (await live).reply.document["at"] < (await batch).reply.document["at"]

    in_loop(test)


def test_an_unforeseen_error_fails_its_task_without_its_text_and_ends_no_worker(capfd: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        async with running() as pool:
            with pytest.raises(TaskFailed) as caught:
                await run(pool, "unforeseen")
            assert "DOE" not in str(caught.value)
            await run(pool, "echo")

    in_loop(test)
    assert "DOE" not in capfd.readouterr().err


def test_stopping_fails_what_waits_and_leaves_no_process() -> None:
    async def test() -> None:
        async with running(slots=1) as pool:
            pid = (await run(pool, "echo")).reply.document["pid"]
            waiting = asyncio.create_task(run(pool, "hang"))
            await asyncio.sleep(0.1)
            await pool.stop()
            with pytest.raises(NodeStopped):
                await waiting
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    in_loop(test)
