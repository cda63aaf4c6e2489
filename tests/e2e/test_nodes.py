"""The real program with a simulated device: what operators and callers see of it, in service and out of it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from edge_runtime.simulated_faults import NONE, command_fault, faults_file
from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.gateway_process import SAMPLES, GatewayProcess

DEVICE = "simulated:usb3"
LUNG_PATH = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
LUNG = (SAMPLES / "lung_scan.png").read_bytes()


@pytest.fixture(scope="module")
def simulating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("simulating"), devices=f'["cpu", "{DEVICE}"]') as running:
        yield running


def device(client: httpx.Client) -> dict[str, Any]:
    (node,) = client.get("/v1/nodes").json()["nodes"]
    found: dict[str, Any] = next(row for row in node["devices"] if row["name"] == DEVICE)
    return found


def wait_for(client: httpx.Client, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 30.0) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while not condition(shown := device(client)):
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    return shown


def answered(client: httpx.Client, times: int = 1) -> list[dict[str, Any]]:
    """What made the answers to so many requests at once: with a queue, both devices work."""
    with ThreadPoolExecutor(times) as threads:
        responses = list(threads.map(lambda _: client.post(LUNG_PATH, content=LUNG), range(times)))
    assert {response.status_code for response in responses} == {201}
    return [response.json()["provenance"] for response in responses]


def test_a_simulated_device_is_told_at_the_start_in_the_log_and_in_every_answer(simulating: GatewayProcess) -> None:
    assert f"SIMULATED, no real devices: {DEVICE} on embedded" in simulating.welcome
    warnings = [line for line in simulating.logs() if line["event"].startswith("SIMULATED")]
    assert [line["devices"] for line in warnings] == [[DEVICE]]
    with simulating.rest() as client:
        wait_for(client, lambda shown: shown["state"] == "serving")
        made = answered(client, 32)
        stored = client.get("/v1/analyses", params={"limit": 32}).json()["analyses"]
    assert {provenance["simulated"] for provenance in made} == {True, False}
    for provenance in made:
        assert provenance["simulated"] == (provenance["backend"] == "simulated") == ("simulated" in provenance["device"])
        assert provenance["tier_reason"]
    with simulating.channel() as channel:
        listed = simulating.stub(channel).ListAnalyses(pb.ListAnalysesRequest(page_size=32), metadata=simulating.metadata())
    assert [row.provenance.simulated for row in listed.analyses] == [row["provenance"]["simulated"] for row in stored]


def test_an_unplugged_device_is_seen_out_with_its_cause_the_cpu_answers_for_it_and_it_is_seen_back(
    simulating: GatewayProcess
) -> None:
    faults = faults_file(simulating.data_dir / "simulated", DEVICE)
    reached = {"HEDGEROW_URL": simulating.url, "HEDGEROW_KEY": simulating.key}
    with simulating.rest() as client:
        wait_for(client, lambda shown: shown["state"] == "serving")
        command_fault(faults, "unplugged")
        try:
            run_again = [provenance for provenance in answered(client, 32) if provenance["attempts"] > 1]
            assert run_again
            assert {(provenance["backend"], provenance["simulated"]) for provenance in run_again} == {("litert", False)}
            out = wait_for(client, lambda shown: shown["state"] == "faulty")
            assert out["faults"]["lost"] == 1
            assert out["last_cause"]
            (stand_in,) = answered(client)
            assert f"{DEVICE} is out of service" in stand_in["tier_reason"]
            listed = simulating.command("nodes", **reached)
            assert listed.returncode == 1
            assert "SIMULATED" in listed.stdout
        finally:
            command_fault(faults, NONE)
        back = wait_for(client, lambda shown: shown["state"] == "serving")
        assert (back["fault"], back["out_for_s"]) == ("", 0.0)
        assert back["faults"]["lost"] >= 1
        assert "simulated" in {provenance["backend"] for provenance in answered(client, 32)}
        assert simulating.command("nodes", **reached).returncode == 0


def test_the_pages_requests_each_second_leave_the_log_alone(simulating: GatewayProcess) -> None:
    with simulating.rest() as client:
        client.get("/v1/nodes", headers={"X-Request-ID": "polled"})
    with simulating.rest("none") as client:
        client.get("/v1/nodes", headers={"X-Request-ID": "refused"})
    deadline = time.monotonic() + 10
    while "refused" not in (ids := [line.get("request_id") for line in simulating.logs()]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "polled" not in ids
