"""The files in deploy/ are what their own linters accept, and fit the program."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.servers import missing

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()
MOST_EXPOSED = 20
"""Highest rating that `systemd-analyze security` may give, in tenths: 0 is locked up, 100 is wide open."""


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a tool of this environment or of the machine; skips by its name where it isn't installed."""
    beside = Path(sys.executable).with_name(tool)
    program = str(beside) if beside.exists() else shutil.which(tool)
    if program is None:
        missing(tool)
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_containerfile_has_no_finding() -> None:
    done = run("hadolint", "--no-color", DEPLOY / "Containerfile")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_everything_that_the_image_copies_is_there_and_reaches_the_builder() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    sent = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source.rstrip('/')}" in sent


def test_every_package_of_the_program_is_in_the_image() -> None:
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name not in {"tests", "benchmarks"}]
    assert {"domains", "edge_runtime", "gateway"} <= set(packages)
    for package in packages:
        assert f"COPY {package}/ {package}/" in CONTAINERFILE


def test_the_compose_file_fits_the_specification() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program in place that is installed here."""
    text = (DEPLOY / "hedgerow.service").read_text()
    assert text.count("/opt/hedgerow/bin/hedgerow") == 1
    copy = tmp_path / "hedgerow.service"
    copy.write_text(text.replace("/opt/hedgerow/bin/hedgerow", "/bin/true"))
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
    for path in DEPLOY.iterdir():
        named = set(re.findall(r"HEDGEROW_[A-Z_]+[A-Z]", path.read_text()))
        assert named <= known, path.name


def test_a_running_request_has_time_to_end_before_the_gateway_is_killed() -> None:
    from gateway.app import GRACE_S

    compose = re.findall(r"stop_grace_period: (\d+)s", COMPOSE)
    unit = re.findall(r"TimeoutStopSec=(\d+)", (DEPLOY / "hedgerow.service").read_text())
    assert [int(limit) > GRACE_S for limit in compose + unit] == [True, True]
