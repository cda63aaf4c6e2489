"""`make models`: each package in a process of its own, a stopped run goes on, and one failure stops no other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from domains import registry
from edge_runtime.toolchain import make_models as module
from edge_runtime.toolchain.make_models import Wish, make_models, read_summary
from tests.domains.house_numbers import drawn
from tests.edge_runtime.toolchain.packaging import BREAST, breast_data

SHIPPED = {"svhn_digits": registry.models_folder("house_numbers") / "svhn_digits", "breast_ultrasound": BREAST}
SCRIPT = """
import shutil, sys
from pathlib import Path
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("seed", given["--seed"], flush=True)
if {fails}:
    sys.exit("out of luck")
shutil.copytree({package!r}, Path(given["--ship"]) / {name!r}, dirs_exist_ok=True)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = breast_data(tmp_path / "data")
    drawn.data_folder(folder)
    return folder


def wish(tmp_path: Path, data: Path, *, fails: str = "") -> Wish:
    """For two models, each made by a program that takes the shipped package; one of them `fails`."""
    scripts = {}
    for name, package in SHIPPED.items():
        scripts[name] = tmp_path / f"{name}.py"
        scripts[name].write_text(SCRIPT.format(fails=name == fails, package=str(package), name=name))
    return Wish(data, tmp_path / "out", tmp_path / "work", 3, tuple(SHIPPED), scripts)


def test_every_package_is_made_with_its_log_and_what_it_cost(tmp_path: Path, data: Path) -> None:
    made = {row.model: row for row in make_models(wish(tmp_path, data), lambda _: None)}
    assert set(made) == set(SHIPPED)
    row = made["breast_ultrasound"]
    assert (row.error, row.seed, row.runs, row.main_figure) == ("", 3, 1, "balanced_accuracy")
    assert row.peak_mb > 5
    assert row.seconds >= 0
    assert set(row.figures) == {"int8", "float32"}
    assert (tmp_path / "out" / "logs" / "breast_ultrasound.log").read_text() == "seed 3\n"
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "balanced_accuracy: int8 0." in page.replace("float32 0.", "int8 0.")
    assert f"{sum(one.size_mb for one in made.values()):.1f} MB in all" in page
    assert {one["model"] for one in json.loads((tmp_path / "out" / "summary.json").read_text())} == set(SHIPPED)


def test_one_that_fails_stops_no_other_and_the_next_run_makes_it_alone(tmp_path: Path, data: Path) -> None:
    made = {row.model: row for row in make_models(wish(tmp_path, data, fails="breast_ultrasound"), lambda _: None)}
    assert made["breast_ultrasound"].error == "ended with 1: out of luck"
    assert made["svhn_digits"].error == ""
    assert "**not made**: ended with 1: out of luck" in (tmp_path / "out" / "summary.md").read_text()
    said: list[str] = []
    again = {row.model: row for row in make_models(wish(tmp_path, data), said.append)}
    assert again["svhn_digits"] == made["svhn_digits"]
    assert "svhn_digits: finished before" in said
    assert (again["breast_ultrasound"].error, again["breast_ultrasound"].runs) == ("", 2)
    assert read_summary(tmp_path / "out") == again


def test_other_data_and_a_package_that_was_changed_are_made_again(tmp_path: Path, data: Path) -> None:
    asked = wish(tmp_path, data)
    make_models(asked, lambda _: None)
    (tmp_path / "out" / "svhn_digits" / "model.toml").write_text("changed")
    (data / "breast_busi" / "a.png").write_bytes((data / "breast_busi" / "b.png").read_bytes())
    said: list[str] = []
    make_models(asked, said.append)
    assert [line for line in said if "finished before" in line] == []


def test_a_data_set_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    made = make_models(wish(tmp_path, breast_data(tmp_path / "data")), lambda _: None)
    assert ["boxes.csv" in row.error for row in made if row.model == "svhn_digits"] == [True]


def test_an_unknown_model_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no recipe 'knee'; choose from .*breast_ultrasound"):
        make_models(Wish(tmp_path, tmp_path / "out", only=("knee",)), lambda _: None)


def test_the_program_ends_with_the_names_of_those_that_failed(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = wish(tmp_path, data, fails="svhn_digits")
    given = ["--data", str(data), "--out", str(asked.out), "--work", str(asked.work)]
    for name, file in asked.scripts.items():
        given += ["--only", name, "--script", f"{name}={file}"]
    monkeypatch.setattr(sys, "argv", ["make_models", *given])
    with pytest.raises(SystemExit, match="not made: svhn_digits"):
        module.main()


def test_memory_is_that_of_the_process_at_its_most(tmp_path: Path) -> None:
    """Asked from a process of its own: whoever asks has to be smaller than what it asks about."""
    asked = (
        "import sys; from pathlib import Path; from edge_runtime.toolchain.make_models import run\n"
        "for size in (1, 600_000_000):\n"
        "    print(*run([sys.executable, '-c', f'len(bytearray({size}))'], Path(sys.argv[1])))\n"
    )
    done = subprocess.run([sys.executable, "-c", asked, tmp_path / "log"], capture_output=True, text=True, check=True)
    small, large = ([float(number) for number in line.split()] for line in done.stdout.splitlines())
    assert small[0] == large[0] == 0
    assert small[2] < 600 < large[2] < 700
