"""Finds the recipes of a domain by name."""

from importlib import import_module

from domains import registry
from domains.core.training import Recipe


def recipes_of(domain: str, only: str | None = None) -> tuple[Recipe, ...]:
    """The recipes of a domain, or the one of that model name.

    Raises UnknownDomain, or ValueError, listing the choices, for a model that the domain has no recipe of.
    """
    registry.load(domain)
    found: tuple[Recipe, ...] = import_module(f"domains.{domain}.training").RECIPES
    chosen = tuple(recipe for recipe in found if only in (None, recipe.identity.name))
    if not chosen:
        names = ", ".join(recipe.identity.name for recipe in found)
        raise ValueError(f"domain {domain} has no recipe {only!r}; choose from {names}")
    return chosen
