"""The real program stops working for callers who are gone, whatever they came by, and for nobody else."""

import json
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import pytest

from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.gateway_process import SAMPLES, GatewayProcess
from tests.node_process import NodeProcess

PHOTO = (SAMPLES / "field.jpg").read_bytes()
MANY_TILES = "ground_resolution_mm=100"
"""The photo is taken at the largest working size, which is dozens of tiles: seconds of work."""
PATH = f"/v1/domains/crop_weed/analyses?{MANY_TILES}"
CONNECT_PATH = "/hedgerow.v1.AnalysisService/Analyze"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose device does one thing at a time."""
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), workers="1", devices='["cpu"]') as running:
        yield running


class Books:
    """What the only node says that it has, and has done."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._before = self._now()

    def _now(self) -> dict[str, Any]:
        with self._gateway.rest() as client:
            (node,) = client.get("/v1/nodes").json()["nodes"]
            stored = len(client.get("/v1/analyses", params={"limit": 200}).json()["analyses"])
        return {
            "tasks": node["running"] + node["waiting"], "running": node["running"], "waiting": node["waiting"],
            "answers": node["devices"][0]["answers"], "restarts": node["devices"][0]["restarts"], "stored": stored,
            "abandoned": node["abandoned"]["running"], "dropped": node["abandoned"]["waiting"],
        }

    def until(self, **wanted: int) -> None:
        """Waits until the node has so many tasks."""
        deadline = time.monotonic() + PATIENCE_S
        while any(self._now()[name] != value for name, value in wanted.items()):
            assert time.monotonic() < deadline, self._now()
            time.sleep(0.05)

    def check(self, *, abandoned: int, dropped: int = 0, answered: int = 0) -> None:
        """That so much was done since the start of the test, and nothing else."""
        deadline = time.monotonic() + PATIENCE_S
        expected = {"abandoned": abandoned, "dropped": dropped, "answers": answered, "stored": answered, "restarts": 0, "tasks": 0}
        while (made := {name: self._now()[name] - self._before[name] for name in expected}) != expected:
            assert time.monotonic() < deadline, made
            time.sleep(0.05)


def open_request(gateway: GatewayProcess, *headers: str, path: str = PATH, body: bytes = PHOTO) -> socket.socket:
    """A whole request, sent, and its connection."""
    address = urlsplit(gateway.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0))
    lines = [
        f"POST {path} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {gateway.key}", f"Content-Length: {len(body)}",
        *headers, "", "",
    ]
    connection.sendall("\r\n".join(lines).encode() + body)
    return connection


def hang_up(gateway: GatewayProcess, books: Books) -> None:
    with closing(open_request(gateway)):
        books.until(running=1)


def hang_up_on_events(gateway: GatewayProcess, books: Books) -> None:
    with closing(open_request(gateway, "Accept: text/event-stream")):
        books.until(running=1)


def name_a_timeout(gateway: GatewayProcess, _: Books) -> None:
    with gateway.rest() as client:
        late = client.post(PATH, content=PHOTO, headers={"Request-Timeout": "1"})
    assert (late.status_code, late.json()["code"]) == (504, "DEADLINE_EXCEEDED")


def hang_up_on_connect(gateway: GatewayProcess, books: Books) -> None:
    with closing(open_request(gateway, "Content-Type: application/json", path=CONNECT_PATH, body=connect_body())):
        books.until(running=1)


def name_a_timeout_to_connect(gateway: GatewayProcess, _: Books) -> None:
    headers = {"Content-Type": "application/json", "Connect-Timeout-Ms": "1000"}
    with gateway.rest() as client:
        late = client.post(CONNECT_PATH, content=connect_body(), headers=headers)
    assert late.json()["code"] == "deadline_exceeded"


def connect_body() -> bytes:
    request = {"domain": "crop_weed", "content": b64encode(PHOTO).decode(), "parameters": {"ground_resolution_mm": 100}}
    return json.dumps(request).encode()


def grpc_call(gateway: GatewayProcess, channel: grpc.Channel, timeout_s: float) -> Any:
    request = pb.AnalyzeRequest(domain="crop_weed", content=PHOTO)
    request.parameters.update({"ground_resolution_mm": 100.0})
    return gateway.stub(channel).Analyze.future(request, metadata=gateway.metadata(), timeout=timeout_s)


def cancel_over_grpc(gateway: GatewayProcess, books: Books) -> None:
    with gateway.channel() as channel:
        call = grpc_call(gateway, channel, 300.0)
        books.until(running=1)
        call.cancel()


def set_a_grpc_deadline(gateway: GatewayProcess, _: Books) -> None:
    with gateway.channel() as channel:
        call = grpc_call(gateway, channel, 1.0)
        with pytest.raises(grpc.RpcError) as caught:
            call.result()
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def lose_the_grpc_connection(gateway: GatewayProcess, books: Books) -> None:
    with gateway.channel() as channel:
        call = grpc_call(gateway, channel, 300.0)
        books.until(running=1)
        assert not call.done()


def cancel_a_job(gateway: GatewayProcess, books: Books) -> None:
    with gateway.rest() as client:
        job = client.post(PATH, content=PHOTO, headers={"Prefer": "respond-async"}).json()
        books.until(running=1)
        assert client.delete(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"


@pytest.mark.parametrize("leave", [
    hang_up, hang_up_on_events, name_a_timeout, hang_up_on_connect, name_a_timeout_to_connect, cancel_over_grpc,
    set_a_grpc_deadline, lose_the_grpc_connection, cancel_a_job,
])
def test_a_photo_that_runs_is_stopped_between_two_tiles_once_nobody_waits_for_it(
    busy: GatewayProcess, leave: Callable[[GatewayProcess, Books], None]
) -> None:
    books = Books(busy)
    leave(busy, books)
    books.check(abandoned=1)


def test_of_many_callers_who_hang_up_only_the_one_on_the_device_has_cost_anything(busy: GatewayProcess) -> None:
    books = Books(busy)
    with closing(open_request(busy)):
        books.until(running=1)
        connections = [open_request(busy) for _ in range(3)]
        books.until(running=1, waiting=3)
        for connection in connections:
            connection.close()
        books.until(running=1, waiting=0)
    books.check(abandoned=1, dropped=3)


def test_a_job_goes_on_when_its_caller_hangs_up(busy: GatewayProcess) -> None:
    books = Books(busy)
    with busy.rest() as client, closing(open_request(busy, "Idempotency-Key: goes-on", path="/v1/domains/crop_weed/analyses")):
        deadline = time.monotonic() + PATIENCE_S
        while not any(job["state"] != "cancelled" for job in client.get("/v1/jobs").json()["jobs"]):
            assert time.monotonic() < deadline
    books.check(abandoned=0, answered=1)


def test_a_drawing_keeps_to_the_deadline_that_its_caller_names(busy: GatewayProcess) -> None:
    with busy.rest() as client:
        scan = (SAMPLES / "lung_scan.png").read_bytes()
        made = client.post("/v1/domains/pathology/analyses?exam=lung_ultrasound", content=scan).json()
        late = client.get(made["links"]["overlay"], headers={"Request-Timeout": "0.0001"})
        assert (late.status_code, late.json()["code"]) == (504, "DEADLINE_EXCEEDED")
        assert client.get(made["links"]["overlay"], headers={"Request-Timeout": "30"}).status_code == 200
        assert client.get(made["links"]["overlay"], headers={"Request-Timeout": "soon"}).status_code == 400


def test_a_node_elsewhere_stops_too(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node", "--workers", "1") as node:
        nodes = f'[{{"name": "field", "address": "{node.address}"}}]'
        with GatewayProcess(tmp_path / "gateway", nodes=nodes, embedded="false") as gateway:
            books = Books(gateway)
            hang_up(gateway, books)
            books.check(abandoned=1)


def test_the_api_page_tells_of_the_deadline_wherever_it_is_heeded(busy: GatewayProcess) -> None:
    described = httpx.get(f"{busy.url}/openapi.json").json()["paths"]
    heeding = {
        path for path, calls in described.items() for call in calls.values()
        if any(parameter["name"] == "Request-Timeout" for parameter in call.get("parameters", ()))
    }
    assert heeding >= {
        "/v1/domains/{domain}/analyses", "/v1/analyses/{analysis_id}/overlay.png", "/v1/analyses/{analysis_id}/heatmap.png",
        "/v1/analyses/{analysis_id}/mask.png", "/v1/analyses/{analysis_id}/key_frames/{number}.png",
    }
