"""A benchmark has no clips."""

from collections.abc import Mapping
from typing import Any

from domains.sequences import Sequence


def open_sequence(options: Mapping[str, Any]) -> Sequence:
    """Raises ValueError."""
    raise ValueError(f"the benchmark's domain answers single pictures only, not sequences with {len(options)} options")
