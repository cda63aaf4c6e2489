"""What `hedgerow analyze` shows, and what it sends with a file."""

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway.console.analyze import Outcome, table
from gateway.console.files import Item
from tests.clients.scripted_requests import CORRUPT, RestServer
from tests.gateway_process import HEDGEROW, SAMPLES

MODEL = {"name": "lung_ultrasound", "version": "1", "variant": "int8"}


def shown(provenance: dict[str, Any]) -> str:
    result = {"kind": "classification", "label": "normal", "probability": 0.6, "abstained": False, "abstention": None}
    document = {"result": result, "provenance": {"model": MODEL, "timings_ms": {"total": 12.0}, **provenance}}
    console = Console(file=io.StringIO(), width=200)
    console.print(table([Outcome(Item(Path("scan.png"), "scan.png"), document)]))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return] # it is the StringIO above


@pytest.mark.parametrize(
    ("provenance", "told"),
    [
        ({}, "normal 60%"),
        ({"second_opinion": None}, "normal 60%"),
        ({"second_opinion": {"job": "j-1", "why": "unsure", "note": ""}}, "normal 60%; a second opinion follows as j-1"),
        (
            {"second_opinion": {"job": None, "why": "unsure", "note": "the day's budget [of requests] is used up"}},
            "normal 60%; no second opinion: the day's budget [of requests] is used up",
        ),
    ],
)
def test_the_table_says_what_became_of_a_second_opinion(provenance: dict[str, Any], told: str) -> None:
    assert [part.strip() for part in shown(provenance).splitlines()[3].split("│")][2] == told


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("HEDGEROW_")} | {"COLUMNS": "200"}
    command = [str(HEDGEROW), "analyze", str(SAMPLES / "lung_scan.png"), "-d", "pathology", *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_consents_go_to_the_gateway_and_without_one_are_refused(tmp_path: Path) -> None:
    with RestServer([CORRUPT]) as server:
        done = run("--url", server.url, "--consent", "learning", "--consent", "cloud", folder=tmp_path)
        assert done.returncode == 1
        assert server.answers.consents == [("learning", "cloud")]
    done = run("--consent", "cloud", folder=tmp_path)
    assert done.returncode != 0
    assert "HEDGEROW_URL" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "learning" in run("--consent", "clowd", folder=tmp_path).stderr
