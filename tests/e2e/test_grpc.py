"""The main job over gRPC, with our own stubs and with a client that we did not write."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.gateway_process import SAMPLES, GatewayProcess

BUF = Path(sys.executable).with_name("buf")


def request(file: str, domain: str, **parameters: str) -> pb.AnalyzeRequest:
    made = pb.AnalyzeRequest(domain=domain, content=(SAMPLES / file).read_bytes())
    made.parameters.update(parameters)
    return made


@pytest.fixture
def stub(gateway: GatewayProcess) -> Iterator[Any]:
    with gateway.channel() as channel:
        yield gateway.stub(channel)


def test_grpc_and_rest_give_the_same_answer(gateway: GatewayProcess, stub: Any) -> None:
    for file, domain, parameters in (
        ("lung_scan.png", "pathology", {"exam": "lung_ultrasound"}),
        ("breast_scan.dcm", "pathology", {}),
        ("field.jpg", "crop_weed", {}),
    ):
        analysis = stub.Analyze(request(file, domain, **parameters), metadata=gateway.metadata()).analysis
        with gateway.rest() as client:
            document = client.get(f"/v1/analyses/{analysis.id}").json()
        assert analysis.request_id == document["request_id"]
        assert analysis.media.sha256 == document["media"]["sha256"]
        assert analysis.provenance.model.sha256 == document["provenance"]["model"]["sha256"]
        result = document["result"]
        if result["kind"] == "classification":
            assert analysis.classification.label == result["label"]
            assert [row.probability for row in analysis.classification.probabilities] == [
                row["probability"] for row in result["probabilities"]
            ]
            assert analysis.classification.HasField("abstention") == result["abstained"]
            assert list(analysis.classification.notices) == result["notices"]
        else:
            assert {row.label: row.area_px for row in analysis.segmentation.classes} == {
                row["label"]: row["area_px"] for row in result["classes"]
            }
            assert [plant.mask_counts for plant in analysis.segmentation.instances] == [
                plant["mask"]["counts"] for plant in result["instances"]
            ]


def test_a_picture_far_over_grpcs_four_megabytes_is_answered(gateway: GatewayProcess, stub: Any) -> None:
    noise = np.random.default_rng(7).integers(0, 255, (2000, 2000, 3), np.uint8)
    content = cv2.imencode(".png", noise)[1].tobytes()
    assert len(content) > 10_000_000
    made = pb.AnalyzeRequest(domain="pathology", content=content)
    made.parameters.update({"exam": "lung_ultrasound"})
    answer = stub.Analyze(made, metadata=gateway.metadata())
    assert answer.analysis.media.size_bytes == len(content)


def test_a_file_in_chunks_gives_the_same_answer_as_in_one_message(gateway: GatewayProcess, stub: Any) -> None:
    whole = request("field.jpg", "crop_weed")

    def messages(size: int) -> Iterator[pb.AnalyzeUploadRequest]:
        yield pb.AnalyzeUploadRequest(start=pb.UploadStart(domain="crop_weed", size_bytes=size))
        for at in range(0, len(whole.content), 50_000):
            yield pb.AnalyzeUploadRequest(chunk=whole.content[at : at + 50_000])

    at_once = stub.Analyze(whole, metadata=gateway.metadata()).analysis
    in_chunks = stub.AnalyzeUpload(messages(len(whole.content)), metadata=gateway.metadata()).analysis
    assert in_chunks.segmentation == at_once.segmentation
    with pytest.raises(grpc.RpcError, match="were announced"):
        stub.AnalyzeUpload(messages(len(whole.content) + 1), metadata=gateway.metadata())
    with pytest.raises(grpc.RpcError, match="'start'"):
        stub.AnalyzeUpload(iter([pb.AnalyzeUploadRequest(chunk=b"x")]), metadata=gateway.metadata())


def test_pictures_lists_and_deletion_work_over_grpc_too(gateway: GatewayProcess, stub: Any) -> None:
    metadata = gateway.metadata()
    made = stub.Analyze(request("field.jpg", "crop_weed"), metadata=metadata).analysis
    assert stub.GetAnalysis(pb.GetAnalysisRequest(id=made.id), metadata=metadata).analysis == made
    mask = stub.GetArtifact(pb.GetArtifactRequest(id=made.id, artifact=pb.ARTIFACT_MASK), metadata=metadata).png
    assert Image.open(io.BytesIO(mask)).size == (960, 720)
    newest = stub.ListAnalyses(pb.ListAnalysesRequest(page_size=1), metadata=metadata)
    assert [row.id for row in newest.analyses] == [made.id]
    assert newest.next_page_token == made.id
    stub.DeleteAnalysis(pb.DeleteAnalysisRequest(id=made.id), metadata=metadata)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetAnalysis(pb.GetAnalysisRequest(id=made.id), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError, match="overlay, mask or heatmap"):
        stub.GetArtifact(pb.GetArtifactRequest(id=made.id), metadata=metadata)


def test_domains_and_models_are_those_of_rest(gateway: GatewayProcess, stub: Any) -> None:
    with gateway.rest() as client:
        models = {row["name"]: row["sha256"] for row in client.get("/v1/models").json()["models"]}
        domains = {row["name"]: row["models"] for row in client.get("/v1/domains").json()["domains"]}
    listed = stub.ListModels(pb.ListModelsRequest(), metadata=gateway.metadata()).models
    assert {row.name: row.sha256 for row in listed} == models
    found = stub.ListDomains(pb.ListDomainsRequest(), metadata=gateway.metadata()).domains
    assert {row.name: list(row.models) for row in found} == domains


def test_a_call_past_its_deadline_ends_as_such(gateway: GatewayProcess, stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Analyze(request("field.jpg", "crop_weed"), metadata=gateway.metadata(), timeout=0.005)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_health_is_serving_without_a_key(gateway: GatewayProcess) -> None:
    with gateway.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "hedgerow.v1.AnalysisService"):
            status = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
            assert status == health_pb2.HealthCheckResponse.SERVING


def test_buf_curl_calls_it_by_reflection(gateway: GatewayProcess) -> None:
    content = base64.b64encode((SAMPLES / "lung_scan.png").read_bytes()).decode()
    body = json.dumps({"domain": "pathology", "parameters": {"exam": "lung_ultrasound"}, "content": content})
    done = subprocess.run(
        [BUF, "curl", "--http2-prior-knowledge", "--protocol", "grpc", "-H", f"Authorization: Bearer {gateway.key}",
         "-d", "@-", f"http://{gateway.grpc_address}/hedgerow.v1.AnalysisService/Analyze"],
        input=body, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)["analysis"]
    assert answer["classification"]["label"] == "normal"
    assert answer["provenance"]["model"]["name"] == "lung_ultrasound"
