"""The command line, as a person at a terminal uses it."""

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.gateway_process import SAMPLES, GatewayProcess


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans, one of them in a folder below and without a suffix, and a file that is no picture."""
    found = tmp_path / "scans"
    (found / "monday").mkdir(parents=True)
    shutil.copy(SAMPLES / "breast_scan.jpg", found / "one.jpg")
    shutil.copy(SAMPLES / "breast_scan.dcm", found / "monday" / "IM0001")
    (found / "notes.txt").write_text("no picture")
    return found


@pytest.mark.parametrize("way", ["with the running gateway", "without one"])
def test_a_folder_is_analysed_with_a_table_and_results_in_a_folder(
    gateway: GatewayProcess, folder: Path, tmp_path: Path, way: str
) -> None:
    reached = {"HEDGEROW_URL": gateway.url, "HEDGEROW_KEY": gateway.key} if way == "with the running gateway" else {}
    out = tmp_path / "out"
    done = gateway.command(
        "analyze", str(folder), "--domain", "pathology", "--exam", "breast_ultrasound", "--out", str(out), **reached
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("benign") == 2
    assert "breast_ultrasound" in done.stdout
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "monday/IM0001.json", "monday/IM0001.overlay.png", "one.jpg.json", "one.jpg.overlay.png",
    ]  # fmt: skip
    assert json.loads((out / "one.jpg.json").read_text())["result"]["label"] == "benign"
    assert Image.open(io.BytesIO((out / "one.jpg.overlay.png").read_bytes())).size[0] == 512


@pytest.mark.parametrize("way", ["with the running gateway", "without one"])
def test_a_failed_file_is_named_and_the_exit_status_says_so(
    gateway: GatewayProcess, folder: Path, way: str
) -> None:
    reached = {"HEDGEROW_URL": gateway.url, "HEDGEROW_KEY": gateway.key} if way == "with the running gateway" else {}
    (folder / "broken.jpg").write_bytes((SAMPLES / "breast_scan.jpg").read_bytes()[:9000])
    done = gateway.command("analyze", str(folder), "-d", "pathology", "--exam", "breast_ultrasound", "--json", **reached)
    assert done.returncode == 1
    assert "1 of 3 failed" in done.stderr
    assert "broken.jpg" in done.stderr
    rows = {Path(row["file"]).name: row for row in json.loads(done.stdout)}
    assert "CORRUPT_MEDIA" in rows["broken.jpg"]["error"]
    assert rows["one.jpg"]["analysis"]["result"]["label"] == "benign"


def test_a_gateway_that_is_not_there_is_named(gateway: GatewayProcess) -> None:
    done = gateway.command("analyze", str(SAMPLES / "field.jpg"), "-d", "crop_weed", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no answer from http://127.0.0.1:9" in done.stderr


def test_a_file_that_is_not_there_is_named(gateway: GatewayProcess) -> None:
    done = gateway.command("analyze", "no-such-scan.png", "-d", "pathology")
    assert done.returncode == 1
    assert "no-such-scan.png" in done.stderr
    assert "Traceback" not in done.stderr


def test_models_and_domains_are_listed(gateway: GatewayProcess) -> None:
    models = gateway.command("models")
    assert models.returncode == 0
    for name in ("breast_ultrasound", "lung_ultrasound", "crop_peanut"):
        assert name in models.stdout
    assert {row["name"] for row in json.loads(gateway.command("domains", "--json").stdout)} >= {"pathology", "crop_weed"}


def test_keys_are_made_shown_without_their_secret_and_revoked(gateway: GatewayProcess) -> None:
    made = gateway.command("keys", "create", "--tenant", "clinic", "--name", "ward 3").stdout.strip()
    _, key_id, secret = made.split("_", 2)
    listed = gateway.command("keys", "list").stdout
    assert key_id in listed
    assert "ward 3" in listed
    assert secret not in listed
    assert gateway.command("keys", "revoke", key_id).returncode == 0
    again = gateway.command("keys", "revoke", key_id)
    assert again.returncode == 1
    assert "no active key" in again.stderr
    wrong = gateway.command("keys", "create", "--scope", "everything")
    assert wrong.returncode == 1
    assert "analyze:DOMAIN" in wrong.stderr


def test_help_tells_each_commands_purpose(gateway: GatewayProcess) -> None:
    shown = gateway.command("--help").stdout
    for command in ("serve", "analyze", "models", "domains", "keys", "train", "evaluate"):
        assert command in shown


def test_training_without_tensorflow_says_how_to_get_it(gateway: GatewayProcess, tmp_path: Path) -> None:
    done = gateway.command("train", "pathology", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "make train" in done.stderr
