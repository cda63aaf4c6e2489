"""Everything that can be said of a model package before a device takes it: the checks behind `hedgerow model verify`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from domains import registry
from edge_runtime import known_answer
from edge_runtime.backends import VARIANTS, load_backend
from edge_runtime.errors import DeviceFault, PackageError
from edge_runtime.folders import MANIFEST, SIGNATURE
from edge_runtime.models import ModelPackage, load_package, read_manifest
from edge_runtime.runner import LoadedModel
from edge_runtime.signatures import Signatures

CARD = "MODEL_CARD.md"
CPU = "litert"
State = Literal["passed", "failed", "not checked"]


class Check(msgspec.Struct, frozen=True):
    """One check. `detail`: what was found, or what is wrong."""

    name: str
    state: State
    detail: str


class PackageReport(msgspec.Struct, frozen=True):
    """All checks of one package; `model` and `version` are empty where its manifest can't be read."""

    folder: str
    model: str
    version: str
    checks: list[Check]

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return all(check.state != "failed" for check in self.checks)


def check_package(folder: Path, signers: Sequence[Path], say: Callable[[str], None]) -> PackageReport:
    """Runs every check that the ones before it allow. `signers`: see Signatures; without any the signature isn't checked.
    `say` is told what takes a while. Raises SignersError where signatures can't be checked.
    """
    folder = folder.resolve()
    checks: list[Check] = []
    package: ModelPackage | None = None
    model = version = ""

    def run(name: str, check: Callable[[], str]) -> bool:
        try:
            checks.append(Check(name, "passed", check()))
        except PackageError as error:
            checks.append(Check(name, "failed", str(error).removeprefix(f"model package {folder.name}: ")))
        return checks[-1].state == "passed"

    def manifest() -> str:
        nonlocal model, version
        if not (folder / MANIFEST).is_file():
            raise PackageError(f"it is no model package: it holds no {MANIFEST}")
        read = read_manifest(folder)
        model, version = read.name, read.version
        return f"{model} {version}, {read.task} of the domain {read.domain}"

    def files() -> str:
        nonlocal package
        package = load_package(folder)
        return f"variants {', '.join(package.manifest.variants)}; every SHA-256 is that of the manifest"

    if run("manifest", manifest) and run("files", files) and package is not None:
        loaded = package
        run("model card", lambda: _card(loaded))
        run("domain", lambda: _domain(loaded))
        run("known answer", lambda: _known_answer(loaded, say))
    else:
        begun = {check.name for check in checks}
        waiting = ("files", "model card", "domain", "known answer")
        checks.extend(Check(name, "not checked", "the package can't be loaded") for name in waiting if name not in begun)
    if signers:
        say("checking the signature ...")
        signatures = Signatures(signers)
        run("signature", lambda: _signature(signatures, folder))
    else:
        there = f"{SIGNATURE} is there, but no key or authority was given" if (folder / SIGNATURE).is_file() else "it is not signed"
        checks.append(Check("signature", "not checked", there))
    return PackageReport(str(folder), model, version, checks)


def _card(package: ModelPackage) -> str:
    if CARD not in package.manifest.files:
        raise PackageError(f"the manifest's [files] doesn't name {CARD}")
    size = len((package.folder / CARD).read_text(encoding="utf-8", errors="replace").strip())
    if not size:
        raise PackageError(f"{CARD} is empty")
    return f"{CARD}, {size} characters"


def _domain(package: ModelPackage) -> str:
    name = package.spec.domain
    if name not in registry.names():
        raise PackageError(f"there is no domain {name!r}; there are {', '.join(registry.names())}")
    try:
        registry.load(name).check_model(package.spec)
    except ValueError as error:
        raise PackageError(str(error)) from error
    return f"{name} takes its labels and options"


def _known_answer(package: ModelPackage, say: Callable[[str], None]) -> str:
    """Of each variant that a CPU can run."""
    offered = package.manifest.variants
    runnable = [name for name in VARIANTS[CPU] if name in offered]
    if not runnable:
        raise PackageError(f"no variant runs on a CPU, it has {', '.join(offered)}")
    backend = load_backend(CPU)
    for name in runnable:
        say(f"running {name} for its known answer ...")
        try:
            known_answer.check(package, LoadedModel(package, backend, variant=name))
        except DeviceFault as error:
            raise PackageError(str(error)) from error
        except (ValueError, RuntimeError, LookupError) as error:
            raise PackageError(f"{name} can't be run ({type(error).__name__})") from error
    others = [name for name in offered if name not in runnable]
    left = f"; {', '.join(others)} runs on an Edge TPU only and was not tried" if others else ""
    return f"{', '.join(runnable)} on the CPU within {package.manifest.known_answer.tolerance} quantisation steps{left}"


def _signature(signatures: Signatures, folder: Path) -> str:
    verdict = signatures.check([folder])[str(folder)]
    if verdict.refusal:
        raise PackageError(verdict.refusal)
    return f"signed by {verdict.signer}"
