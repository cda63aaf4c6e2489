"""The Open Inference Protocol as anybody can ask it, without a client of its own; tests/triton asks by tritonclient."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from protos.inference import grpc_service_pb2 as pb
from protos.inference import grpc_service_pb2_grpc
from tests.gateway_process import SAMPLES, GatewayProcess

SCAN = (SAMPLES / "breast_scan.jpg").read_bytes()
DIGIT = {"name": "pixels", "datatype": "UINT8", "shape": [1, 32, 32, 1], "data": [0] * 1024}
RAW = {"Inference-Header-Content-Length": "0"}


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.rest() as made:
        yield made


def test_a_pictures_bytes_alone_are_answered(client: httpx.Client) -> None:
    answer = client.post("/v2/models/breast_ultrasound/infer", content=SCAN, headers=RAW).json()
    told = {row["name"]: row["data"] for row in answer["outputs"]}
    stored = client.get(f"/v1/analyses/{told['analysis_id'][0]}").json()
    assert stored["result"] == json.loads(told["result"][0])
    assert told["label"] == [stored["result"]["label"]]
    assert answer["model_version"] == stored["provenance"]["model"]["version"]


@pytest.mark.parametrize(("method", "path", "status", "names"), [
    ("GET", "/v2/health/live", 200, {"live"}),
    ("GET", "/v2/health/ready", 200, {"ready"}),
    ("GET", "/v2", 200, {"name", "version", "extensions"}),
    ("GET", "/v2/models/breast_ultrasound", 200, {"name", "versions", "platform", "inputs", "outputs"}),
    ("GET", "/v2/models/breast_ultrasound/versions/1/ready", 200, {"name", "ready"}),
    ("GET", "/v2/models/none/ready", 400, {"name", "ready", "error"}),
    ("GET", "/v2/models/stats", 200, {"model_stats"}),
    ("GET", "/v2/trace/setting", 200, {
        "trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file", "trace_mode",
    }),
])
def test_documents_are_the_protocols(client: httpx.Client, method: str, path: str, status: int, names: set[str]) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, set(answer.json())) == (status, names)


def test_shared_memory_is_off_unless_it_is_turned_on(client: httpx.Client) -> None:
    assert client.get("/v2/systemsharedmemory/status").json() == []
    refused = client.post("/v2/systemsharedmemory/region/a/register", json={"key": "x", "byte_size": 8})
    assert (refused.status_code, "HEDGEROW_SHARED_MEMORY_PREFIX" in refused.json()["error"]) == (405, True)
    assert "system_shared_memory" not in client.get("/v2").json()["extensions"]


@pytest.mark.parametrize(("path", "status"), [("/v2/none", 404), ("/v2/models/a/b/c/d", 404), ("/v2/models/breast_ultrasound/infer", 405)])
def test_what_isnt_there_is_told_in_the_protocols_words(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert (answer.status_code, set(answer.json())) == (status, {"error", "code", "request_id"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


def test_a_few_bytes_that_stand_for_very_many_are_refused(client: httpx.Client) -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024))
    answer = client.post("/v2/models/svhn_digits.network/infer", content=bomb, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    cut = gzip.compress(SCAN)[:-20]
    answer = client.post("/v2/models/breast_ultrasound/infer", content=cut, headers=RAW | {"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    answer = client.post("/v2/models/breast_ultrasound/infer", content=SCAN, headers=RAW | {"Content-Encoding": "br"})
    assert answer.status_code == 415


def test_a_model_that_is_unloaded_is_gone_from_the_typed_api_too(tmp_path: Path) -> None:
    digits = (SAMPLES / "house_number.png").read_bytes()
    with GatewayProcess(tmp_path, workers="1") as running, running.rest() as client:
        path = "/v1/domains/house_numbers/analyses"
        assert client.post(path, content=digits).status_code == 201
        assert client.post("/v2/repository/models/svhn_digits/unload").status_code == 200
        refused = client.post(path, content=digits)
        assert (refused.status_code >= 400, refused.status_code != 500) == (True, True), refused.text
        assert "svhn_digits" not in {model["name"] for model in client.get("/v1/models").json()["models"]}
        assert client.post("/v2/repository/models/svhn_digits/load").status_code == 200
        assert client.post(path, content=digits).status_code == 201


def test_grpc_tells_what_is_wrong_with_the_requests_id(gateway: GatewayProcess) -> None:
    with gateway.channel() as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated code
        assert stub.ServerLive(pb.ServerLiveRequest()).live
        request = pb.ModelInferRequest(model_name="svhn_digits.network")
        request.inputs.add(name="pixels", datatype="UINT8", shape=[1, 32, 32, 1]).contents.uint_contents.extend([256])
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request, metadata=gateway.metadata())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "x-request-id" in dict(refused.value.initial_metadata())
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        told = list(stub.ModelStreamInfer(iter([request, request]), metadata=gateway.metadata()))
        assert ["holds something that is no UINT8" in one.error_message for one in told] == [True, True]
