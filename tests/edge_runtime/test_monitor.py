"""What is seen of an accelerator from beside it."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.backends import Backend, Session
from edge_runtime.monitor import KEPT, Monitor, MonitoredBackend
from edge_runtime.utilisation import Utilisation

INPUT = np.zeros((1, 2), np.int8)


class WaitingSession(Session):
    """Runs until it is let go, and counts how many run at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.inside = 0
        self.most = 0

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.go.wait(5)
        self.inside -= 1
        return [tensor]


class WaitingBackend(Backend):
    name = "waiting"
    variants = ("int8",)

    def __init__(self, session: WaitingSession) -> None:
        super().__init__()
        self._session = session

    def describe(self) -> str:
        return "waiting"

    def open(self, path: Path, *, threads: int = 1) -> Session:  # noqa: ARG002  # the port's
        return self._session


def test_an_invocation_that_does_not_come_back_is_seen_while_it_runs() -> None:
    inner, monitor = WaitingSession(), Monitor()
    session = MonitoredBackend(WaitingBackend(inner), monitor, "m").open(Path("m.tflite"))
    assert monitor.invoking_s() == 0
    thread = threading.Thread(target=session.invoke, args=(INPUT,))
    thread.start()
    time.sleep(0.1)
    assert 0.05 < monitor.invoking_s() < 4
    inner.go.set()
    thread.join()
    assert monitor.invoking_s() == 0
    assert monitor.last_model == "m"


def test_two_threads_take_turns_on_a_device() -> None:
    inner, monitor = WaitingSession(), Monitor()
    session = MonitoredBackend(WaitingBackend(inner), monitor, "m").open(Path("m.tflite"))
    threads = [threading.Thread(target=session.invoke, args=(INPUT,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    inner.go.set()
    for thread in threads:
        thread.join()
    assert inner.most == 1


def test_the_least_time_is_told_once_enough_invocations_were_seen() -> None:
    inner, monitor = WaitingSession(), Monitor()
    inner.go.set()
    session = MonitoredBackend(WaitingBackend(inner), monitor, "m").open(Path("m.tflite"))
    for _ in range(KEPT - 1):
        session.invoke(INPUT)
    assert monitor.least_s() == {}
    session.invoke(INPUT)
    assert monitor.least_s()["m"] < 1
    monitor.forget()
    assert monitor.least_s() == {}


def test_an_invocation_that_fails_is_no_longer_running() -> None:
    class FailingSession(Session):
        def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
            raise RuntimeError(tensor.shape)

    monitor = Monitor()
    with pytest.raises(RuntimeError):
        monitor.invoke("m", FailingSession(), INPUT)
    assert monitor.invoking_s() == 0


def test_use_is_the_share_of_the_last_minute_spent_working() -> None:
    use = Utilisation()
    assert use.share(100.0) == 0
    use.at_work(100.0)
    assert use.share(110.0) == 1
    use.idle(110.0)
    assert use.share(120.0) == pytest.approx(0.5)
    assert use.share(165.0) == pytest.approx(5 / 60), "five of its ten seconds are less than a minute old"
    assert use.share(1000.0) == 0
    use.at_work(1000.0)
    use.at_work(1010.0)
    use.idle(1030.0)
    assert use.share(1030.0) == pytest.approx(0.5)
