"""Versions of models changed on the real program while callers ask: nobody goes without an answer."""

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import pytest

from edge_runtime.versions import pack
from tests.gateway_process import HEDGEROW, SAMPLES, GatewayProcess
from tests.model_packages import LUNG, SHIPPED_VERSION, copy_of, edit, with_changed_byte, with_swapped_labels

ANALYSES = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
SCAN = (SAMPLES / "lung_scan.png").read_bytes()
MODEL = "/v1/models/lung_ultrasound"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One for all tests that end with the program's own version in service; each tries a version of its own."""
    with GatewayProcess(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.rest() as made:
        yield made
        assert made.get(MODEL).json()["in_service"] == SHIPPED_VERSION


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: when it was sent, and what came back."""

    sent_at: float
    status: int
    version: str
    label: str


class Callers:
    """Several callers who ask for the same scan again and again, as long as the `with` block lasts."""

    def __init__(self, gateway: GatewayProcess, count: int = 4) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.asked: list[Asked] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def wait_for_more(self, count: int = 20) -> None:
        """Until so many more answers have come."""
        wanted, deadline = len(self.asked) + count, time.monotonic() + 60
        while len(self.asked) < wanted:
            assert time.monotonic() < deadline, "no answers"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self) -> None:
        with self._gateway.rest() as client:
            while not self._stop.is_set():
                self.asked.append(ask(client))


def ask(client: httpx.Client) -> Asked:
    sent_at = time.monotonic()
    answer = client.post(ANALYSES, content=SCAN)
    document = answer.json()
    if answer.status_code != 201:
        return Asked(sent_at, answer.status_code, "", str(document))
    return Asked(sent_at, 201, document["provenance"]["model"]["version"], document["result"]["label"])


def install(client: httpx.Client, package: Path) -> httpx.Response:
    return client.post("/v1/models", content=pack(package))


def activate(client: httpx.Client, version: str, **more: Any) -> httpx.Response:
    return client.post(f"{MODEL}/activate", json={"version": version, **more})


def until(client: httpx.Client, done: Callable[[dict[str, Any]], bool], *, requests: int = 300) -> dict[str, Any]:
    """Asks for analyses, one after the other, until the model's status is as wanted; gives it."""
    for _ in range(requests):
        assert ask(client).status == 201
        status: dict[str, Any] = client.get(MODEL).json()
        if done(status):
            return status
    raise AssertionError(status)


def test_a_version_is_put_into_service_and_taken_out_again_under_load_with_every_request_answered(
    gateway: GatewayProcess, client: httpx.Client, tmp_path: Path
) -> None:
    package = with_swapped_labels(copy_of(LUNG, tmp_path, "1.0.11"))
    with Callers(gateway) as callers:
        callers.wait_for_more()
        assert install(client, package).status_code == 201
        callers.wait_for_more()
        began = time.monotonic()
        activated = activate(client, "1.0.11")
        assert activated.status_code == 200, activated.text
        in_service = time.monotonic()
        callers.wait_for_more()
        back_began = time.monotonic()
        assert client.post(f"{MODEL}/rollback").json()["in_service"] == SHIPPED_VERSION
        back = time.monotonic()
        callers.wait_for_more()
    assert {one.status for one in callers.asked} == {201}, [one for one in callers.asked if one.status != 201]
    labels = {SHIPPED_VERSION: "normal", "1.0.11": "abnormal"}
    assert all(one.label == labels[one.version] for one in callers.asked), "an answer is one version's, never half of each"

    def sent(after: float, before: float) -> set[str]:
        return {one.version for one in callers.asked if after < one.sent_at < before}

    assert sent(0, began - 1) <= {SHIPPED_VERSION}
    assert sent(in_service, back_began - 1) <= {"1.0.11"}
    assert sent(back, time.monotonic()) == {SHIPPED_VERSION}
    assert {one.version for one in callers.asked} == {SHIPPED_VERSION, "1.0.11"}


def test_a_package_with_one_changed_byte_is_refused_and_nothing_changes(
    gateway: GatewayProcess, client: httpx.Client, tmp_path: Path
) -> None:
    before = client.get(MODEL).json()
    refused = install(client, with_changed_byte(copy_of(LUNG, tmp_path, "1.0.12")))
    assert (refused.status_code, refused.json()["code"]) == (422, "PACKAGE_REFUSED")
    assert "lung_ultrasound: int8.tflite was changed" in refused.json()["detail"]
    assert client.get(MODEL).json() == before
    assert not list((gateway.data_dir / "models").rglob("1.0.12"))
    assert ask(client).version == SHIPPED_VERSION


def test_a_package_that_was_damaged_on_the_disk_is_refused_and_nothing_changes(
    gateway: GatewayProcess, client: httpx.Client, tmp_path: Path
) -> None:
    install(client, copy_of(LUNG, tmp_path, "1.0.13"))
    with_changed_byte(gateway.data_dir / "models" / "lung_ultrasound" / "1.0.13" / "lung_ultrasound")
    refused = activate(client, "1.0.13")
    assert (refused.status_code, refused.json()["code"]) == (422, "PACKAGE_REFUSED")
    assert "int8.tflite was changed" in refused.json()["detail"]
    assert client.get(MODEL).json()["in_service"] == SHIPPED_VERSION
    assert ask(client).version == SHIPPED_VERSION


def with_wrong_known_answer(package: Path) -> Path:
    """The stored outputs of the int8 network are no longer those that it gives; all hashes are in order."""
    answer = package / "known_answer.npz"
    with np.load(answer) as stored:
        arrays = dict(stored)
    name = next(name for name in arrays if name.startswith("int8."))
    arrays[name] = np.where(arrays[name] > 0, arrays[name] - 60, arrays[name] + 60).astype(arrays[name].dtype)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    digest = hashlib.sha256(answer.read_bytes()).hexdigest()
    answer.write_bytes(stream.getvalue())
    edit(package, f'"{digest}"', f'"{hashlib.sha256(stream.getvalue()).hexdigest()}"')
    return package


@pytest.mark.parametrize("mode", ["full", "shadow", "canary"])
def test_a_package_whose_known_answer_does_not_come_out_is_refused_under_load(
    gateway: GatewayProcess, client: httpx.Client, tmp_path: Path, mode: str
) -> None:
    assert install(client, with_wrong_known_answer(copy_of(LUNG, tmp_path, f"1.0.14-{mode}"))).status_code == 201
    with Callers(gateway, 2) as callers:
        callers.wait_for_more(5)
        refused = activate(client, f"1.0.14-{mode}", mode=mode)
        callers.wait_for_more(5)
    assert (refused.status_code, refused.json()["code"]) == (422, "PACKAGE_REFUSED")
    assert "wrong answer" in refused.json()["detail"]
    assert {(one.status, one.version) for one in callers.asked} == {(201, SHIPPED_VERSION)}
    status = client.get(MODEL).json()
    assert (status["in_service"], status["trial"]) == (SHIPPED_VERSION, None)


def test_a_shadow_that_is_wrong_is_rolled_back_by_the_rule_and_no_caller_ever_saw_it(
    gateway: GatewayProcess, client: httpx.Client, tmp_path: Path
) -> None:
    install(client, with_swapped_labels(copy_of(LUNG, tmp_path, "1.0.15")))
    assert activate(client, "1.0.15", mode="shadow").status_code == 200
    began = client.get(MODEL).json()["trial"]["started_at"]
    status = until(client, lambda now: now["trial"] is None)
    assert status["in_service"] == SHIPPED_VERSION
    rolled = status["last_rollback"]
    assert (rolled["version"], rolled["instead"], rolled["automatic"]) == ("1.0.15", SHIPPED_VERSION, True)
    assert "disagrees in 30 of 30 comparisons" in rolled["cause"]
    listed = client.get(f"{MODEL}/disagreements", params={"limit": 200}).json()["disagreements"]
    rows = [row for row in listed if row["candidate"]["version"] == "1.0.15"]
    assert len(rows) == 30
    for row in rows:
        assert (row["in_service"]["label"], row["candidate"]["label"]) == ("normal", "abnormal")
        assert row["in_service"]["values"]["normal"] == pytest.approx(row["candidate"]["values"]["abnormal"])
        assert client.get(row["links"]["analysis"]).json()["provenance"]["model"]["version"] == SHIPPED_VERSION
    stored = client.get("/v1/analyses", params={"limit": 200, "created_after": began}).json()["analyses"]
    assert {one["provenance"]["model"]["version"] for one in stored} == {SHIPPED_VERSION}
    (line,) = [line for line in gateway.logs() if line["event"] == "a version on trial was taken out"]
    assert (line["model"], line["version"], line["disagreed"]) == ("lung_ultrasound", "1.0.15", 30)


def test_a_canary_that_does_the_same_answers_its_share_and_stays(client: httpx.Client, tmp_path: Path) -> None:
    install(client, copy_of(LUNG, tmp_path, "1.0.16"))
    assert activate(client, "1.0.16", mode="canary", share=0.5).status_code == 200
    asked = [ask(client) for _ in range(80)]
    assert {one.status for one in asked} == {201}
    assert 20 <= sum(one.version == "1.0.16" for one in asked) <= 60
    trial = client.get(MODEL).json()["trial"]
    assert trial["runs"] == sum(one.version == "1.0.16" for one in asked)
    assert trial["compared"] > 0
    assert (trial["failed"], trial["disagreed"]) == (0, 0)
    promoted = activate(client, "1.0.16").json()
    assert (promoted["in_service"], promoted["trial"]) == ("1.0.16", None)
    assert ask(client).version == "1.0.16"
    activate(client, SHIPPED_VERSION)


def test_a_restart_and_a_killed_worker_keep_the_version_in_service_and_the_trial(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway, gateway.rest() as client:
        key = gateway.key
        for version in ("1.0.1", "1.0.2"):
            install(client, copy_of(LUNG, tmp_path, version))
        activate(client, "1.0.1")
        activate(client, "1.0.2", mode="shadow")
        compared = until(client, lambda now: now["trial"]["compared"] >= 5)["trial"]["compared"]
        for pid in gateway.worker_pids():
            os.kill(pid, signal.SIGKILL)
        assert {ask(client).version for _ in range(5)} == {"1.0.1"}
        assert gateway.stop() == 0
    with GatewayProcess(tmp_path / "data") as again, again.rest(key) as client:
        assert ask(client).version == "1.0.1"
        status = client.get(MODEL).json()
        assert (status["in_service"], status["trial"]["version"], status["rolls_back_to"]) == ("1.0.1", "1.0.2", "1.0.1")
        assert status["trial"]["compared"] >= compared
        until(client, lambda now: now["trial"]["compared"] > status["trial"]["compared"] + 1)
        assert client.post(f"{MODEL}/rollback").json()["trial"] is None
        assert client.post(f"{MODEL}/rollback").json()["in_service"] == SHIPPED_VERSION
        assert ask(client).version == SHIPPED_VERSION


def test_a_version_that_is_gone_at_the_next_start_gives_way_and_the_status_says_so(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway, gateway.rest() as client:
        key = gateway.key
        install(client, copy_of(LUNG, tmp_path, "1.0.1"))
        activate(client, "1.0.1")
    for path in (tmp_path / "data" / "models").rglob("int8.tflite"):
        with_changed_byte(path.parent)
    with GatewayProcess(tmp_path / "data") as again, again.rest(key) as client:
        assert ask(client).version == SHIPPED_VERSION
        assert "int8.tflite was changed" in client.get(MODEL).json()["fault"]


@contextmanager
def node_elsewhere(data_dir: Path, port: int) -> Iterator[None]:
    """`hedgerow node serve`, killed at the end; it may not be ready yet when the block begins."""
    arguments = ["--listen", f"127.0.0.1:{port}", "--data", str(data_dir), "--device", "cpu"]
    data_dir.mkdir()
    with (data_dir / "err.txt").open("w") as words:
        process = subprocess.Popen([HEDGEROW, "node", "serve", *arguments], stdout=words, stderr=words)
    try:
        yield
    finally:
        process.kill()
        process.wait(20)


def wait_for_nodes(client: httpx.Client, ready: int) -> None:
    """Until so many nodes are ready."""
    deadline = time.monotonic() + 60
    while sum(node["ready"] for node in client.get("/v1/nodes").json()["nodes"]) != ready:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answered_by(gateway: GatewayProcess, key: str) -> set[str]:
    """The versions that answer a burst, whichever nodes do."""
    with gateway.rest(key) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.post(ANALYSES, content=SCAN), range(64)))
    assert {answer.status_code for answer in answers} == {201}
    return {answer.json()["provenance"]["model"]["version"] for answer in answers}


def test_a_version_reaches_every_node_also_one_that_was_away_and_a_restart_finds_all_of_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    nodes = json.dumps([{"address": f"127.0.0.1:{port}", "name": "barn"}])
    with GatewayProcess(tmp_path / "data", nodes=nodes) as gateway, gateway.rest() as client:
        key = gateway.key
        with node_elsewhere(tmp_path / "barn", port):
            wait_for_nodes(client, 2)
            install(client, copy_of(LUNG, tmp_path, "1.0.1"))
            assert activate(client, "1.0.1").status_code == 200
            assert answered_by(gateway, key) == {"1.0.1"}
        wait_for_nodes(client, 1)
        with node_elsewhere(tmp_path / "new barn", port):
            wait_for_nodes(client, 2)
            assert answered_by(gateway, key) == {"1.0.1"}
            assert list((tmp_path / "new barn").rglob("1.0.1")), "it was sent what it had missed"
            assert gateway.stop() == 0
            with GatewayProcess(tmp_path / "data", nodes=nodes) as again, again.rest(key) as second:
                wait_for_nodes(second, 2)
                assert second.get(MODEL).json()["fault"] == ""
                assert answered_by(again, key) == {"1.0.1"}
                assert second.post(f"{MODEL}/rollback").json()["in_service"] == SHIPPED_VERSION
                assert answered_by(again, key) == {SHIPPED_VERSION}


def test_a_further_exam_comes_and_goes_while_the_program_runs(client: httpx.Client, tmp_path: Path) -> None:
    package = copy_of(LUNG, tmp_path, "1.1.9").rename(tmp_path / "knee_ultrasound")
    manifest = package / "model.toml"
    manifest.write_text(manifest.read_text().replace("lung_ultrasound", "knee_ultrasound"))
    knee = "/v1/domains/pathology/analyses?exam=knee_ultrasound"
    assert client.post(knee, content=SCAN).json()["code"] == "UNKNOWN_EXAM"
    assert install(client, package).status_code == 201
    assert client.post("/v1/models/knee_ultrasound/activate", json={"version": "1.1.9"}).status_code == 200
    assert client.post(knee, content=SCAN).json()["provenance"]["model"]["name"] == "knee_ultrasound"
    assert "knee_ultrasound" in {row["name"] for row in client.get("/v1/models").json()["models"]}
    assert client.post("/v1/models/knee_ultrasound/rollback").status_code == 200
    assert client.post(knee, content=SCAN).json()["code"] == "UNKNOWN_EXAM"


def test_the_command_line_does_it_on_the_running_gateway(gateway: GatewayProcess, tmp_path: Path) -> None:
    reached = {"HEDGEROW_URL": gateway.url, "HEDGEROW_KEY": gateway.key}
    package = copy_of(LUNG, tmp_path, "1.0.18")
    for arguments, said in (
        (("install", str(package)), "lung_ultrasound 1.0.18 is installed"),
        (("activate", "lung_ultrasound", "1.0.18"), "in service"),
        (("rollback", "lung_ultrasound"), f"1.0.18 was taken out for {SHIPPED_VERSION}"),
        (("status", "lung_ultrasound"), "came with the program"),
    ):
        done = gateway.command("models", *arguments, **reached)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
