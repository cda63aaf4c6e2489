"""The main job over Connect and gRPC-Web on the REST port of the real program, by a client that we did not write."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2

from tests.gateway_process import ROOT, SAMPLES, GatewayProcess

BUF = Path(sys.executable).with_name("buf")
every_protocol = pytest.mark.parametrize("protocol", ["connect", "grpcweb"])


def buf_curl(gateway: GatewayProcess, protocol: str, method: str, request: dict[str, Any], key: str) -> tuple[list[Any], str]:
    """The answers, one a line, and what buf says of an error."""
    done = subprocess.run(
        [BUF, "curl", "--schema", ROOT, "--protocol", protocol, "-H", f"Authorization: Bearer {key}", "-H", "X-Request-ID: visit-7",
         "-d", "@-", f"{gateway.url}/hedgerow.v1.{method}"],
        input=json.dumps(request), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    decoder, text, answers = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].strip()
    return answers, done.stderr


@every_protocol
def test_a_scan_is_answered_as_over_grpc(gateway: GatewayProcess, protocol: str) -> None:
    content = base64.b64encode((SAMPLES / "lung_scan.png").read_bytes()).decode()
    request = {"domain": "pathology", "parameters": {"exam": "lung_ultrasound"}, "content": content}
    (answer,), told = buf_curl(gateway, protocol, "AnalysisService/Analyze", request, gateway.key)
    assert (answer["analysis"]["classification"]["label"], told) == ("normal", "")
    with gateway.rest() as client:
        assert client.get(f"/v1/analyses/{answer['analysis']['id']}").json()["request_id"] == "visit-7"


@every_protocol
def test_an_error_arrives_with_its_code_and_details(gateway: GatewayProcess, protocol: str) -> None:
    answers, told = buf_curl(gateway, protocol, "AnalysisService/GetAnalysis", {"id": "none"}, "no key")
    error = json.loads(told)
    assert (answers, error["code"], error["message"]) == ([], "unauthenticated", "the API key is not valid")
    (detail,) = error["details"]
    info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(detail["value"] + "=="))
    assert (detail["type"], info.metadata["request_id"]) == ("google.rpc.ErrorInfo", "visit-7")


@every_protocol
def test_a_job_is_followed_to_its_answer(gateway: GatewayProcess, protocol: str) -> None:
    with gateway.rest() as client:
        ordered = client.post(
            "/v1/domains/crop_weed/analyses", content=(SAMPLES / "field.jpg").read_bytes(), headers={"Prefer": "respond-async"}
        )
    answers, told = buf_curl(gateway, protocol, "JobService/WatchJob", {"id": ordered.json()["id"]}, gateway.key)
    assert (answers[-1]["job"]["state"], "segmentation" in answers[-1]["analysis"], told) == ("JOB_STATE_DONE", True, "")
