"""The program as a whole: its start, its faults, what it keeps and what it never says."""

import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from domains import registry
from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, GatewayProcess
from tests.servers import PostgresServer

LUNG_PATH = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
LUNG = (SAMPLES / "lung_scan.png").read_bytes()
FIELD = (SAMPLES / "field.jpg").read_bytes()


def test_the_lines_of_the_first_start_work_as_pasted_and_no_later_start_shows_a_key(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        lines = [line for line in gateway.welcome.splitlines() if line.startswith(("curl", "("))]
        assert len(lines) == 8, gateway.welcome
        (live,) = (line for line in gateway.welcome.splitlines() if line.startswith("HEDGEROW_KEY="))
        for line in (*lines, live):
            done = subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            told = r"stored as \S+;" if line == live else r'"(kind|probability|classes)"'
            assert re.search(told, done.stdout), f"{line}\n{done.stdout}"
        key = gateway.key
        with gateway.rest() as client:
            stored = client.get("/v1/analyses").json()["analyses"]
        assert len(stored) == 9
        assert gateway.stop() == 0
    with GatewayProcess(tmp_path / "data") as again:
        assert "hgr_" not in again.welcome
        with again.rest(key) as client:
            assert client.get("/v1/analyses").json()["analyses"] == stored


def test_a_worker_killed_during_a_burst_of_200_requests_costs_no_answer(gateway: GatewayProcess) -> None:
    with gateway.rest() as client, concurrent.futures.ThreadPoolExecutor(32) as threads:
        burst = [threads.submit(client.post, LUNG_PATH, content=LUNG) for _ in range(200)]
        while sum(done.done() for done in burst) < 20:
            time.sleep(0.01)
        for pid in gateway.worker_pids():
            os.kill(pid, signal.SIGKILL)
        answers = [done.result() for done in burst]
    assert [answer.status_code for answer in answers] == [201] * 200
    assert {answer.json()["provenance"]["attempts"] for answer in answers} == {1, 2}


def test_work_whose_caller_hung_up_is_dropped(gateway: GatewayProcess) -> None:
    stop = threading.Event()

    def busy() -> None:
        with gateway.rest() as client:
            while not stop.is_set():
                client.post("/v1/domains/crop_weed/analyses", content=FIELD)

    keepers = [threading.Thread(target=busy) for _ in range(6)]
    for keeper in keepers:
        keeper.start()
    try:
        headers = {"Authorization": f"Bearer {gateway.key}", "X-Request-ID": "hung-up"}
        with pytest.raises(httpx.TimeoutException):
            httpx.post(gateway.url + LUNG_PATH, content=LUNG, headers=headers, timeout=0.02)
        deadline = time.monotonic() + 10
        while not (lines := [line for line in gateway.logs() if line.get("request_id") == "hung-up"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()
        for keeper in keepers:
            keeper.join()
    assert lines[0]["code"] == "CANCELLED"
    assert lines[0]["analysis_id"] is None


def test_a_deadline_in_a_header_is_kept(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        response = client.post(LUNG_PATH, content=LUNG, headers={"Request-Timeout": "0.0005"})
    assert response.status_code == 504
    assert response.json()["code"] == "DEADLINE_EXCEEDED"


def test_the_log_has_one_line_a_request_and_no_patient_no_key_no_file(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data", log_level="debug") as gateway:
        with gateway.rest() as client:
            for file in ("ultrasound.dcm", "breast_scan.dcm"):
                client.post("/v1/domains/pathology/analyses", content=(SAMPLES / file).read_bytes())
            client.post("/v1/domains/pathology/analyses?exam=Citizen", files={"file": ("Jan_Citizen.png", LUNG)})
        deadline = time.monotonic() + 10
        while len(requests := [line for line in gateway.logs() if line["event"] == "request"]) < 3:
            assert time.monotonic() < deadline, gateway.log_text
            time.sleep(0.05)
        assert [line["status"] for line in requests] == [400, 201, 400]
        assert {line["operation"] for line in requests} == {"POST /v1/domains/pathology/analyses"}
        for secret in (gateway.key, gateway.key.split("_", 2)[2], "Citizen", "ANONYMOUS", "US breast"):
            assert secret not in gateway.log_text


def test_pictures_are_not_kept_where_the_setting_says_so(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data", keep_images_hours="0") as gateway, gateway.rest() as client:
        document = client.post(LUNG_PATH, content=LUNG).json()
        assert document["links"] == {"self": f"/v1/analyses/{document['id']}"}
        gone = client.get(f"/v1/analyses/{document['id']}/overlay.png")
        assert gone.status_code == 410
        assert list((tmp_path / "data" / "images").iterdir()) == []


def test_the_gateway_runs_on_postgresql_named_by_a_url(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.new_database()
    with GatewayProcess(tmp_path / "data", database_url=url) as gateway, gateway.rest() as client:
        made = client.post(LUNG_PATH, content=LUNG)
        assert made.status_code == 201
        assert client.get("/v1/analyses").json()["analyses"] == [made.json()]
        assert not (tmp_path / "data" / "hedgerow.db").exists()


def test_a_stop_while_requests_run_answers_them_first(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway, gateway.rest() as client:
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            burst = [threads.submit(client.post, "/v1/domains/crop_weed/analyses", content=FIELD) for _ in range(8)]
            while not any(done.done() for done in burst):
                time.sleep(0.01)
            workers = gateway.worker_pids()
            assert gateway.stop() == 0
            assert [done.result().status_code for done in burst] == [201] * 8
        for pid in workers:
            assert not Path(f"/proc/{pid}").exists(), "a worker outlived the gateway"


def test_stored_pictures_and_the_database_are_for_their_owner_alone(gateway: GatewayProcess) -> None:
    assert gateway.data_dir.joinpath("hedgerow.db").exists()
    for path in (gateway.data_dir / "images").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def changed_package(folder: Path) -> Path:
    """A copy of the lung package under another name, for another exam."""
    package = folder / "knee_ultrasound"
    shutil.copytree(registry.models_folder("pathology") / "lung_ultrasound", package)
    manifest = package / "model.toml"
    manifest.write_text(manifest.read_text().replace("lung_ultrasound", "knee_ultrasound"))
    return package


def test_a_further_exam_is_a_model_package_more_and_no_code(tmp_path: Path) -> None:
    changed_package(tmp_path / "models")
    folders = f'["{tmp_path / "models"}"]'
    with GatewayProcess(tmp_path / "data", models_dirs=folders) as gateway, gateway.rest() as client:
        response = client.post("/v1/domains/pathology/analyses?exam=knee_ultrasound", content=LUNG)
        assert response.status_code == 201, response.text
        assert response.json()["provenance"]["model"]["name"] == "knee_ultrasound"


def test_a_package_with_one_changed_byte_is_refused_by_name_and_the_others_serve(tmp_path: Path) -> None:
    package = changed_package(tmp_path / "models")
    content = bytearray((package / "int8.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (package / "int8.tflite").write_bytes(content)
    folders = f'["{tmp_path / "models"}"]'
    with GatewayProcess(tmp_path / "data", models_dirs=folders) as gateway, gateway.rest() as client:
        refused = [row for row in client.get("/v1/models").json()["models"] if row["state"] == "refused"]
        assert [row["name"] for row in refused] == ["knee_ultrasound"]
        assert "int8.tflite was changed" in refused[0]["reason"]
        assert "int8.tflite was changed" in gateway.log_text
        unknown = client.post("/v1/domains/pathology/analyses?exam=knee_ultrasound", content=LUNG)
        assert unknown.json()["code"] == "UNKNOWN_EXAM"
        assert client.post(LUNG_PATH, content=LUNG).status_code == 201


def test_a_port_in_use_or_a_wrong_setting_is_told_in_one_line(gateway: GatewayProcess, tmp_path: Path) -> None:
    environment = gateway.environment | {"HEDGEROW_DATA_DIR": str(tmp_path)}
    taken = {"HEDGEROW_REST_PORT": gateway.url.rpartition(":")[2], "HEDGEROW_GRPC_PORT": "0"}
    taken_grpc = {"HEDGEROW_REST_PORT": "0", "HEDGEROW_GRPC_PORT": gateway.grpc_address.rpartition(":")[2]}
    wrong = {"HEDGEROW_REST_PORT": "http"}
    nowhere = {"HEDGEROW_DATABASE_URL": "postgresql+psycopg://u:secret@127.0.0.1:9/x"}
    for change, word in (
        (taken, "HEDGEROW_REST_PORT"),
        (taken_grpc, "HEDGEROW_GRPC_PORT"),
        (wrong, "valid integer"),
        (nowhere, "HEDGEROW_DATABASE_URL"),
    ):
        done = subprocess.run([HEDGEROW, "serve"], env=environment | change, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert word in done.stderr
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stderr


def test_the_serving_path_imports_no_tensorflow() -> None:
    code = (
        "import sys, gateway.app, gateway.cli, edge_runtime.engine, edge_runtime.toolchain.evaluate\n"
        "from domains import registry\n"
        "[registry.load(name) for name in registry.names()]\n"
        "from edge_runtime.backends import load_backend; load_backend('litert')\n"
        "print([name for name in sys.modules if name.split('.')[0] in {'tensorflow', 'keras', 'tf_keras'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_gateways_own_process_loads_no_array_or_image_library() -> None:
    code = (
        "import sys, gateway.app\n"
        "print([name for name in ('numpy', 'cv2', 'PIL', 'pydicom', 'ai_edge_litert', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
