"""What `hedgerow model parity` tells on a terminal and writes down."""

import io
import json
from pathlib import Path

import cv2
import msgspec
import pytest
from rich.console import Console

from edge_runtime.toolchain.parity.report import (
    Answer,
    Apart,
    Decisions,
    OpParity,
    OutputParity,
    Parity,
    Parting,
    Share,
    Side,
    Tensors,
    Truth,
)
from gateway.console.model_parity import as_text, parity_view, write

A = Side("m:float32", "float32.tflite", "ab" * 32, "CPU", quantised=False, compiled=False)
B = Side("m:int8", "int8.tflite", "cd" * 32, "CPU", quantised=True, compiled=False)


def op(number: int, own: float | None, end: float | None, *, other: int = -1, matched: str = "name", has_own: bool = True) -> OpParity:
    return OpParity(number, number if other < 0 else other, "CONV_2D", f"layer_{number}", f"model/layer_{number}/conv", [1, 4, 4, 2], matched,
                    40.0, own, end, 2.5, 0.0, 1.0, has_own)


def decisions(*, differing: int = 1) -> Decisions:
    apart = [Apart("scan [1].png", Answer("benign", 0.458, "set {benign}"), Answer("malignant", 0.115, "no verdict"), 0.0, 0.2871)]
    return Decisions("label", "logits", 40, 40, Share(0.975, 0.8712, 0.9956), differing, 3, {"abstention": 2}, ["benign", "malignant"],
                     [[30, 1], [0, 9]], 0.808, 0.06, apart, Truth(40, 36, 35, 2, 1))


def tensors(*ops: OpParity, parting: Parting | None = None) -> Tensors:
    return Tensors(8, "a", list(ops), [], [], parting, [0])


def parity(found: Tensors | None = None, *, outputs: list[OutputParity] | None = None, notes: list[str] | None = None) -> Parity:
    return Parity(A, B, "data", identical=False, decisions=decisions(), outputs=outputs or [], tensors=found, notes=notes or [])


def shown(found: Parity) -> str:
    text = io.StringIO()
    Console(file=text, width=160).print(parity_view(found))
    return text.getvalue()


def test_decisions_come_with_their_interval_and_the_inputs_that_part_most() -> None:
    text = shown(parity())
    assert "the same label in 97.50% (95 % interval 87.12% to 99.56%), 40 inputs in 40 groups; 1 inputs differ" in text
    assert "also different: abstention in 2" in text
    assert "0.808 where they agree, 0.060 where they differ" in text
    assert "right: A 36 and B 35 of 40; A alone 2, B alone 1" in text
    assert "scan [1].png" in text
    assert "benign (+0.458)" in text
    assert "0.2871" in text


def test_the_place_where_they_part_is_named_with_cause_and_advice() -> None:
    part = Parting(1, "by itself it keeps 7.0 dB, less than 20 dB", "weights", "The weights differ.", "Convert it again.")
    text = shown(parity(tensors(op(0, 41.2, 38.0), op(1, 7.0, 6.1, other=2), parting=part)))
    assert "They first part at CONV_2D 1 in A, 2 in B (layer_1): by itself it keeps 7.0 dB, less than 20 dB; its inputs had 40.0 dB." in text
    assert "tensor model/layer_1/conv" in text
    assert "why: The weights differ." in text
    assert "what to do: Convert it again." in text
    assert "1/2 CONV_2D" in text


def test_two_that_do_not_part_are_said_not_to() -> None:
    text = shown(parity(tensors(op(0, None, None), op(1, 120.0, 41.0))))
    assert "They don't part" in text
    assert "same" in text
    assert ">99" in text


def test_a_match_by_place_alone_is_marked() -> None:
    assert "CONV_2D ?" in shown(parity(tensors(op(0, 40.0, 40.0, matched="order"))))
    assert "CONV_2D ?" not in shown(parity(tensors(op(0, 40.0, 40.0, matched="inputs"))))


def test_operators_that_only_one_has_are_listed() -> None:
    found = msgspec.structs.replace(tensors(op(0, 40.0, 40.0)), unmatched_b=[f"RELU {number}" for number in range(10)])
    assert "Only in B: RELU 0, RELU 1" in shown(parity(found))
    assert "and 2 more" in shown(parity(found))


@pytest.mark.parametrize(("output", "told"), [
    (OutputParity("logits", 30, 0, same_steps=True, largest=0, sqnr_db=None), "Output logits: bit for bit the same in all 30 values"),
    (OutputParity("logits", 30, 4, same_steps=True, largest=3, sqnr_db=31.25), "4 of 30 values differ, at most by 3 steps; 31.2 dB"),
    (OutputParity("logits", 30, 30, same_steps=False, largest=0.529, sqnr_db=21.2), "at most by 0.529; 21.2 dB"),
])
def test_outputs_are_told_in_steps_where_both_have_the_same(output: OutputParity, told: str) -> None:
    assert told in shown(parity(outputs=[output]))


def test_all_of_it_is_json() -> None:
    found = json.loads(as_text(parity(tensors(op(0, None, 40.0)), notes=["a note"])))
    assert found["format"] == 1
    assert found["tensors"]["ops"][0]["own_db"] is None
    assert found["decisions"]["agreement"] == {"value": 0.975, "low": 0.8712, "high": 0.9956}
    assert found["notes"] == ["a note"]


def test_json_and_a_plot_are_written(tmp_path: Path) -> None:
    part = Parting(1, "", "weights", "", "")
    found = parity(tensors(op(0, 41.0, 38.0), op(1, 7.0, -3.0), op(2, None, 12.0), parting=part))
    paths = write(found, tmp_path / "new" / "out")
    assert [path.name for path in paths] == ["parity.json", "parity.png"]
    assert json.loads(paths[0].read_text())["a"]["text"] == "m:float32"
    picture = cv2.imread(str(paths[1]))
    assert picture is not None
    assert picture.shape[1] > 1000
    red = (picture[..., 2] > 150) & (picture[..., 1] < 80) & (picture[..., 0] < 80)
    assert red.sum() > 300, "the place is marked"
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == ["parity.json", "parity.png"]


def test_without_tensors_there_is_no_plot(tmp_path: Path) -> None:
    assert [path.name for path in write(parity(), tmp_path)] == ["parity.json"]
