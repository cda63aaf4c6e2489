"""What an accelerator does at this moment, seen from beside it: which invocation runs for how long, and how long the last
ones took. The worker tells its supervisor several times a second, who ends a process whose device hangs or drags.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import Backend, Session

KEPT = 16
"""Invocations of each model that are remembered. The least of them is told: a busy host delays some, a slow device all."""


class Monitor:
    """One device's invocations. Safe for threads; the device takes one at a time, so that waiting isn't measured."""

    def __init__(self) -> None:
        self._device = threading.Lock()
        self._spent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._since: float | None = None
        self.last_model = ""

    def invoke(self, model: str, session: Session, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        """Runs one invocation, alone, and measures it."""
        with self._device:
            self._since = started = time.monotonic()
            try:
                outputs = session.invoke(tensor)
            finally:
                self._since = None
            self._spent[model].append(time.monotonic() - started)
            self.last_model = model
            return outputs

    def invoking_s(self) -> float:
        """How long the present invocation has been running; 0 where none is."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def least_s(self) -> dict[str, float]:
        """The least seconds of the last KEPT invocations, of each model that ran so often."""
        kept = {model: list(spent) for model, spent in list(self._spent.items())}
        return {model: min(spent) for model, spent in kept.items() if len(spent) == KEPT}

    def forget(self) -> None:
        """Remembers nothing any more: what came before was measured on purpose."""
        self._spent.clear()


class MonitoredBackend(Backend):
    """A backend whose sessions of one model are watched."""

    def __init__(self, inner: Backend, monitor: Monitor, model: str) -> None:
        super().__init__(inner.address)
        self.name = inner.name  # type: ignore[misc] # the inner one's, by instance
        self.variants = inner.variants
        self._inner, self._monitor, self._model = inner, monitor, model

    def describe(self) -> str:
        return self._inner.describe()

    def open(self, path: Path, *, threads: int = 1) -> Session:
        return _MonitoredSession(self._inner.open(path, threads=threads), self._monitor, self._model)


class _MonitoredSession(Session):
    def __init__(self, inner: Session, monitor: Monitor, model: str) -> None:
        self._inner, self._monitor, self._model = inner, monitor, model

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        return self._monitor.invoke(self._model, self._inner, tensor)
