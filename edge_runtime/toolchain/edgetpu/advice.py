"""What to change so that an operator goes to the Edge TPU, in words that a Keras user knows."""

FLOAT_INPUT = "convert with inference_input_type=tf.uint8 or tf.int8, so that the model takes 8-bit pixels"
FLOAT_OUTPUT = "convert with inference_output_type=tf.uint8 or tf.int8, and turn the outputs into reals with scale and zero point"
NOT_QUANTIZED = (
    "quantise it: converter.optimizations = [tf.lite.Optimize.DEFAULT], a representative_dataset, supported_ops ="
    " [TFLITE_BUILTINS_INT8], inference_input_type and inference_output_type = tf.uint8 or tf.int8;"
    " `hedgerow model optimize` makes such a variant"
)
DYNAMIC = "fix the batch size before converting: tf.keras.Input(shape, batch_size=1); give every other size a number too"
PLACEHOLDER = (
    "the batch size isn't fixed in the file; the compiler takes 1 for it. tf.keras.Input(shape, batch_size=1) makes sure of it"
)
BATCH = "fix the batch size to 1: tf.keras.Input(shape, batch_size=1)"
RANK = "keep tensors to height, width and channels: only the three last dimensions may be above 1"
SUBGRAPHS = "unroll loops and conditions: unroll=True in LSTM and GRU, no tf.while_loop or tf.cond"
NO_OPERATORS = "there is nothing to compile: convert the model again"
BROKEN = "an operator lacks its inputs or outputs: the file is damaged, convert the model again"
COMPILED = "check the .tflite file from before the compiler"
DILATION = "take the same dilation_rate in both directions"
NOT_CONSTANT = "weights, shapes and paddings must be constants in the file, not computed or fed in"
DENSE_PER_CHANNEL = (
    "quantise Dense per tensor: converter._experimental_disable_per_channel_quantization_for_dense_layers = True,"
    " or convert with TensorFlow 2.16 or older; or write the Dense as a Conv2D of 1x1"
)
DENSE_FORMAT = "convert again with the default format of weights"
DENSE_OF_MANY = "a Dense gives one vector: write one that works on each step or place as a Conv2D of 1x1"
FUSED = "leave the activation of this layer out, or put it behind a Conv2D"
CONSTANT_CONCATENATION = "concatenate a constant with one tensor only, and only zeros"
BATCH_AXIS = "work along height, width or channels, never along the batch"
MEAN_OF_CHANNELS = "average over channels only where their number is a multiple of 4"
PRELU = "give PReLU shared_axes=[1, 2], so that each channel has one slope"
LARGE = "work on smaller tensors: a smaller input, or reshape and transpose after the model, outside of it"
RESIZE = "resize in smaller steps or to a smaller size: UpSampling2D(2) of up to about 2.5 MB of output map, or leave the last one out"
RESIZE_FROM_ONE = "don't spread a single pixel: multiply or add the pooled (1, 1, channels), which broadcasts, or leave that branch out"
SOFTMAX = "take Softmax over one vector of up to 16,000 classes only; for masks leave it out and take the largest logit"
SQUEEZE = "take Reshape where other dimensions than the leading 1s go"
STRIDED_SLICE = "slice with a step of 1 and without new axes; take MaxPooling2D(1, strides=2) or a strided Conv2D to skip"
TOO_LARGE = (
    "its parameters take {mebibytes:.1f} MiB on the chip, more than fits: take a narrower model (alpha, depth_multiplier), or split"
    " it over several TPUs with the compiler's --num_segments; what doesn't fit is sent to the chip for every run"
)
BEHIND = "it maps once what comes before it does"

_INSTEAD = {
    "LEAKY_RELU": "LeakyReLU -> ReLU (or PReLU with shared_axes=[1, 2])",
    "ELU": "ELU -> ReLU (or PReLU with shared_axes=[1, 2])",
    "GELU": "GELU -> ReLU",
    "HARD_SWISH": "hard swish -> ReLU6: MobileNetV3 has a 'minimalistic' form without it",
    "EXP": "SELU, softplus and the like -> ReLU, sigmoid or tanh",
    "LOG": "softplus, mish and the like -> ReLU, sigmoid or tanh",
    "LOG_SOFTMAX": "log_softmax -> Softmax",
    "ARG_MAX": "leave argmax out and take it from the output, outside of the model",
    "ARG_MIN": "leave argmin out and take it from the output, outside of the model",
    "TOPK_V2": "leave top-k out and take it from the output, outside of the model",
    "DIV": "division by a constant -> multiplication with its inverse (Rescaling(scale=1/255))",
    "SQRT": "square root -> tf.math.rsqrt, or leave it out",
    "POW": "power -> multiplication",
    "SQUARE": "tf.square(x) -> x * x",
    "ABS": "abs(x) -> tf.maximum(x, -x) with -x as a product",
    "NEG": "-x -> x * -1.0",
    "CAST": "leave casts out: take uint8 or int8 in, and cast outside of the model",
    "TILE": "repeat -> UpSampling2D, or rely on broadcasting",
    "BROADCAST_TO": "broadcast_to -> rely on broadcasting in Add and Multiply",
    "GATHER": "gather -> slices, or leave it out: it picks places by a list",
    "GATHER_ND": "gather -> slices, or leave it out: it picks places by a list",
    "EMBEDDING_LOOKUP": "Embedding -> look it up outside of the model",
    "SHAPE": "fix the batch size: tf.keras.Input(shape, batch_size=1); then no shapes are computed",
    "BATCH_MATMUL": "attention and matmul of two tensors don't run; Dense and Conv2D with constant weights do",
    "REVERSE_V2": "reverse -> feed the reversed data in",
    "DEPTH_TO_SPACE": "depth_to_space -> UpSampling2D and Conv2D",
    "SPACE_TO_BATCH_ND": "a dilated layer of old TensorFlow: convert again with TensorFlow 2, which writes dilation_rate into the layer",
    "BATCH_TO_SPACE_ND": "a dilated layer of old TensorFlow: convert again with TensorFlow 2, which writes dilation_rate into the layer",
    "MIRROR_PAD": "reflecting padding -> ZeroPadding2D",
    "PADV2": "padding with a number -> ZeroPadding2D",
    "SPLIT_V": "split in unequal parts -> slices",
    "UNPACK": "unstack -> slices",
    "REDUCE_PROD": "reduce_prod -> multiplications",
    "SELECT": "where -> multiplication with a mask",
    "SELECT_V2": "where -> multiplication with a mask",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "Bidirectional(LSTM) -> LSTM",
    "TFLite_Detection_PostProcess": "no change needed: sorting out the boxes always runs on the CPU, at the end",
}


def unsupported(name: str) -> str:
    """What to take in the place of an operator that the Edge TPU never runs."""
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name.startswith("Flex"):
        return "a TensorFlow operator that TFLite has none for: convert without SELECT_TF_OPS to see which layer makes it"
    return "take another layer for it, or leave it out at the model's end and do it outside of the model"


def data_type(name: str, dtype: str) -> str:
    """What to change about an operator that works on other than 8 bits."""
    if name == "DEQUANTIZE":
        return FLOAT_OUTPUT
    if name in _INSTEAD:
        return _INSTEAD[name]
    if dtype == "int16":
        return "quantise to 8 bits, not to 16: supported_ops = [TFLITE_BUILTINS_INT8]"
    if dtype in {"int32", "int64", "bool"}:
        return "leave this computation on integers out, or do it outside of the model"
    return "quantise it too: a layer that stays float has no 8-bit kernel, or the converter was let keep it"
