"""How the crop and weed models are made and scored."""

from domains.crop_weed.training.recipes import RECIPES

__all__ = ["RECIPES"]
