"""Which operator is called the first by which two graphs part."""

import pytest

from edge_runtime.toolchain.parity.causes import Evidence
from edge_runtime.toolchain.parity.place import first_parting
from edge_runtime.toolchain.parity.report import OpParity


def row(own: float | None, end: float | None, *, inputs: float | None = 40.0, has_own: bool = True) -> OpParity:
    return OpParity(7, 7, "CONV_2D", "conv", "conv", [1], "name", inputs, own, end, 1.0, 0.0, 1.0, has_own)


def evidence(place: int) -> Evidence:
    return Evidence(f"OP_{place}", "b", 1.0, 0, 0, (-1, 1), (-1, 1), 1, 1, (), ())


@pytest.mark.parametrize(("rows", "place", "rule", "cause"), [
    ([row(40, 40), row(12, 30), row(5, 5)], 1, "by itself it keeps 12.0 dB, less than 20 dB", "rounding"),
    ([row(40, 40), row(25, 14), row(26, 9.5), row(8, 8)], 2, "9.5 dB are left after it, less than 10 dB", "built_up"),
    ([row(12, 5)], 0, "by itself it keeps 12.0 dB, less than 20 dB", "rounding"),
    ([row(None, 33, has_own=False), row(None, 15, inputs=30, has_own=False)], 1, "15.0 dB are left after it, over 10 dB less", "rounding"),
    ([row(None, 8, inputs=None, has_own=False)], 0, "8.0 dB are left after it, over 10 dB less", "rounding"),
    ([row(None, 9, inputs=12, has_own=False)], 0, "9.0 dB are left after it, less than 10 dB", "built_up"),
])
def test_the_first_bound_that_is_crossed_counts(rows: list[OpParity], place: int, rule: str, cause: str) -> None:
    found = first_parting(rows, [], evidence, range(len(rows)))
    assert found is not None
    assert (found.place, found.cause) == (place, cause)
    assert found.rule.startswith(rule)


@pytest.mark.parametrize("rows", [
    [row(None, None), row(20.1, 10.1)],
    [row(None, 25, inputs=40, has_own=False), row(None, 18, inputs=25, has_own=False)],
])
def test_within_the_bounds_they_do_not_part(rows: list[OpParity]) -> None:
    assert first_parting(rows, [], evidence, range(len(rows))) is None


def test_what_has_built_up_is_told_with_those_that_add_most() -> None:
    found = first_parting([row(25, 14), row(22, 9)], [1, 0], evidence, [0, 1])
    assert found is not None
    assert "CONV_2D 7 (22.0 dB), CONV_2D 7 (25.0 dB)" in found.why
