"""One request alone is spread over the cores; several have a core each; nobody's answer depends on it."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from domains import registry
from domains.core import Pixels
from edge_runtime.backends import Backend, Session, load_backend
from edge_runtime.backends.litert import LiteRTBackend
from edge_runtime.crew import QUIET_S, Crew, CrewModel
from edge_runtime.engine import ModelEngine
from edge_runtime.known_answer import picture
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.wire import TaskMessage
from edge_runtime.worker import WorkerConfig

PACKAGES = [folder for name in registry.names() for folder in sorted(registry.models_folder(name).iterdir()) if folder.is_dir()]
LUNG = registry.models_folder("pathology") / "lung_ultrasound"
SCAN = (Path(__file__).parents[2] / "samples" / "lung_scan.png").read_bytes()
TASKS = Path("/proc/self/task")
TASK = TaskMessage(1, "analyse", "pathology", parameters={"exam": "lung_ultrasound"})


class NotedBackend(LiteRTBackend):
    """The CPU, noting how many threads each invocation had, and whether any met another one in an interpreter."""

    def __init__(self) -> None:
        super().__init__()
        self.used: list[int] = []
        self.overlap = 0

    def open(self, path: Path, *, threads: int = 1) -> Session:
        return _NotedSession(super().open(path, threads=threads), threads, self)


class _NotedSession(Session):
    def __init__(self, session: Session, threads: int, backend: NotedBackend) -> None:
        self._session, self._threads, self._backend = session, threads, backend
        self._busy = False

    def invoke(self, tensor: NDArray[np.generic]) -> Any:
        self._backend.overlap += self._busy
        self._busy = True
        try:
            self._backend.used.append(self._threads)
            return self._session.invoke(tensor)
        finally:
            self._busy = False


def engine(backend: Backend, slots: int) -> ModelEngine:
    made = ModelEngine(backend, WorkerConfig(0, "litert", slots, [str(LUNG)], {}))
    if isinstance(backend, NotedBackend):
        backend.used.clear()
    return made


def test_a_request_that_is_alone_is_spread_over_the_cores() -> None:
    backend = NotedBackend()
    made = engine(backend, 2)
    for runner in made.runners:
        runner.run(TASK, {"input": memoryview(SCAN)})
    assert backend.used == [2, 2]


def test_with_one_worker_nothing_is_spread() -> None:
    backend = NotedBackend()
    engine(backend, 1).runners[0].run(TASK, {"input": memoryview(SCAN)})
    assert backend.used == [1]


def test_requests_at_the_same_time_have_a_core_each_and_never_share_an_interpreter() -> None:
    backend = NotedBackend()
    made = engine(backend, 2)
    expected = made.runners[0].run(TASK, {"input": memoryview(SCAN)})[0].document
    answers: list[Any] = []

    def ask(number: int) -> None:
        answers.extend(made.runners[number].run(TASK, {"input": memoryview(SCAN)})[0].document for _ in range(20))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 40
    assert backend.overlap == 0
    assert 1 in backend.used


def test_who_is_not_alone_runs_on_one_core() -> None:
    backend, crew = NotedBackend(), Crew()
    package = load_package(LUNG)
    wide = LoadedModel(package, backend, threads=2)
    model = CrewModel(package, backend, crew, wide)
    pixels = picture(package.spec.input.height, package.spec.input.width)
    there, leave = threading.Event(), threading.Event()

    def other() -> None:
        with crew.at_work():
            there.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    there.wait()
    with crew.at_work():
        model.run(pixels)
        leave.set()
        thread.join()
        model.run(pixels)  # another one was at work just before
        time.sleep(QUIET_S)
        model.run(pixels)
    model.run(pixels)
    assert backend.used == [1, 1, 2, 1]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core alone")
def test_an_interpreter_over_several_cores_leaves_the_callers_thread_where_it_may_be() -> None:
    first, *others = sorted(os.sched_getaffinity(0))
    before = set(TASKS.iterdir())
    session = load_backend("litert").open(load_package(LUNG).path_of("int8"), threads=2)
    made = set(TASKS.iterdir()) - before
    assert os.sched_getaffinity(0) == {first, *others}
    assert made, "the interpreter has no thread of its own"
    assert all(os.sched_getaffinity(int(thread.name)) == set(others) for thread in made)
    with pytest.raises(ValueError, match="Dimension mismatch"):
        session.invoke(np.zeros((1, 2, 3), np.int8))
    assert os.sched_getaffinity(0) == {first, *others}


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_shipped_models_answer_the_same_on_one_core_and_on_two(folder: Path) -> None:
    package, backend = load_package(folder), load_backend("litert")
    spec = package.spec.input
    pixels: Pixels = picture(spec.height, spec.width, spec.channels)
    one, two = (LoadedModel(package, backend, threads=threads).run(pixels) for threads in (1, 2))
    assert one.keys() == two.keys()
    for name, values in one.items():
        assert np.array_equal(values, two[name]), name
