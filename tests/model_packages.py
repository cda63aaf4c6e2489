"""Model packages to install: tiny ones that only their manifest matters of, and changed copies of the shipped ones."""

import hashlib
import io
import re
import shutil
import tomllib
import zipfile
from pathlib import Path

import msgspec

from domains import registry
from domains.core import InputSpec
from domains.core.gate import FAMILIARITY
from edge_runtime import known_answer
from edge_runtime.models import read_manifest
from edge_runtime.toolchain.manifest import write_manifest

LUNG = registry.models_folder("pathology") / "lung_ultrasound"
SHIPPED_VERSION, BREAST_VERSION = (
    tomllib.loads((folder / "model.toml").read_text())["version"] for folder in (LUNG, LUNG.with_name("breast_ultrasound"))
)
"""Of the lung model that ships with the program, and of the breast model."""


def tiny_archive(name: str, version: str, *, domain: str = "pathology", card: str = "a card") -> bytes:
    """A ZIP that can be installed; nothing could run it."""
    manifest = (
        f'name = "{name}"\nversion = "{version}"\ndomain = "{domain}"\n'
        f'[files]\n"MODEL_CARD.md" = "{hashlib.sha256(card.encode()).hexdigest()}"\n'
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr(f"{name}/model.toml", manifest)
        made.writestr(f"{name}/MODEL_CARD.md", card)
    return stream.getvalue()


def copy_of(shipped: Path, folder: Path, version: str) -> Path:
    """A copy of a shipped package, below `folder`, that says it is `version`."""
    package = Path(shutil.copytree(shipped, folder / f"{shipped.name}-{version}" / shipped.name))
    edit(package, r'^version = ".*"$', f'version = "{version}"')
    return package


def edit(package: Path, pattern: str, replacement: str) -> None:
    """Changes the first line of the manifest that fits the pattern."""
    manifest = package / "model.toml"
    text, count = re.subn(pattern, lambda _: replacement, manifest.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    manifest.write_text(text)


def with_gate(shipped: Path, folder: Path, name: str, exam: str, *, foreign_from: float, looks: bool = True) -> Path:
    """A copy of a shipped package for scans, below `folder`, under its own name and exam and with a gate. What the gate looks at are
    the logits: the same tensor, called `familiarity` as well; or nothing at all unless it `looks`.
    """
    package = Path(shutil.copytree(shipped, folder / name))
    edit(package, r'^name = ".*"$', f'name = "{name}"')
    manifest = read_manifest(package)
    variants = {}
    for variant, info in manifest.variants.items():
        outputs = info.outputs | {FAMILIARITY: info.outputs["logits"]}
        if not looks:
            del outputs[FAMILIARITY]
        variants[variant] = msgspec.structs.replace(info, outputs=outputs)
    options = manifest.domain_options | {"exam": exam, "gate": {"foreign_from": foreign_from, "world": "breast ultrasound"}}
    input_spec = InputSpec(**msgspec.structs.asdict(manifest.input))
    write_manifest(package, msgspec.structs.replace(
        manifest, variants=variants, domain_options=options, known_answer=known_answer.make(package, input_spec, variants)
    ))
    return package


def with_swapped_labels(package: Path) -> Path:
    """The same network that calls each thing by the other's name: it verifies, and is wrong about everything."""
    edit(package, r'^labels = \["normal", "abnormal"\]$', 'labels = ["abnormal", "normal"]')
    return package


def with_changed_byte(package: Path) -> Path:
    """One byte of the int8 network changed."""
    content = bytearray((package / "int8.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (package / "int8.tflite").write_bytes(content)
    return package
