"""`hedgerow models install`, `activate`, `rollback` and `status`: versions of models on a running gateway."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.errors import PackageError
from edge_runtime.versions import pack
from gateway.console.refusal import no_answer, refusal

TIMEOUT_S = 300.0
"""Every node verifies, warms and checks a package before it serves it."""
_STYLE = {"in_service": "[green]in service[/green]", "on_trial": "[yellow]on trial[/yellow]", "idle": ""}
_ORIGIN = {"program": "came with the program", "installed": "installed"}

Document = dict[str, Any]


class ModelsRefused(Exception):
    """The gateway, or the package's folder, doesn't allow it; the message says why."""


class ModelsClient:
    """Asks a running gateway over REST. Every method raises ModelsRefused."""

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S)

    def install(self, archive: bytes) -> Document:
        """Sends a package; gives its model and version."""
        return self._ask("POST", "/v1/models", content=archive, headers={"Content-Type": "application/zip"})

    def activate(
        self, model: str, version: str, *, mode: str, share: float | None, allowed_disagreement: float | None
    ) -> Document:
        """Puts a version into service or on trial; gives the model's status."""
        wanted = {"version": version, "mode": mode, "share": share, "allowed_disagreement": allowed_disagreement}
        return self._ask("POST", f"{_path(model)}/activate", json=wanted)

    def rollback(self, model: str) -> Document:
        """Ends a trial, or puts the version before into service; gives the model's status."""
        return self._ask("POST", f"{_path(model)}/rollback")

    def status(self, model: str) -> Document:
        """A model's versions and what becomes of them."""
        return self._ask("GET", _path(model))

    def names(self) -> Sequence[str]:
        """The models that are served."""
        return [row["name"] for row in self._ask("GET", "/v1/models")["models"]]

    def disagreements(self, model: str, limit: int) -> Sequence[Document]:
        """What trials of a model found to differ, newest first."""
        page = self._ask("GET", f"{_path(model)}/disagreements", params={"limit": limit})
        found: Sequence[Document] = page["disagreements"]
        return found

    def _ask(self, method: str, path: str, **more: Any) -> Document:
        try:
            response = self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            raise ModelsRefused(no_answer(error)) from error
        if not response.is_success:
            raise ModelsRefused(refusal(response))
        document: Document = response.json()
        return document


def archive_of(path: Path) -> bytes:
    """A package's folder as a ZIP, or a ZIP as it is. Raises ModelsRefused."""
    try:
        return pack(path) if path.is_dir() else path.read_bytes()
    except PackageError as error:
        raise ModelsRefused(str(error)) from error
    except OSError as error:
        raise ModelsRefused(f"{path} can't be read: {error.strerror}") from error


def status_view(status: Mapping[str, Any]) -> RenderableType:
    """A model's versions, its trial and its last rollback."""
    table = Table(title=f"[bold]{escape(status['model'])}[/bold]", title_justify="left", title_style="")
    for column in ("version", "where from", "state"):
        table.add_column(column)
    for row in status["versions"]:
        table.add_row(escape(row["version"]), _ORIGIN[row["origin"]], _STYLE[row["state"]])
    return Group(table, *_trial_lines(status["trial"]), *_rollback_lines(status), "")


def disagreements_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row a disagreement."""
    table = Table()
    for column in ("analysis", "found", "differ in", "in service", "candidate"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row["analysis_id"], row["found_at"], row["difference"], _side(row["in_service"]), _side(row["candidate"]))
    return table


def _trial_lines(trial: Mapping[str, Any] | None) -> list[str]:
    if trial is None:
        return []
    share = f", {trial['share']:.0%} of the callers" if trial["mode"] == "canary" else ""
    lines = [f"{escape(trial['version'])} is on trial as {trial['mode']}{share}, since {trial['started_at']}"]
    found = trial["disagreement"]
    if found is not None:
        lines.append(
            f"  {trial['disagreed']} of {trial['compared']} comparisons disagree: {found['share']:.1%} "
            f"(95 % interval {found['low']:.1%} to {found['high']:.1%}; {trial['allowed_disagreement']:.0%} allowed)"
        )
    lines.append(f"  {trial['failed']} of {trial['runs']} runs failed; {trial['skipped']} comparisons left out for callers' sake")
    times = trial["median_ms"]
    if times is not None:
        lines.append(f"  median time {times['candidate']:.1f} ms, {times['in_service']:.1f} ms in service")
    return lines


def _rollback_lines(status: Mapping[str, Any]) -> list[str]:
    lines = []
    taken = status["last_rollback"]
    if taken is not None:
        instead = escape(taken["instead"]) or "no version"
        cause = f"automatically: {escape(taken['cause'])}" if taken["automatic"] else "by hand"
        lines.append(f"{escape(taken['version'])} was taken out for {instead}, {taken['at']}, {cause}")
    if status["fault"]:
        lines.append(f"[red]not served since the last start[/red]: {escape(status['fault'])}")
    return lines


def _side(side: Mapping[str, Any]) -> str:
    if not side["label"]:
        return "foreign"
    values = ", ".join(f"{escape(label)} {value:.2f}" for label, value in side["values"].items())
    abstained = ", no verdict" if side["abstained"] else ""
    return f"{escape(side['label'])}{abstained} ({values})"


def _path(model: str) -> str:
    return f"/v1/models/{quote(model, safe='')}"
