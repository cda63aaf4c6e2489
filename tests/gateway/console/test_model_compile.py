"""What `hedgerow model compile` and `inspect` show on a terminal."""

import json
from pathlib import Path

from rich.console import Console, RenderableType

from edge_runtime.toolchain.edgetpu.compile_models import Result
from edge_runtime.toolchain.edgetpu.compile_report import CompileReport, Disagreement
from edge_runtime.toolchain.edgetpu.compiled import read_compiled
from edge_runtime.toolchain.edgetpu.compiler_log import ModelLog
from gateway.console.model_compile import results_text
from gateway.console.model_inspect import compiled_to_json, compiled_view
from tests.edge_runtime.toolchain.edgetpu.compiled_models import (
    REAL,
    options_of,
    with_options,
    write_compiled,
    write_int8,
)


def shown(view: RenderableType, width: int = 120) -> str:
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(view, soft_wrap=True)
    return captured.get()


def report(**changes: object) -> CompileReport:
    figures: dict[str, object] = {
        "source": "tiny/int8.tflite", "source_sha256": "a", "compiled_sha256": "b", "compiler": "16.0", "options": [],
        "co_compiled_with": [], "chip": "beagle", "runtime_version": 14, "cached_bytes": 3_900_864, "streamed_bytes": 576,
        "instruction_bytes": 7, "tokens": ["00ff"], "ops_total": 9, "ops_on_cpu": {}, "milliseconds": 5,
        "log": ModelLog("tiny.tflite"), "disagreements": [], "doubts": [],
    }
    return CompileReport(**{**figures, **changes})  # type: ignore[arg-type]


def test_operators_on_the_cpu_are_counted_by_kind() -> None:
    text = shown(results_text([Result("tiny", report(ops_on_cpu={"RESIZE_BILINEAR": 3, "ARG_MAX": 1}), ["put there"])]))
    assert "9 operators, 4 left on the CPU: RESIZE_BILINEAR 3, ARG_MAX" in text
    assert "3,900,864 bytes of parameters cached, 576 streamed with every run\n" in text
    assert text.endswith("  put there\n")


def test_a_model_compiled_alone_shows_no_token() -> None:
    assert "token" not in shown(results_text([Result("tiny", report(), [])]))
    assert "co-compiled with field.tflite, token 00ff" in shown(
        results_text([Result("tiny", report(co_compiled_with=["field.tflite"]), [])]))


def test_a_wrong_prediction_is_told_from_both_sides() -> None:
    found = [Disagreement("TANH", 2, 0, 2, "", "Operation not supported"), Disagreement("PAD", 0, 1, 1, "over the batch", "")]
    text = shown(results_text([Result("tiny", report(disagreements=found, doubts=["odd [log]"]), [])]))
    assert "TANH: check maps 2 of 2, the compiler mapped 0 (Operation not supported)" in text
    assert "PAD: check maps 0 of 1 (over the batch), the compiler mapped 1" in text
    assert "odd [log]" in text


def test_every_name_is_readable_on_a_narrow_terminal() -> None:
    text = shown(compiled_view(read_compiled(REAL)), width=80)
    for told in ("PARAMETER_CACHING", "EXECUTION_ONLY", "inputs/rnn1", "concat/split4", "cl/343520747", "0f5daf073fcc3811"):
        assert told in text


def test_two_parts_are_numbered(tmp_path: Path) -> None:
    text = shown(compiled_view(read_compiled(with_options(tmp_path / "two_edgetpu.tflite", options_of(REAL), options_of(REAL)))))
    assert "part 1, EXECUTION_ONLY: 0 bytes of parameters, 23,648 of instructions" in text
    assert "part 2, PARAMETER_CACHING: 192 bytes" in text


def test_operators_left_on_the_cpu_and_names_like_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    source = write_int8(tmp_path / "a.tflite")
    compiled = read_compiled(write_compiled(
        source, tmp_path / "a_edgetpu.tflite", kept=["TANH", "TANH", "My[red]Op"],
        change=lambda tensor: setattr(tensor, "name", b"[red]image"),
    ))
    text = shown(compiled_view(compiled))
    assert "TANH 2, My[red]Op" in text
    assert "[red]image" in text
    assert compiled_to_json(compiled)["ops_on_cpu"] == {"TANH": 2, "My[red]Op": 1}


def test_a_scale_that_is_no_number_is_still_json(tmp_path: Path) -> None:
    source = write_int8(tmp_path / "a.tflite")
    compiled = read_compiled(write_compiled(
        source, tmp_path / "a_edgetpu.tflite", change=lambda tensor: setattr(tensor.quantization, "scale", [float("nan")])))
    text = json.dumps(compiled_to_json(compiled), allow_nan=False)
    assert json.loads(text)["inputs"][0]["scales"] == [None]
