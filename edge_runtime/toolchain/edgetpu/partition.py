"""Which operators land in one piece: the compiler makes one custom operator of a model, unless told to make more.

As in TFLite (`GraphPartitionIntoIndependentNodeSubsets` in `lite/graph_info.cc`) the operators are taken in waves: all of one
kind, supported or not, that can run before any of the other kind has to. The compiler takes the first supported wave.
"""

from collections import deque
from collections.abc import Sequence

from edge_runtime.toolchain.tflite import Model


def waves(model: Model, supported: Sequence[bool]) -> list[int]:
    """The wave of each operator, -1 for one whose inputs nothing makes; in a wave all are supported, or none is."""
    users, missing = _edges(model)
    ready = {True: deque[int](), False: deque[int]()}
    for index, count in enumerate(missing):
        if count == 0:
            ready[supported[index]].append(index)
    found, wave = [-1] * len(model.ops), 0
    kind = not ready[False] or (bool(ready[True]) and ready[True][0] < ready[False][0])
    while ready[True] or ready[False]:
        while ready[kind]:
            index = ready[kind].popleft()
            found[index] = wave
            for user in users[index]:
                missing[user] -= 1
                if missing[user] == 0:
                    ready[supported[user]].append(user)
        kind, wave = not kind, wave + 1
    return found


def _edges(model: Model) -> tuple[list[list[int]], list[int]]:
    """Who uses what each operator makes, and how many inputs each one waits for."""
    makers = {tensor: op.index for op in model.ops for tensor in op.outputs if tensor >= 0}
    users: list[list[int]] = [[] for _ in model.ops]
    missing = [0] * len(model.ops)
    for op in model.ops:
        for tensor in op.inputs:
            if tensor in makers:
                users[makers[tensor]].append(op.index)
                missing[op.index] += 1
    return users, missing
