"""What callers and operators see of nodes and devices, over both transports."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import jsonschema
import pytest

from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.fixed_node import EMBEDDED, FARM, GONE, FixedNode
from tests.gateway_thread import GatewayThread


@pytest.fixture(scope="module")
def node() -> FixedNode:
    return FixedNode(EMBEDDED, FARM, GONE)


@pytest.fixture(scope="module")
def gateway(node: FixedNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    with GatewayThread(node, tmp_path_factory.mktemp("gateway")) as running:
        yield running


def listed(gateway: GatewayThread) -> list[dict[str, Any]]:
    with gateway.rest(gateway.key()) as client:
        response = client.get("/v1/nodes")
        assert response.status_code == 200, response.text
        schema = client.get("/openapi.json").json()
        described = schema["paths"]["/v1/nodes"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(response.json(), {**described, "components": schema["components"]})
    nodes: list[dict[str, Any]] = response.json()["nodes"]
    return nodes


def test_a_lost_device_is_seen_with_its_cause_counts_and_next_try(gateway: GatewayThread) -> None:
    embedded = listed(gateway)[0]
    device = next(row for row in embedded["devices"] if row["name"] == "simulated:usb3")
    assert (device["state"], device["fault"], device["faults"]) == ("faulty", "lost", {"lost": 2, "hung": 1})
    assert (device["retry_in_s"], device["out_for_s"], device["restarts"]) == (3.6, 12.4, 3)
    assert "plugged in" in device["last_cause"]
    assert device["simulated"] is True
    assert (embedded["waiting"], embedded["running"], embedded["expected_wait_s"]) == (3, 2, 0.125)


def test_a_temperature_is_a_number_only_where_there_is_a_sensor(gateway: GatewayThread) -> None:
    devices = {device["name"]: device for node in listed(gateway) for device in node["devices"]}
    assert (devices["edgetpu:pci:0"]["temperature_c"], devices["edgetpu:pci:0"]["temperature"]) == (54.25, "54 °C")
    assert (devices["simulated:usb3"]["temperature_c"], devices["simulated:usb3"]["temperature"]) == (None, "no sensor")
    assert (devices["cpu"]["temperature_c"], devices["cpu"]["temperature"]) == (None, "")


def test_a_node_that_is_gone_is_listed_with_its_cause_and_no_endless_wait(gateway: GatewayThread) -> None:
    gone = listed(gateway)[2]
    assert (gone["reachable"], gone["ready"], gone["cause"]) == (False, False, "silent for 2 s")
    assert gone["expected_wait_s"] is None


def test_grpc_lists_the_same_nodes_as_rest(gateway: GatewayThread) -> None:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        answer = gateway.stub(channel).ListNodes(
            pb.ListNodesRequest(), metadata=[("authorization", f"Bearer {gateway.key(['admin'])}")]
        )
    for message, document in zip(answer.nodes, listed(gateway), strict=True):
        assert message.name == document["name"]
        assert (message.expected_wait_s if message.HasField("expected_wait_s") else None) == document["expected_wait_s"]
        for device, row in zip(message.devices, document["devices"], strict=True):
            assert (device.temperature_c if device.HasField("temperature_c") else None) == row["temperature_c"]
            assert dict(device.faults) == row["faults"]
            assert list(device.models) == row["models"]
            plain = [name for name in row if name not in {"temperature_c", "faults", "models"}]
            assert {name: getattr(device, name) for name in plain} == {name: row[name] for name in plain}


def test_nodes_are_for_keys_that_may_see_them_and_such_a_key_sees_no_answer(gateway: GatewayThread) -> None:
    with gateway.rest(gateway.key(["read", "analyze:*"])) as client:
        refused = client.get("/v1/nodes")
    assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
    assert "nodes or admin" in refused.json()["detail"]
    with gateway.rest(gateway.key(["nodes"])) as client:
        assert client.get("/v1/nodes").status_code == 200
        assert client.get("/v1/analyses").status_code == 403
        assert client.post("/v1/domains/pathology/analyses", content=b"x").status_code == 403
    with gateway.rest("none") as client:
        assert client.get("/v1/nodes").status_code == 401


def test_an_answer_says_which_node_and_device_made_it_why_and_that_it_was_simulated(
    gateway: GatewayThread, node: FixedNode
) -> None:
    with gateway.rest(gateway.key(["analyze:*", "read"], tenant="ward-3")) as client:
        made = client.post("/v1/domains/pathology/analyses", content=b"x")
        assert made.status_code == 201, made.text
        assert client.get(made.headers["location"]).json()["provenance"] == made.json()["provenance"]
    provenance = made.json()["provenance"]
    assert {name: provenance[name] for name in ("node", "device", "backend", "simulated", "tier", "tier_reason", "attempts")} == {
        "node": "farm", "device": "a simulated Edge TPU", "backend": "simulated", "simulated": True, "tier": "edge",
        "tier_reason": "it is the fastest", "attempts": 2,
    }
    assert node.asked[-1][0] == "ward-3", "a tenant's work is taken from its own share"


def test_readiness_is_that_of_any_node(tmp_path: Path) -> None:
    node = FixedNode(GONE, FARM)
    with GatewayThread(node, tmp_path) as gateway, httpx.Client(base_url=gateway.url) as client:
        assert client.get("/readyz").status_code == 200
        node.states_now.remove(FARM)
        assert client.get("/readyz").status_code == 503
