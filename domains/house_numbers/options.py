"""What a house_numbers model's manifest says in `[domain_options]`, and what a caller may say."""

from collections.abc import Sequence

from domains.core import Box, InvalidParameter, ModelSpec
from domains.core.classifier import Calibrated
from domains.house_numbers.sequence import SequenceOptions


class Options(Calibrated, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options]` of a house_numbers model."""

    sequence: SequenceOptions = SequenceOptions()


def options_of(model: ModelSpec) -> Options:
    """The model's checked options. Raises ValueError, naming the key, where they are not what this domain needs."""
    return model.options_as(Options)


def choose(named: object, models: Sequence[ModelSpec]) -> ModelSpec:
    """The model of that name, or the only one. Raises InvalidParameter, listing the choices."""
    offered = {model.name: model for model in models}
    if named is None and len(offered) == 1:
        return next(iter(offered.values()))
    if not isinstance(named, str) or named not in offered:
        listed = ", ".join(sorted(offered)) or "none is installed"
        raise InvalidParameter(f"name the model with the parameter 'model', one of: {listed}", parameter="model")
    return offered[named]


def box_of(value: object, width: int, height: int) -> Box:
    """A box in a picture of that size; the whole of it where there is no `value`.

    `value`: left, top, width and height in whole pixels, as a list or as text with commas. Raises InvalidParameter.
    """
    if value is None:
        return Box(0, 0, width, height)
    parts = value.split(",") if isinstance(value, str) else value
    numbers = [_whole(part) for part in parts] if isinstance(parts, list | tuple) else []
    if len(numbers) == 4:
        left, top, wide, high = numbers
        if min(left, top) >= 0 and min(wide, high) >= 1 and left + wide <= width and top + high <= height:
            return Box(left, top, wide, high)
    raise InvalidParameter(
        f"'box' must be left,top,width,height in whole pixels, inside the picture of {width}x{height}", parameter="box")


def _whole(value: object) -> int:
    """-1, which no box has, for anything but a whole number."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if isinstance(value, float):
        return int(value) if value.is_integer() else -1
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
