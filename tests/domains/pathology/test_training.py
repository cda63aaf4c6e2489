"""The pathology network, its gate and its offsets, in the training environment: a backbone of a few layers with the names of the real one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] environment")

import keras

from domains.core import InputSpec, Pixels
from domains.core.gate_fit import set_gate
from domains.pathology.training import offsets
from domains.pathology.training.network import FEATURES, FINE, FROZEN_UP_TO, GATE, build

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's own, of other libraries' changes

SPEC = InputSpec(64, 64, 127.0, 128.0)
COARSE = "b12_add"


@pytest.fixture
def network(tmp_path: Path) -> Any:
    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=8, padding="same", name=FROZEN_UP_TO)(pixels)
    x = keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu6", name=FINE)(x)
    x = keras.layers.Conv2D(64, 3, strides=2, padding="same", name=COARSE)(x)
    keras.Model(pixels, x).save(tmp_path / "backbone.keras")
    return build(tmp_path / "backbone.keras", 3, COARSE)


def pictures(count: int, brightness: float, seed: int) -> list[Pixels]:
    random = np.random.default_rng(seed)
    return [np.asarray(random.normal(brightness, 20, (1, 64, 64, 3)).clip(0, 255), np.uint8) for _ in range(count)]


def answers(network: Any, shown: list[Pixels]) -> dict[str, Any]:
    real = (np.concatenate(shown).astype(np.float32) - SPEC.mean) / SPEC.std
    return {name: np.asarray(output) for name, output in network(real, training=False).items()}


def test_an_offset_moves_the_logits_and_leaves_the_evidence_where_it_was(network: Any) -> None:
    shown = pictures(12, 120, 1)
    before = answers(network, shown)
    offsets.fit(network, [([picture], number % 3) for number, picture in enumerate(shown)], SPEC)
    after = answers(network, shown)
    moved = after["logits"] - before["logits"]
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:1], moved.shape), atol=1e-5)
    assert moved[0, before["logits"].mean(axis=0).argmax()] < -0.01, "it is too bold of a label that is no commoner than the others"
    assert moved[0].sum() == pytest.approx(0, abs=1e-5)
    np.testing.assert_array_equal(after["activation"], before["activation"])


def test_where_a_label_has_no_scan_nothing_is_offset(network: Any) -> None:
    shown = pictures(12, 120, 1)
    before = answers(network, shown)
    offsets.fit(network, [([picture], number % 2) for number, picture in enumerate(shown)], SPEC)
    np.testing.assert_array_equal(answers(network, shown)["logits"], before["logits"])


def test_the_gate_finds_its_own_pictures_near_and_others_far_off(network: Any) -> None:
    set_gate(network, FEATURES, GATE, pictures(200, 100, 1), pictures(60, 200, 2), SPEC)
    own, other = (np.square(answers(network, pictures(40, brightness, 3))["familiarity"]).mean(axis=1) for brightness in (100, 200))
    assert own.mean() == pytest.approx(1, rel=1)
    assert other.min() > 2 * own.max()
