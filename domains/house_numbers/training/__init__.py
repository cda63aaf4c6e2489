"""How the house number models are made and scored."""

from domains.house_numbers.training.recipes import RECIPES

__all__ = ["RECIPES"]
