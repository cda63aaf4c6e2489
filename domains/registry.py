"""Finds the domain folders by name and loads the one asked for. Light: a domain's libraries come with `load`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from domains.errors import UnknownDomain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from domains.core import Domain
    from domains.sequences import Sequence


@cache
def names() -> tuple[str, ...]:
    """The names of all domains: every folder beside this file that holds a `domain.py`."""
    return tuple(sorted(path.parent.name for path in Path(__file__).parent.glob("*/domain.py")))


def check_name(name: str) -> None:
    """Raises UnknownDomain, listing the choices, where there is no domain of that name."""
    if name not in names():
        raise UnknownDomain(f"there is no domain of that name; choose from {', '.join(names())}")


@cache
def load(name: str) -> Domain:
    """The domain of that name. Raises UnknownDomain, listing the choices."""
    check_name(name)
    domain: Domain = import_module(f"domains.{name}.domain").DOMAIN
    return domain


def open_sequence(name: str, options: Mapping[str, Any]) -> Sequence:
    """A new sequence of the domain, without loading what its flow needs. `options`: what the model that answers says of
    sequences, see ModelInfo.sequence. Raises UnknownDomain.
    """
    check_name(name)
    sequence: Sequence = import_module(f"domains.{name}.sequence").open_sequence(options)
    return sequence


def models_folder(name: str) -> Path:
    """Where the packages shipped with a domain lie."""
    return Path(__file__).parent / name / "models"
