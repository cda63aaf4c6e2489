"""What a domain needs to know of a model: a pure description, filled from a package's `model.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The picture that the model takes.

    A model is fed uint8 pixels of shape (1, height, width, channels): RGB, or grey where `channels` is 1.
    `(pixel - mean) / std` is the real value the network was trained on. Whoever runs the model turns pixels into the
    variant's own dtype.
    """

    height: int
    width: int
    mean: float
    std: float
    channels: int = 3

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"input size must be positive, got {self.height}x{self.width}")
        if self.std <= 0:
            raise ValueError(f"input std must be positive, got {self.std}")
        if self.channels not in {1, 3}:
            raise ValueError(f"input channels must be 1 (grey) or 3 (RGB), got {self.channels}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the pixels that the model is fed."""
        return 1, self.height, self.width, self.channels


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Identity and meaning of a model, without its files.

    `options` is the domain's own table of the manifest (`[domain_options]`); the domain checks it. `outputs`: the names of
    those that every variant gives.
    """

    name: str
    version: str
    domain: str
    title: str
    labels: tuple[str, ...]
    input: InputSpec
    options: Mapping[str, object] = field(default_factory=dict)
    outputs: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a model needs at least two distinct labels, got {list(self.labels)}")

    def options_as(self, form: type[Options]) -> Options:
        """The options in the domain's own form. Raises ValueError, naming the key, where they don't have it."""
        try:
            return msgspec.convert(dict(self.options), form)
        except msgspec.ValidationError as error:
            raise ValueError(f"domain_options: {error}") from error
