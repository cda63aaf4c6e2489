"""A wrong setting is told by its name, with what would be right."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import RouteSettings, Settings
from tests.gateway_process import HEDGEROW

ROOT = Path(__file__).parents[2]
BARN = {"address": "barn.example:8090"}
CLOUD = {
    "CLOUD_BROKER": "rediss://gate:hush@broker.example:6379/0",
    "CLOUD_STORE": "s3://hedgerow/gate-1",
    "CLOUD_STORE_OPTIONS": '{"region": "eu-west-1"}',
    "PSEUDONYM_SECRET_FILE": "/etc/hedgerow/pseudonyms.secret",
    "ROUTES": '[{"tenant": "vets", "domain": "pathology", "to_cloud": true, "daily_answers": 50}, {}]',
}


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
        ("ROUTES", '[{"tenant": "vets", "to_cloud": true}]', "tenant vets and domain * needs HEDGEROW_CLOUD_BROKER"),
        ("CLOUD_STORE", "file:///var/store", "HEDGEROW_CLOUD_BROKER"),
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


@pytest.mark.parametrize(
    ("name", "value", "place", "words"),
    [
        ("ROUTES", "clinic", (), "is no JSON"),
        ("ROUTES", '[{"tenant": "Clinic"}]', (0, "tenant"), "match"),
        ("ROUTES", '[{"domain": "patology"}]', (0, "domain"), "choose from *, crop_weed, house_numbers, pathology"),
        ("ROUTES", '[{"mode": "cloud"}]', (0, "mode"), "always_cloud"),
        ("ROUTES", '[{"mode": "always_cloud"}]', (0,), "to_cloud"),
        ("ROUTES", '[{"to_could": true}]', (0, "to_could"), "not permitted"),
        ("ROUTES", '[{"audit_share": 2}]', (0, "audit_share"), "less than or equal to 1"),
        ("ROUTES", '[{"daily_bytes": -1}]', (0, "daily_bytes"), "greater than or equal to 0"),
        ("ROUTES", '[{"tenant": "vets"}, {"tenant": "vets", "domain": "*"}]', (), "same tenant and domain"),
        ("ROUTES", '[{"to_cloud": true}]', (), "HEDGEROW_CLOUD_BROKER and HEDGEROW_PSEUDONYM_SECRET_FILE"),
        ("CORS_ORIGINS", '["https://ward.example/"]', (0,), "nothing behind it"),
        ("CORS_ORIGINS", '["*", "ward.example"]', (1,), "https://HOST"),
        ("CLOUD_STORE", "s3://key:word@bucket", (), "HEDGEROW_CLOUD_STORE_OPTIONS"),
        ("CLOUD_STORE_OPTIONS", '{"region": 1}', ("region",), "string"),
        ("CLOUD_BACKEND", "amqp://host", (), "rpc://"),
        ("CLOUD_IN_FLIGHT", "0", (), "greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(
    name: str, value: str, place: tuple[str | int, ...], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"HEDGEROW_{name}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    (told,) = caught.value.errors()
    assert told["loc"] == (name.lower(), *place)
    assert words in told["msg"]


def test_nodes_and_devices_are_read_as_they_are_written_in_the_docs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEDGEROW_DEVICES", '["auto", "simulated:usb3:1"]')
    monkeypatch.setenv("HEDGEROW_NODES", json.dumps([BARN, {"address": "[::1]:8090", "name": "here", "token_file": "/t"}]))
    settings = Settings()
    assert settings.devices == ("auto", "simulated:usb3:1")
    assert [node.called for node in settings.nodes] == ["barn.example:8090", "here"]
    assert settings.nodes[1].token_file == Path("/t")
    assert settings.embedded


def test_what_may_leave_is_read_as_it_is_written_in_the_docs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in CLOUD.items():
        monkeypatch.setenv(f"HEDGEROW_{name}", value)
    settings = Settings()
    assert settings.routes == (RouteSettings(tenant="vets", domain="pathology", to_cloud=True, daily_answers=50), RouteSettings())
    assert settings.cloud_store_options == {"region": "eu-west-1"}
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"CLOUD_BROKER": "redis://:hush#9@broker:6379"}, "cloud_broker"),
        ({"CLOUD_BROKER": "amqp://gate:hush/9@broker"}, "cloud_broker"),
        ({"CLOUD_BROKER": "http://gate:hush@broker"}, "cloud_broker"),
        ({"CLOUD_BROKER": "redis://gate:hush@broker:99999"}, "cloud_broker"),
        ({"CLOUD_BROKER": "amqps://gate:hush@"}, "cloud_broker"),
        ({"CLOUD_BACKEND": "redis://:hush"}, "cloud_backend"),
        ({"CLOUD_STORE": "s3://gate:hush@bucket"}, "cloud_store"),
        ({"CLOUD_STORE": ""}, "cloud_store"),
        ({"CLOUD_STORE_OPTIONS": '{"secret_access_key": "hush}'}, "cloud_store_options"),
        ({"CLOUD_STORE_OPTIONS": '{"secret_access_key": ["hush"]}'}, "cloud_store_options"),
        ({"PSEUDONYM_SECRET_FILE": ""}, "routes"),
    ],
)
def test_a_password_in_a_wrong_setting_of_the_cloud_is_told_to_nobody(
    broken: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (CLOUD | broken).items():
        monkeypatch.setenv(f"HEDGEROW_{name}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [error["loc"][0] for error in caught.value.errors()] == [told]
    assert "hush" not in str(caught.value)
    assert not any("hush" in error["msg"] for error in caught.value.errors())


def test_a_worker_in_the_cloud_needs_no_secret_of_pseudonyms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CLOUD_BROKER", "CLOUD_STORE"):
        monkeypatch.setenv(f"HEDGEROW_{name}", CLOUD[name])
    assert Settings().pseudonym_secret_file is None


def test_rules_that_let_nothing_leave_need_no_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEDGEROW_ROUTES", '[{"tenant": "vets", "to_learning": true}, {"mode": "always_edge"}]')
    assert [route.to_cloud for route in Settings().routes] == [False, False]


def test_the_rules_in_the_docs_are_taken_as_they_are_written(tmp_path: Path) -> None:
    written = re.findall(r"^HEDGEROW_ROUTES='[^']+'$", (ROOT / "docs" / "routing.md").read_text(), re.MULTILINE)
    assert len(written) >= 3
    for line in written:
        file = tmp_path / "hedgerow.env"
        file.write_text("\n".join([line, *(f"HEDGEROW_{name}='{value}'" for name, value in CLOUD.items() if name != "ROUTES")]))
        assert Settings(_env_file=file).routes


def test_every_key_of_a_rule_is_documented_with_its_meaning() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, field in RouteSettings.model_fields.items():
        assert f"| `{name}` | {field.description} |" in page
