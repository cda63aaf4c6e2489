"""Sentences that belong to a report's table: what limits it, and why int8 isn't faster where it isn't."""

from collections.abc import Iterator

from edge_runtime.toolchain.report.machine import DOT_PRODUCT
from edge_runtime.toolchain.report.rows import Report

INT8 = "int8"
FAST = 1.8
"""From here on int8 is as much faster than float32 as it should be on a CPU that is made for it."""
BUSY = 0.25
"""The machine was busy where other processes took more than this share of its cores."""
FEW = 30


def of(report: Report) -> Iterator[str]:
    """Each a sentence or two, without an end of line."""
    if report.groups < FEW:
        yield f"There are only {report.groups} groups: the intervals are rough, and may be too narrow."
    row = report.of(INT8)
    if row is not None and row.latency.speed < FAST:
        yield f"int8 is {row.latency.speed:.2f} times as fast as float32 here, not {FAST}."
        yield _why(report)
    if report.busy_cores is not None and report.busy_cores > BUSY * report.machine.cores:
        yield (f"The machine was busy when latency was measured (others took {report.busy_cores:.1f} of {report.machine.cores} cores): "
               "measure again with --fresh before you rely on it.")


def _why(report: Report) -> str:
    flags = report.machine.flags
    dot_product = [flag for flag in DOT_PRODUCT if flag in flags]
    if dot_product:
        return f"The CPU does have instructions for int8 ({', '.join(dot_product)}); what else takes the time wasn't measured."
    if "avx2" in flags:
        return (
            "The CPU has AVX2, but no instruction that multiplies int8 and adds up (VNNI, AMX). For 16 products XNNPACK then "
            "needs two instructions, after it has widened both factors to 16 bits; float32 needs two as well, and no widening. "
            "So int8 saves size and memory on this CPU, not time."
        )
    return "The CPU names no instruction that multiplies int8 and adds up (VNNI, AMX, Arm's dot product)."
