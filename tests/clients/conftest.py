"""Which event loop the asynchronous tests run on."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The standard library's."""
    return "asyncio"
