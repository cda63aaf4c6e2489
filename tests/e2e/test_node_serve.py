"""Real node processes, and what gateways notice when one is killed, stopped, cut off or slowed down."""

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_runtime.errors import NodeStopped
from edge_runtime.fleet import Fleet
from edge_runtime.node import Answer, Node
from edge_runtime.remote import RemoteConfig, RemoteNode
from edge_runtime.scheduler import Priority
from tests.certificates import make_certificates
from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, GatewayProcess
from tests.node_process import Cable, NodeProcess
from tests.scripted_node import LUNG, ScriptedNode, until

SCAN = (SAMPLES / "lung_scan.png").read_bytes()
TOKEN = "a-token-for-tests-only-0123456789"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """One node for all tests that leave it as they found it."""
    with NodeProcess(tmp_path_factory.mktemp("node"), "--name", "its own name") as running:
        yield running


@asynccontextmanager
async def fleet_of(*addresses: str, embedded: Node | None = None) -> AsyncIterator[tuple[Fleet, list[RemoteNode]]]:
    """A gateway's nodes: perhaps one of its own, then the remote ones, which are named field-1, field-2, ..."""
    remote = [RemoteNode(RemoteConfig(address, f"field-{number}")) for number, address in enumerate(addresses, 1)]
    fleet = Fleet([*([embedded] if embedded else []), *remote])
    await fleet.start()
    try:
        async with asyncio.timeout(20):
            for node in remote:
                await node.wait_ready()
        yield fleet, remote
    finally:
        await fleet.stop()


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def ask(node: Node, timeout_s: float = 30.0) -> Answer:
    return await node.analyse("pathology", SCAN, {"exam": LUNG}, priority=Priority.INTERACTIVE, timeout_s=timeout_s)


async def load(node: Node, rate: float, seconds: float) -> list[Answer]:
    """The answers to so many requests a second, sent whether or not it keeps up."""
    tasks: list[asyncio.Task[Answer]] = []
    began = time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        while len(tasks) < spent * rate:
            tasks.append(asyncio.create_task(ask(node)))
        await asyncio.sleep(0.005)
    return list(await asyncio.gather(*tasks))


def test_a_scan_is_answered_by_the_node_and_says_so(node: NodeProcess) -> None:
    async def test() -> None:
        async with fleet_of(node.address) as (fleet, _):
            answer = await ask(fleet)
            assert answer.reply.document["kind"] == "classification"
            assert (answer.node, answer.backend, answer.simulated, answer.attempts) == ("field-1", "litert", False, 1)
            drawn = await fleet.render(
                "overlay.png", answer.reply.document, answer.reply.media, {**answer.pictures, "input": SCAN}, timeout_s=20
            )
            assert drawn.startswith(b"\x89PNG")

    in_loop(test)


def test_the_log_says_where_the_node_listens_and_what_it_serves(node: NodeProcess) -> None:
    (ready,) = [line for line in node.logs() if line["event"] == "ready"]
    assert ready["level"] == "info"
    assert (ready["node"], ready["devices"]) == ("its own name", ["cpu"])
    assert "lung_ultrasound" in ready["models"]
    assert ready["address"] == node.address
    assert not ready["address"].endswith(":0")


@pytest.mark.parametrize(("options", "told"), [
    (["--listen", "0.0.0.0:0"], "--client-ca or --token-file"),
    (["--listen", "0.0.0.0:0", "--token-file", "TOKEN"], "--tls-cert and --tls-key, or --plaintext"),
    (["--device", "gpu"], "there is no device 'gpu'; choose from cpu"),
    (["--models", "/nowhere"], "there is no folder /nowhere"),
    (["--max-waiting", "0"], "takes a number from 1 on"),
    (["--unheard-of"], "unrecognized arguments: --unheard-of"),
])
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, options: list[str], told: str) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    given = [option.replace("TOKEN", str(token)) for option in options]
    command = [str(HEDGEROW), "node", "serve", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told(node: NodeProcess) -> None:
    command = [str(HEDGEROW), "node", "serve", "--device", "cpu", "--listen", node.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "the port is taken" in done.stderr


def test_a_gateway_uses_a_node_over_mutual_tls_and_shows_it(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    tls = ["--tls-cert", str(made / "node.crt"), "--tls-key", str(made / "node.key"), "--client-ca", str(made / "ca.crt")]
    with NodeProcess(tmp_path / "node", *tls, listen="0.0.0.0:0") as node:
        reached = {
            "name": "field", "address": f"127.0.0.1:{node.address.rpartition(':')[2]}", "ca_file": str(made / "ca.crt"),
            "cert_file": str(made / "gateway.crt"), "key_file": str(made / "gateway.key"),
        }
        stranger = reached | {"name": "stranger", "cert_file": str(made / "ended.crt"), "key_file": str(made / "ended.key")}
        nodes = json.dumps([reached, stranger])
        with GatewayProcess(tmp_path / "gateway", nodes=nodes, embedded="false") as gateway, gateway.rest() as client:
            made_by = client.post(f"/v1/domains/pathology/analyses?exam={LUNG}", content=SCAN).json()["provenance"]
            assert (made_by["node"], made_by["backend"]) == ("field", "litert")
            field, other = client.get("/v1/nodes").json()["nodes"]
            assert (field["reachable"], field["ready"], field["devices"][0]["name"]) == (True, True, "cpu")
            assert (other["reachable"], other["ready"]) == (False, False)
            assert "doesn't take this gateway's certificate" in other["cause"]


def test_a_node_killed_in_a_burst_costs_a_gateways_callers_nothing(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with NodeProcess(tmp_path / "node", "--token-file", str(token)) as node:
        nodes = json.dumps([{"name": "field", "address": node.address, "token_file": str(token)}])
        with GatewayProcess(tmp_path / "gateway", nodes=nodes, workers="1", devices='["cpu"]') as gateway, gateway.rest() as client:
            def one(_: int) -> httpx.Response:
                return client.post(f"/v1/domains/pathology/analyses?exam={LUNG}", content=SCAN)

            with ThreadPoolExecutor(16) as callers:
                list(callers.map(one, range(32)))
                burst = [callers.submit(one, number) for number in range(200)]
                time.sleep(0.5)
                node.kill()
                made = [call.result() for call in burst]
            assert {response.status_code for response in made} == {201}
            provenance = [response.json()["provenance"] for response in made]
            assert {made_by["node"] for made_by in provenance} == {"embedded", "field"}
            moved = [made_by for made_by in provenance if made_by["attempts"] > 1]
            assert moved
            assert all("node field was lost; ran on embedded" in made_by["tier_reason"] for made_by in moved)


def test_a_node_started_again_on_its_address_is_used_again_without_a_restart_of_the_gateway(tmp_path: Path) -> None:
    async def test() -> None:
        first = NodeProcess(tmp_path / "node")
        async with fleet_of(first.address) as (fleet, (remote,)):
            first.kill()
            await until(lambda: not remote.ready)
            waiting = asyncio.create_task(ask(fleet))
            second = await asyncio.to_thread(NodeProcess, tmp_path / "node", listen=first.address)
            with second:
                answer = await waiting
                assert answer.node == "field-1"
                assert "it was queued for" in answer.reason

    in_loop(test)


def test_sigterm_lets_a_node_finish_what_it_has(tmp_path: Path) -> None:
    async def test() -> None:
        with NodeProcess(tmp_path / "node") as node:
            async with fleet_of(node.address) as (_, (remote,)):
                held = [asyncio.create_task(ask(remote)) for _ in range(30)]  # well within the node's grace on a busy machine, too
                await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
                node.process.send_signal(signal.SIGTERM)
                unanswered = [call for call in held if not call.done()]
                results = await asyncio.gather(*held, return_exceptions=True)
                # what a busy machine has not yet brought to the node by then it refuses; what it took it answers
                assert not [result for result in results if not isinstance(result, Answer | NodeStopped)], node.logs()
                assert any(isinstance(call.exception() or call.result(), Answer) for call in unanswered)
                assert await asyncio.to_thread(node.process.wait, 10) == 0
                await until(lambda: not remote.ready)

    in_loop(test)


def test_a_node_that_falls_silent_is_lost_after_two_seconds_and_its_work_runs_elsewhere(tmp_path: Path) -> None:
    async def test() -> None:
        with NodeProcess(tmp_path / "node") as node:
            embedded = ScriptedNode("embedded", takes_s=0.1, slots=1)
            async with fleet_of(node.address, embedded=embedded) as (fleet, (remote,)):
                await load(fleet, 40, 1)
                held = asyncio.create_task(load(fleet, 40, 1.5))
                await asyncio.sleep(0.3)
                stopped_at = time.monotonic()
                node.signal(signal.SIGSTOP)
                await until(lambda: not remote.ready)
                assert 1.4 < time.monotonic() - stopped_at < 8
                answers = await held
                assert any("field-1" in answer.reason and answer.node == "embedded" for answer in answers)
                assert remote.states()[0].cause == "silent for 2 s"
                node.signal(signal.SIGCONT)
                await until(lambda: remote.ready)
                assert (await ask(remote)).node == "field-1"

    in_loop(test)


def test_a_network_cut_for_a_while_costs_no_task_its_answer_and_the_node_is_found_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)

    async def test(cable: Cable) -> None:
        embedded = ScriptedNode("embedded", takes_s=0.1, slots=2)
        remote = RemoteNode(RemoteConfig(f"{cable.FAR}:8090", "field", token))
        fleet = Fleet([embedded, remote])
        await fleet.start()
        try:
            await until(lambda: remote.ready, 20)
            before = await load(fleet, 40, 1)
            assert any(answer.node == "field" for answer in before)
            held = asyncio.create_task(load(fleet, 40, 4))
            await asyncio.sleep(0.3)
            cable.pull()
            cut_at = time.monotonic()
            await until(lambda: not remote.ready)
            assert 1.4 < time.monotonic() - cut_at < 8
            answers = await held
            assert len(answers) >= 155
            assert {answer.attempts for answer in answers} == {1, 2}
            await asyncio.sleep(3)
            cable.plug()
            plugged_at = time.monotonic()
            await until(lambda: remote.ready, 15)
            assert time.monotonic() - plugged_at < 14  # an attempt of 5 s and a pause of 5 s at the most
            assert any(answer.node == "field" for answer in await load(fleet, 40, 1))
        finally:
            await fleet.stop()

    with Cable() as cable:
        options = ("--token-file", str(token), "--plaintext")
        with NodeProcess(tmp_path / "node", *options, before=cable.inside, listen=f"{cable.FAR}:8090"):
            asyncio.run(test(cable))


def test_a_node_with_a_tenth_of_its_time_gets_only_a_try_now_and_then(tmp_path: Path) -> None:
    async def test(node: NodeProcess) -> None:
        embedded = ScriptedNode("embedded", takes_s=0.06, slots=2)
        async with fleet_of(node.address, embedded=embedded) as (fleet, _):
            before = await load(fleet, 40, 2)
            assert sum(answer.node == "field-1" for answer in before) > 10
            ended = threading.Event()
            slowing = asyncio.create_task(asyncio.to_thread(stutter, node, ended))
            try:
                embedded.slots, embedded._free = 4, asyncio.Semaphore(4)  # it could do all of the work
                await load(fleet, 40, 2)
                slowed = await load(fleet, 40, 3)
                assert sum(answer.node == "field-1" for answer in slowed) < 0.1 * len(slowed)
            finally:
                ended.set()
                await slowing

    with NodeProcess(tmp_path / "node") as node:
        asyncio.run(test(node))


def stutter(node: NodeProcess, ended: threading.Event) -> None:
    """Lets the node run for a tenth of the time."""
    while not ended.is_set():
        node.signal(signal.SIGSTOP)
        time.sleep(0.09)
        node.signal(signal.SIGCONT)
        time.sleep(0.01)


def test_help_lists_the_command_node_and_the_page_on_nodes_its_options() -> None:
    wide = {**os.environ, "COLUMNS": "120"}
    listed, told = (
        subprocess.run([str(HEDGEROW), *words, "--help"], capture_output=True, text=True, timeout=30, check=True, env=wide).stdout
        for words in ([], ["node", "serve"])
    )
    assert re.search(r"\bnode\b", listed)
    page = (ROOT / "docs" / "nodes.md").read_text()
    assert set(re.findall(r"(?<![\w-])--[a-z-]+", told)) - {"--help"} == set(re.findall(r"`(--[a-z-]+)", page))
