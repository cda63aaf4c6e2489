"""How well a model tells its own world from foreign pictures: AUROC and the share refused, kind by kind. No TensorFlow here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from domains.core import Result
from domains.core.gate import UNFAMILIARITY
from domains.foreign import NEVER_FITTED
from edge_runtime.toolchain.bootstrap import draws, interval


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture as the gate saw it. `group`: pictures that are resampled together."""

    group: str
    unfamiliarity: float
    refused: bool


def seen(group: str, results: Sequence[Result]) -> list[Seen]:
    """The results that say how unfamiliar their picture was: none where the model has no gate."""
    return [
        Seen(group, result.signals[UNFAMILIARITY], result.foreign)
        for result in results if UNFAMILIARITY in result.signals
    ]


def gate_figures(own: Sequence[Seen], foreign: Mapping[str, Sequence[Seen]]) -> dict[str, Any]:
    """`{"own": {"pictures", "groups", "refused"}, "foreign": {"auroc", "refused"}, "kinds": {kind: {"pictures", "groups",
    "fitted", "auroc", "refused"}}}` with 95 % intervals over groups, those of own and foreign pictures drawn apart.

    `own`: of held-out pictures, at least one; `foreign`: by kind, each at least one. `auroc`: the chance that a foreign picture
    is less familiar than an own one. `fitted`: whether gates may be fitted on pictures of this kind (others than these). The
    figures of "foreign" are means over the kinds, whatever their sizes.
    """
    weights = draws([one.group for one in own])
    values = np.array([one.unfamiliarity for one in own])
    refused = np.array([one.refused for one in own], np.float64)
    kinds: dict[str, dict[str, Any]] = {}
    rounds = []
    for kind, pictures in foreign.items():
        others = draws([one.group for one in pictures], seed=1)
        theirs = np.array([one.unfamiliarity for one in pictures])
        stopped = np.array([one.refused for one in pictures], np.float64)
        wins = (theirs > values[:, None]) + 0.5 * (theirs == values[:, None])
        aurocs = ((weights @ wins) * others).sum(axis=1) / (weights.sum(axis=1) * others.sum(axis=1))
        shares = others @ stopped / others.sum(axis=1)
        rounds.append((aurocs, shares))
        kinds[kind] = {
            "pictures": len(pictures), "groups": len({one.group for one in pictures}), "fitted": kind not in NEVER_FITTED,
            "auroc": interval(float(wins.mean()), aurocs), "refused": interval(float(stopped.mean()), shares),
        }
    means = np.mean(rounds, axis=0)
    return {
        "own": {"pictures": len(own), "groups": len({one.group for one in own}),
                "refused": interval(float(refused.mean()), weights @ refused / weights.sum(axis=1))},
        "foreign": {name: interval(float(np.mean([row[name]["value"] for row in kinds.values()])), means[place])
                    for place, name in enumerate(("auroc", "refused"))},
        "kinds": kinds,
    }
