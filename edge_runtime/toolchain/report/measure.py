"""What one variant says of the held-out cases, beside float32: figures with intervals by group, changes paired by case."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edge_runtime.toolchain.bootstrap import with_intervals
from edge_runtime.toolchain.report.rows import ClassFigure, Figures, Interval
from edge_runtime.toolchain.report.sources import Answered, Source

CHANGE = "change of "


def compare(source: Source, found: Sequence[Answered], reference: Sequence[Answered]) -> Figures:
    """`found` of one variant beside `reference`, those of float32, case by case.

    Whole groups are resampled, and both variants' scores of a case together: so the interval of a change is that of the
    difference on the same cases, much narrower than either figure's own. A class that has no case is left out. Raises
    ValueError where the main figure can't be computed.
    """
    wanted = {source.main_figure, *source.class_figures.values()}

    def both(pairs: Sequence[tuple[object, object]]) -> Mapping[str, float]:
        own = source.figures([pair[0] for pair in pairs])
        theirs = source.figures([pair[1] for pair in pairs])
        return {name: own[name] for name in wanted} | {CHANGE + name: own[name] - theirs[name] for name in wanted}

    pairs = [(mine.score, other.score) for mine, other in zip(found, reference, strict=True)]
    intervals = {name: Interval(**ends) for name, ends in with_intervals(pairs, source.groups, both).items()}
    if CHANGE + source.main_figure not in intervals:
        raise ValueError(f"{source.name}: {source.main_figure} can't be computed over these {len(pairs)} cases")
    classes = {
        label: ClassFigure(intervals[name], intervals[CHANGE + name], cases_of(source, name, reference))
        for label, name in source.class_figures.items() if CHANGE + name in intervals
    }
    return Figures(intervals[source.main_figure], intervals[CHANGE + source.main_figure], classes,
                   agreement(found, reference))


def cases_of(source: Source, figure: str, answered: Sequence[Answered]) -> int:
    """How many cases a class's figure rests on: those that alone have one."""
    return sum(not math.isnan(source.figures([case.score])[figure]) for case in answered)


def agreement(found: Sequence[Answered], reference: Sequence[Answered]) -> float:
    """The share of all answers, or of all pixels, that have the same label in both."""
    same = sum(int(np.count_nonzero(mine.decided == other.decided)) for mine, other in zip(found, reference, strict=True))
    return same / sum(other.decided.size for other in reference)
