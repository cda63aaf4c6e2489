"""Why an operator parts two sides, in words that a Keras user knows, with what to do about it."""

from dataclasses import dataclass

COARSE = 8.0
"""Up to so many times what rounding to the nearest step makes, rounding is the explanation: weights are rounded too."""
WEIGHTS_DB = 20.0
"""Weights in 8 bits keep 30 dB and more of a layer's."""
PRUNED = 0.4
"""From this share of zeros on, a layer was pruned."""
OUTLIER_CHANNEL = 8.0
OUTLIER_VALUE = 40.0
WIDE = 4.0
UNEVEN_SCALES = 16.0
SATURATED_SHARE = 0.3
"""From this share of an operator's difference on, what is cut off explains it."""
_JOINS = frozenset({"ADD", "SUB", "CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"})
_FIXED = frozenset({"SOFTMAX", "LOGISTIC", "LOG_SOFTMAX", "TANH", "L2_NORMALIZATION"})


@dataclass(frozen=True, slots=True)
class Constant:
    """Weights or bias of an operator in both graphs. `sqnr_db`: None where they are the same. `per_tensor`: one scale for all
    channels. `spread`: the largest channel's greatest value by the median channel's. `zeros`: share of the other side's that are 0.
    """

    name: str
    sqnr_db: float | None
    per_tensor: bool
    spread: float
    zeros: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of one operator, given the same inputs on both sides.

    `noise`: its difference by that of rounding alone; None where the other side isn't quantised. `saturated`: share of values
    cut off, `saturated_of_error`: share of the difference that this makes. `reach`: what the other's type and scale hold;
    `values`: what the reference's values reach, `rms` their root mean square; `channels`: the farthest channel by the median one.
    `scales`: of its inputs on the other side.
    """

    op: str
    other: str
    noise: float | None
    saturated: float
    saturated_of_error: float
    reach: tuple[float, float]
    values: tuple[float, float]
    rms: float
    channels: float
    scales: tuple[float, ...]
    constants: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """`code` is stable; `why` and `advice` are sentences."""

    code: str
    why: str
    advice: str


def explain(found: Evidence) -> Cause:
    """The first of the known causes that the evidence shows."""
    changed = next((one for one in found.constants if one.sqnr_db is not None and one.sqnr_db < WEIGHTS_DB), None)
    if changed is not None:
        return _constant(changed)
    if found.saturated and found.saturated_of_error >= SATURATED_SHARE:
        return _saturated(found)
    if found.noise is not None and found.noise <= COARSE:
        return _coarse(found)
    return Cause(
        "arithmetic", "Neither its weights nor its range explain it: given the same inputs, it computes something else.",
        "Compare the operator's options in both files (stride, padding, dilation, activation, axes): `hedgerow model check FILE --json`.",
    )


def built_up(adding: str) -> Cause:
    """Where no operator does it alone. `adding`: those that add most, in words."""
    return Cause(
        "built_up", f"No operator does it alone: small differences have built up on the way. By themselves these add most: {adding}.",
        "Train with quantisation in mind (quantisation-aware training), or give more representative pictures.",
    )


def _constant(changed: Constant) -> Cause:
    if changed.per_tensor and changed.spread >= OUTLIER_CHANNEL:
        return Cause(
            "weights_per_tensor",
            f"One scale serves all channels of its {changed.name}, and the largest channel is {changed.spread:.0f} times the median one, so "
            f"that most channels keep few steps: {changed.sqnr_db:.0f} dB of signal to difference.",
            "Quantise them per channel (the converter's default for Conv2D); BatchNorm over a channel that hardly varies makes such "
            "weights: train with weight decay or with quantisation in mind.",
        )
    pruned = f"; {changed.zeros:.0%} of the one side's are zero, as pruning makes them" if changed.zeros >= PRUNED else ""
    return Cause(
        "weights",
        f"The {changed.name} in the two files differ by more than rounding to 8 bits makes: {changed.sqnr_db:.0f} dB of signal to difference{pruned}.",
        "Where one side was trained further (pruned, clustered, quantisation-aware), that is why, and the decisions are what counts. "
        "Otherwise the file is damaged, or of another training: convert it again.",
    )


def _saturated(found: Evidence) -> Cause:
    return Cause(
        "saturated",
        f"{found.saturated:.1%} of its values don't fit: {found.other} holds {_range(found.reach)} here, and they reach "
        f"{_range(found.values)}.",
        "Quantise again with representative pictures that reach as far as those in use, and are normalised in the same way; where the "
        "scale in the file was changed, convert it again.",
    )


def _coarse(found: Evidence) -> Cause:
    """Rounding explains it: the steps are too wide for the values, and why."""
    if found.op in _FIXED:
        return Cause(
            "fixed_step", f"An 8-bit {found.op} has steps of a fixed width, and its values here are small beside them.",
            f"Leave {found.op} out of the model and apply it to the logits afterwards.",
        )
    scales = [scale for scale in found.scales if scale]
    if found.op in _JOINS and len(scales) > 1 and max(scales) / min(scales) >= UNEVEN_SCALES:
        return Cause(
            "uneven_inputs",
            f"It joins tensors whose steps differ {max(scales) / min(scales):.0f} times: the finer one is lost in the other's steps.",
            "Bring both to the same range before: BatchNormalization on each branch, or ReLU6.",
        )
    wide = (found.reach[1] - found.reach[0]) / max(found.values[1] - found.values[0], 1e-30)
    if wide >= WIDE:
        return Cause(
            "wide_range",
            f"Its range in {found.other}, {_range(found.reach)}, is {wide:.0f} times as wide as what it needs here, "
            f"{_range(found.values)}: its steps are too coarse.",
            "Leave pictures that are unlike those in use (broken, normalised otherwise) out of the representative data; after "
            "quantisation-aware training, train longer, since its ranges begin wide; where the scale in the file was changed, convert it again.",
        )
    if found.channels >= OUTLIER_CHANNEL:
        return Cause(
            "outlier_channel",
            f"One channel reaches {found.channels:.0f} times as far as the median one, and one step serves all: the others keep few steps.",
            "Clip it with ReLU6, or put BatchNormalization behind the layer, or train with quantisation in mind.",
        )
    farthest = max(abs(found.values[0]), abs(found.values[1]))
    if farthest >= OUTLIER_VALUE * found.rms:
        return Cause(
            "outlier_values",
            f"A few values reach {farthest / max(found.rms, 1e-30):.0f} times as far as the rest (root mean square), and stretch the steps.",
            "Clip it with ReLU6, or train with quantisation in mind.",
        )
    return Cause(
        "rounding", "Its values are small beside one step of 8 bits, evenly over channels.",
        "Train with quantisation in mind, or leave this layer in float.",
    )


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"
