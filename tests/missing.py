"""What a test does that needs a program which isn't installed."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skips the test because a tool isn't installed, by name; under CI (the variable CI is set) fails it instead."""
    message = f"not installed here: {what}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
