"""Crop and weed segmentation of field photos."""
