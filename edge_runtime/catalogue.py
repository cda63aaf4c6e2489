"""Which model packages a device takes, and how it describes them and the domains that they serve."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from domains import registry
from edge_runtime.errors import PackageError
from edge_runtime.models import ModelPackage, load_package
from edge_runtime.wire import DomainDescription, ModelInfo, ParameterDescription

logger = logging.getLogger(__name__)


class Catalogue:
    """Verified packages by model name, and the refused ones with their reasons. One bad package stops no other."""

    def __init__(self, folders: Iterable[Path], variants: Sequence[str]) -> None:
        self.packages: dict[str, ModelPackage] = {}
        self.refused: dict[str, str] = {}
        self._variants = variants
        for folder in folders:
            try:
                package = self._check(folder)
            except PackageError as error:
                logger.error("%s; it is not used", error)
                self.refused[folder.name] = str(error)
            else:
                self.packages[package.spec.name] = package

    def models(self) -> list[ModelInfo]:
        """Every package, usable or refused."""
        refused = [ModelInfo(name, "refused", reason) for name, reason in self.refused.items()]
        return [*map(self._describe, self.packages.values()), *refused]

    def domains(self) -> list[DomainDescription]:
        """Every domain, with the choices that the usable models offer."""
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

    def _check(self, folder: Path) -> ModelPackage:
        package = load_package(folder)
        if package.spec.name in self.packages:
            raise PackageError(f"model package {folder.name}: another package of that name is installed")
        if package.spec.domain not in registry.names():
            raise PackageError(f"model package {folder.name}: there is no domain {package.spec.domain!r}")
        if not set(package.manifest.variants) & set(self._variants):
            raise PackageError(f"model package {folder.name}: has none of the variants {', '.join(self._variants)}")
        try:
            registry.load(package.spec.domain).check_model(package.spec)
        except ValueError as error:
            raise PackageError(f"model package {folder.name}: {error}") from error
        return package

    def _describe(self, package: ModelPackage) -> ModelInfo:
        manifest = package.manifest
        variant = next(name for name in self._variants if name in manifest.variants)
        return ModelInfo(
            name=manifest.name, state="ready", version=manifest.version, domain=manifest.domain, task=manifest.task,
            title=manifest.title, labels=manifest.labels, variant=variant,
            sha256=manifest.variants[variant].sha256, size_bytes=manifest.variants[variant].size_bytes,
            intended_use=manifest.intended_use,
            licence={"weights": manifest.licence.weights, "data": manifest.licence.data},
            metrics=manifest.metrics,
        )
