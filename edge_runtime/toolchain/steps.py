"""Finished steps of a long piece of work, kept as JSON, so that a stopped run goes on where it was."""

import ast
import hashlib
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from domains.core.training import Identity, Part, Recipe
from edge_runtime.folders import write_whole

PARTS: tuple[Part, ...] = ("train", "calibration", "val")
CARDS = "cards.py"
"""The module of a domain that holds the words of its model cards."""
_MODULES = ("runner", "tensors", "training_statistics", "toolchain.bootstrap", "toolchain.evaluate",
            "toolchain.foreign_figures", "toolchain.statistics")
"""Of edge_runtime: the code that figures come from, beside that of the domain."""


class Steps:
    """Those of one piece of work in a folder of its own below `work`; `key` tells it from work on anything else."""

    def __init__(self, work: Path, name: str, key: str, say: Callable[[str], None]) -> None:
        self.folder = work / f"{name}-{key[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._name = name
        self._say = say

    def take(self, step: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, as JSON gives it back; from the folder where the step was finished before."""
        path = self.folder / f"{step}.json"
        if path.is_file():
            self._say(f"{self._name}: {step} was finished before, taken from {path}")
            return json.loads(path.read_text(encoding="utf-8"))
        self._say(f"{self._name}: {step}")
        found = json.dumps(make())
        write_whole(path, found.encode())
        return json.loads(found)


def key_of(recipe: Recipe, data: Path, inputs: Mapping[str, str]) -> str:
    """Another one as soon as something that figures depend on is another: `inputs` (names to SHA-256), what the recipe says of
    the model, name, size and time of a file of the data, or the code. Raises FileNotFoundError where the data aren't there.
    """
    files = sorted({case.file for part in PARTS for case in recipe.cases(data, part)})
    stats = [(str(file), (found := file.stat()).st_size, found.st_mtime_ns) for file in files]
    files += sorted(data.glob("*/manifest.csv"))  # of foreign pictures
    parts = [_measured(recipe.identity), sorted(inputs.items()), str(data.resolve()), stats, _code(recipe.identity.domain)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _measured(identity: Identity) -> list[str]:
    """What figures depend on of it: its sentences aren't."""
    return [identity.name, identity.domain, identity.task, *identity.labels, repr(identity.input)]


def _code(domain: str) -> str:
    folders = [Path(import_module(name).__path__[0]) for name in ("domains.core", "domains.foreign", f"domains.{domain}")]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    files += [Path(str(import_module(f"edge_runtime.{name}").__file__)) for name in _MODULES]
    digest = hashlib.sha256()
    for path in files:
        digest.update(without_words(path).encode() if path.name == CARDS else path.read_bytes())
    return digest.hexdigest()


def without_words(path: Path) -> str:
    """A module that holds the words of model cards, with every string left out: to change a sentence is to measure nothing anew."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)
