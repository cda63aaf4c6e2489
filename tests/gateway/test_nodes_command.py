"""`hedgerow nodes`, as an operator runs it."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.wire import NodeState
from tests.fixed_node import BACK, CPU, EMBEDDED, FARM, GONE, FixedNode
from tests.gateway_process import HEDGEROW
from tests.gateway_thread import GatewayThread


@pytest.fixture
def node() -> FixedNode:
    return FixedNode(EMBEDDED, FARM, GONE)


@pytest.fixture
def gateway(node: FixedNode, tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(node, tmp_path) as running:
        yield running


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    return kept | {"COLUMNS": "80"} | {f"HEDGEROW_{name.upper()}": value for name, value in settings.items()}


def nodes(*options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HEDGEROW, "nodes", *options], env=environment(**settings), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_glance_shows_what_is_out_why_since_when_and_what_is_simulated(gateway: GatewayThread) -> None:
    done = nodes(url=gateway.url, key=gateway.key())
    assert done.returncode == 1, "a script notices that a device is out"
    for words in (
        "ready, 3 waiting, 2 running, next in 0.12 s", " SIMULATED ",
        "simulated:usb3: lost, out for 12 s, next try in 4 s", "1 hung, 2 lost, 3 restarts; the last:", "<b>went", "lung_ultrasound",
        "no sensor", "54 °C", "(barn.example:8090): not reachable",
        "silent for 2 s",
    ):
        assert words in done.stdout, words
    row = next(line for line in done.stdout.splitlines() if "cpu" in line)
    assert "serving" in row
    assert "1/2" in row
    assert "SIMULATED" not in row


def test_all_in_service_is_told_by_the_exit_status(gateway: GatewayThread, node: FixedNode) -> None:
    node.states_now[:] = [FARM]
    assert nodes(url=gateway.url, key=gateway.key()).returncode == 0


def test_a_script_gets_the_documents_of_rest(gateway: GatewayThread) -> None:
    key = gateway.key()
    done = nodes("--json", url=gateway.url, key=key)
    with gateway.rest(key) as client:
        assert json.loads(done.stdout) == client.get("/v1/nodes").json()


def test_watching_goes_on_by_itself_until_it_is_interrupted(gateway: GatewayThread, node: FixedNode) -> None:
    settings = environment(url=gateway.url, key=gateway.key())
    with subprocess.Popen([HEDGEROW, "nodes", "--watch", "--json"], env=settings, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        node.states_now[:] = [NodeState("embedded", ready=True, devices=[CPU, BACK])]
        later = [json.loads(process.stdout.readline()) for _ in range(2)][-1]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        watchdog.cancel()
    assert [len(answer["nodes"]) for answer in (first, later)] == [3, 1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "http://127.0.0.1:9", "key": "hgr_x"}, "no answer from http://127.0.0.1:9"),
        ({"url": "http://127.0.0.1:9"}, "hedgerow keys create --scope nodes"),
    ],
)
def test_what_is_missing_is_said_in_one_line(settings: dict[str, str], words: str) -> None:
    done = nodes(**settings)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_key_without_the_scope_is_told_which_one_it_lacks(gateway: GatewayThread) -> None:
    done = nodes(url=gateway.url, key=gateway.key(["read"]))
    assert done.returncode == 1
    assert "nodes or admin" in done.stderr
