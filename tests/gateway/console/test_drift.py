"""`hedgerow drift` over a database of real answers."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.service.records import Analysis, Deployment
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.rollouts import SqlRolloutStore
from tests.gateway.service.observed_scans import analyses_of
from tests.model_packages import BREAST_VERSION, SHIPPED_VERSION

ROOT = Path(__file__).parents[3]


def hedgerow(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the program over the data folder."""
    return subprocess.run(
        [sys.executable, "-c", "from gateway.entry import main; main()", *words], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "HEDGEROW_DATA_DIR": str(data), "COLUMNS": "140"},
    )


def store(data: Path, *analyses: Analysis) -> None:
    """They are stored."""
    with closing(open_database(f"sqlite:///{data / 'hedgerow.db'}")) as database:
        SqlAnalysisStore(database).add(analyses)


def test_an_operator_sees_which_models_drift(tmp_path: Path) -> None:
    store(tmp_path, *analyses_of("lung", tenant="default"))
    shown = hedgerow(tmp_path, "drift")
    assert shown.returncode == 1, shown.stderr
    lines = shown.stdout.splitlines()
    assert any(line.startswith(f"breast_ultrasound {BREAST_VERSION}, default: 93 answers, 2026-05-04 12:00 to") for line in lines)
    assert any("brightness" in line and "large" in line and "<0.0001" in line and "█" in line for line in lines)
    assert any(f"lung_ultrasound {SHIPPED_VERSION}, default: no answer yet" in line for line in lines)
    assert any("brightness" in line and "0 of 30 needed" in line for line in lines)


def test_a_script_gets_json_and_zero_where_nothing_drifts(tmp_path: Path) -> None:
    store(tmp_path, *analyses_of("none", "val"))
    shown = hedgerow(tmp_path, "drift", "breast_ultrasound", "--tenant", "clinic", "--last", "60", "--json")
    assert shown.returncode == 0, shown.stderr
    (report,) = json.loads(shown.stdout)
    assert (report["model"], report["answers"], report["band"]) == ("breast_ultrasound", 60, "stable")


@pytest.mark.parametrize(("words", "said"), [
    (("knee",), "there is no model of that name"),
    (("breast_ultrasound", "--last", "0"), "a report is of 1 to 5000 answers"),
])
def test_what_cannot_be_reported_is_said(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    store(tmp_path)
    shown = hedgerow(tmp_path, "drift", *words)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert said in shown.stderr


def test_a_version_in_service_that_is_not_there_is_said(tmp_path: Path) -> None:
    with closing(open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")) as database:
        SqlRolloutStore(database).save(Deployment("breast_ultrasound", active="9.9.9"))
    shown = hedgerow(tmp_path, "drift")
    assert shown.returncode == 1
    assert "breast_ultrasound: version 9.9.9 is not installed" in shown.stderr


def test_statistics_of_a_folder_without_data_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    shown = hedgerow(tmp_path, "statistics", "pathology", "--data", str(tmp_path))
    assert shown.returncode == 1
    assert "the data folder lacks breast_busi/manifest.csv" in shown.stderr
