"""`hedgerow analyze`: files and folders through a running gateway or through a node of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from edge_runtime.embedded import EmbeddedNode, NodeConfig
from gateway.console.analyser import TIMEOUT_S, Analyser, AnalysisFailed, LocalAnalyser
from gateway.console.files import Item
from gateway.console.verdicts import summary
from gateway.service.clips import ClipReader
from hedgerow_client import AsyncClient, HedgerowError

IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: a document as REST gives it, or an error."""

    item: Item
    document: Mapping[str, Any] | None = None
    overlay: bytes | None = None
    error: str = ""


class GatewayAnalyser(Analyser):
    """A running gateway, over REST or gRPC. `consents`: what each request consents to."""

    def __init__(self, client: AsyncClient, consents: Collection[str] = ()) -> None:
        self._client = client
        self._consents = consents

    async def analyse(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return dict((await self._client.analyze(domain, payload, parameters, consents=self._consents)).raw)
        except HedgerowError as error:
            raise AnalysisFailed(str(error)) from error

    async def overlay(self, document: Mapping[str, Any], payload: bytes) -> bytes:
        del payload
        try:
            return await self._client.overlay(document["id"])
        except HedgerowError as error:
            raise AnalysisFailed(str(error)) from error


@asynccontextmanager
async def open_analyser(
    url: str, key: str, config: NodeConfig, *, clip_frames: int, consents: Collection[str] = ()
) -> AsyncIterator[Analyser]:
    """A gateway's analyser where a URL is given, a local one else. `clip_frames`: of a clip that the latter analyses;
    `consents`: see GatewayAnalyser.
    """
    if url:
        async with AsyncClient(url, key, timeout_s=TIMEOUT_S) as client:
            yield GatewayAnalyser(client, consents)
        return
    node = EmbeddedNode(config)
    await node.start()
    try:
        await node.wait_ready()
        yield LocalAnalyser(node, ClipReader(config.limits or {}, most_frames=clip_frames))
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
            outcome.item.name, summary(outcome.document["result"]) + _plain(_opinion(provenance)), model,
            f"{provenance['timings_ms']['total']:.0f}",
        )
    return shown


def _opinion(provenance: Mapping[str, Any]) -> str:
    """What is said of a second opinion, where one was wanted."""
    opinion = provenance.get("second_opinion")
    if not opinion:
        return ""
    return f"; a second opinion follows as {opinion['job']}" if opinion["job"] else f"; no second opinion: {opinion['note']}"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
