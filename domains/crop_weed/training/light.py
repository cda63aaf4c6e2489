"""The same field under another light, on another soil and through another camera."""

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels

Real = NDArray[np.float32]


def relit(pixels: Pixels, soil: Real, random: np.random.Generator, *, two_band: bool) -> Real:
    """Gamma, contrast, saturation, colour casts (of the soil by itself as well), a shadow, blur, noise, JPEG; 0..255.

    `pixels`: (h, w, 3). `soil`: (h, w), 1 where there is soil. `two_band`: red and blue stay the same picture.
    """
    x = pixels.astype(np.float32) / 255
    x = x ** np.float32(np.exp(random.uniform(-0.5, 0.5)))
    x = (x - 0.45) * np.float32(random.uniform(0.65, 1.35)) + np.float32(0.45 + random.uniform(-0.15, 0.15))
    x = x * _cast(random, 0.15, two_band=two_band)
    if random.random() < 0.4:
        edge = cv2.GaussianBlur(soil, (0, 0), 1.5)[..., None]
        x = x * (1 + edge * (_cast(random, 0.25, two_band=two_band) - 1))
    if random.random() < 0.5:
        grey = x.mean(axis=2, keepdims=True)
        x = grey + (x - grey) * np.float32(random.uniform(0.5, 1.4))
    if random.random() < 0.25:
        x = x * _shadow(x.shape[0], random)
    if random.random() < 0.3:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), random.uniform(0.4, 1.6)), np.float32)
    if random.random() < 0.3:
        noise = random.normal(0, random.uniform(0.01, 0.05), x.shape).astype(np.float32)
        if two_band:
            noise[..., 2] = noise[..., 0]
        x = x + noise
    x = np.clip(x, 0, 1) * 255
    if random.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 90))]
        x = np.asarray(cv2.imdecode(cv2.imencode(".jpg", x.astype(np.uint8), quality)[1], cv2.IMREAD_COLOR), np.float32)
    return np.asarray(x, np.float32)


def faded(pixels: Real, random: np.random.Generator) -> Real:
    """As a phone shows it that is held too near, into the sun or in the dust: washed out, and out of focus; 0..255."""
    x = pixels * np.float32(random.uniform(0.35, 0.9)) + np.float32(random.uniform(0, 120))
    x = np.asarray(cv2.GaussianBlur(x, (0, 0), random.uniform(0.8, 4)), np.float32)
    return np.asarray(np.clip(x, 0, 255), np.float32)


def _cast(random: np.random.Generator, most: float, *, two_band: bool) -> Real:
    gains = np.exp(random.uniform(-most, most, 3)).astype(np.float32)
    if two_band:
        gains[2] = gains[0]
    return gains


def _shadow(side: int, random: np.random.Generator) -> Real:
    """A factor (side, side, 1): one side of a soft line through the picture lies in the shade."""
    angle, depth, soft = random.uniform(0, 2 * np.pi), random.uniform(0.3, 0.75), random.uniform(2, 12)
    axis = np.arange(side, dtype=np.float32) - side / 2
    along = axis[None] * np.cos(angle) + axis[:, None] * np.sin(angle) - random.uniform(-side / 3, side / 3)
    lit = 1 / (1 + np.exp(-np.clip(along / soft, -30, 30)))
    return np.asarray(depth + (1 - depth) * lit, np.float32)[..., None]
