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
    """A row a figure, with its 95 % interval, and one for each kind of foreign picture; the variants beside each other."""
    variants = list(dict.fromkeys(name for model in report["models"].values() for name in model["variants"]))
    shown = Table(title=f"{report['domain']}, held-out data, 95 % intervals")
    for column in ("model", "figure", *variants):
        shown.add_column(column)
    for name, model in report["models"].items():
        measured = [model["variants"].get(variant, {}) for variant in variants]
        first = next(row for row in measured if row)
        shown.add_row(f"{name} {model['version']}", f"{first['cases']} cases in {first['groups']} groups")
        for figure in first["figures"]:
            shown.add_row("", figure, *(_interval(row.get("figures", {}).get(figure)) for row in measured))
        for kind in first.get("gate", {}).get("kinds", ()):
            rows = [row.get("gate", {}).get("kinds", {}).get(kind, {}) for row in measured]
            for figure in ("auroc", "refused"):
                shown.add_row("", f"{kind}: {figure}", *(_interval(row.get(figure)) for row in rows))
    return shown


def _interval(row: Mapping[str, float] | None) -> str:
    return "-" if row is None else f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
