"""How the pathology models are made and scored."""

from domains.pathology.training.recipes import RECIPES

__all__ = ["RECIPES"]
