"""Schemathesis, which reads OpenAPI and sends what it allows and what it forbids, finds no answer that isn't described."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.gateway_process import ROOT, SAMPLES, GatewayProcess
from tests.missing import missing

PROGRAM = ROOT / ".venv-schemathesis" / "bin" / "schemathesis"
LIMIT_S = 900
UPLOAD = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000", "Upload-Metadata": "domain cGF0aG9sb2d5"}


def test_openapi_and_the_gateway_agree_whatever_is_sent(tmp_path: Path) -> None:
    if not PROGRAM.exists():
        missing("schemathesis (make .venv-schemathesis/ready)")
    with GatewayProcess(tmp_path) as gateway:
        done = subprocess.run(
            [
                PROGRAM, "--config-file", ROOT / "tests" / "contracts" / "schemathesis.toml",
                "run", f"{gateway.url}/openapi.json", "--no-color",
            ],
            cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False,
            env=gateway.environment | {"HEDGEROW_KEY": gateway.key, "HEDGEROW_KNOWN": json.dumps(known(gateway))},
        )
        logs = gateway.logs()
    if done.returncode:
        pytest.fail(done.stdout[-20_000:] + done.stderr[-2_000:], pytrace=False)
    assert [line for line in logs if line["event"] == "unforeseen error"] == []
    answered = Counter(line["status"] for line in logs if line["event"] == "request")
    assert answered.total() > 1000, "hardly anything was tried"
    for status in (200, 201, 202, 204, 400, 401, 404, 405, 409, 415):
        assert answered[status], f"nothing was answered {status}, so no such answer was checked"


def known(gateway: GatewayProcess) -> dict[str, list[str]]:
    """Values for the parameters of paths, of things that are there."""
    with gateway.rest() as client:
        scan = client.post("/v1/domains/pathology/analyses?exam=lung_ultrasound", content=(SAMPLES / "lung_scan.png").read_bytes())
        field = client.post("/v1/domains/crop_weed/analyses", content=(SAMPLES / "field_sideways.jpg").read_bytes())
        clip = client.post(
            "/v1/domains/pathology/analyses?exam=lung_ultrasound", content=(SAMPLES / "lung_clip.mpeg").read_bytes()
        )
        uploads = [client.post("/v1/uploads", headers=UPLOAD).headers["location"].rpartition("/")[2] for _ in range(8)]
        return {
            "analysis_id": [answer.json()["id"] for answer in (scan, field, clip)],
            "upload_id": uploads,
            "model": [model["name"] for model in client.get("/v1/models").json()["models"]],
            "domain": [domain["name"] for domain in client.get("/v1/domains").json()["domains"]],
            "number": ["1"],
        }
