"""Which Keras layer a tensor comes from, as far as its name tells it.

The converter names a tensor by the way to it through the model, `model/layer/operation`, and joins with `;` the names of all that
it fused into one operator.
"""

import re
from collections import Counter
from collections.abc import Iterable

_WORKS = re.compile(r"conv|matmul|depthwise|dense|einsum|lstm|gru", re.IGNORECASE)
"""Operations that hold a layer's weights: where several layers were fused, this one gives the name."""
_COPY = re.compile(r"_\d+$")
_ALL_BUT = 0.9


class LayerNames:
    """Reads the names of one graph. `names`: of all its computed tensors."""

    def __init__(self, names: Iterable[str]) -> None:
        paths = [part for name in names for part in _paths(name) if len(part) > 1]
        self._scopes = 0
        """How many steps every name begins with: `model`, or `StatefulPartitionedCall/model`."""
        while len(deeper := [path for path in paths if len(path) > self._scopes + 2]) >= _ALL_BUT * len(paths) and deeper:
            shared = Counter(path[self._scopes] for path in deeper).most_common(1)[0][1]
            if shared < _ALL_BUT * len(deeper):
                break
            self._scopes += 1
        layers = {layer for path in paths if (layer := self._layer(path))}
        bare = {_COPY.sub("", layer) for layer in layers}
        self._numbered = len(bare) == len(layers) and all(_COPY.search(layer) for layer in layers)
        """Keras numbers every name once more when a model is called again, as it is for the conversion."""

    def of(self, name: str) -> str:
        """The layer; empty where the name tells none."""
        paths = _paths(name)
        layers = [layer for path in sorted(paths, key=lambda path: not _WORKS.search(path[-1])) if (layer := self._layer(path))]
        return "" if not layers else _COPY.sub("", layers[0]) if self._numbered else layers[0]

    def _layer(self, path: list[str]) -> str:
        inside = path[self._scopes :]
        return inside[0] if len(inside) > 1 else ""


def _paths(name: str) -> list[list[str]]:
    return [[step for step in part.split("/") if step] for part in name.split(";") if part.strip("/")]
