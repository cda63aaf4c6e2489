"""One gateway with the shipped packages, started as a user starts it from its own environment: this one has only the client."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEDGEROW = ROOT / ".venv" / "bin" / "hedgerow"
START_TIMEOUT_S = 60.0
PREFIX = "hedgerow_test_"


def pytest_configure(config: pytest.Config) -> None:
    """Tritonclient's asyncio client over HTTP doesn't read the answers of some calls, so a connection whose body comes after its
    headers is never given back; aiohttp tells of it in whatever test runs when that is collected.
    """
    config.addinivalue_line("filterwarnings", "ignore:Unclosed connection:ResourceWarning")


@dataclass(frozen=True)
class RunningGateway:
    """Addresses without a scheme, as the clients want them; `key` may do everything, `reader` nothing but look, `neighbour`
    analyses for another tenant.
    """

    http: str
    grpc: str
    key: str
    reader: str
    neighbour: str


@pytest.fixture(scope="session")
def triton_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Ready for all tests of a session."""
    data = tmp_path_factory.mktemp("gateway")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")} | {
        "HEDGEROW_DATA_DIR": str(data), "HEDGEROW_REST_PORT": "0", "HEDGEROW_GRPC_PORT": "0",
        "HEDGEROW_SHARED_MEMORY_PREFIX": PREFIX,
    }
    with (data / "out.txt").open("w") as out, (data / "err.txt").open("w") as err:
        process = subprocess.Popen([HEDGEROW, "serve"], stdout=out, stderr=err, env=environment, cwd=ROOT)
    try:
        http, grpc = _addresses(process, data)
        key = re.search(r"hgr_\S+", (data / "out.txt").read_text())
        assert key

        def made(tenant: str, scope: str) -> str:
            listed = subprocess.run(
                [HEDGEROW, "keys", "create", "--tenant", tenant, "--name", scope, "--scope", scope],
                env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
            )
            found = re.search(r"hgr_\S+", listed.stdout)
            assert found, listed.stderr
            return found[0]

        yield RunningGateway(http, grpc, key[0], made("default", "read"), made("neighbour", "analyze:*"))
    finally:
        process.terminate()
        process.wait(20)


def _addresses(process: "subprocess.Popen[bytes]", data: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        told = (data / "err.txt").read_text()
        ready = re.search(r'"rest": "http://([^"]+)", "grpc": "([^"]+)"', told)
        if ready and "Hedgerow is ready" in (data / "out.txt").read_text():
            return ready[1], ready[2]
        time.sleep(0.05)
    raise AssertionError(f"not ready: {(data / 'err.txt').read_text()}")
