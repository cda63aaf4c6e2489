"""Puts TFLite Metadata into a package that was made before there were any, or under another name, without training it again.

The networks answer as they did, bit for bit; the files' hashes change, so the package gets the next patch version.
"""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from domains.core.spec import InputSpec
from domains.core.training import Identity
from domains.errors import UnknownDomain
from edge_runtime import known_answer
from edge_runtime.backends import load_backend
from edge_runtime.errors import DeviceFault
from edge_runtime.folders import SIGNATURE
from edge_runtime.models import Manifest, VariantInfo, load_package, sha256_of, twin_of
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.card import with_costs
from edge_runtime.toolchain.manifest import CARD, write_manifest
from edge_runtime.toolchain.metadata_writer import embed
from edge_runtime.toolchain.package import put_in_place
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.release_gate import losses_in, stated


def refresh(folder: Path, *, say: Callable[[str], None] = print) -> str:
    """Embeds the metadata in every variant but compiled ones, states in the card what int8 costs, and gives the new version.

    The package is replaced only once the new one has been verified and has given its known answers. Its signature is of the
    old one and is left out. Raises PackageError for a package that can't be used, ValueError where it can't be refreshed.
    """
    manifest = load_package(folder).manifest
    was_signed = (folder / SIGNATURE).exists()
    identity = _identity(manifest, _next_patch(manifest))
    with tempfile.TemporaryDirectory() as aside:
        staged = shutil.copytree(folder, Path(aside) / folder.name, ignore=shutil.ignore_patterns(SIGNATURE))
        variants = {name: _embedded(staged, name, info, identity) for name, info in manifest.variants.items()}
        card = staged / CARD
        card.write_text(_card(card.read_text(encoding="utf-8"), manifest, identity.version), encoding="utf-8")
        write_manifest(staged, msgspec.structs.replace(
            manifest, version=identity.version, variants=variants, files={**manifest.files, CARD: sha256_of(card)},
        ))
        _check(staged)
        put_in_place(staged, folder.parent)
    say(f"{identity.name}: {manifest.version} is now {identity.version}, in {folder}")
    if was_signed:
        say(f"{identity.name}: the signature was of {manifest.version} and is gone; sign it again")
    return identity.version


def _identity(manifest: Manifest, version: str) -> Identity:
    return Identity(
        name=manifest.name, version=version, domain=manifest.domain, task=manifest.task, title=manifest.title,
        labels=tuple(manifest.labels), intended_use=manifest.intended_use, weights_licence=manifest.licence.weights,
        data_licence=manifest.licence.data, input=InputSpec(**msgspec.structs.asdict(manifest.input)),
    )


def _next_patch(manifest: Manifest) -> str:
    parts = re.fullmatch(r"(\d+\.\d+\.)(\d+)", manifest.version)
    if parts is None:
        raise ValueError(f"{manifest.name}: {manifest.version!r} is no version of three numbers, so there is no next one")
    return f"{parts[1]}{int(parts[2]) + 1}"


def _embedded(staged: Path, name: str, info: VariantInfo, identity: Identity) -> VariantInfo:
    if twin_of(name) != name:
        return info
    found = embed(staged / info.file, identity)
    if (found.input, found.outputs) != (info.input, info.outputs):
        raise ValueError(f"{identity.name}: {info.file} has other tensors than its manifest says")
    return found


def _card(text: str, manifest: Manifest, version: str) -> str:
    text = text.replace(f"`{manifest.name}` {manifest.version},", f"`{manifest.name}` {version},", 1)
    try:
        (recipe,) = recipes_of(manifest.domain, manifest.name)
        losses = losses_in(recipe, manifest)
    except (UnknownDomain, ValueError):
        return text  # of somebody else, or with one variant measured: there is nothing to compare
    return with_costs(text, stated(losses, recipe.card.int8_loss))


def _check(folder: Path) -> None:
    """Raises ValueError where a variant doesn't give its known answer."""
    package = load_package(folder)
    for variant in package.manifest.variants:
        if twin_of(variant) == variant:
            try:
                known_answer.check(package, LoadedModel(package, load_backend("litert"), variant=variant))
            except DeviceFault as error:
                raise ValueError(str(error)) from error
