"""The cloud tier with all parts real: gateway, Redis, object store in a folder, worker. What users see of it."""

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pydicom

from protos.hedgerow.v1 import analysis_pb2, jobs_pb2, jobs_pb2_grpc
from tests.cloud_servers import RedisServer
from tests.gateway.service.webhook_receiver import Receiver, status
from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, GatewayProcess

YES = {"Hedgerow-Consent": "cloud"}
SCAN = (SAMPLES / "lung_scan.png").read_bytes()
LUNG = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
CHECKED = {"to_cloud": True, "audit_share": 1.0}
"""Every answer gets a second opinion."""
PATIENCE_S = 60.0


class Tier:
    """A gateway with a cloud tier whose worker runs when a test wants it."""

    def __init__(self, folder: Path, redis: RedisServer, *rules: dict[str, Any]) -> None:
        self.objects = folder / "objects"
        secret = folder / "secret"
        secret.write_bytes(os.urandom(40).hex().encode())
        self.gateway = GatewayProcess(
            folder / "data", cloud_broker=redis.url, cloud_store=self.objects.as_uri(), cloud_queue=folder.name,
            pseudonym_secret_file=str(secret), routes=json.dumps(rules), private_callbacks="true",
        )

    @contextmanager
    def worker(self) -> Iterator[None]:
        """`hedgerow cloud worker`, until the block ends."""
        process = subprocess.Popen(
            [HEDGEROW, "cloud", "worker"], env=self.gateway.environment, cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def kept(self) -> list[bytes]:
        """What the object store holds."""
        return [path.read_bytes() for path in self.objects.rglob("*") if path.is_file()]

    def until_sent(self) -> list[bytes]:
        """The same, once something is there."""
        deadline = time.monotonic() + PATIENCE_S
        while not (kept := self.kept()):
            assert time.monotonic() < deadline, self.gateway.log_text
            time.sleep(0.1)
        return kept

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.gateway.stop()


def final(client: httpx.Client, path: str) -> dict[str, Any]:
    """The job at a path, once it is final."""
    deadline = time.monotonic() + PATIENCE_S
    while (job := client.get(path).json())["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
    found: dict[str, Any] = job
    return found


def test_the_second_opinion_reaches_whoever_asked_in_each_way(tmp_path: Path, redis_server: RedisServer) -> None:
    with Tier(tmp_path, redis_server, CHECKED) as tier, Receiver(status(200)) as receiver, tier.gateway.rest() as client:
        first = client.post(f"{LUNG}&callback_url={receiver.url}", content=SCAN, headers=YES).json()
        assert (first["provenance"]["tier"], first["provenance"]["provisional"]) == ("edge", True)
        assert first["provenance"]["model"]["variant"] == "int8"
        opinion = first["links"]["second_opinion"]
        assert client.get(opinion).json()["state"] in {"queued", "running"}
        with tier.worker(), client.stream("GET", f"{opinion}/events") as events:
            told = "".join(events.iter_text())
        assert '"state":"done"' in told, "events end with the opinion"
        job = final(client, opinion)
        second = client.get(job["links"]["analysis"]).json()
        assert (second["provenance"]["tier"], second["provenance"]["model"]["variant"]) == ("cloud", "float32")
        assert second["links"]["first_opinion"] == job["links"]["first_opinion"] == first["links"]["self"]
        assert second["result"]["label"] == first["result"]["label"]
        assert client.get(second["links"]["overlay"]).headers["content-type"] == "image/png"
        posted = _posted(receiver, 2)
        assert [one["tier"] for one in posted] == ["edge", "cloud"]
        assert posted[1]["analysis"]["id"] == second["id"]
        assert client.get(first["links"]["self"]).json()["result"] == first["result"], "the first answer stays as it was"
        assert not tier.kept(), "nothing is left in the object store"
        assert "each as it was written" in tier.gateway.command("audit", "verify").stdout


def test_over_grpc_too_the_consent_counts_and_the_opinion_can_be_watched(tmp_path: Path, redis_server: RedisServer) -> None:
    with Tier(tmp_path, redis_server, CHECKED) as tier, tier.gateway.channel() as channel:
        request = analysis_pb2.AnalyzeRequest(domain="pathology", content=SCAN, consents=["cloud"])
        request.parameters.update({"exam": "lung_ultrasound"})
        first = tier.gateway.stub(channel).Analyze(request, metadata=tier.gateway.metadata()).analysis
        assert first.provenance.provisional
        jobs: Any = jobs_pb2_grpc.JobServiceStub(channel)  # type: ignore[no-untyped-call] # generated code
        watched = jobs.WatchJob(
            jobs_pb2.WatchJobRequest(id=first.provenance.second_opinion.job), metadata=tier.gateway.metadata(), timeout=PATIENCE_S
        )
        with tier.worker():
            *_, last = watched
        assert (last.job.tier, last.job.why, last.job.opinion_on) == ("cloud", "audit", first.id)
        assert last.analysis.provenance.opinion_on == first.id


def test_while_the_worker_is_away_what_always_goes_there_waits_as_a_job(tmp_path: Path, redis_server: RedisServer) -> None:
    always = {"to_cloud": True, "mode": "always_cloud"}
    with Tier(tmp_path, redis_server, always) as tier, tier.gateway.rest() as client:
        waits = client.post(LUNG, content=SCAN, headers={**YES, "Request-Timeout": "1"})
        assert (waits.status_code, waits.json()["tier"]) == (202, "cloud")
        with tier.worker():
            assert final(client, waits.headers["location"])["state"] == "done"
            at_once = client.post(LUNG, content=SCAN, headers=YES)
        assert (at_once.status_code, at_once.json()["provenance"]["tier"]) == (201, "cloud")


def test_a_dicom_file_leaves_without_its_patient_and_without_consent_not_at_all(tmp_path: Path, redis_server: RedisServer) -> None:
    dataset = pydicom.dcmread(SAMPLES / "breast_scan.dcm")
    dataset.PatientName, dataset.PatientBirthDate = "Zwetschge^Aurelia", "19610429"
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    with Tier(tmp_path, redis_server, CHECKED) as tier, tier.gateway.rest() as client:
        stays = client.post("/v1/domains/pathology/analyses?exam=breast_ultrasound", content=buffer.getvalue()).json()
        assert "provisional" not in stays["provenance"]
        goes = client.post("/v1/domains/pathology/analyses?exam=breast_ultrasound", content=buffer.getvalue(), headers=YES)
        job = client.get(goes.json()["links"]["second_opinion"]).json()
        (left,) = tier.until_sent()
        assert job["tier"] == "cloud"
        assert b"Zwetschge" not in left
        assert b"19610429" not in left
        assert pydicom.dcmread(io.BytesIO(left)).PatientIdentityRemoved == "YES"


def test_a_wrong_setting_is_named_at_the_start(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("x")
    done = subprocess.run(
        [HEDGEROW, "serve"], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, env={
            "PATH": os.environ["PATH"], "HEDGEROW_DATA_DIR": str(tmp_path / "data"), "HEDGEROW_CLOUD_BROKER": "redis://127.0.0.1:1",
            "HEDGEROW_CLOUD_STORE": (tmp_path / "objects").as_uri(), "HEDGEROW_PSEUDONYM_SECRET_FILE": str(short),
        },
    )
    assert done.returncode == 1
    assert "HEDGEROW_PSEUDONYM_SECRET_FILE" in done.stderr
    assert "32" in done.stderr


def _posted(receiver: Receiver, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE_S
    while len(receiver.received) < count:
        assert time.monotonic() < deadline, receiver.received
        time.sleep(0.1)
    return [json.loads(one.body) for one in receiver.received]
