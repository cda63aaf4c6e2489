"""The files in deploy/ are what their own linters accept, and fit the program."""

import json
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.deploy.linters import DEPLOY, IMAGES, PROGRAM, ROOT, copied, run

CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()
MOST_EXPOSED = 20
"""Highest rating that `systemd-analyze security` may give, in tenths: 0 is locked up, 100 is wide open."""


@pytest.mark.parametrize("image", IMAGES)
def test_the_containerfile_has_no_finding(image: str) -> None:
    done = run("hadolint", "--no-color", DEPLOY / image)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("image", IMAGES)
def test_everything_that_the_image_copies_is_there_and_reaches_the_builder(image: str) -> None:
    sent = (DEPLOY / f"{image}.dockerignore").read_text().splitlines()
    assert copied(image)
    for source in copied(image):
        assert (ROOT / source).exists(), source
        assert f"!{source.rstrip('/')}" in sent


@pytest.mark.parametrize("image", IMAGES)
def test_every_package_of_the_program_is_in_the_image(image: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {"clients/python/hedgerow_client", "domains", "edge_runtime", "gateway", "protos"} == set(packages)
    assert {f"{package}/" for package in packages} <= set(copied(image))


@pytest.mark.parametrize("file", ["compose.yaml", "compose.node.yaml"])
def test_the_compose_file_fits_the_specification(file: str) -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / file)
    assert done.returncode == 0, done.stdout


@pytest.fixture(params=["hedgerow.service", "hedgerow.service with hedgerow-coral.conf", "hedgerow-node.service"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit with a program in place that is installed here, and its drop-in, if any, beside it."""
    given: str = request.param
    name, _, drop_in = given.partition(" with ")
    text = (DEPLOY / name).read_text()
    assert text.count(PROGRAM) == 1
    copy = tmp_path / name
    copy.write_text(text.replace(PROGRAM, "/bin/true"))
    if drop_in:
        folder = tmp_path / f"{name}.d"
        folder.mkdir()
        (folder / drop_in).write_text((DEPLOY / drop_in).read_text())
    return copy


def test_systemd_accepts_every_line_of_the_unit(unit: Path) -> None:
    done = run("systemd-analyze", "verify", unit)
    # An unknown key is a warning, with exit status 0.
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_gives_the_program_little_power(unit: Path) -> None:
    done = run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", unit)
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_accepts_the_account() -> None:
    done = run("systemd-sysusers", "--dry-run", DEPLOY / "hedgerow.sysusers")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        json.loads(re.findall(r"^ +CMD (\[\"python\".+\])$", CONTAINERFILE, re.MULTILINE)[0]),
        json.loads(re.findall(r"^ +test: (\[\"CMD\", \"python\".+\])$", COMPOSE, re.MULTILINE)[0])[1:],
    ],
    ids=["image", "compose"],
)
def test_the_health_check_tells_a_ready_gateway_from_another(command: list[str]) -> None:
    def healthy(port: int) -> bool:
        environment = {"HEDGEROW_REST_PORT": str(port)}
        done = subprocess.run([sys.executable, *command[1:]], env=environment, capture_output=True, check=False)
        return done.returncode == 0

    with answering(200) as port:
        assert healthy(port)
    assert not healthy(port)
    with answering(503) as port:
        assert not healthy(port)


@pytest.mark.parametrize("image", IMAGES[1:])
def test_the_health_check_tells_a_listening_node_from_none(image: str) -> None:
    (found,) = re.findall(r"^ +CMD (\[\"python\".+\])$", (DEPLOY / image).read_text(), re.MULTILINE)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        # Port 8090 may be taken here.
        command = [sys.executable, *json.loads(found.replace("8090", str(port)))[1:]]
        assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_the_images_of_a_node_differ_in_their_libraries_alone() -> None:
    texts = [(DEPLOY / image).read_text().partition("\nFROM")[2] for image in IMAGES[1:]]
    assert texts[0].replace("edge.lock", "coral.lock") == texts[1]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on the port given that answers /readyz with that status, and anything else with 404."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_the_example_names_every_setting_with_its_default(tmp_path: Path) -> None:
    shown = re.findall(r"^#(HEDGEROW_[A-Z_]+)=(.*)$", (DEPLOY / "hedgerow.env").read_text(), re.MULTILINE)
    expected = {f"HEDGEROW_{name.upper()}" for name in Settings.model_fields} - {"HEDGEROW_DATA_DIR"}
    assert {name for name, _ in shown} == expected
    file = tmp_path / "all.env"
    file.write_text("\n".join(f"{name}={value}" for name, value in shown))
    assert Settings(_env_file=file) == Settings(_env_file=None)


def test_the_files_name_only_settings_that_exist() -> None:
    known = {f"HEDGEROW_{name.upper()}" for name in Settings.model_fields}
    for path in filter(Path.is_file, DEPLOY.rglob("*")):
        named = set(re.findall(r"HEDGEROW_[A-Z_]+[A-Z]", path.read_text()))
        assert named <= known, path.name


def test_a_running_request_has_time_to_end_before_the_program_is_killed() -> None:
    from edge_runtime.server.command import GRACE_S as NODE_S
    from gateway.app import GRACE_S as GATEWAY_S

    for compose, unit, grace_s in (
        ("compose.yaml", "hedgerow.service", GATEWAY_S),
        ("compose.node.yaml", "hedgerow-node.service", NODE_S),
    ):
        limits = re.findall(r"stop_grace_period: (\d+)s", (DEPLOY / compose).read_text())
        limits += re.findall(r"TimeoutStopSec=(\d+)", (DEPLOY / unit).read_text())
        assert [int(limit) > grace_s for limit in limits] == [True, True]
