"""What deploy/ has for workers of the cloud tier: accepted by the tools that know its form, and in step with the program."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from gateway.settings import Settings
from tests.deploy.linters import DEPLOY, PROGRAM, run

KUBERNETES = DEPLOY / "kubernetes"
SCALING = ("scale-on-redis.yaml", "scale-on-rabbitmq.yaml")
UNIT = "hedgerow-cloud-worker.service"
MOST_EXPOSED = 20
GRACE_S = 60
"""The least that a task that runs is given when its worker is told to end."""


def documents(file: str) -> dict[str, Any]:
    """A manifest's documents by their kind."""
    with (KUBERNETES / file).open() as stream:
        return {document["kind"]: document for document in YAML(typ="safe", pure=True).load_all(stream)}


def settings_of(container: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = dict(documents("cloud-worker.yaml")["ConfigMap"]["data"])
    return values | {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"]}


@pytest.fixture
def container() -> dict[str, Any]:
    (found,) = documents("cloud-worker.yaml")["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_kubernetes_knows_every_field_of_the_worker() -> None:
    done = run("kubernetes-validate", "--strict", KUBERNETES / "cloud-worker.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", SCALING)
def test_scaling_is_written_as_keda_documents_it(file: str) -> None:
    schema = json.loads((Path(__file__).parent / "keda.schema.json").read_text())
    found = documents(file)
    assert set(found) == {"TriggerAuthentication", "ScaledObject"}
    for document in found.values():
        jsonschema.validate(document, schema)


@pytest.mark.parametrize("file", SCALING)
def test_what_is_scaled_is_the_worker_by_its_own_queue_and_secret(file: str, container: dict[str, Any]) -> None:
    found, worker = documents(file), documents("cloud-worker.yaml")["Deployment"]
    spec = found["ScaledObject"]["spec"]
    (trigger,) = spec["triggers"]
    queue = trigger["metadata"].get("listName") or trigger["metadata"]["queueName"]
    assert spec["scaleTargetRef"]["name"] == worker["metadata"]["name"]
    assert "replicas" not in worker["spec"]
    assert queue == settings_of(container)["HEDGEROW_CLOUD_QUEUE"] == Settings.model_fields["cloud_queue"].default
    assert trigger["authenticationRef"]["name"] == found["TriggerAuthentication"]["metadata"]["name"]
    text = (KUBERNETES / file).read_text() + (KUBERNETES / "cloud-worker.yaml").read_text()
    for asked in found["TriggerAuthentication"]["spec"]["secretTargetRef"]:
        assert asked["name"] == settings_of(container)["HEDGEROW_CLOUD_BROKER"]["name"]
        assert f"--from-literal={asked['key']}=" in text
    longest_task_s = Settings.model_fields["job_timeout_s"].default
    assert spec["cooldownPeriod"] >= longest_task_s


def test_the_worker_gets_what_it_needs_and_runs_without_power(container: dict[str, Any]) -> None:
    pod = documents("cloud-worker.yaml")["Deployment"]["spec"]["template"]["spec"]
    assert {"HEDGEROW_CLOUD_BROKER", "HEDGEROW_CLOUD_STORE", "HEDGEROW_CLOUD_STORE_OPTIONS"} <= set(settings_of(container))
    assert container["args"] == ["cloud", "worker"]
    assert settings_of(container)["HEDGEROW_WORKERS"] == container["resources"]["limits"]["cpu"]
    assert pod["securityContext"]["runAsUser"] == int(re.findall(r"--uid (\d+)", (DEPLOY / "Containerfile").read_text())[0])
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/var/lib/hedgerow", "/tmp"}


def test_the_compose_file_fits_the_specification() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.cloud.yaml")
    assert done.returncode == 0, done.stdout


def test_systemd_accepts_the_unit_and_gives_it_little_power(tmp_path: Path) -> None:
    text = (DEPLOY / UNIT).read_text()
    assert text.count(PROGRAM) == 1
    unit = tmp_path / UNIT
    unit.write_text(text.replace(PROGRAM, "/bin/true"))
    done = run("systemd-analyze", "verify", unit)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", unit)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_task_that_runs_has_time_to_end_before_its_worker_is_killed() -> None:
    limits = [documents("cloud-worker.yaml")["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]]
    limits += map(int, re.findall(r"stop_grace_period: (\d+)s", (DEPLOY / "compose.cloud.yaml").read_text()))
    limits += map(int, re.findall(r"TimeoutStopSec=(\d+)", (DEPLOY / UNIT).read_text()))
    assert len(limits) == 3
    assert min(limits) >= GRACE_S


def test_the_example_shows_the_defaults_of_settings_that_exist(tmp_path: Path) -> None:
    shown = re.findall(r"^#(HEDGEROW_[A-Z_]+)=(.*)$", (DEPLOY / "cloud-worker.env").read_text(), re.MULTILINE)
    file = tmp_path / "shown.env"
    file.write_text("\n".join(f"{name}={value}" for name, value in shown if name != "HEDGEROW_CLOUD_STORE_OPTIONS"))
    assert Settings(_env_file=file) == Settings(_env_file=None)
