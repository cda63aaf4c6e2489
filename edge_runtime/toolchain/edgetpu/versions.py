"""Which versions of TFLite's operators `edgetpu_compiler` 16.0 can read, and which runtime of the Edge TPU they need.

The compiler of July 2021 is the last one. It parses a model with the operators of the TensorFlow of that time
(`lite/kernels/register.cc`, between 2.5 and 2.7) and gives up on the whole file when one is newer: "Didn't find op for
builtin opcode 'CONV_2D' version '6'". What is newer and why is in TensorFlow's `lite/tools/versioning/op_version.cc`.
"""

FIRST_RUNTIME = 12
"""What compiled models with the oldest operators ask for."""

_NEWEST = {
    "ABS": 4, "ADD": 4, "ARG_MAX": 3, "ARG_MIN": 3, "AVERAGE_POOL_2D": 3, "BATCH_MATMUL": 4, "BATCH_TO_SPACE_ND": 3,
    "BIDIRECTIONAL_SEQUENCE_LSTM": 3, "BIDIRECTIONAL_SEQUENCE_RNN": 3, "BROADCAST_TO": 3, "CAST": 4, "CONCATENATION": 3,
    "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "DEPTH_TO_SPACE": 2, "DEQUANTIZE": 5, "DIV": 2, "EMBEDDING_LOOKUP": 3,
    "EQUAL": 3, "FAKE_QUANT": 2, "FILL": 3, "FLOOR_DIV": 2, "FULLY_CONNECTED": 9, "GATHER": 5, "GATHER_ND": 3,
    "GREATER": 2, "GREATER_EQUAL": 2, "L2_NORMALIZATION": 2, "LEAKY_RELU": 2, "LESS": 2, "LESS_EQUAL": 2, "LOGISTIC": 3,
    "LOG_SOFTMAX": 2, "LSTM": 4, "MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4, "MIRROR_PAD": 2, "MUL": 5,
    "NOT_EQUAL": 3, "PACK": 3, "PAD": 4, "PADV2": 4, "QUANTIZE": 3, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "REDUCE_PROD": 2,
    "RELU": 3, "RELU6": 3, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4, "REVERSE_V2": 2, "RNN": 3, "RSQRT": 2,
    "SELECT": 2, "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_BATCH_ND": 3, "SPACE_TO_DEPTH": 2, "SPARSE_TO_DENSE": 3, "SPLIT": 4,
    "SPLIT_V": 2, "SQUARED_DIFFERENCE": 2, "SQUEEZE": 2, "STRIDED_SLICE": 6, "SUB": 5, "SUM": 2, "SVDF": 4, "TANH": 3,
    "TILE": 3, "TOPK_V2": 2, "TRANSPOSE": 5, "TRANSPOSE_CONV": 3, "UNIDIRECTIONAL_SEQUENCE_LSTM": 3,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 3, "UNPACK": 4, "WHERE": 2,
}
"""The newest version of each; of what isn't named, the first."""
_YOUNGER = {"GELU", "BITCAST", "BITWISE_XOR", "RIGHT_SHIFT", "RELU_0_TO_1", "DYNAMIC_UPDATE_SLICE", "ATAN2", "SIGN", "DILATE"}
"""Operators that came after the compiler. So did all of StableHLO."""
_RUNTIME = {
    "EXPAND_DIMS": 13, "PACK": 13, "PRELU": 13, "SUM": 13, "TRANSPOSE_CONV": 13,
    "REDUCE_MAX": 14, "REDUCE_MIN": 14, "RSQRT": 14, "SQUARED_DIFFERENCE": 14, "TRANSPOSE": 14,
}
"""Coral's table of supported operators names later ones for QUANTIZE and LSTM too; real models with them ask for 12."""

_MENDING = {
    ("CONV_2D", 6): "take groups=1 in Conv2D, or slices of the channels, a Conv2D for each and a Concatenate",
    ("TRANSPOSE_CONV", 4): "the converter has joined Conv2DTranspose with the ReLU behind it: take UpSampling2D and Conv2D"
    " instead, leave that ReLU out, or convert with TensorFlow 2.8, which doesn't join them",
}
"""What a Keras user changes so that the converter writes an older version, from the version named here on."""


def is_readable(name: str, version: int) -> bool:
    """Whether the compiler's parser knows a builtin operator in this version."""
    return not name.startswith(("STABLEHLO_", "BUILTIN_")) and name not in _YOUNGER and version <= _NEWEST.get(name, 1)


def runtime(name: str) -> int:
    """The lowest version of the Edge TPU's runtime that has the operator."""
    return _RUNTIME.get(name, FIRST_RUNTIME)


def mending(name: str, version: int) -> str:
    """What to change about an operator that is too new."""
    found = [text for (op, since), text in _MENDING.items() if op == name and version >= since]
    return found[0] if found else "convert with TensorFlow 2.8 or older, of which the compiler knows all operators"
