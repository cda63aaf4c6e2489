"""Looking into a graph changes nothing in it."""

from pathlib import Path

import numpy as np
import pytest

from domains import registry
from domains.core import InputSpec
from edge_runtime.toolchain.interpret import Runner
from edge_runtime.toolchain.parity.probe import Alone, Probe
from edge_runtime.toolchain.tflite import read_model
from tests.edge_runtime.toolchain.parity.pictures import scans

BREAST = registry.models_folder("pathology") / "breast_ultrasound"
SPEC = InputSpec(224, 224, 127.0, 128.0)


@pytest.mark.parametrize("file", ["float32.tflite", "int8.tflite"])
def test_outputs_are_those_of_a_plain_run_to_the_bit(file: str) -> None:
    plain, probe = Runner(BREAST / file, spec=SPEC), Probe(BREAST / file)
    tensor = plain.encode(scans(1))
    expected = plain.invoke_raw(tensor)
    probe.run(tensor)
    for index, values in zip(read_model(BREAST / file).outputs, expected, strict=True):
        np.testing.assert_array_equal(probe.raw(index), values)


@pytest.mark.parametrize("file", ["float32.tflite", "int8.tflite"])
def test_an_operator_alone_gives_what_it_gives_in_the_graph(file: str) -> None:
    probe, alone = Probe(BREAST / file), Alone(BREAST / file)
    probe.run(Runner(BREAST / file, spec=SPEC).encode(scans(1)))
    alone.run({tensor: probe.real(tensor) for tensor in alone.reads})
    for op in read_model(BREAST / file).ops:
        np.testing.assert_allclose(alone.real(op.outputs[0]), probe.real(op.outputs[0]), atol=2e-5, err_msg=op.name)


def test_an_operator_alone_depends_on_nothing_but_what_it_is_fed() -> None:
    probe, alone = Probe(BREAST / "int8.tflite"), Alone(BREAST / "int8.tflite")
    probe.run(Runner(BREAST / "int8.tflite", spec=SPEC).encode(scans(1)))
    model = read_model(BREAST / "int8.tflite")
    spoilt = model.ops[20].inputs[0]
    values = {tensor: probe.real(tensor) for tensor in alone.reads}
    values[spoilt] = values[spoilt] * 0
    alone.run(values)
    differing = [op.index for op in model.ops if not np.array_equal(alone.real(op.outputs[0]), probe.real(op.outputs[0]))]
    assert differing == [op.index for op in model.ops if spoilt in op.inputs]


def test_weights_are_real_numbers_by_the_scale_of_their_channel() -> None:
    as_float, as_int8 = Probe(BREAST / "float32.tflite"), Probe(BREAST / "int8.tflite")
    pairs = zip(read_model(BREAST / "float32.tflite").ops, read_model(BREAST / "int8.tflite").ops, strict=True)
    for one, two in pairs:
        if one.name in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            weights = as_float.real(one.inputs[1])
            assert np.abs(weights - as_int8.real(two.inputs[1])).max() < np.abs(weights).max() / 200


def test_what_can_not_be_run_is_refused_by_name(tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes((BREAST / "int8.tflite").read_bytes()[:50000])
    with pytest.raises(ValueError, match=r"cut\.tflite"):
        Probe(cut)
