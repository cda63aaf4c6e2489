"""Puts what was compiled where it belongs: into the model package as its variant `int8_edgetpu`, or beside the file.

A package stays loadable through all of it. The new files get names that its manifest doesn't use, the manifest is
exchanged in one step, and only then go the files of an older compilation.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST, SIGNATURE, write_whole
from edge_runtime.models import (
    Manifest,
    ModelPackage,
    VariantInfo,
    is_unchanged,
    load_package,
    read_manifest,
    sha256_of,
    twin_of,
)
from edge_runtime.toolchain.edgetpu.compile_report import CompileReport, positions
from edge_runtime.toolchain.edgetpu.compiled import VARIANT, read_compiled
from edge_runtime.toolchain.manifest import write_manifest
from edge_runtime.toolchain.tflite import read_model

_STEMS = (VARIANT, f"{VARIANT}_2")
"""Names of the files, used in turn: those of an older compilation stay until the manifest no longer names them."""


def store_in_package(package: ModelPackage, compiled: Path, report: CompileReport, log: str) -> list[str]:
    """Takes `compiled`, its report and the compiler's log into the package. Gives what there is to say about it.

    Raises PackageError or ValueError where the package with it wouldn't load, and OSError where it can't be written; then
    it is as it was.
    """
    folder, old = package.folder, package.manifest
    stem = _free_stem(old)
    files = {
        f"{stem}.tflite": compiled.read_bytes(),
        f"{stem}.json": msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n",
        f"{stem}.log": log.encode(),
    }
    with tempfile.TemporaryDirectory() as parent:
        draft = Path(parent) / folder.name
        shutil.copytree(folder, draft)
        for name, content in files.items():
            (draft / name).write_bytes(content)
        new = _with_variant(package, draft / f"{stem}.tflite", stem)
        write_manifest(draft, new)
        load_package(draft)
        manifest = (draft / MANIFEST).read_bytes()
    if not is_unchanged(package):
        raise PackageError(f"model package {folder.name}: it was changed while it was being compiled; compile it again")
    with _strays_removed(folder):
        for name, content in files.items():
            write_whole(folder / name, content)
        write_whole(folder / MANIFEST, manifest)
    was_signed = (folder / SIGNATURE).is_file()
    (folder / SIGNATURE).unlink(missing_ok=True)
    return [
        f"{folder / f'{stem}.tflite'}: the variant {VARIANT} of {old.name}, with its report {stem}.json and the log {stem}.log",
        *([f"{SIGNATURE} was taken out: it signed the package without this variant. `hedgerow model sign` signs it again"]
          if was_signed else []),
    ]


def store_beside(folder: Path, stem: str, compiled: Path, report: CompileReport, log: str) -> list[str]:
    """Writes `compiled`, its report and the log into `folder` as STEM_edgetpu. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{stem}_edgetpu.tflite"
    write_whole(place, compiled.read_bytes())
    write_whole(place.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    write_whole(place.with_suffix(".log"), log.encode())
    return [f"{place}, with its report {place.with_suffix('.json').name} and the log {place.with_suffix('.log').name}"]


def int8_of(package: ModelPackage) -> Path:
    """The file to compile. Raises PackageError where the package has none."""
    if twin_of(VARIANT) not in package.manifest.variants:
        raise PackageError(
            f"model package {package.folder.name}: it has no variant {twin_of(VARIANT)}, and only that can be compiled"
        )
    return package.path_of(twin_of(VARIANT))


def _with_variant(package: ModelPackage, compiled: Path, stem: str) -> Manifest:
    """The manifest with the compiled variant: its tensors are those of int8, at the positions that the file has them."""
    old = package.manifest
    twin = old.variants[twin_of(VARIANT)]
    places = positions(read_model(int8_of(package)), read_compiled(compiled))
    outputs = {}
    for name, tensor in twin.outputs.items():
        if not 0 <= tensor.position < len(places):
            where = f"variants.{twin_of(VARIANT)}.outputs.{name}"
            raise PackageError(f"model package {old.name}: {where}: there is no output at position {tensor.position}")
        outputs[name] = msgspec.structs.replace(tensor, position=places[tensor.position])
    entry = VariantInfo(compiled.name, sha256_of(compiled), compiled.stat().st_size, twin.input, outputs)
    reports = {f"{stem}{suffix}": sha256_of(compiled.with_suffix(suffix)) for suffix in (".json", ".log")}
    others = {name: digest for name, digest in old.files.items() if name not in _ours()}
    return msgspec.structs.replace(old, variants={**old.variants, VARIANT: entry}, files={**others, **reports})


def _ours() -> set[str]:
    return {f"{stem}{suffix}" for stem in _STEMS for suffix in (".tflite", ".json", ".log")}


def _named(manifest: Manifest) -> set[str]:
    return {*manifest.files, *(variant.file for variant in manifest.variants.values())}


def _free_stem(manifest: Manifest) -> str:
    used = {Path(name).stem for name in _named(manifest) & _ours()}
    return next(stem for stem in _STEMS if stem not in used)


@contextmanager
def _strays_removed(folder: Path) -> Iterator[None]:
    """Whatever happens inside, afterwards the folder holds no file of a compilation that its manifest doesn't name."""
    try:
        yield
    finally:
        named = _named(read_manifest(folder))
        for name in _ours() - named:
            (folder / name).unlink(missing_ok=True)
