"""Writes `model.toml`: the counterpart of `edge_runtime.models.read_manifest`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec

from domains.core.training import Identity
from edge_runtime.folders import MANIFEST
from edge_runtime.models import (
    FORMAT,
    InputInfo,
    KnownAnswerInfo,
    Licence,
    Manifest,
    VariantInfo,
    read_manifest,
    sha256_of,
)
from edge_runtime.training_statistics import Statistics

CARD = "MODEL_CARD.md"
BESIDE = frozenset({".md", ".png", ".jpg"})
"""Suffixes of the card and of its pictures."""
STATISTICS_LINE = (
    "What the model saw and said in training stands in `model.toml`, `[statistics]`; `hedgerow drift` compares with it."
)


def write_package(folder: Path, identity: Identity, variants: Mapping[str, VariantInfo], known_answer: KnownAnswerInfo,
                  options: Mapping[str, object], metrics: Mapping[str, object], card: str) -> None:
    """Writes the model card and the manifest beside the variants, the known answer and the card's pictures that lie in `folder`
    already.
    """
    (folder / CARD).write_text(card, encoding="utf-8")
    manifest = Manifest(
        format=FORMAT, name=identity.name, version=identity.version, domain=identity.domain, task=identity.task,
        title=identity.title, labels=list(identity.labels), intended_use=identity.intended_use,
        licence=Licence(weights=identity.weights_licence, data=identity.data_licence),
        input=InputInfo(**asdict(identity.input)),
        variants=dict(variants), known_answer=known_answer,
        files={path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.suffix in BESIDE},
        domain_options=dict(options), metrics=dict(metrics),
    )
    write_manifest(folder, manifest)


def add_statistics(folder: Path, statistics: Statistics) -> None:
    """Puts training statistics into a package in the place of older ones, and a line on them into its card. Raises
    PackageError for a folder that is no package.
    """
    manifest = read_manifest(folder)
    card = folder / CARD
    text = card.read_text(encoding="utf-8")
    if STATISTICS_LINE not in text:
        card.write_text(text.rstrip("\n") + f"\n\n{STATISTICS_LINE}\n", encoding="utf-8")
    write_manifest(folder, msgspec.structs.replace(
        manifest, statistics=statistics, files={**manifest.files, CARD: sha256_of(card)}
    ))


def to_toml(table: Mapping[str, object]) -> str:
    """A table of strings, numbers, booleans, lists of these and further tables as TOML 1.0. Raises TypeError for
    anything else.
    """
    return "\n".join(_lines(table, ())).strip() + "\n"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `model.toml`, in the place of an older one. Three channels are left out: nodes from before there were others refuse
    a key that they don't know.
    """
    table = {key: value for key, value in msgspec.to_builtins(manifest).items() if value is not None}
    if manifest.input.channels == 3:
        del table["input"]["channels"]
    (folder / MANIFEST).write_text(to_toml(table), encoding="utf-8")


def _lines(table: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{'.'.join(map(_key, path))}]"] if path and (plain or not table) else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _lines(value, (*path, key))
    return lines


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"TOML has no form for {type(value).__name__}")
