"""`hedgerow models`, `domains` and `evaluate`: what this installation would serve, and how well."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from edge_runtime.backends import VARIANTS
from edge_runtime.catalogue import Catalogue
from edge_runtime.embedded import package_folders
from edge_runtime.signatures import Signatures, standing
from gateway.rest.documents import domain_to_json, model_to_json
from gateway.settings import Settings

Documents = list[dict[str, Any]]


def installed(settings: Settings) -> tuple[Documents, Documents]:
    """Models and domains, as the documents that REST gives. Raises SignersError where signatures can't be checked."""
    folders = package_folders(settings.models_dirs)
    verdicts = Signatures(settings.model_signers).check(folders) if settings.model_signers else None
    catalogue = Catalogue(standing(folders, verdicts), VARIANTS["litert"], verdicts=verdicts)
    return [model_to_json(model) for model in catalogue.models()], [domain_to_json(d) for d in catalogue.domains()]


def models_table(models: Sequence[dict[str, Any]]) -> Table:
    """A row a package."""
    shown = Table()
    for column in ("model", "version", "domain", "labels", "variant", "size", "state"):
        shown.add_column(column)
    for model in models:
        state = model["state"] if model["state"] == "ready" else f"[red]refused[/red]: {model['reason']}"
        shown.add_row(
            model["name"], model["version"], model["domain"], ", ".join(model["labels"]), model["variant"],
            f"{model['size_bytes'] / 1e6:.1f} MB", state,
        )
    return shown


def domains_table(domains: Sequence[dict[str, Any]]) -> Table:
    """A row a parameter."""
    shown = Table()
    for column in ("domain", "parameter", "meaning", "choices"):
        shown.add_column(column)
    for domain in domains:
        shown.add_row(domain["name"], "", domain["title"], "")
        for item in domain["parameters"]:
            shown.add_row("", item["name"], item["description"], ", ".join(item["choices"]))
    return shown


def figures_table(report: Mapping[str, Any]) -> Table:
    """A row a figure, with its 95 % interval."""
    shown = Table(title=f"{report['domain']}, {report['variant']}, held-out data")
    for column in ("model", "figure", "value", "95 % interval"):
        shown.add_column(column)
    for name, model in report["models"].items():
        shown.add_row(f"{name} {model['version']}", f"{model['cases']} cases in {model['groups']} groups", "", "")
        for figure, row in model["figures"].items():
            shown.add_row("", figure, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}")
    return shown
