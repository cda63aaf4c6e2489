"""`hedgerow nodes`: the nodes of a running gateway with their devices, for people and for scripts."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.console.refusal import no_answer, refusal

EVERY_S = 1.0
TIMEOUT_S = 10.0
SIMULATED = "SIMULATED"
_STYLE = {"serving": "green", "starting": "yellow", "faulty": "bold red"}

Node = Mapping[str, Any]


class NodesUnknown(Exception):
    """The gateway didn't tell; the message says why."""


class NodesClient:
    """Asks a running gateway over REST."""

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S)

    def nodes(self) -> Sequence[Node]:
        """The nodes as `GET /v1/nodes` gives them. Raises NodesUnknown."""
        try:
            response = self._client.get("/v1/nodes")
        except httpx.HTTPError as error:
            raise NodesUnknown(no_answer(error)) from error
        if not response.is_success:
            raise NodesUnknown(refusal(response))
        found: Sequence[Node] = response.json()["nodes"]
        return found


def watch(ask: Callable[[], Sequence[Node]], console: Console, *, as_json: bool) -> None:
    """Shows the nodes each second until the user ends it: one table that stays in place, or a JSON document a line."""
    ended = threading.Event()

    def end(_signal: int, _frame: object) -> None:
        # An exception would be lost where it comes while Python clears something away: Ctrl-C would do nothing.
        ended.set()
        signal.signal(signal.SIGINT, before)  # one more Ctrl-C doesn't wait for the answer of a gateway

    before = signal.signal(signal.SIGINT, end)
    try:
        if as_json:
            while not ended.is_set():
                print(json.dumps({"nodes": ask()}), flush=True)
                ended.wait(EVERY_S)
            return
        with Live(console=console, auto_refresh=False) as live:
            while not ended.is_set():
                live.update(_now(ask), refresh=True)
                ended.wait(EVERY_S)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, before)


def _now(ask: Callable[[], Sequence[Node]]) -> RenderableType:
    try:
        return tables(ask())
    except NodesUnknown as error:
        return Text(f"{time.strftime('%H:%M:%S')}: {error}", style="bold red")


def all_in_service(nodes: Sequence[Node]) -> bool:
    """Whether every node is ready and no device is faulty, or was and hasn't come back."""
    return all(node["ready"] for node in nodes) and not any(
        device["state"] == "faulty" or device["out_for_s"] for node in nodes for device in node["devices"]
    )


def tables(nodes: Sequence[Node]) -> RenderableType:
    """For each node a line, a row for each of its devices, and below what is or was wrong with them. Fits 80 columns."""
    return Group(*(part for node in nodes for part in _parts(node)))


def _parts(node: Node) -> Iterator[RenderableType]:
    yield Text.from_markup(_heading(node))
    if node["devices"]:
        yield _table(node["devices"])
    for device in node["devices"]:
        for line in (_present(device), _past(device)):
            if line:
                yield Padding(Text.from_markup(line), (0, 0, 0, 2))
    yield ""


def _heading(node: Node) -> str:
    where = escape(node["address"]) or "inside the gateway"
    cause = f": {escape(node['cause'])}" if node["cause"] else ""
    if not node["reachable"]:
        state = f"[bold red]not reachable[/]{cause}"
    elif not node["ready"]:
        state = f"[bold red]not ready[/]{cause}"
    else:
        wait_s = node["expected_wait_s"]
        wait = f", next in {wait_s:.2g} s" if wait_s else ""
        state = f"[green]ready[/], {node['waiting']} waiting, {node['running']} running{wait}"
    return f"[bold]{escape(node['name'])}[/] ({where}): {state}"


def _table(devices: Sequence[Mapping[str, Any]]) -> Table:
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("device", "state"):
        shown.add_column(column, no_wrap=True)
    for column in ("busy", "running", "answers"):
        shown.add_column(column, justify="right", no_wrap=True)
    for column in ("temperature", "last model"):
        shown.add_column(column, overflow="fold")
    for device in devices:
        badge = f"\n[bold reverse magenta] {SIMULATED} [/]" if device["simulated"] else ""
        shown.add_row(
            escape(device["name"]) + badge,
            f"[{_STYLE[device['state']]}]{device['state']}[/]",
            f"{device['utilisation']:.0%}",
            f"{device['running']}/{device['slots']}",
            str(device["answers"]),
            escape(device["temperature"]),
            escape(device["resident"]),
        )
    return shown


def _present(device: Mapping[str, Any]) -> str:
    if device["state"] == "serving" or not device["out_for_s"]:
        return ""
    told = f"[bold red]{escape(device['name'])}: {escape(device['fault'] or device['state'])}[/], out for {_duration(device['out_for_s'])}"
    return f"{told}, next try in {_duration(device['retry_in_s'])}" if device["state"] == "faulty" else told


def _past(device: Mapping[str, Any]) -> str:
    counted = [f"{count} {kind}" for kind, count in sorted(device["faults"].items())]
    if device["restarts"]:
        counted.append(f"{device['restarts']} restarts")
    last = f"; the last: {device['last_cause']}" if device["last_cause"] else ""
    return escape(f"{device['name']}: {', '.join(counted)}{last}") if counted else ""


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
