"""`hedgerow analyze`: files and folders through a running gateway or through a node of its own."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from edge_runtime.embedded import EmbeddedNode, NodeConfig
from edge_runtime.node import Node
from edge_runtime.scheduler import Priority
from gateway.console.files import Item
from gateway.console.refusal import no_answer, refusal
from gateway.service.analyses import provenance_of
from gateway.service.errors import translate

IN_FLIGHT = 4
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: a document as REST gives it, or an error."""

    item: Item
    document: Mapping[str, Any] | None = None
    overlay: bytes | None = None
    error: str = ""


class AnalysisFailed(Exception):
    """One file could not be answered; the message is the gateway's."""


class Analyser(ABC):
    """Something that answers files."""

    @abstractmethod
    async def analyse(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's document. Raises AnalysisFailed."""

    @abstractmethod
    async def overlay(self, document: Mapping[str, Any], payload: bytes) -> bytes:
        """The picture of an answer that `analyse` gave last for this payload. Raises AnalysisFailed."""


class GatewayAnalyser(Analyser):
    """A running gateway, over REST."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def analyse(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        files = {"file": ("upload", payload), "parameters": (None, json.dumps(dict(parameters)), "application/json")}
        response = await self._send("POST", f"/v1/domains/{domain}/analyses", files=files)
        document: dict[str, Any] = response.json()
        return document

    async def overlay(self, document: Mapping[str, Any], payload: bytes) -> bytes:
        del payload
        return (await self._send("GET", f"/v1/analyses/{document['id']}/overlay.png")).content

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            raise AnalysisFailed(no_answer(error)) from error
        if not response.is_success:
            raise AnalysisFailed(refusal(response))
        return response


class LocalAnalyser(Analyser):
    """A node in this program: no gateway, nothing stored."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._pictures: dict[str, Mapping[str, bytes]] = {}

    async def analyse(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = await self._node.analyse(
                domain, payload, parameters, priority=Priority.BATCH, timeout_s=TIMEOUT_S
            )
        except Exception as error:
            told = translate(error)
            raise AnalysisFailed(f"{told} ({told.code})") from error
        reply = answer.reply
        self._pictures[reply.media["sha256"]] = answer.pictures
        return {
            "domain": domain, "parameters": reply.parameters, "media": reply.media, "result": reply.document,
            "provenance": provenance_of(answer),
        }

    async def overlay(self, document: Mapping[str, Any], payload: bytes) -> bytes:
        pictures = {"input": payload, **self._pictures.pop(document["media"]["sha256"], {})}
        try:
            return await self._node.render(
                "overlay.png", document["result"], document["media"], pictures, timeout_s=TIMEOUT_S
            )
        except Exception as error:
            raise AnalysisFailed(str(translate(error))) from error


@asynccontextmanager
async def open_analyser(url: str, key: str, config: NodeConfig) -> AsyncIterator[Analyser]:
    """A gateway's analyser where a URL is given, a local one else."""
    if url:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S) as client:
            yield GatewayAnalyser(client)
        return
    node = EmbeddedNode(config)
    await node.start()
    try:
        await node.wait_ready()
        yield LocalAnalyser(node)
    finally:
        await node.stop()


async def analyse_all(
    analyser: Analyser, items: Sequence[Item], domain: str, parameters: Mapping[str, Any], out: Path | None,
    console: Console,
) -> list[Outcome]:
    """Every file, four at a time, with a progress bar; results are written as they come."""
    places = asyncio.Semaphore(IN_FLIGHT)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(domain, total=len(items))

        async def one(item: Item) -> Outcome:
            async with places:
                outcome = await _analyse_one(analyser, item, domain, parameters, want_overlay=out is not None)
                if out is not None:
                    _write(outcome, out)
                progress.advance(bar)
                return outcome

        return await asyncio.gather(*map(one, items))


async def _analyse_one(
    analyser: Analyser, item: Item, domain: str, parameters: Mapping[str, Any], *, want_overlay: bool
) -> Outcome:
    try:
        payload = item.path.read_bytes()
        document = await analyser.analyse(domain, payload, parameters)
        overlay = await analyser.overlay(document, payload) if want_overlay else None
    except OSError as error:
        return Outcome(item, error=f"can't be read ({error.strerror})")
    except AnalysisFailed as error:
        return Outcome(item, error=str(error))
    return Outcome(item, document, overlay)


def _write(outcome: Outcome, out: Path) -> None:
    if outcome.document is None:
        return
    place = out / outcome.item.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_name(f"{place.name}.json").write_text(json.dumps(outcome.document, indent=2), encoding="utf-8")
    if outcome.overlay is not None:
        place.with_name(f"{place.name}.overlay.png").write_bytes(outcome.overlay)


def table(outcomes: Sequence[Outcome]) -> Table:
    """A row a file: what was found, how sure, what ran, how long; or why not."""
    shown = Table(title=None, show_lines=False)
    for name in ("file", "answer", "model", "ms"):
        shown.add_column(name, justify="right" if name == "ms" else "left", overflow="fold")
    for outcome in outcomes:
        if outcome.document is None:
            shown.add_row(outcome.item.name, f"[red]failed:[/red] {_plain(outcome.error)}", "", "")
            continue
        provenance = outcome.document["provenance"]
        model = f"{provenance['model']['name']} {provenance['model']['version']} ({provenance['model']['variant']})"
        if provenance.get("simulated"):
            model += " [reverse]SIMULATED[/reverse]"
        shown.add_row(
            outcome.item.name, summary(outcome.document["result"]), model, f"{provenance['timings_ms']['total']:.0f}"
        )
    return shown


def summary(result: Mapping[str, Any]) -> str:
    """A result in one line."""
    if result["kind"] == "classification":
        said = f"{result['label']} {min(result['probability'], 0.99):.0%}"  # no table says "100 %"
    else:
        counts: dict[str, int] = {}
        for instance in result["instances"]:
            counts[instance["label"]] = counts.get(instance["label"], 0) + 1
        said = ", ".join(
            f"{row['label']} {row['area_fraction']:.1%}" + (f" ({counts[row['label']]})" if row["label"] in counts else "")
            for row in result["classes"]
        )
    return f"no verdict: {result['abstention']['reason']} Leading: {said}" if result["abstained"] else said


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
