"""The training pictures as the network's numbers, batch by batch: the whole set is never held in floats."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec
from edge_runtime.toolchain.dataset import Split
from edge_runtime.toolchain.optimize.plan import BATCH, REPRESENTATIVE, steps_of


class TrainingPictures:
    """Batches, representative pictures and samples of a split; the same for a seed."""

    def __init__(self, split: Split, spec: InputSpec, seed: int) -> None:
        self._split, self._spec, self._seed = split, spec, seed

    def __len__(self) -> int:
        return len(self._split.truth)

    def reals(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Real values (n, height, width, channels) of the pictures at `places`."""
        images = self._split.images[places]
        if images.dtype != np.uint8:
            return np.asarray(images, np.float32)
        return (images.astype(np.float32) - np.float32(self._spec.mean)) / np.float32(self._spec.std)

    def orders(self, epoch: int) -> list[NDArray[np.int64]]:
        """The places of each batch's pictures: each picture once, in an order of its own for each epoch."""
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self))
        return [order[step * BATCH : (step + 1) * BATCH] for step in range(steps_of(len(self)))]

    def batch(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Real values and truth of the pictures at `places`."""
        return self.reals(places), self._split.truth[places]

    def representative(self) -> Iterator[NDArray[np.generic]]:
        """At most REPRESENTATIVE pictures (1, height, width, channels), as they are in the data set."""
        for place in self._chosen(REPRESENTATIVE):
            yield self._split.images[place : place + 1]

    def sample(self, most: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Real values and truth of at most so many pictures."""
        return self.batch(self._chosen(most))

    def _chosen(self, most: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, len(self))).permutation(len(self))[:most]
