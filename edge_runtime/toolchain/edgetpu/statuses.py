"""What the compiler's log says of an operator, in its words, and what it says where it gives up on the whole model."""

from edge_runtime.toolchain.edgetpu.compiler_log import MAPPED

BEHIND = "More than one subgraph is not supported"
LIMITED = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
DATA_TYPE = "Operation is working on an unsupported data type"
VERSION = "Operation version not supported"
RANK = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
IMPRECISE = "Image-interpolation layer won't run precisely enough on Edge TPU"
NOT_CONSTANT = "Filter, bias, or other param is not constant at compile-time"
UNSUPPORTED = "Operation not supported"

NOT_QUANTIZED = "Model not quantized"
NOT_PARSED = "Model could not be parsed: didn't find op for builtin opcode '{name}' version '{version}'"
DYNAMIC = "Attempting to use a delegate that only supports static-sized tensors with a graph that has dynamic-sized tensors"
BROKEN = "Model failed in Tflite interpreter. Please ensure model can be loaded/run in Tflite interpreter."
NO_OPERATORS = "Did not get operators, tensors, or buffers in subgraph 0."
SUBGRAPHS = "The model has {count} subgraphs, as loops and conditions make them; the compiler takes one"
COMPILED = "Already compiled for the Edge TPU: `hedgerow model inspect` shows what is in it"

__all__ = [
    "BEHIND", "BROKEN", "COMPILED", "DATA_TYPE", "DYNAMIC", "IMPRECISE", "LIMITED", "MAPPED", "NOT_CONSTANT", "NOT_PARSED",
    "NOT_QUANTIZED", "NO_OPERATORS", "RANK", "SUBGRAPHS", "UNSUPPORTED", "VERSION",
]
