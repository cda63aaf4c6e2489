"""What there is to make, and the rules of fine-tuning. No TensorFlow here.

Every variant begins with the same trained weights. Some go through a step of fine-tuning (`Base`) whose weights are kept, so
that `pruned_80_int8` is the very network of `pruned_80`; then, for some, comes quantisation-aware training; then conversion.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edge_runtime.toolchain.variants import NAMES

BATCH = 32
LEARNING_RATE = 1e-4
"""Constant: a tenth of what Adam usually trains with, since the weights are good already."""
LEAST_EPOCHS, MOST_EPOCHS, WANTED_STEPS = 4, 30, 300
REPRESENTATIVE = 300
"""At most so many training pictures give the int8 ranges."""
RAMP = 0.6
"""Sparsity rises from 0 to its target over this share of the steps (cubic, Zhu and Gupta 2017, arXiv 1710.01878); the rest heals."""
PRUNINGS = 20
"""So often is the mask drawn anew on the way."""


@dataclass(frozen=True, slots=True)
class Base:
    """A step of fine-tuning: `amount` is the share of zeros among the weights, or the number of different weights a layer."""

    name: str
    kind: Literal["pruned", "clustered"]
    amount: float


@dataclass(frozen=True, slots=True)
class Variant:
    """`qat`: quantisation-aware training follows on the base, which keeps a pruned base's zeros."""

    form: Literal["float32", "float16", "dynamic_range", "int8"]
    base: Base | None = None
    qat: bool = False

    @property
    def needs_tfmot(self) -> bool:
        """Whether the model must be turned into one of Keras 2."""
        return self.qat or self.base is not None

    @property
    def fine_tunings(self) -> int:
        """How many times the weights went through a few epochs."""
        return int(self.base is not None) + int(self.qat)


_PRUNED_50, _PRUNED_80 = Base("pruned_50", "pruned", 0.5), Base("pruned_80", "pruned", 0.8)
_CLUSTERED_32, _CLUSTERED_16 = Base("clustered_32", "clustered", 32), Base("clustered_16", "clustered", 16)
PLAN: Mapping[str, Variant] = dict(zip(NAMES, (
    Variant("float32"), Variant("float16"), Variant("dynamic_range"), Variant("int8"), Variant("int8", qat=True),
    Variant("float32", _PRUNED_50), Variant("float32", _PRUNED_80), Variant("int8", _PRUNED_80),
    Variant("int8", _PRUNED_80, qat=True),
    Variant("float32", _CLUSTERED_32), Variant("float32", _CLUSTERED_16), Variant("int8", _CLUSTERED_16),
), strict=True))
_FORMS = {
    "float32": "kept in float32",
    "float16": "weights in float16, computed in float32",
    "dynamic_range": "weights in int8, ends in float32, no pictures needed",
    "int8": f"int8 throughout, ranges from at most {REPRESENTATIVE} training pictures",
}


def default_epochs(pictures: int) -> int:
    """Epochs of each fine-tuning: LEAST_EPOCHS, or as many as make WANTED_STEPS steps of BATCH pictures, but no more than
    MOST_EPOCHS.
    """
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(WANTED_STEPS / steps_of(pictures))))


def steps_of(pictures: int) -> int:
    """Steps of one epoch."""
    return math.ceil(pictures / BATCH)


def how(variant: Variant, epochs: int) -> str:
    """How the variant is made, in a sentence."""
    parts = []
    if variant.base is not None:
        amount = (f"the {variant.base.amount:.0%} smallest weights of each layer set to zero" if variant.base.kind == "pruned"
                  else f"the weights of each layer drawn to {variant.base.amount:.0f} values")
        parts.append(f"{amount} over {epochs} epochs")
    if variant.qat:
        keeping = ", the zeros kept" if variant.base is not None else ""
        parts += [f"quantisation-aware training of {epochs} epochs{keeping}", "int8 throughout, with the ranges of that training"]
    else:
        parts.append(_FORMS[variant.form])
    return "; ".join(parts)
