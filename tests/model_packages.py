"""Model packages to install: tiny ones that only their manifest matters of, and changed copies of the shipped ones."""

import hashlib
import io
import re
import shutil
import tomllib
import zipfile
from pathlib import Path

from domains import registry

LUNG = registry.models_folder("pathology") / "lung_ultrasound"
SHIPPED_VERSION = tomllib.loads((LUNG / "model.toml").read_text())["version"]
"""Of the packages for scans that ship with the program."""


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
