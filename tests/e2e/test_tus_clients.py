"""Clients of tus that are not ours, as they are: tuspy, and tus-js-client where npm can fetch it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed

from tests.e2e.narrow_link import NarrowLink
from tests.gateway_process import SAMPLES, GatewayProcess
from tests.upload_gateway import MIB, UploadGateway

SIZE = 8 * MIB
BREAKS = (1 * MIB, 2 * MIB, 3 * MIB)
LOST_A_BREAK = MIB // 2
"""What may be under way, and in the buffers of both sides, when a connection breaks."""
TUS_JS = "tus-js-client@4.3.1"
PARAMETERS = {"exam": "lung_ultrasound"}
METADATA = {"domain": "pathology", "parameters": json.dumps(PARAMETERS), "filename": "DOE_JANE.mp4"}
SCRIPT = Path(__file__).with_name("tus_upload.cjs")


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UploadGateway]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with UploadGateway(tmp_path) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "DOE_JANE.mp4"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture(scope="session")
def tus_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that tus-js-client is in."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("not installed here: npm, for tus-js-client")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), TUS_JS]
    try:
        fetched = subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        fetched = False
    if not fetched:
        pytest.skip(f"can't be fetched here: {TUS_JS}")
    return folder / "node_modules"


@pytest.fixture
def stream(file: Path) -> Iterator[IO[bytes]]:
    """The file, opened: tuspy would open it itself for each request, and close none."""
    with file.open("rb") as opened:
        yield opened


def tuspy(key: str, gateway_url: str, stream: IO[bytes], **options: Any) -> Any:
    client = TusClient(f"{gateway_url}/v1/uploads", headers={"Authorization": f"Bearer {key}"})
    return client.uploader(file_stream=stream, metadata=METADATA, retry_delay=0, **options)


def check_arrived(gateway: UploadGateway, file: Path, job_path: str) -> None:
    (taken,) = gateway.jobs.taken
    assert taken.content == file.read_bytes()
    assert taken.job.parameters == PARAMETERS
    assert job_path == f"/v1/jobs/{taken.job.id}"


@pytest.mark.parametrize("checksum", [False, True])
def test_tuspy_sends_a_file_in_pieces(
    gateway: UploadGateway, file: Path, stream: IO[bytes], checksum: bool
) -> None:
    uploader = tuspy(gateway.key, gateway.url, stream, chunk_size=3 * MIB, upload_checksum=checksum)
    uploader.upload()
    check_arrived(gateway, file, uploader.request.response_headers["hedgerow-job"])


def test_tuspy_in_one_piece_over_a_link_that_breaks_three_times_sends_little_twice(
    gateway: UploadGateway, file: Path, stream: IO[bytes]
) -> None:
    with NarrowLink(gateway.port, BREAKS) as link:
        uploader = tuspy(gateway.key, link.url, stream, retries=8)
        uploader.upload()
    check_arrived(gateway, file, uploader.request.response_headers["hedgerow-job"])
    assert link.broken == 3
    assert SIZE < link.carried < SIZE + len(BREAKS) * LOST_A_BREAK


def test_tuspy_started_anew_goes_on_where_it_was(
    gateway: UploadGateway, file: Path, stream: IO[bytes]
) -> None:
    with NarrowLink(gateway.port, (5 * MIB,)) as broken:
        first = tuspy(gateway.key, broken.url, stream)
        with pytest.raises(TusUploadFailed):
            first.upload()
    with NarrowLink(gateway.port) as link:
        second = tuspy(gateway.key, link.url, stream, url=first.url.replace(broken.url, link.url))
        assert 5 * MIB - LOST_A_BREAK < second.offset < 5 * MIB + LOST_A_BREAK
        second.upload()
    check_arrived(gateway, file, second.request.response_headers["hedgerow-job"])
    assert link.carried < SIZE - 5 * MIB + LOST_A_BREAK


def test_a_gateway_that_is_killed_half_way_answers_the_scan_that_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with (SAMPLES / "lung_scan.png").open("rb") as scan:
        with GatewayProcess(tmp_path) as killed:
            key = killed.key
            first = tuspy(key, killed.url, scan, chunk_size=10_000)
            first.upload_chunk()
            killed.process.kill()
            killed.process.wait(10)
        with GatewayProcess(tmp_path) as gateway, gateway.rest(key) as client:
            second = tuspy(key, gateway.url, scan, url=first.url.replace(killed.url, gateway.url))
            assert second.offset == 10_000
            second.upload()
            job = client.get(second.request.response_headers["hedgerow-job"]).json()
            deadline = time.monotonic() + 30
            while job["state"] in {"queued", "running"}:
                assert time.monotonic() < deadline, job
                time.sleep(0.05)
                job = client.get(job["links"]["self"]).json()
            answer = client.get(job["links"]["analysis"]).json()
    assert (answer["id"], answer["result"]["label"]) == (job["id"], "normal")


def node(tus_js: Path, gateway: UploadGateway, url: str, file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = ["node", str(SCRIPT), str(tus_js), f"{url}/v1/uploads/", gateway.key, str(file), str(file.with_suffix(".json")), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("chunk_size", ["0", str(MIB)])
def test_tus_js_client_over_a_link_that_breaks_three_times_sends_little_twice(
    tus_js: Path, gateway: UploadGateway, file: Path, chunk_size: str
) -> None:
    with NarrowLink(gateway.port, BREAKS) as link:
        done = node(tus_js, gateway, link.url, file, chunk_size)
    assert done.returncode == 0, done.stderr
    check_arrived(gateway, file, json.loads(done.stdout)["job"])
    assert link.broken == 3
    assert SIZE < link.carried < SIZE + len(BREAKS) * LOST_A_BREAK + MIB // 4


def test_tus_js_client_killed_half_way_goes_on_when_it_is_started_again(
    tus_js: Path, gateway: UploadGateway, file: Path
) -> None:
    with NarrowLink(gateway.port) as link:
        killed = node(tus_js, gateway, link.url, file, str(MIB), str(5 * MIB))
        assert killed.returncode == 9
        done = node(tus_js, gateway, link.url, file, str(MIB))
    assert done.returncode == 0, done.stderr
    check_arrived(gateway, file, json.loads(done.stdout)["job"])
    assert link.carried < SIZE + 2 * MIB
