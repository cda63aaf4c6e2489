"""An accelerator beside a CPU, with real processes: whatever the accelerator does, every task is answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_runtime import device as device_module
from edge_runtime.device import DeviceConfig
from edge_runtime.errors import DeadlineExceeded, ModelUnavailable, PackageError
from edge_runtime.node import Answer
from edge_runtime.pool import Pool, PoolConfig
from edge_runtime.scheduler import Priority
from edge_runtime.wire import DeviceState, TaskMessage

FAKES = Path(__file__).parents[1] / "fakes"
CPU = DeviceConfig("cpu", "fake", 2)
TPU = DeviceConfig("tpu", "fake_tpu", 2, accelerator=True)


@pytest.fixture(autouse=True)
def _fakes_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKES))


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    return tmp_path / "faults"


@asynccontextmanager
async def running(faults: Path, *, cpu: bool = True) -> AsyncIterator[Pool]:
    tpu = replace(TPU, faults_file=str(faults))
    pool = Pool(PoolConfig(
        devices=(CPU, tpu) if cpu else (tpu,), packages=("/a/one", "/a/other"), limits={}, max_waiting=300,
        max_waiting_bytes=1_000_000, task_limit_s=20.0, device_limit_s=0.5, worker_module="faulty_worker",
    ))
    await pool.start()
    try:
        await until(lambda: pool.ready and (faults.exists() or tpu_of(pool).state == "serving"))
        yield pool
    finally:
        await pool.stop()


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


def tpu_of(pool: Pool) -> DeviceState:
    return next(device for device in pool.state().devices if device.name == "tpu")


async def run(pool: Pool, do: str = "echo", *, model: str | None = "one", timeout_s: float = 20.0) -> Answer:
    message = TaskMessage(0, "analyse", "any", parameters={"do": do, "seconds": 0.01})
    return await pool.submit(message, {"input": b"12345"}, priority=Priority.INTERACTIVE, timeout_s=timeout_s, model=model)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_the_accelerator_answers_while_it_is_well_and_the_answer_says_so(faults: Path) -> None:
    async def test() -> None:
        async with running(faults) as pool:
            answer = await run(pool)
            assert (answer.backend, answer.simulated, answer.attempts) == ("fake_tpu", True, 1)
            assert answer.reason == "tpu is the fastest device in service for this model"
            assert tpu_of(pool).resident == "one"

    in_loop(test)


@pytest.mark.parametrize(
    ("fault", "kind"), [("hung", "hung"), ("slow", "slow"), ("wrong", "wrong_answer")],
)
def test_a_fault_takes_the_device_out_the_cpu_answers_and_it_is_taken_back(faults: Path, fault: str, kind: str) -> None:
    async def test() -> None:
        async with running(faults) as pool:
            began = time.monotonic()
            faults.write_text(fault)
            await until(lambda: tpu_of(pool).state == "faulty", 10)
            answer = await run(pool)
            assert time.monotonic() - began < 10.0, "the first answer of the CPU"
            assert answer.backend == "fake"
            assert answer.reason == f"tpu is out of service ({kind}): cpu took its place"
            assert tpu_of(pool).faults[kind] >= 1
            faults.write_text("")
            await until(lambda: tpu_of(pool).state == "serving")
            assert (await run(pool)).backend == "fake_tpu"
            assert tpu_of(pool).fault == ""
            assert tpu_of(pool).last_cause

    in_loop(test)


def test_a_device_that_is_lost_under_its_tasks_costs_none_of_them_its_answer(faults: Path) -> None:
    async def test() -> None:
        async with running(faults) as pool:
            others = [asyncio.create_task(run(pool, "sleep")) for _ in range(20)]
            answer = await run(pool, "device_lost")
            assert (answer.backend, answer.attempts) == ("fake", 2)
            assert all(isinstance(one, Answer) for one in await asyncio.gather(*others))
            assert tpu_of(pool).faults == {"lost": 1}

    in_loop(test)


def test_a_device_that_is_absent_at_the_start_keeps_nobody_waiting_and_is_taken_in_when_it_comes(faults: Path) -> None:
    faults.write_text("absent")

    async def test() -> None:
        async with running(faults) as pool:
            assert (await run(pool)).backend == "fake"
            await until(lambda: tpu_of(pool).fault == "absent")
            faults.unlink()
            await until(lambda: tpu_of(pool).state == "serving")
            assert (await run(pool)).backend == "fake_tpu"

    in_loop(test)


def test_a_device_that_fails_again_and_again_is_tried_less_and_less_often(faults: Path) -> None:
    faults.write_text("absent")

    async def test() -> None:
        async with running(faults) as pool:
            await until(lambda: tpu_of(pool).faults.get("absent", 0) >= 3)
            assert tpu_of(pool).retry_in_s > 1.5
            assert tpu_of(pool).out_for_s > 1.0

    in_loop(test)


def test_a_worker_that_falls_silent_is_replaced(faults: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "SILENCE_S", 0.6)

    async def test() -> None:
        async with running(faults) as pool:
            faults.write_text("silent")
            await until(lambda: tpu_of(pool).faults.get("hung", 0) == 1)
            assert "silent" in tpu_of(pool).last_cause

    in_loop(test)


def test_a_task_goes_to_a_device_that_has_the_model_it_turned_out_to_need(faults: Path) -> None:
    async def test() -> None:
        async with running(faults) as pool:
            answer = await run(pool, "elsewhere", model="")
            assert (answer.backend, answer.attempts) == ("fake", 1)
            assert answer.reason == "no accelerator of this node has a variant of the model other"
            with pytest.raises(ModelUnavailable, match="missing"):
                await run(pool, "nowhere", model="")

    in_loop(test)


def test_without_any_device_in_service_tasks_wait_for_one_and_say_so(faults: Path) -> None:
    faults.write_text("absent")

    async def test() -> None:
        tpu = replace(TPU, faults_file=str(faults))
        pool = Pool(PoolConfig(devices=(tpu,), packages=(), limits={}, max_waiting=9, max_waiting_bytes=99, task_limit_s=9.0,
                               worker_module="faulty_worker"))
        await pool.start()
        try:
            await until(lambda: tpu_of(pool).state == "faulty")
            with pytest.raises(DeadlineExceeded):
                await run(pool, timeout_s=0.1)
            waiting = asyncio.create_task(run(pool))
            await asyncio.sleep(0.3)
            faults.unlink()
            assert "queued for" in (await waiting).reason
        finally:
            await pool.stop()

    in_loop(test)


def test_drawing_is_left_to_the_cpu(faults: Path) -> None:
    async def test() -> None:
        async with running(faults) as pool:
            assert (await run(pool, model=None)).backend == "fake"

    in_loop(test)


def test_other_packages_are_served_without_losing_a_task_and_a_refused_one_changes_nothing(faults: Path) -> None:
    async def test() -> None:
        async with running(faults) as pool:
            burst = [asyncio.create_task(run(pool, "sleep")) for _ in range(100)]
            await pool.configure(["/b/one", "/b/third"], [])
            assert pool.description is not None
            assert [model.name for model in pool.description.models] == ["one", "third"]
            for package, told in (("/c/bad", "it is bad"), ("/c/deadly", "end the process")):
                with pytest.raises(PackageError, match=told):
                    await pool.configure(["/b/one", package], [])
                await until(lambda: pool.ready and all(device.state == "serving" for device in pool.state().devices))
                assert [model.name for model in pool.description.models] == ["one", "third"]
            assert all(isinstance(one, Answer) for one in await asyncio.gather(*burst))

    in_loop(test)


def test_temperature_and_use_are_shown(faults: Path) -> None:
    async def test() -> None:
        async with running(faults) as pool:
            await asyncio.gather(*(run(pool, "sleep") for _ in range(20)))
            await until(lambda: tpu_of(pool).temperature_c is not None)
            state = tpu_of(pool)
            assert state.temperature == "45 °C"
            assert 0 < state.utilisation <= 1
            assert state.answers > 0
            cpu = next(device for device in pool.state().devices if device.name == "cpu")
            assert cpu.temperature == ""

    in_loop(test)
