"""The first operator after which two graphs aren't the same any more, by bounds that are told with it."""

import math
from collections.abc import Callable, Sequence

from edge_runtime.toolchain.parity.causes import Cause, Evidence, built_up, explain
from edge_runtime.toolchain.parity.report import END_DB, OWN_DB, OpParity, Parting

_DROP_DB = 10.0
"""An operator that couldn't be run by itself parts them where it loses so much against its inputs, and ends below twice END_DB."""


def first_parting(ops: Sequence[OpParity], weakest: Sequence[int], evidence: Callable[[int], Evidence],
                  judged: Sequence[int]) -> Parting | None:
    """The place, or None. `weakest`: the operators that keep least by themselves; `evidence`: what was measured of one, by its index;
    `judged`: the places that count.
    """
    for place in judged:
        op = ops[place]
        if op.own_db is not None and op.own_db < OWN_DB:
            rule = f"by itself it keeps {op.own_db:.1f} dB, less than {OWN_DB:.0f} dB"
            return _parting(place, rule, explain(evidence(place)))
        if not op.has_own and op.end_db is not None and op.end_db < min(2 * END_DB, _before(op) - _DROP_DB):
            rule = f"{op.end_db:.1f} dB are left after it, over {_DROP_DB:.0f} dB less than before"
            return _parting(place, rule, explain(evidence(place)))
        if op.end_db is not None and op.end_db < END_DB:
            adding = ", ".join(f"{ops[i].op} {ops[i].a} ({ops[i].own_db:.1f} dB)" for i in weakest)
            return _parting(place, f"{op.end_db:.1f} dB are left after it, less than {END_DB:.0f} dB", built_up(adding))
    return None


def _before(op: OpParity) -> float:
    return math.inf if op.inputs_db is None else op.inputs_db


def _parting(place: int, rule: str, cause: Cause) -> Parting:
    return Parting(place, rule, cause.code, cause.why, cause.advice)
