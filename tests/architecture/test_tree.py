"""What is under version control: sources, small samples, and packages of models, no downloads or builds."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST = 6 * 2**20
"""Bytes: the largest weights that a package holds, and some room."""


def test_no_file_is_larger_than_the_weights_of_a_model() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    assert {str(file.relative_to(ROOT)) for file in files if file.is_file() and file.stat().st_size > LARGEST} == set()
