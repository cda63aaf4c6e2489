"""How long tasks take on a worker: what was measured when the model was warmed, then what its tasks really took."""

from collections.abc import Mapping

from edge_runtime.wire import ModelCost

WEIGHT = 0.2
"""Share of a new observation in the mean (an exponentially weighted one)."""

OUTLIER = 5.0
"""An observation counts for at most so many times the present mean: one stall says little of the next task."""

FRESH_S = 3.0
HALF_LIFE_S = 3.0
"""A mean that nothing was learned of for FRESH_S falls towards what was measured, halfway in each HALF_LIFE_S. Else a
worker that was slow for a while would never be tried again, and so never found to be well."""


class Estimates:
    """Seconds of tasks on one worker, by model. A model that isn't known yet ("") and drawing (None) have entries of
    their own; what was neither seen nor measured takes 0 s.
    """

    def __init__(self, costs: Mapping[str, ModelCost]) -> None:
        self._costs: Mapping[str, ModelCost] = {}
        self.least_s: dict[str | None, float] = {}
        """What was measured: no task takes less."""
        self.run_s: dict[str | None, float] = {}
        """For how long the next task is expected to keep the device from others, once it holds the model."""
        self.answer_s: dict[str | None, float] = {}
        """How long it is expected to take from its start to its answer; longer where tasks overlap."""
        self.load_s: dict[str | None, float] = {}
        """What both are longer where the device holds another model."""
        self._learned_at: dict[str | None, float] = {}
        self._aged_at = 0.0
        self.change(costs)

    def change(self, costs: Mapping[str, ModelCost]) -> None:
        """Other models, or other versions of them; what was learned of the same ones stays."""
        kept = {model: at for model, at in self._learned_at.items()
                if not model or costs.get(model) == self._costs.get(model)}
        least_s = min((cost.run_s for cost in costs.values()), default=0.0)
        self.least_s = {None: 0.0, "": least_s, **{model: cost.run_s for model, cost in costs.items()}}
        self.load_s = {None: 0.0, "": 0.0, **{model: cost.load_s for model, cost in costs.items()}}
        self.run_s = self.least_s | {model: self.run_s[model] for model in kept}
        self.answer_s = self.least_s | {model: self.answer_s[model] for model in kept}
        self._costs, self._learned_at = costs, kept

    def learn(self, model: str | None, run_s: float, answer_s: float, now: float) -> None:
        """A task of the model took so long, loading left out."""
        if model in self.least_s:
            self.run_s[model] = self._mean_s(model, self.run_s[model], run_s)
            self.answer_s[model] = self._mean_s(model, self.answer_s[model], answer_s)
            self._learned_at[model] = now

    def age(self, now: float) -> None:
        """Lets old means fall. To be called every few seconds."""
        for model, learned_at in self._learned_at.items():
            stale_s = now - max(learned_at + FRESH_S, self._aged_at)
            for means in (self.run_s, self.answer_s) if stale_s > 0 else ():
                above_s = max(0.0, means[model] - self.least_s[model])
                means[model] -= above_s * (1 - 0.5 ** (stale_s / HALF_LIFE_S))
        self._aged_at = now

    def _mean_s(self, model: str | None, before_s: float, seconds: float) -> float:
        seconds = max(seconds, self.least_s[model])
        return before_s + WEIGHT * (min(seconds, OUTLIER * before_s) - before_s) if before_s > 0 else seconds
