"""The gate before a change to the protos: what would break a client of the last release doesn't pass."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The protos and what checks them, to be changed."""
    for folder in ("protos", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("buf.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    return tmp_path


def check(project: Path, *options: str) -> tuple[int, str]:
    """The exit status of tools/check-protos, and what it says."""
    done = subprocess.run(
        [project / "tools" / "check-protos", *options], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def change(project: Path, before: str, after: str) -> None:
    """Replaces what stands once in analysis.proto."""
    file = project / "protos" / "hedgerow" / "v1" / "analysis.proto"
    text = file.read_text()
    assert text.count(before) == 1
    file.write_text(text.replace(before, after))


def test_the_protos_as_they_are_break_no_client_of_the_last_release(project: Path) -> None:
    assert check(project) == (0, "")


@pytest.mark.parametrize(("before", "after", "told"), [
    ("  bytes png = 1;\n", "", 'field "1" with name "png"'),
    ("  bytes png = 1;\n", "  string png = 1;\n", 'changed type from "bytes" to "string"'),
    ("rpc DeleteAnalysis(DeleteAnalysisRequest) returns (DeleteAnalysisResponse);", "", 'RPC "DeleteAnalysis"'),
])
def test_a_field_removed_or_of_another_type_or_a_call_removed_doesnt_pass(
    project: Path, before: str, after: str, told: str
) -> None:
    change(project, before, after)
    status, said = check(project)
    assert status != 0
    assert told in said


def test_a_further_field_passes(project: Path) -> None:
    change(project, "  bytes png = 1;\n", "  bytes png = 1;\n  string format = 2;\n")
    assert check(project) == (0, "")


def test_a_field_that_was_released_since_cant_be_taken_back(project: Path) -> None:
    change(project, "  bytes png = 1;\n", "  bytes png = 1;\n  string format = 2;\n")
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace('\nversion = "', '\nversion = "10.', 1))
    assert check(project, "--release") == (0, "")
    change(project, "  string format = 2;\n", "")
    status, said = check(project)
    assert status != 0
    assert '"format"' in said
    assert "made for 10." in said


def test_what_was_released_is_released_once(project: Path) -> None:
    status, said = check(project, "--release")
    assert status == 0, said
    status, said = check(project, "--release")
    assert status != 0
    assert "released already" in said
