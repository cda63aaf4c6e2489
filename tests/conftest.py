"""Fixtures that several folders share."""

from collections.abc import Iterator

import pytest

from tests.gateway_process import GatewayProcess
from tests.servers import postgres_server, rabbitmq_server, redis_server, s3_server

__all__ = ["gateway", "postgres_server", "rabbitmq_server", "redis_server", "s3_server"]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for all tests that leave it as they found it."""
    with GatewayProcess(tmp_path_factory.mktemp("gateway")) as running:
        yield running
