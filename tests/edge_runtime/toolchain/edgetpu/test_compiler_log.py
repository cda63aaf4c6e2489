"""Logs of Google's compiler, of every form that is known."""

from pathlib import Path

import pytest

from edge_runtime.toolchain.edgetpu.compiler_log import CompilerLog, ModelLog, OpLine, advice_on, parse_log

LOGS = Path(__file__).parent / "files" / "logs"
MIB, KIB = 2**20, 2**10


def parsed(name: str) -> CompilerLog:
    return parse_log((LOGS / f"{name}.log").read_text())


def test_a_model_that_maps_whole_is_told_with_all_its_figures() -> None:
    log = parsed("v16_whole")
    assert (log.version, log.milliseconds, log.error) == ("16.0.384591198", 141, "")
    assert log.models == (ModelLog(
        input="tiny.tflite", output="tiny_edgetpu.tflite", input_bytes=12_800, output_bytes=58_051,
        on_chip_used_bytes=192, on_chip_remaining_bytes=round(7.98 * MIB), off_chip_bytes=0, subgraphs=1,
        ops_total=2, ops_on_tpu=2, ops_on_cpu=0,
        ops=(OpLine("LOGISTIC", 1, "Mapped to Edge TPU"), OpLine("TANH", 1, "Mapped to Edge TPU")),
    ),)


def test_operators_left_on_the_cpu_are_told_with_their_status() -> None:
    (model,) = parsed("v16_partial").models
    assert (model.ops_total, model.ops_on_tpu, model.ops_on_cpu) == (84, 79, 5)
    assert (model.on_chip_used_bytes, model.off_chip_bytes) == (round(6.02 * MIB), round(41.75 * KIB))
    assert [(line.op, line.count) for line in model.ops if line.mapped] == [("CONV_2D", 60), ("ADD", 19)]
    assert [(line.op, line.count, line.status) for line in model.ops if not line.mapped] == [
        ("CONV_2D", 2, "More than one subgraph is not supported"),
        ("RESIZE_BILINEAR", 1, "Image-interpolation layer won't run precisely enough on Edge TPU"),
        ("CUSTOM", 1, "Operation is working on an unsupported data type"),
        ("ARG_MAX", 1, "Operation not supported"),
    ]


def test_models_compiled_together_are_told_apart() -> None:
    log = parsed("v16_two_models")
    scan, field = log.of("scan_edgetpu.tflite"), log.of("field_edgetpu.tflite")
    assert scan is not None
    assert field is not None
    assert (log.milliseconds, scan.ops_total, field.ops_total) == (524, 57, 6)
    assert (scan.off_chip_bytes, field.off_chip_bytes) == (0, round(158.06 * KIB))
    assert [len(model.ops) for model in log.models] == [2, 2]
    assert (field.ops_on_tpu, field.ops_on_cpu) == (5, 1)
    assert log.of("other_edgetpu.tflite") is None


def test_a_second_part_on_a_model_adds_to_the_first() -> None:
    whole = (LOGS / "v16_whole.log").read_text()
    table = "Edge TPU Compiler version 16.0.384591198\nInput: tiny.tflite\nOutput: tiny_edgetpu.tflite\n\nOperator  Count  Status\n\nTANH  2  Mapped to Edge TPU\n"
    (model,) = parse_log(whole + table).models
    assert model.on_chip_used_bytes == 192
    assert model.ops == (OpLine("TANH", 2, "Mapped to Edge TPU"),)


def test_of_two_models_of_one_name_neither_is_taken() -> None:
    log = parse_log("Input: a/int8.tflite\nOutput: a/int8_edgetpu.tflite\nInput: b/int8.tflite\nOutput: b/int8_edgetpu.tflite\n")
    assert len(log.models) == 2
    assert log.of("int8_edgetpu.tflite") is None


def test_attempts_that_failed_before_one_that_worked_are_no_error() -> None:
    log = parsed("v16_later_attempt")
    assert (log.error, log.milliseconds) == ("", 98)
    (model,) = log.models
    assert (model.ops, model.ops_total, model.ops_on_tpu) == ((), 3, None)


def test_a_run_that_fails_after_one_that_worked_is_an_error() -> None:
    text = (LOGS / "v16_whole.log").read_text() + (LOGS / "fails_internal_error.log").read_text()
    assert parse_log(text).error == "Internal compiler error. Aborting!"


def test_nothing_mapped_is_no_error_of_the_compiler() -> None:
    log = parsed("v15_nothing_mapped")
    (model,) = log.models
    assert (log.error, model.ops_on_tpu, model.ops_on_cpu, model.subgraphs) == ("", 0, 42, 0)


def test_an_old_version_tells_what_memory_there_was() -> None:
    log = parsed("v2_available")
    (model,) = log.models
    assert (log.version, model.on_chip_available_bytes) == ("2.0.291256449", round(6.25 * MIB))
    assert (model.on_chip_remaining_bytes, model.off_chip_bytes) == (None, round(18.43 * MIB))


def test_the_file_beside_the_model_has_the_table_alone() -> None:
    log = parsed("v14_table_alone")
    (model,) = log.models
    assert (log.version, log.milliseconds) == ("14.1.317412892", None)
    assert (model.input, model.output) == ("digits.tflite", "digits_edgetpu.tflite")
    assert (model.ops_total, model.ops_on_tpu, model.ops_on_cpu) == (9, 3, 6)
    assert model.ops[4] == OpLine("PACK", 2, "Tensor has unsupported rank (up to 3 innermost dimensions mapped)")


@pytest.mark.parametrize(("name", "error", "advice"), [
    ("not_quantized", "Model not quantized", "int8 variant"),
    ("not_parsed", "Model could not be parsed: Didn't find op for builtin opcode 'QUANTIZE' version '3'. An older version of this builtin might be supported. Are you using an old TFLite binary with a newer model?", "hedgerow model check"),
    ("internal_error", "Internal compiler error. Aborting!", "once more"),
    ("large_activations", "Compilation failed due to large activation tensors in model.", "smaller input"),
    ("dynamic", "Model failed in Tflite interpreter. Please ensure model can be loaded/run in Tflite interpreter: Attempting to use a delegate that only supports static-sized tensors with a graph that has dynamic-sized tensors.", "batch size"),
    ("timeout", "Compilation timeout. This is usually caused by large activations.", "--timeout"),
    ("crash", "libc++abi: terminating with uncaught exception of type std::out_of_range: vector", ""),
    ("no_operators", "Model could not be parsed: Did not get operators, tensors, or buffers in subgraph 0.", ""),
    ("without_a_word", "Compilation failed!", ""),
])
def test_every_way_to_fail_is_told_with_what_to_do(name: str, error: str, advice: str) -> None:
    log = parsed(f"fails_{name}")
    assert log.error == error
    assert log.version
    assert advice in advice_on(error)
    assert bool(advice) is bool(advice_on(error))


def test_an_invalid_model_is_named_where_nothing_else_is_said() -> None:
    assert parse_log("Invalid model: /models/scan.tflite\n").error == "scan.tflite is an invalid model"


@pytest.mark.parametrize("text", ["", "\0\0", "no log\nat all: 3\n", "Input size: many\nTotal number of operations: 1e9\n" * 3])
def test_a_text_that_is_no_log_says_nothing(text: str) -> None:
    log = parse_log(text)
    assert (log.version, log.error) == ("", "")
    assert all(model.ops_total is None and model.input_bytes is None for model in log.models)


def test_a_log_with_line_ends_of_windows_reads_the_same() -> None:
    text = (LOGS / "v16_partial.log").read_text()
    assert parse_log(text.replace("\n", "\r\n")) == parse_log(text)
