"""Which models are opened, what Keras 2 makes of them, and batch normalisation worked into convolutions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tf_keras", reason="needs the [train] environment")

import keras
import tf_keras

from edge_runtime.toolchain.optimize.fold import fold_batch_normalisation
from edge_runtime.toolchain.optimize.graph import NotTranslatable, read_graph
from edge_runtime.toolchain.optimize.keras_file import open_classifier
from edge_runtime.toolchain.optimize.keras_v2 import build, check_same

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's own, of other libraries' changes

SHAPE = (16, 16, 3)
PICTURES = np.random.default_rng(3).normal(size=(4, *SHAPE)).astype(np.float32)


def disturbed(model: Any) -> Any:
    """The model with weights that no initialiser gives, so that none can be forgotten unnoticed."""
    random = np.random.default_rng(5)
    model.set_weights([random.uniform(0.2, 1.0, weight.shape) * random.choice([1, -1] if weight.ndim > 1 else [1], weight.shape)
                       for weight in model.get_weights()])
    return model


def many_layers(layers: Any) -> Any:
    """A Functional model of Keras 3 with branches and most kinds of layers."""
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(0.5, offset=0.1)(inputs)
    x = layers.RandomFlip()(x)
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(6, 3, strides=2, use_bias=False)(x)
    x = layers.BatchNormalization(epsilon=1e-2)(x)
    x = layers.ReLU(6.0)(x)
    skip = x
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.LeakyReLU(negative_slope=0.3)(x)
    x = layers.Add()([x, skip])
    x = layers.SeparableConv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.Concatenate()([x, layers.Conv2D(2, 1, activation="tanh")(skip)])
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.Multiply()([x, layers.Activation("sigmoid")(x)])
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.AveragePooling2D(2, strides=1, padding="same")(x)
    flat = layers.Flatten()(layers.Reshape((-1, 5))(x))
    x = layers.Dense(7)(layers.Dropout(0.5)(flat))
    x = layers.BatchNormalization()(x)
    x = layers.Dense(4)(x) + layers.Dense(4)(layers.GlobalAveragePooling2D()(skip))
    return disturbed(keras.Model(inputs, layers.Softmax()(x)))


def nested() -> Any:
    inside = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(name="norm")], name="inside")
    inputs = keras.Input(SHAPE)
    x = keras.layers.GlobalAveragePooling2D()(inside(inputs, training=False))
    return disturbed(keras.Model(inputs, keras.layers.Dense(4)(x)))


@pytest.mark.parametrize("make", [lambda: many_layers(keras.layers), nested], ids=["many layers", "a model in a model"])
def test_a_model_of_keras_3_answers_the_same_in_keras_2_and_with_batch_normalisation_worked_in(make: Any) -> None:
    model = make()
    expected = np.asarray(model(PICTURES, training=False))
    graph = read_graph(model)
    check_same(build(graph, SHAPE), expected, PICTURES)
    folded = fold_batch_normalisation(graph)
    left = [layer.name for layer in folded.layers.values() if layer.kind == "BatchNormalization"]
    assert left == (["batch_normalization_2"] if len(graph.layers) > 5 else [])  # it comes after an activation
    check_same(build(folded, SHAPE), expected, PICTURES)


def test_a_backbone_that_was_frozen_keeps_its_batch_normalisation_frozen_and_the_rest_is_trained() -> None:
    built = build(read_graph(nested()), SHAPE)
    assert [layer.name for layer in built.layers if not layer.trainable] == ["inside_norm"]


def test_other_answers_are_never_passed_over() -> None:
    model = nested()
    graph = read_graph(model)
    with pytest.raises(NotTranslatable, match="the model's answers differ by up to"):
        check_same(build(graph, SHAPE), np.asarray(model(PICTURES, training=False)) * np.float32(1.001), PICTURES)


def test_what_keras_2_does_not_have_is_named() -> None:
    inputs = keras.Input(SHAPE)
    x = keras.layers.GroupNormalization(3, name="groups")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(NotTranslatable, match=r"the layer 'groups' \(GroupNormalization\) is none that can be taken over"):
        build(read_graph(model), SHAPE)
    with pytest.raises(NotTranslatable, match="takes the constant 2"):
        read_graph(keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(inputs * 2.0))))


def head(model: Any, activation: str | None, units: int = 4, library: Any = keras) -> Any:
    """A small classifier as `model`, a Sequential."""
    for layer in (library.layers.Conv2D(3, 3), library.layers.Flatten(), library.layers.Dense(units, activation=activation)):
        model.add(layer)
    return disturbed(model)


@pytest.mark.parametrize(("activation", "output"), [(None, "logits"), ("softmax", "probabilities")])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_files_of_both_keras_are_opened_and_their_scores_named(
        tmp_path: Path, activation: str | None, output: str, ending: str) -> None:
    three = head(keras.Sequential([keras.Input(SHAPE)]), activation)
    two = head(tf_keras.Sequential([tf_keras.Input(SHAPE)]), activation, library=tf_keras)
    for number, model in ((3, three), (2, two)):
        path = tmp_path / f"model{number}{ending}"
        model.save(path)
        found = open_classifier(path, SHAPE, 4)
        assert (found.keras, found.output, found.parameters, found.scales_itself) == (number, output, three.count_params(), False)
        np.testing.assert_allclose(found.answer(PICTURES), np.asarray(model(PICTURES)), rtol=1e-5)
        found.translated(PICTURES)


@pytest.mark.parametrize(("make", "told"), [
    (lambda: head(keras.Sequential([keras.Input(SHAPE)]), "sigmoid"), "the model ends in 'sigmoid'; only classification"),
    (lambda: head(keras.Sequential([keras.Input(SHAPE)]), None, 5), "the model answers 5 scores, the data set has 4 labels"),
    (lambda: head(keras.Sequential([keras.Input((16, 16, 1))]), None), "the model takes pictures 16x16x1, the data set's are 16x16x3"),
    (lambda: head(keras.Sequential([keras.Input(SHAPE), keras.layers.Lambda(lambda x: x, name="code")]), None),
     "the layer 'code' is a Lambda, which carries Python code"),
])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_model_that_is_no_fit_is_refused_with_the_reason(tmp_path: Path, make: Any, told: str, ending: str) -> None:
    path = tmp_path / f"model{ending}"
    make().save(path)
    with pytest.raises(ValueError, match=rf"model\{ending}: {told}"):
        open_classifier(path, SHAPE, 4)


def test_what_is_no_whole_model_file_is_refused(tmp_path: Path) -> None:
    model = head(keras.Sequential([keras.Input(SHAPE)]), None)
    model.save(tmp_path / "whole.keras")
    model.save(tmp_path / "whole.h5")
    model.save_weights(tmp_path / "alone.weights.h5")
    for name, ending in (("whole.keras", ".keras"), ("whole.h5", ".h5")):
        (tmp_path / f"cut{ending}").write_bytes((tmp_path / name).read_bytes()[:3000])
    (tmp_path / "picture.h5").write_bytes(b"\xff\xd8\xff\xe0 a JPEG")
    for name in ("cut.keras", "cut.h5", "picture.h5"):
        with pytest.raises(ValueError, match=rf"{name} is no \.keras or \.h5 file of a Keras model"):
            open_classifier(tmp_path / name, SHAPE, 4)
    with pytest.raises(ValueError, match="holds weights alone"):
        open_classifier(tmp_path / "alone.weights.h5", SHAPE, 4)
