"""A wrong setting is told by its name, with what would be right."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.gateway_process import HEDGEROW

BARN = {"address": "barn.example:8090"}


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("DEVICES", "cpu", "is no JSON"),
        ("DEVICES", "[]", '["auto"]'),
        ("DEVICES", '["gpu"]', "edgetpu"),
        ("DEVICES", '["simulated:usb4"]', "usb3"),
        ("DEVICES", '["cpu", "cpu"]', "twice"),
        ("MODELS_DIRS", "/models", "is no JSON"),
        ("NODES", '[{"address": "barn"}]', "HEDGEROW_NODES, 0.address"),
        ("NODES", '[{"address": "barn:1", "token": "x"}]', "HEDGEROW_NODES, 0.token"),
        ("NODES", json.dumps([BARN, BARN]), "a name of its own"),
        ("NODES", json.dumps([BARN | {"name": "embedded"}]), "embedded"),
        ("NODES", json.dumps([BARN | {"cert_file": "/x"}]), "go together"),
        ("NODES", json.dumps([BARN | {"cert_file": "/x", "key_file": "/y"}]), "ca_file"),
        ("NODES", json.dumps([BARN | {"token_file": "/none"}]), "/none"),
        ("EMBEDDED", "false", "HEDGEROW_NODES"),
        ("DEVICE_LIMIT_S", "0", "greater than 0"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line_before_anything_starts(
    setting: str, value: str, words: str, tmp_path: Path
) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("HEDGEROW_")}
    environment |= {f"HEDGEROW_{setting}": value, "HEDGEROW_DATA_DIR": str(tmp_path / "data"), "HEDGEROW_REST_PORT": "0"}
    done = subprocess.run([HEDGEROW, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert f"HEDGEROW_{setting}" in done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_nodes_and_devices_are_read_as_they_are_written_in_the_docs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEDGEROW_DEVICES", '["auto", "simulated:usb3:1"]')
    monkeypatch.setenv("HEDGEROW_NODES", json.dumps([BARN, {"address": "[::1]:8090", "name": "here", "token_file": "/t"}]))
    settings = Settings()
    assert settings.devices == ("auto", "simulated:usb3:1")
    assert [node.called for node in settings.nodes] == ["barn.example:8090", "here"]
    assert settings.nodes[1].token_file == Path("/t")
    assert settings.embedded
