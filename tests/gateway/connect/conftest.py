"""REST, Connect and gRPC-Web over services that do as a test says, and a caller with a key."""

from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.rest.scripted_services import RestThread


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestThread]:
    with RestThread(tmp_path_factory.mktemp("gateway")) as thread:
        yield thread


@pytest.fixture
def gateway(running: RestThread) -> RestThread:
    """With nothing of the test before."""
    running.log.clear()
    running.jobs.kept.clear()
    running.analyses.script = None
    running.analyses.cancelled.clear()
    return running


@pytest.fixture(scope="module")
def caller(running: RestThread) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {running.key}", "X-Request-ID": "visit-7"}
    with httpx.Client(base_url=f"http://{running.address}", headers=headers, timeout=20, trust_env=False) as opened:
        yield opened


@pytest.fixture
def client(gateway: RestThread, caller: httpx.Client) -> httpx.Client:
    """Whose gateway has nothing of the test before."""
    del gateway
    return caller
