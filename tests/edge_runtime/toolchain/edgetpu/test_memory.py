"""How parameters lie on the chip, each rule on a network small enough to add up by hand."""

from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.toolchain.edgetpu.memory import CHIP_BYTES, TYPICAL_BYTES
from edge_runtime.toolchain.edgetpu.predict import Prediction, predict, together
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import GraphBuilder


@pytest.mark.parametrize(("channels", "padded"), [(1, 4), (4, 4), (5, 16), (17, 32), (48, 48), (64, 64), (65, 128), (160, 192), (1001, 1024)])
def test_channels_are_padded_to_what_the_tiles_take(channels: int, padded: int, tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 8, 8, 16)
    output = graph.conv(source, channels, 8)
    expected = padded * (16 + 4)
    assert predict(graph.model(tmp_path, [source], [output])).parameter_bytes == -(-expected // 64) * 64


def test_scales_per_channel_take_eight_bytes_more_for_each(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 8, 8, 16)
    output = graph.conv(source, 64, 8, kernel=3, scales=64)
    assert predict(graph.model(tmp_path, [source], [output])).parameter_bytes == 64 * (9 * 16 + 12)


def test_three_colours_take_the_room_of_four(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 8, 8, 3)
    output = graph.conv(source, 64, 8, kernel=3)
    assert predict(graph.model(tmp_path, [source], [output])).parameter_bytes == 64 * (9 * 4 + 4)


def test_a_depthwise_layer_takes_four_times_its_weights(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source, output = graph.tensor(1, 8, 8, 96), graph.tensor(1, 8, 8, 96)
    options = schema.DepthwiseConv2DOptionsT(dilationWFactor=1, dilationHFactor=1)
    weights, bias = graph.constant(1, 3, 3, 96, scales=96), graph.constant(96, dtype="int32")
    graph.op("DEPTHWISE_CONV_2D", [source, weights, bias], [output], options, 3)
    assert predict(graph.model(tmp_path, [source], [output])).parameter_bytes == 96 * (9 * 4 + 12)


def test_the_layers_of_a_resnet50_add_up_to_what_a_published_log_says(tmp_path: Path) -> None:
    """6.25 MiB cached and 18.43 MiB streamed, the log of compiler 2.0 says."""
    graph = GraphBuilder()
    source = graph.tensor(1, 8, 8, 3)
    x = graph.conv(source, 64, 8, kernel=7, scales=64)
    for blocks, inner, outer in ((3, 64, 256), (4, 128, 512), (6, 256, 1024), (3, 512, 2048)):
        for block in range(blocks):
            if block == 0:
                graph.conv(x, outer, 8, scales=outer)
            x = graph.conv(graph.conv(x, inner, 8, scales=inner), inner, 8, kernel=3, scales=inner)
            x = graph.conv(x, outer, 8, scales=outer)
    output = graph.conv(x, 1000, 8, scales=1000)
    found = predict(graph.model(tmp_path, [source], [output]))
    assert (found.parameter_bytes + found.streamed_bytes) / 2**20 == pytest.approx(6.25 + 18.43, rel=0.001)


def _dense(folder: Path, size: int) -> Prediction:
    graph = GraphBuilder()
    source, output = graph.tensor(1, size), graph.tensor(1, size)
    graph.op("FULLY_CONNECTED", [source, graph.constant(size, size), -1], [output], schema.FullyConnectedOptionsT(), 4)
    return predict(graph.model(folder, [source], [output]))


def test_a_model_of_more_than_the_chips_memory_streams_the_rest(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = x = graph.tensor(1, 1, 1, 1024)
    for _ in range(10):
        x = graph.conv(x, 1024, 1)
    found = predict(graph.model(tmp_path, [source], [x]))
    assert TYPICAL_BYTES < found.parameter_bytes == found.available_bytes < CHIP_BYTES
    assert found.parameter_bytes + found.streamed_bytes == 10 * 1024 * (1024 + 4)
    assert "take 10.0 MiB on the chip" in found.advice[0]


def test_a_single_layer_larger_than_the_memory_is_streamed_whole(tmp_path: Path) -> None:
    """A published log of compiler 16 has 0 B cached and 64 MiB streamed for a Dense of 8192 x 8192; half of that here."""
    found = _dense(tmp_path, 4096)
    assert (found.parameter_bytes, found.streamed_bytes) == (0, 4096 * (4096 + 4))


def test_large_activations_leave_less_room_but_never_less_than_typical_models_have(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 512, 512, 16)
    output = graph.conv(source, 16, 512)
    assert predict(graph.model(tmp_path, [source], [output])).available_bytes == TYPICAL_BYTES
    assert _dense(tmp_path, 64).available_bytes == CHIP_BYTES - 128


def test_two_models_fit_together_only_while_their_sum_does(tmp_path: Path) -> None:
    half = _dense(tmp_path, 1984)
    assert together([half]).fits
    assert not together([half, half, half]).fits


def test_a_model_that_is_refused_fits_with_none(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 8, dtype="float32")
    graph.op("RELU", [source], [output := graph.tensor(1, 8, dtype="float32")])
    refused = predict(graph.model(tmp_path, [source], [output]))
    assert not together([_dense(tmp_path, 64), refused]).fits


def test_flattening_channels_that_do_not_fill_the_tiles_costs_a_matrix(tmp_path: Path) -> None:
    """In a published log 180 x 27 made one vector of 4860 takes 23.4 MiB, five times the Dense behind it."""
    def flattened(places: int, channels: int) -> int:
        graph = GraphBuilder()
        source, output = graph.tensor(1, places, channels), graph.tensor(1, places * channels)
        graph.op("RESHAPE", [source, graph.constant(2, dtype="int32", values=[1, -1])], [output])
        found = predict(graph.model(tmp_path, [source], [output]))
        return found.parameter_bytes + found.streamed_bytes

    assert flattened(180, 27) / 2**20 == pytest.approx(23.4, rel=0.05)
    assert flattened(49, 64) == 0


def test_channels_taken_apart_and_put_together_cost_nothing_where_they_stay_in_place(tmp_path: Path) -> None:
    def taken(*sizes: int) -> int:
        graph = GraphBuilder()
        sources = [graph.tensor(1, 8, 8, size) for size in sizes]
        output = graph.tensor(1, 8, 8, sum(sizes))
        graph.op("CONCATENATION", sources, [output], schema.ConcatenationOptionsT(axis=3))
        return predict(graph.model(tmp_path, sources, [output])).parameter_bytes

    assert taken(8, 16, 4) == 0
    assert taken(1, 1) == 64
