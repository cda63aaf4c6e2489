"""What was measured of an operator, and the cause that it shows."""

import dataclasses

import pytest

from edge_runtime.toolchain.parity.causes import Constant, Evidence, built_up, explain

SOUND = Evidence(
    op="CONV_2D", other="int8.tflite", noise=2.0, saturated=0.0, saturated_of_error=0.0, reach=(-4.0, 4.0), values=(-3.0, 3.0), rms=1.0,
    channels=1.5, scales=(0.1,), constants=(Constant("weights", 42.0, per_tensor=False, spread=2.0), Constant("bias", None, per_tensor=False, spread=2.0)),
)
OTHER_WEIGHTS = (Constant("weights", 3.0, per_tensor=False, spread=2.0),)
ONE_SCALE = (Constant("weights", 12.0, per_tensor=True, spread=45.0),)
PRUNED = (Constant("weights", 3.0, per_tensor=False, spread=2.0, zeros=0.81),)
OTHER_BIAS = (Constant("weights", None, per_tensor=False, spread=2.0), Constant("bias", -4.0, per_tensor=False, spread=2.0))


@pytest.mark.parametrize(("changed", "code", "says"), [
    ({}, "rounding", "small beside one step"),
    ({"constants": OTHER_WEIGHTS, "noise": 900.0}, "weights", "The weights in the two files differ"),
    ({"constants": PRUNED}, "weights", "81% of the one side's are zero, as pruning makes them"),
    ({"constants": OTHER_BIAS, "noise": 900.0}, "weights", "The bias in the two files"),
    ({"constants": ONE_SCALE, "noise": 900.0}, "weights_per_tensor", "45 times the median"),
    ({"saturated": 0.086, "saturated_of_error": 0.98, "noise": 900.0, "values": (-9.0, 9.0)}, "saturated", "8.6% of its values don't fit"),
    ({"saturated": 0.001, "saturated_of_error": 0.01}, "rounding", ""),
    ({"reach": (-400.0, 400.0)}, "wide_range", "133 times as wide"),
    ({"channels": 30.0}, "outlier_channel", "30 times as far"),
    ({"values": (-0.1, 50.0), "reach": (-0.2, 51.0)}, "outlier_values", "50 times as far"),
    ({"op": "ADD", "scales": (0.002, 0.134)}, "uneven_inputs", "67 times"),
    ({"op": "ADD", "scales": (0.1, 0.134)}, "rounding", ""),
    ({"op": "SOFTMAX"}, "fixed_step", "fixed width"),
    ({"noise": 900.0}, "arithmetic", "computes something else"),
    ({"noise": None, "scales": ()}, "arithmetic", "computes something else"),
])
def test_each_cause_is_told_from_the_others(changed: dict[str, object], code: str, says: str) -> None:
    cause = explain(dataclasses.replace(SOUND, **changed))  # type: ignore[arg-type]  # fields by name
    assert cause.code == code
    assert says in cause.why
    assert cause.advice.endswith((".", "`."))


def test_what_no_operator_does_alone_names_those_that_add_most() -> None:
    assert "CONV_2D 7 (25.0 dB)" in built_up("CONV_2D 7 (25.0 dB)").why
