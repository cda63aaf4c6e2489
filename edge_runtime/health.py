"""A device's way through faults and back: events in, decisions out. No clock, no process.

    starting --ready--> serving --failed--> faulty --(back-off)--> starting
        `------------------failed------------^

Rules
1. After a fault the device is tried again, and serves again only once its process has opened it and every known answer
   came out right.
2. The pause before a try doubles from `first_s` up to `longest_s`, also where the device served in between: one that
   comes and goes must not come and go with it.
3. The pauses are forgotten once the device has served for `steady_s` longer than its last pause.
4. A CPU is no device that comes and goes: its process is started again at once, unless it can't even start.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from edge_runtime.errors import FaultKind

State = Literal["starting", "serving", "faulty"]


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses in seconds."""

    first_s: float = 0.5
    longest_s: float = 60.0
    steady_s: float = 30.0


@dataclass(slots=True)
class Health:
    """One device. `accelerator`: whether rules 2 and 3 hold for it, or rule 4. Times are seconds of one clock."""

    accelerator: bool
    back_off: BackOff = field(default_factory=BackOff)
    state: State = "starting"
    faults: Counter[FaultKind] = field(default_factory=Counter)
    fault: FaultKind | None = None
    """The present fault; None while it serves or starts for the first time."""
    last_cause: str = ""
    retry_at: float = 0.0
    out_since: float | None = None
    _ready_at: float = 0.0
    _pause_s: float = 0.0

    def starting(self) -> None:
        """A process was started for it."""
        self.state = "starting"

    def ready(self, now: float) -> None:
        """It was opened and every known answer came out right."""
        self.state, self.fault, self.out_since, self._ready_at = "serving", None, None, now

    def failed(self, now: float, kind: FaultKind, cause: str) -> float:
        """It can't be used any more; gives the pause before the next try, in seconds."""
        served = self.state == "serving"
        steady = served and now - self._ready_at > self._pause_s + self.back_off.steady_s
        if served and not self.accelerator:
            self._pause_s = 0.0
        elif steady or not self._pause_s:
            self._pause_s = self.back_off.first_s
        else:
            self._pause_s = min(self._pause_s * 2, self.back_off.longest_s)
        self.state, self.fault, self.last_cause = "faulty", kind, cause
        self.faults[kind] += 1
        self.retry_at = now + self._pause_s
        if self.out_since is None:
            self.out_since = now
        return self._pause_s
