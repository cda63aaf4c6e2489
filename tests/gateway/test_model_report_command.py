"""`hedgerow model report`, as an engineer runs it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.edge_runtime.toolchain.report.variant_sets import DARK, data_set, variants_folder
from tests.gateway_process import HEDGEROW


def report(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HEDGEROW, "model", "report", *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                          timeout=120, check=False)


@pytest.fixture
def variants(tmp_path: Path) -> Path:
    data_set(tmp_path / "data.npz", [10, 20, 200, 210], [0, 0, 1, 1])
    return variants_folder(tmp_path / "digits", {"float32": DARK, "int8": DARK})


def test_the_table_is_printed_and_all_files_lie_where_the_last_line_says(variants: Path, tmp_path: Path) -> None:
    done = report(variants, "--data", "data.npz", "--runs", 5, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "int8" in done.stdout
    assert done.stderr.splitlines()[-1].endswith("written to var/reports/digits")
    assert {path.name for path in (tmp_path / "var" / "reports" / "digits").iterdir()} == {
        "report.md", "report.json", "report.part.json", "size_accuracy.png", "latency.png", "per_class.png",
    }
    again = report(variants, "--data", "data.npz", "--runs", 5, "--out", "there", "--variants", "int8", "--json", cwd=tmp_path)
    assert again.stdout == (tmp_path / "there" / "report.json").read_text()
    assert [row["variant"] for row in json.loads(again.stdout)["rows"]] == ["float32", "int8"]


@pytest.mark.parametrize(("arguments", "message"), [
    (("nowhere", "--data", "data.npz"), "hedgerow: nowhere holds neither variants.json"),
    (("digits", "--data", "nowhere.npz"), "hedgerow: nowhere.npz is not there"),
    (("digits", "--data", "data.npz", "--variants", "int4"), "hedgerow: brightness has no variant 'int4'"),
    (("digits", "--data", "data.npz", "--runs", "0"), "hedgerow: at least one timed run is needed, got 0"),
    (("digits", "--data", "."), "hedgerow: "),
])
def test_what_is_wrong_is_said_in_a_line(variants: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    del variants
    done = report(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
