"""The real program, told whose packages to serve: it serves those, and refuses the others by name."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_runtime.signing.sign import sign
from edge_runtime.versions import pack
from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, GatewayProcess
from tests.model_packages import LUNG, copy_of, edit, with_changed_byte
from tests.node_process import NodeProcess
from tests.signing_keys import by_certificate, by_key, make_keys

ANALYSES = "/v1/domains/pathology/analyses?exam="
SCAN = (SAMPLES / "lung_scan.png").read_bytes()
BREAST = LUNG.with_name("breast_ultrasound")
MODEL = "/v1/models/lung_ultrasound"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@dataclass(frozen=True, slots=True)
class Site:
    """An installation with its own packages: the lung one signed, the breast one signed and then changed."""

    folder: Path
    settings: dict[str, str]

    @property
    def data(self) -> Path:
        """The gateway's."""
        return self.folder / "data"


def site(folder: Path, keys: Path) -> Site:
    lung = copy_of(LUNG, folder, "1.2.0")
    sign(lung, by_key(keys, "release"))
    breast = copy_of(BREAST, folder, "1.2.0")
    sign(breast, by_certificate(keys, "signer"))
    with_changed_byte(breast)
    signers = [str(keys / "release.pub"), str(keys / "ca.crt")]
    return Site(folder, {
        "models_dirs": json.dumps([str(lung.parent), str(breast.parent)]), "model_signers": json.dumps(signers), "devices": '["cpu"]',
    })


def models(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {model["name"]: model for model in client.get("/v1/models").json()["models"]}


def ask(client: httpx.Client, exam: str = "lung_ultrasound") -> httpx.Response:
    return client.post(ANALYSES + exam, content=SCAN)


def version(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return str(answer.json()["provenance"]["model"]["version"])


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[GatewayProcess]:
    place = site(tmp_path_factory.mktemp("site"), keys)
    with GatewayProcess(place.data, **place.settings) as gateway:
        yield gateway


def test_the_signed_package_answers_and_every_other_is_refused_by_name(running: GatewayProcess) -> None:
    with running.rest() as client:
        found = models(client)
        assert found["lung_ultrasound"]["state"] == "ready"
        assert found["lung_ultrasound"]["version"] == "1.2.0"
        assert version(ask(client)) == "1.2.0"
        assert client.get(MODEL).json()["in_service"] == "1.2.0"
        assert found["breast_ultrasound"]["state"] == "refused"
        assert found["breast_ultrasound"]["reason"] == (
            "model package breast_ultrasound: int8.tflite was changed after it was signed"
        )
        assert found["crop_peanut"]["state"] == "refused"
        assert found["crop_peanut"]["reason"] == "model package crop_peanut: it is not signed: it holds no model.sig"
        assert ask(client, "breast_ultrasound").status_code >= 400
    for words in ("breast_ultrasound: int8.tflite was changed after it was signed; it is not used", "crop_peanut: it is not signed"):
        assert words in running.log_text
    assert "lung_ultrasound: it is not signed" not in running.log_text, "the signed one took the place of what came with the program"


def test_the_list_on_the_command_line_says_the_same(running: GatewayProcess) -> None:
    done = running.command("models", "list", "--json")
    assert done.returncode == 1
    listed = {model["name"]: model for model in json.loads(done.stdout)}
    assert listed["lung_ultrasound"]["version"] == "1.2.0"
    assert "int8.tflite was changed after it was signed" in listed["breast_ultrasound"]["reason"]
    assert "it is not signed" in listed["crop_peanut"]["reason"]


def test_an_unsigned_package_is_not_installed_and_the_command_says_why(
    running: GatewayProcess, keys: Path, tmp_path: Path
) -> None:
    package = copy_of(LUNG, tmp_path, "1.3.0")
    with running.rest() as client:
        refused = client.post("/v1/models", content=pack(package))
        assert (refused.status_code, refused.json()["code"]) == (422, "PACKAGE_REFUSED")
        assert refused.json()["detail"] == "model package lung_ultrasound: it is not signed: it holds no model.sig"
        sign(package, by_key(keys, "other"))
        told = running.command("models", "install", str(package), "--url", running.url, HEDGEROW_KEY=running.key)
        assert told.returncode == 1
        assert "lung_ultrasound: it is signed by another key than the trusted ones" in told.stderr
        assert not list((running.data_dir / "models").rglob("1.3.0"))
        assert [one["version"] for one in client.get(MODEL).json()["versions"]] == ["1.2.0"]


def test_a_signed_version_is_installed_served_and_still_there_after_a_restart(tmp_path: Path, keys: Path) -> None:
    place = site(tmp_path / "site", keys)
    package = copy_of(LUNG, tmp_path, "1.3.0")
    sign(package, by_certificate(keys, "deep", "between"))
    installed = place.data / "models" / "lung_ultrasound" / "1.3.0" / "lung_ultrasound"
    with GatewayProcess(place.data, **place.settings) as gateway, gateway.rest() as client:
        key = gateway.key
        assert client.post("/v1/models", content=pack(package)).status_code == 201
        assert (installed / "model.sig").read_bytes() == (package / "model.sig").read_bytes()
        activated = client.post(f"{MODEL}/activate", json={"version": "1.3.0"})
        assert activated.status_code == 200, activated.text
        assert version(ask(client)) == "1.3.0"
    with GatewayProcess(place.data, **place.settings) as gateway, gateway.rest(key) as client:
        assert version(ask(client)) == "1.3.0"
    (installed / "model.sig").unlink()
    with GatewayProcess(place.data, **place.settings) as gateway, gateway.rest(key) as client:
        assert version(ask(client)) == "1.2.0", "it gives way to the one that is signed"
        assert "lung_ultrasound: it is not signed" in client.get(MODEL).json()["fault"]
        refused = client.post(f"{MODEL}/activate", json={"version": "1.3.0"})
        assert (refused.status_code, refused.json()["code"]) == (422, "PACKAGE_REFUSED")
        assert client.post("/v1/models", content=pack(package)).status_code == 201, "the signature comes back with it"
        assert client.post(f"{MODEL}/activate", json={"version": "1.3.0"}).status_code == 200
        assert version(ask(client)) == "1.3.0"


def test_a_package_that_is_exchanged_under_a_running_gateway_never_answers(tmp_path: Path, keys: Path) -> None:
    place = site(tmp_path / "site", keys)
    with GatewayProcess(place.data, **place.settings) as gateway, gateway.rest() as client:
        assert version(ask(client)) == "1.2.0"
        edit(tmp_path / "site" / "lung_ultrasound-1.2.0" / "lung_ultrasound", r"^version = .*$", 'version = "6.6.6"')
        for pid in gateway.worker_pids():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: models(client)["lung_ultrasound"]["state"] == "refused")
        assert "model.toml was changed after its signature was checked" in models(client)["lung_ultrasound"]["reason"]
        assert ask(client).status_code >= 400


def test_a_node_elsewhere_refuses_by_itself_and_takes_what_is_signed(tmp_path: Path, keys: Path) -> None:
    signer = str(keys / "release.pub")
    package = copy_of(LUNG, tmp_path, "1.3.0")
    unsigned = pack(package)
    sign(package, by_key(keys, "release"))
    with NodeProcess(tmp_path / "barn", "--model-signer", signer) as node:
        settings = {"nodes": json.dumps([{"address": node.address, "name": "barn"}]), "embedded": "false"}
        with GatewayProcess(tmp_path / "lax", **settings) as gateway, gateway.rest() as client:
            assert {model["state"] for model in models(client).values()} == {"refused"}
            assert "not signed" in models(client)["lung_ultrasound"]["reason"]
            refused = client.post("/v1/models", content=unsigned)
            assert (refused.status_code, refused.json()["code"]) == (422, "PACKAGE_REFUSED")
        with GatewayProcess(tmp_path / "strict", model_signers=json.dumps([signer]), **settings) as gateway, gateway.rest() as client:
            assert "only if they were started with --model-signer" in gateway.log_text
            assert client.post("/v1/models", content=unsigned).status_code == 422
            assert client.post("/v1/models", content=pack(package)).status_code == 201
            assert client.post(f"{MODEL}/activate", json={"version": "1.3.0"}).status_code == 200
            answer = ask(client)
            assert version(answer) == "1.3.0"
            assert answer.json()["provenance"]["node"] == "barn"
    (kept,) = (tmp_path / "barn").rglob("1.3.0/lung_ultrasound/model.sig")
    assert kept.read_bytes() == (package / "model.sig").read_bytes()


def refused_to_start(*words: str, hidden: str = "", **settings: str) -> str:
    """What `hedgerow` says in its one line before it ends."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    environment |= {f"HEDGEROW_{name.upper()}": value for name, value in settings.items()}
    code = f"import sys; sys.modules[{hidden!r}] = None; sys.argv[0] = 'hedgerow'; from gateway.entry import main; main()"
    program = [sys.executable, "-c", code] if hidden else [str(HEDGEROW)]
    done = subprocess.run([*program, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("hedgerow")]
    return line


def test_it_does_not_start_where_it_could_not_check(tmp_path: Path, keys: Path) -> None:
    setting = {"data_dir": str(tmp_path / "data"), "rest_port": "0", "grpc_port": "0"}
    good, private = (json.dumps([str(keys / name)]) for name in ("release.pub", "release.pem"))
    without = refused_to_start("serve", hidden="model_signing", model_signers=good, **setting)
    assert without == ("hedgerow: HEDGEROW_MODEL_SIGNERS: signatures need the extra [signing]: model_signing is not installed; "
                       "pip install 'hedgerow[signing]' brings it")
    assert "HEDGEROW_MODEL_SIGNERS: " in refused_to_start("serve", model_signers=private, **setting)
    assert "holds a private key" in refused_to_start("serve", model_signers=private, **setting)
    nodes = json.dumps([{"address": "127.0.0.1:1"}])
    assert "holds a private key" in refused_to_start("serve", model_signers=private, nodes=nodes, embedded="false", **setting)
    node = ("node", "serve", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "node"), "--model-signer")
    assert "extra [signing]" in refused_to_start(*node, str(keys / "release.pub"), hidden="OpenSSL")
    assert "none.pub can't be read" in refused_to_start(*node, str(keys / "none.pub"))
