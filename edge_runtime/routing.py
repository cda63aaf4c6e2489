"""Which model a request will need, and which of several nodes is expected to answer it first. Pure: `now` is passed in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime.wire import ModelInfo, NodeState

UNKNOWN_S = 0.05
"""What a task takes where nothing is known of it on any node."""

RISING, FALLING = 0.2, 0.5
"""Share of a new answer in what was learned. A node that has become well again is believed sooner than one that stalls."""

OUTLIER = 10.0
"""An answer counts for at most so many times what was expected: one stall says little of the next task."""

HALF_LIFE_S = 3.0
"""What was learned of a node that isn't asked any more halves in this time: so one that was slow is tried now and then."""


def model_hint(domain: str, parameters: Mapping[str, Any], models: Sequence[ModelInfo]) -> str:
    """The one usable model of the domain that the parameters ask for; empty where there is none or more than one."""
    usable = [model for model in models if model.state == "ready" and model.domain == domain]
    asked = [model for model in usable
             if all(str(parameters.get(name, value)) == value for name, value in model.selector.items())]
    return asked[0].name if len(asked) == 1 else ""


def serves(state: NodeState, model: str) -> bool:
    """Whether a device of the node that is in service has the model; any will do for one that isn't known yet."""
    return state.ready and (not model or any(
        model in device.models for device in state.devices if device.state == "serving"))


@dataclass(frozen=True, slots=True)
class _Learned:
    """`mean_s`: seconds an answer takes, its waiting at the node left out; as of `at`."""

    mean_s: float
    at: float

    def fresh_s(self, now: float) -> float:
        return float(self.mean_s * 0.5 ** (max(0.0, now - self.at) / HALF_LIFE_S))


class NodeRecord:
    """What a gateway has learned of one node from the tasks that it gave it."""

    def __init__(self) -> None:
        self._learned: dict[str, _Learned] = {}
        self._due: dict[int, float] = {}
        """When the tasks that it holds should be answered."""
        self._answered_at = float("-inf")

    @property
    def held(self) -> int:
        """Tasks that it has and hasn't answered."""
        return len(self._due)

    def begin(self, task: int, expected_s: float, now: float) -> None:
        """It was given a task."""
        self._due[task] = now + max(expected_s, UNKNOWN_S)

    def end(self, task: int) -> None:
        """It has the task no more."""
        del self._due[task]

    def answered(self, model: str, seconds: float, now: float) -> None:
        """An answer came; it took so long, its waiting at the node left out."""
        self._answered_at = now
        known = self._learned.get(model)
        if known is None:
            self._learned[model] = _Learned(seconds, now)
            return
        before_s = known.fresh_s(now) if seconds < known.mean_s else known.mean_s
        share = FALLING if seconds < before_s else RISING
        self._learned[model] = _Learned(before_s + share * (min(seconds, OUTLIER * before_s) - before_s), now)

    def given_up(self, model: str, seconds: float, now: float) -> None:
        """Another node answered while this one had been at it for so long: that it takes no less is known."""
        known = self._learned.get(model)
        if known is None or known.fresh_s(now) < seconds:
            self._learned[model] = _Learned(seconds, now)

    def mean_s(self, model: str) -> float | None:
        """Seconds that an answer takes, as learned; None where nothing is known."""
        known = self._learned.get(model)
        return None if known is None else known.mean_s

    def overdue_s(self, now: float) -> float:
        """For how long it has answered nothing, though a task was due: it may be gone, and not known to be yet."""
        return max(0.0, now - max(self._answered_at, min(self._due.values()))) if self._due else 0.0

    def expected_s(self, model: str, state: NodeState, typical_s: float, now: float) -> float:
        """Seconds until an answer, were a task sent now. `typical_s`: what one takes on nodes of which more is known."""
        known = self._learned.get(model)
        mean_s, run_s = (typical_s, typical_s) if known is None else (known.mean_s, known.fresh_s(now))
        slots = slots_of(state)
        queue_s = mean_s * max(0, self.held + 1 - slots) / slots  # the state doesn't know yet of what was sent since
        return run_s + max(state.expected_wait_s, queue_s) + self.overdue_s(now)


def slots_of(state: NodeState) -> int:
    """How many tasks the node works on at a time."""
    return max(1, sum(device.slots for device in state.devices if device.state == "serving"))


def typical_s(records: Iterable[NodeRecord], model: str) -> float:
    """What an answer takes on the fastest node of which that is known."""
    return min((mean_s for record in records if (mean_s := record.mean_s(model)) is not None), default=UNKNOWN_S)
