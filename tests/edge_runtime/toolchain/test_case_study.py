"""The case study's steps that need TensorFlow, on drawn digits and a few epochs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] environment")

from benchmarks.case_study_data import FILE, write_digits
from benchmarks.case_study_tables import PUBLISHED, op_tables
from benchmarks.case_study_train import LEGACY, MODEL, train
from domains.house_numbers.training import RECIPES
from domains.house_numbers.training.network import PARAMETERS, published
from tests.domains.house_numbers import drawn

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's own, of other libraries' changes


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """Data, the folder of a short training, and what it said."""
    data, out = drawn.data_folder(tmp_path_factory.mktemp("data")), tmp_path_factory.mktemp("out")
    write_digits(data, out)
    return data, out, train(data, out / FILE, out, seed=3, epochs=2, say=lambda _: None)


def trained_again(data: Path, out: Path, seed: int, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    return train(data, out / FILE, out, seed=seed, epochs=2, say=say)


def test_the_network_is_the_published_one_and_its_h5_file_is_three_times_its_weights(
    study: tuple[Path, Path, dict[str, Any]]
) -> None:
    _, out, record = study
    assert record["parameters"] == PARAMETERS
    assert (out / LEGACY).stat().st_size == pytest.approx(3 * 4 * PARAMETERS, rel=0.01)


def test_a_finished_training_is_taken_as_it_is_and_another_seed_is_not(study: tuple[Path, Path, dict[str, Any]]) -> None:
    data, out, record = study
    said: list[str] = []
    before = (out / MODEL).stat().st_mtime_ns
    assert trained_again(data, out, 3, said.append) == record
    assert (out / MODEL).stat().st_mtime_ns == before
    assert "finished before" in said[0]


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    study: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    import keras
    import numpy as np

    data, out, _ = study
    weights = {}
    for name, seed in (("again", 3), ("other", 4)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / FILE).write_bytes((out / FILE).read_bytes())
        trained_again(data, folder, seed)
        weights[name] = keras.models.load_model(folder / MODEL, compile=False).get_weights()
    first = keras.models.load_model(out / MODEL, compile=False).get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(first, weights["again"], strict=True))
    assert not np.array_equal(first[0], weights["other"][0])


def test_the_published_op_table_comes_with_one_leaky_relu_uint8_ends_and_several_subgraphs(
    study: tuple[Path, Path, dict[str, Any]]
) -> None:
    _, out, _ = study
    rows = json.loads(json.dumps(op_tables(out / MODEL, out / FILE)))
    alike = [row for row in rows if row["is_published"]]
    assert [(row["network"].rpartition(" ")[2], row["ends"], row["many_subgraphs"]) for row in alike] == [
        ("convolution", "uint8", True), ("convolution", "uint8", True), ("layer", "uint8", True)]
    assert all(row["reasons"] == {"LEAKY_RELU": "Operation not supported"} for row in alike)
    relu = [row for row in rows if row["network"] == "ReLU throughout"]
    assert all(row["cpu"] == {} for row in relu)
    assert relu[0]["mapped"] == PUBLISHED["mapped"]
    assert sum(relu[2]["mapped"].values()) == 6, "int8 ends need no QUANTIZE"
    first = next(row for row in rows if row["file"].startswith("conv1") and not row["many_subgraphs"])
    assert first["mapped"] == {"CONV_2D": 1, "QUANTIZE": 1}, "by default all behind the LeakyReLU stays on the CPU"


def test_the_recipe_trains_the_same_network_without_its_softmax() -> None:
    (recipe,) = RECIPES
    network = recipe.build(Path("unused"))
    assert network.count_params() == published().count_params() == PARAMETERS
    assert tuple(network.output["logits"].shape) == (None, 10)
