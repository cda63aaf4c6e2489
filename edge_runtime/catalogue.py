"""Which model packages a device takes, and how it describes them and the domains that they serve."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from domains import registry
from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST
from edge_runtime.models import PIXELS, ModelPackage, is_unchanged, load_package
from edge_runtime.signatures import Verdict, Verdicts
from edge_runtime.wire import DomainDescription, ModelInfo, ParameterDescription, TensorSpec

logger = logging.getLogger(__name__)


class Catalogue:
    """The packages of some folders, by name. One bad package stops no other.

    `variants`: what the device runs, best first. `known`: packages loaded before, by folder; those whose manifest is still
    the same are taken as they are. `verdicts`: on the packages' signatures.
    """

    def __init__(
        self, folders: Iterable[Path], variants: Sequence[str], *, known: Mapping[Path, ModelPackage] | None = None,
        verdicts: Verdicts = None,
    ) -> None:
        self.trusted: dict[str, ModelPackage] = {}
        """Verified, and accepted by their domain."""
        self.packages: dict[str, ModelPackage] = {}
        """Those of them that have a variant for this device."""
        self.skipped: dict[str, str] = {}
        """Those of them that have none, with a sentence that says so."""
        self.refused: dict[str, str] = {}
        """Those that can't be trusted, with the reason."""
        self._variants = variants
        self._verdicts = verdicts
        for folder in folders:
            try:
                self._take(self._check(folder, (known or {}).get(folder)))
            except PackageError as error:
                self._refuse(folder.name, str(error))

    def refuse(self, name: str, reason: str) -> None:
        """Doesn't trust a package after all: it was verified, but can't be loaded or computes something else."""
        del self.trusted[name]
        self.packages.pop(name, None)
        self.skipped.pop(name, None)
        self._refuse(name, reason)

    def models(self) -> list[ModelInfo]:
        """Every package that is served here or refused."""
        refused = [ModelInfo(name, "refused", reason) for name, reason in self.refused.items()]
        return [*map(self._describe, self.packages.values()), *refused]

    def domains(self) -> list[DomainDescription]:
        """Every domain, with the choices that the models served here offer."""
        found = []
        for name in registry.names():
            specs = [package.spec for package in self.packages.values() if package.spec.domain == name]
            domain = registry.load(name)
            parameters = [
                ParameterDescription(info.name, info.description, list(info.choices))
                for info in domain.parameters(specs)
            ]
            found.append(DomainDescription(name, domain.title, parameters, [spec.name for spec in specs]))
        return found

    def _check(self, folder: Path, known: ModelPackage | None) -> ModelPackage:
        signed = self._signed_manifest(folder)
        package = known if known is not None and is_unchanged(known) else load_package(folder)
        if signed not in {None, package.manifest_sha256}:
            raise PackageError(f"model package {folder.name}: {MANIFEST} was changed after its signature was checked")
        if package.spec.name in self.trusted:
            raise PackageError(f"model package {folder.name}: another package of that name is installed")
        if package.spec.domain not in registry.names():
            raise PackageError(f"model package {folder.name}: there is no domain {package.spec.domain!r}")
        try:
            registry.load(package.spec.domain).check_model(package.spec)
        except ValueError as error:
            raise PackageError(f"model package {folder.name}: {error}") from error
        return package

    def _signed_manifest(self, folder: Path) -> str | None:
        """SHA-256 of the one manifest that is signed; None where no signature is asked for. Raises PackageError."""
        if self._verdicts is None:
            return None
        verdict = self._verdicts.get(str(folder), Verdict(refusal=f"model package {folder.name}: its signature wasn't checked"))
        if not verdict.manifest_sha256:
            raise PackageError(verdict.refusal)
        return verdict.manifest_sha256

    def _take(self, package: ModelPackage) -> None:
        name = package.spec.name
        self.trusted[name] = package
        if set(package.manifest.variants) & set(self._variants):
            self.packages[name] = package
        else:
            self.skipped[name] = (
                f"model package {name}: it has {', '.join(package.manifest.variants)}, this device runs "
                f"{', '.join(self._variants)}"
            )

    def _refuse(self, name: str, reason: str) -> None:
        logger.error("%s; it is not used", reason)
        self.refused[name] = reason

    def _describe(self, package: ModelPackage) -> ModelInfo:
        manifest = package.manifest
        variant = next(name for name in self._variants if name in manifest.variants)
        domain = registry.load(manifest.domain)
        return ModelInfo(
            name=manifest.name, state="ready", version=manifest.version, domain=manifest.domain, task=manifest.task,
            title=manifest.title, labels=manifest.labels, variant=variant,
            sha256=manifest.variants[variant].sha256, size_bytes=manifest.variants[variant].size_bytes,
            intended_use=manifest.intended_use,
            licence={"weights": manifest.licence.weights, "data": manifest.licence.data},
            metrics=manifest.metrics, selector=dict(domain.selector(package.spec)),
            sequence=dict(domain.sequence_options(package.spec)), statistics=manifest.statistics,
            inputs=[TensorSpec(PIXELS, "uint8", package.spec.input.shape)],
            outputs=[TensorSpec(name, "float32", info.shape) for name, info in manifest.variants[variant].outputs.items()],
        )
