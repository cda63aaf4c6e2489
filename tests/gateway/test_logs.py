"""The log costs nobody an answer."""

import http.client
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, START_TIMEOUT_S

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, a disk that is always full")
LOGGING = """
import logging
import structlog
from gateway.logs import configure
configure({log_format!r}, "info")
for number in range(2000):
    structlog.get_logger("hedgerow").info("a line of the log", number=number)
    logging.getLogger("somebody").warning("another line")
print("went on")
"""


def until_said(out: Path, pattern: str) -> re.Match[str]:
    """What the program printed, once it has."""
    give_up_at = time.monotonic() + START_TIMEOUT_S
    while (found := re.search(pattern, out.read_text())) is None:
        assert time.monotonic() < give_up_at, out.read_text()
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_that_can_not_be_written_is_dropped(log_format: str) -> None:
    with FULL.open("w") as full:
        ran = subprocess.run([sys.executable, "-c", LOGGING.format(log_format=log_format)], stdout=subprocess.PIPE, stderr=full, text=True,
                             check=False, cwd=ROOT)
    assert ran.stdout == "went on\n"


def test_callers_keep_their_answers_and_connections_while_the_log_can_not_be_written(tmp_path: Path) -> None:
    environment = {"HEDGEROW_DATA_DIR": str(tmp_path / "data"), "HEDGEROW_REST_PORT": "0", "HEDGEROW_GRPC_PORT": "0"}
    with FULL.open("w") as full, (tmp_path / "out.txt").open("w") as out:
        gateway = subprocess.Popen([HEDGEROW, "serve"], stdout=out, stderr=full, env=os.environ | environment, cwd=ROOT)
    try:
        said = until_said(tmp_path / "out.txt", r"REST http://(\S+)[\s\S]*(hgr_\S+)")
        connection = http.client.HTTPConnection(said[1], timeout=30)
        statuses = []
        for method, path, body in (
            ("POST", "/v1/domains/pathology/analyses?exam=lung_ultrasound", (SAMPLES / "lung_scan.png").read_bytes()),
            ("GET", "/v1/nothing", b""), ("GET", "/v1/analyses", b""),
        ):
            connection.request(method, path, body, {"Authorization": f"Bearer {said[2]}"})
            with connection.getresponse() as response:
                response.read()
                statuses.append(response.status)
        connection.close()
    finally:
        gateway.terminate()
        gateway.wait(30)
    assert statuses == [201, 404, 200]
