"""Keras layers read off the names of tensors."""

import pytest

from edge_runtime.toolchain.parity.layers import LayerNames


@pytest.mark.parametrize(("names", "layers"), [
    (["functional_1_1/stem_relu_1/Relu6;functional_1_1/stem_bn_1/add;functional_1_1/stem_conv_1/convolution", "functional_1_1/add_1/Add"],
     ["stem_conv", "add"]),
    (["sequential/conv2d/Relu;sequential/conv2d/BiasAdd;sequential/conv2d/Conv2D", "sequential/dense_1/MatMul"], ["conv2d", "dense_1"]),
    (["StatefulPartitionedCall/model/conv/Conv2D", "StatefulPartitionedCall/model/head/MatMul"], ["conv", "head"]),
    (["functional_1/conv2d_1/convolution", "functional_1/conv2d_1_2/convolution"], ["conv2d", "conv2d_1"]),
    (["model/conv_1/Conv2D", "model/conv_2/Conv2D"], ["conv_1", "conv_2"]),
    (["functional_1/dense_1/MatMul", "StatefulPartitionedCall:0"], ["dense", ""]),
    (["", "Identity"], ["", ""]),
])
def test_a_layer_is_named_as_its_author_named_it(names: list[str], layers: list[str]) -> None:
    known = LayerNames(names)
    assert [known.of(name) for name in names] == layers
