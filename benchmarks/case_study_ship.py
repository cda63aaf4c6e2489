"""The package that ships with the program: a finished package without its float file, which is four times the size of the int8
one and runs on no Edge TPU.
"""

import shutil
import tempfile
from pathlib import Path

import msgspec

from edge_runtime import known_answer
from edge_runtime.models import load_package, sha256_of
from edge_runtime.toolchain.manifest import CARD, write_manifest
from edge_runtime.toolchain.package import put_in_place

INT8, FLOAT = "int8", "float32"
NOTE = ("The figures of float32 above are of the file that int8 was made from. It isn't in this package; `make case-study` makes "
        "it again.")


def without_float(package: Path, out: Path, version: str) -> Path:
    """Writes `package` into the folder `out` without its float32 file, as `version`; gives where. Raises PackageError for a
    package that can't be used, KeyError for one without an int8 file.
    """
    loaded = load_package(package)
    manifest = loaded.manifest
    variants = {INT8: manifest.variants[INT8]}
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside) / package.name
        folder.mkdir()
        shutil.copyfile(package / variants[INT8].file, folder / variants[INT8].file)
        known = known_answer.make(folder, loaded.spec.input, variants, manifest.known_answer.tolerance)
        card = _card((package / CARD).read_text(encoding="utf-8"), manifest.name, manifest.version, version)
        for name in manifest.files:
            shutil.copyfile(package / name, folder / name)
        (folder / CARD).write_text(card, encoding="utf-8")
        write_manifest(folder, msgspec.structs.replace(
            manifest, version=version, variants=variants, known_answer=known, files={**manifest.files, CARD: sha256_of(folder / CARD)},
            metrics={INT8: manifest.metrics[INT8]},
        ))
        load_package(folder)
        return put_in_place(folder, out)


def _card(text: str, name: str, old: str, new: str) -> str:
    """The card's own version and files changed, and a line on the file that is missing."""
    lines = [line for line in text.replace(f"`{name}` {old},", f"`{name}` {new},", 1).splitlines()
             if not line.startswith(f"| {FLOAT}.tflite |")]
    place = lines.index("## Known limits")
    return "\n".join([*lines[:place], NOTE, "", *lines[place:]]) + "\n"
