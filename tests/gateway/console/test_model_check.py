"""What a person reads of a prediction."""

from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema
from rich.console import Console

from edge_runtime.toolchain.edgetpu.predict import predict, together
from edge_runtime.toolchain.tflite import Model, read_model
from gateway.console.model_check import model_to_json, model_view, together_view
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import GraphBuilder, kept


def shown(model: Model) -> str:
    """As in a terminal of 100 columns."""
    console = Console(width=100, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(model_view(Path("folder") / model.name, model, predict(model)), soft_wrap=True)
    return capture.get()


def test_operators_are_grouped_as_in_the_compilers_log(tmp_path: Path) -> None:
    text = shown(read_model(kept("leaky_relu", tmp_path)))
    assert text.startswith("leaky_relu.tflite: 3 of 9 operators go to the Edge TPU, 6 stay on the CPU\n")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "CONV_2D 2 Mapped to Edge TPU" in lines
    assert "LEAKY_RELU 1 Operation not supported" in lines
    assert "FULLY_CONNECTED 2 More than one subgraph is not supported" in lines


def test_each_mending_names_the_operator_it_is_for_once(tmp_path: Path) -> None:
    text = shown(read_model(kept("leaky_relu", tmp_path)))
    assert text.count("LEAKY_RELU (3): LeakyReLU -> ReLU") == 1
    assert "5 that would map come after one that doesn't" in text


def test_a_whole_model_needs_no_mending(tmp_path: Path) -> None:
    text = shown(read_model(kept("relu", tmp_path)))
    assert "all 8 operators go to the Edge TPU" in text
    assert "What to change" not in text
    assert "of parameters on the chip" in text


def test_a_refused_model_shows_the_reason_and_no_table(tmp_path: Path) -> None:
    text = shown(read_model(kept("float32", tmp_path)))
    assert "the compiler will refuse it: Model not quantized" in text
    assert "representative_dataset" in text
    assert "Operator" not in text
    assert "Memory" not in text


def test_an_open_size_is_shown_as_a_question(tmp_path: Path) -> None:
    assert "in uint8 ?x8x8x1, out uint8 ?x10" in shown(read_model(kept("open_batch", tmp_path)))


def test_the_memory_bar_shows_what_is_streamed(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = x = graph.tensor(1, 1, 1, 1024)
    for _ in range(10):
        x = graph.conv(x, 1024, 1)
    text = shown(graph.model(tmp_path, [source], [x]))
    assert "2.04 MiB streamed for every run" in text
    assert "--num_segments" in text


def test_a_name_with_markup_in_it_is_shown_as_it_is(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source, middle, output = graph.tensor(1, 8), graph.tensor(1, 8), graph.tensor(1, 8)
    graph.op("RELU", [source], [middle])
    graph.op("[red]x[/red]", [middle], [output])
    assert shown(graph.model(tmp_path, [source], [output])).count("[red]x[/red]") == 2, "in the table and in the advice"


@pytest.mark.parametrize(("copies", "told"), [(2, "The 2 models fit"), (3, "The 3 models don't fit")])
def test_models_that_share_a_tpu_are_told_whether_they_fit(copies: int, told: str, tmp_path: Path) -> None:
    graph = GraphBuilder()
    source, output = graph.tensor(1, 1984), graph.tensor(1, 1984)
    graph.op("FULLY_CONNECTED", [source, graph.constant(1984, 1984), -1], [output], schema.FullyConnectedOptionsT(), 4)
    prediction = predict(graph.model(tmp_path, [source], [output]))
    assert told in together_view(together([prediction] * copies), copies)


def test_a_refused_model_keeps_the_others_from_being_compiled_with_it(tmp_path: Path) -> None:
    predictions = [predict(read_model(kept(name, tmp_path))) for name in ("relu", "float32")]
    assert "refuses 1 of them" in together_view(together(predictions), 2)


def test_the_document_has_every_operator_and_both_ends(tmp_path: Path) -> None:
    model = read_model(kept("leaky_relu", tmp_path))
    document = model_to_json(Path("leaky_relu.tflite"), model, predict(model))
    assert {"file", "ops_total", "ops_mapped", "parameter_bytes", "streamed_bytes", "fatal", "runtime_version"} <= set(document)
    assert document["ops"][3] == {
        "index": 3, "name": "LEAKY_RELU", "version": 1, "mapped": False, "reason": "Operation not supported",
        "advice": "LeakyReLU -> ReLU (or PReLU with shared_axes=[1, 2])",
    }
    assert [(one["dtype"], one["shape"]) for one in document["inputs"]] == [("uint8", [1, 8, 8, 1])]
    assert [(one["dtype"], one["shape"]) for one in document["outputs"]] == [("uint8", [1, 10])]
