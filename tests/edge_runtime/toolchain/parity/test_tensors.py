"""The place where two files part: the very operator that was spoilt, with the cause."""

from pathlib import Path

import numpy as np
import pytest

from domains import registry
from domains.core import InputSpec
from edge_runtime.backends import load_backend
from edge_runtime.toolchain.parity.report import Tensors
from edge_runtime.toolchain.parity.sides import Opened, parse_side
from edge_runtime.toolchain.parity.tensors import Comparison, Sums
from tests.edge_runtime.toolchain.parity.damage import Change, damaged, renamed, rescaled, scrambled
from tests.edge_runtime.toolchain.parity.pictures import scans

BREAST = registry.models_folder("pathology") / "breast_ultrasound"
SPEC = InputSpec(224, 224, 127.0, 128.0)
FLOAT, INT8 = BREAST / "float32.tflite", BREAST / "int8.tflite"


def opened(path: Path) -> Opened:
    return Opened(parse_side(str(path), []), load_backend("litert"), SPEC)


def compared(reference: Path, other: Path, *, count: int = 2) -> Tensors:
    comparison = Comparison(opened(reference), opened(other))
    for scan in scans(count):
        comparison.add(scan[None])
    return comparison.result("a")


def test_a_sound_int8_file_does_not_part_from_its_float() -> None:
    found = compared(FLOAT, INT8)
    assert found.parting is None
    assert len(found.ops) == 62
    assert not found.unmatched_a
    own = [op.own_db for op in found.ops if op.own_db is not None]
    assert len(own) == 58, "all but those that only give another shape"
    assert found.own_bound_db < min(own) < 32, "the gate's range is wide, so its steps are coarse on scans"
    assert max(own) < 66
    first = found.ops[0]
    assert (first.op, first.layer, first.inputs_db) == ("CONV_2D", "stem_conv", None)
    assert first.own_db == pytest.approx(first.end_db, abs=0.01), "nothing came before the first operator"
    known = [place for place, op in enumerate(found.ops) if op.own_db is not None]
    assert found.weakest == sorted(known, key=lambda place: found.ops[place].own_db or 0)[:3]


def test_what_only_the_gate_asks_parts_no_files(tmp_path: Path) -> None:
    (gate,) = (op for op in compared(FLOAT, INT8).ops if op.layer == "familiarity")
    assert gate.b is not None
    found = compared(FLOAT, damaged(INT8, tmp_path / "spoilt.tflite", gate.b, scrambled(1.0)))
    (spoilt,) = (op for op in found.ops if op.layer == "familiarity")
    assert spoilt.end_db is not None
    assert spoilt.end_db < found.end_bound_db
    assert found.parting is None


@pytest.mark.parametrize(("op", "change", "cause"), [
    (12, rescaled(0.25), "saturated"),
    (12, rescaled(16), "wide_range"),
    (20, scrambled(1.0), "weights"),
    (33, scrambled(0.3), "weights"),
    (9, rescaled(0.2), "saturated"),
])
@pytest.mark.parametrize("reference", [FLOAT, INT8])
def test_a_spoilt_operator_is_the_place_where_they_part(tmp_path: Path, reference: Path, op: int, change: Change, cause: str) -> None:
    found = compared(reference, damaged(INT8, tmp_path / "spoilt.tflite", op, change))
    assert found.parting is not None
    place = found.ops[found.parting.place]
    assert (place.a, place.b) == (op, op)
    assert found.parting.cause == cause
    assert all(before.own_db is None or before.own_db > 24 for before in found.ops[: found.parting.place])


def test_between_two_int8_files_only_the_spoilt_operator_differs_by_itself(tmp_path: Path) -> None:
    found = compared(INT8, damaged(INT8, tmp_path / "spoilt.tflite", 20, scrambled(1.0)))
    assert [op.b for op in found.ops if op.own_db is not None] == [20]
    assert [op.b for op in found.ops if op.end_db is None] == list(range(20))


def test_the_place_is_found_without_names_too(tmp_path: Path) -> None:
    spoilt = damaged(INT8, tmp_path / "spoilt.tflite", 20, scrambled(1.0))
    found = compared(FLOAT, damaged(spoilt, tmp_path / "bare.tflite", 0, renamed))
    assert found.parting is not None
    assert found.ops[found.parting.place].b == 20


def test_a_relu6_whose_ends_are_full_is_not_taken_for_saturated() -> None:
    found = compared(FLOAT, INT8)
    assert max(op.saturated for op in found.ops) < 0.001


def test_graphs_of_different_networks_are_not_compared() -> None:
    field = registry.models_folder("crop_weed") / "crop_peanut" / "float32.tflite"
    with pytest.raises(ValueError, match="of different make"):
        Comparison(opened(FLOAT), opened_field(field))


def opened_field(path: Path) -> Opened:
    return Opened(parse_side(str(path), []), load_backend("litert"), InputSpec(320, 320, 127.0, 128.0))


def test_ratios_are_in_decibels_of_energy() -> None:
    sums = Sums()
    sums.add(np.full(4, 10, np.float32), np.full(4, 11, np.float32))
    assert sums.db == pytest.approx(20)
    equal, silent = Sums(), Sums()
    equal.add(np.ones(4, np.float32), np.ones(4, np.float32))
    silent.add(np.zeros(4, np.float32), np.ones(4, np.float32))
    assert (equal.db, silent.db) == (None, 0)
