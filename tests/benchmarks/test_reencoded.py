"""The benchmark of models in int8 runs both files, and tells them apart."""

from pathlib import Path

import numpy as np

from benchmarks.reencoded import alike, compare, models
from edge_runtime.toolchain.reencode import reencode
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import kept
from tests.edge_runtime.toolchain.uint8_networks import CHANNELS, convolution


def test_a_model_whose_weights_fit_gives_the_same_map_and_one_whose_weights_do_not_another(tmp_path: Path) -> None:
    pictures = [np.random.default_rng(seed).integers(0, 256, (12, 9, CHANNELS), np.uint8) for seed in range(3)]
    (tmp_path / "out").mkdir()
    path = convolution(tmp_path)
    found = compare(path, reencode(path), tmp_path / "out", pictures, 5)
    assert found.same == 1.0
    assert min(found.ms, found.ms_in_int8) > 0
    assert "| 0 of 8 |" in found.row()
    path = convolution(tmp_path, farthest=135)
    assert compare(path, reencode(path), tmp_path / "out", pictures, 1).same < 1


def test_scores_are_alike_where_the_same_label_leads_and_maps_by_their_places() -> None:
    assert alike(np.array([[1, 5, 2]]), np.array([[3, 4, 0]])) == 1.0
    assert alike(np.array([[1, 5, 2]]), np.array([[3, 2, 0]])) == 0.0
    assert alike(np.array([[[1, 2], [3, 4]]]), np.array([[[1, 2], [3, 0]]])) == 0.75


def test_only_what_can_be_encoded_anew_is_measured(tmp_path: Path) -> None:
    convolution(tmp_path).rename(tmp_path / "a_quant.tflite")
    kept("relu", tmp_path).rename(tmp_path / "b_quant.tflite")
    assert [path.name for path, _ in models(tmp_path)] == ["a_quant.tflite"]
