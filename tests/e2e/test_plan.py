"""`hedgerow plan`, as a person at a terminal uses it."""

import json
import os
import subprocess

import pytest

from tests.gateway_process import HEDGEROW, ROOT

LOAD = ("--model", "breast_ultrasound=20", "--model", "crop_peanut=2",
        "--device", "simulated:usb3", "--device", "cpu", "--cores", "2")


def hedgerow_plan(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    return subprocess.run(
        [HEDGEROW, "plan", *arguments], env=environment | {"COLUMNS": "140"}, capture_output=True, text=True,
        timeout=120, check=False, cwd=ROOT,
    )


def test_the_plan_says_that_it_is_a_simulation_and_what_it_rests_on() -> None:
    done = hedgerow_plan(*LOAD, "--seconds", "20")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SIMULATED from published figures")
    assert "What this rests on" in done.stdout
    for shown in ("breast_ultrasound", "crop_peanut", "tpu-usb3-1", "cpu", "first come, first served", "carry the load"):
        assert shown in done.stdout


def test_the_plan_as_json_is_the_same_each_time() -> None:
    once, again = (hedgerow_plan(*LOAD, "--seconds", "20", "--json") for _ in range(2))
    assert once.stdout == again.stdout
    found = json.loads(once.stdout)
    assert found["simulated"] is True
    assert set(found["scheduled"]["models"]) == {"breast_ultrasound", "crop_peanut"}
    assert set(found["scheduled"]["devices"]) == {"tpu-usb3-1", "cpu"}
    assert found["scheduled"]["total"]["in_time"] == 1.0
    assert 1.0 < found["models"]["breast_ultrasound"]["tpu_ms"]["usb3"] < 3.0
    assert found["models"]["breast_ultrasound"]["parameter_bytes"] > 1_000_000


def test_a_file_or_given_times_are_planned_like_a_package() -> None:
    file = "domains/pathology/models/breast_ultrasound/int8.tflite"
    done = hedgerow_plan(
        "--model", f"{file}=20,pattern=regular,deadline=0.5,priority=live",
        "--model", "mine=5,tpu_ms=8,megabytes=6.5,host_ms=1",
        "--device", "simulated:pcie", "--device", "simulated:pcie", "--seconds", "10", "--json",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["models"][file]["deadline_s"] == 0.5
    assert found["models"]["mine"]["parameter_bytes"] == 6_500_000
    assert set(found["scheduled"]["devices"]) == {"tpu-pcie-1", "tpu-pcie-2"}


@pytest.mark.parametrize(("arguments", "message"), [
    (("--device", "cpu"), "name at least one model"),
    (("--model", "crop_peanut=2"), "name at least one device"),
    (("--model", "crop_peanut", "--device", "cpu"), "NAME=REQUESTS_PER_SECOND"),
    (("--model", "nothing=2", "--device", "cpu"), "there is no model 'nothing'; installed are"),
    (("--model", "crop_peanut=often", "--device", "cpu"), "rate is a number"),
    (("--model", "crop_peanut=2,colour=red", "--device", "cpu"), "there is no option 'colour'; choose from"),
    (("--model", "crop_peanut=2,pattern=often", "--device", "cpu"), "one of poisson, regular"),
    (("--model", "./README.md=2", "--device", "cpu"), "no TFLite file"),
    (("--model", "crop_peanut=2", "--device", "usb9"), "there is no device 'usb9'; choose from"),
    (("--model", "crop_peanut=2", "--device", "cpu", "--cores", "0"), "one core at least"),
    (("--model", "crop_peanut=2", "--device", "cpu", "--deadline", "0"), "lies in the future"),
    (("--model", "crop_peanut=9000", "--device", "cpu"), "take fewer seconds"),
    (("--model", "mine=9,tpu_ms=3", "--device", "cpu"), "give cpu_ms"),
])
def test_what_is_wrong_is_said_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = hedgerow_plan(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
