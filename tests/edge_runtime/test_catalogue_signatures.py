"""Where signatures are asked for, a device takes the manifest that was signed and no other."""

import shutil
from pathlib import Path

import pytest

from edge_runtime.backends import VARIANTS, load_backend
from edge_runtime.catalogue import Catalogue
from edge_runtime.embedded import package_folders
from edge_runtime.engine import ModelEngine
from edge_runtime.errors import PackageError
from edge_runtime.models import load_package, sha256_of
from edge_runtime.signatures import Verdict, Verdicts
from edge_runtime.wire import ConfigureMessage
from edge_runtime.worker import WorkerConfig
from tests.model_packages import LUNG, edit
from tests.signing_keys import lung_copy

OTHERS = [folder for folder in package_folders(()) if folder != LUNG]


def catalogue(*folders: Path, verdicts: Verdicts) -> Catalogue:
    return Catalogue(folders, VARIANTS["litert"], verdicts=verdicts)


def good(folder: Path) -> Verdict:
    return Verdict(sha256_of(folder / "model.toml"))


def test_what_was_refused_is_shown_with_its_reason_and_the_others_are_served() -> None:
    verdicts = {str(folder): good(folder) for folder in OTHERS} | {str(LUNG): Verdict(refusal="model package x: it is not signed")}
    found = catalogue(LUNG, *OTHERS, verdicts=verdicts)
    assert set(found.packages) == {folder.name for folder in OTHERS}
    assert [(model.name, model.reason) for model in found.models() if model.state == "refused"] == [
        ("lung_ultrasound", "model package x: it is not signed")
    ]


def test_a_package_that_nobody_checked_is_refused() -> None:
    found = catalogue(LUNG, OTHERS[0], verdicts={str(OTHERS[0]): good(OTHERS[0])})
    assert "its signature wasn't checked" in found.refused["lung_ultrasound"]


def test_a_package_that_was_exchanged_after_the_check_is_refused_though_it_is_sound(tmp_path: Path) -> None:
    package = lung_copy(tmp_path)
    verdicts = {str(package): good(package)}
    known = {package: load_package(package)}
    edit(package, r"^title = ", 'title = "Knee" # ')
    for before in (None, known):
        found = Catalogue([package], VARIANTS["litert"], known=before, verdicts=verdicts)
        assert "model.toml was changed after its signature was checked" in found.refused["lung_ultrasound"]
    assert "lung_ultrasound" in catalogue(package, verdicts=None).packages


def test_what_was_loaded_before_is_no_longer_taken_without_a_good_verdict(tmp_path: Path) -> None:
    package = lung_copy(tmp_path)
    known = {package: load_package(package)}
    found = Catalogue([package], VARIANTS["litert"], known=known, verdicts={})
    assert not found.packages


def test_a_device_serves_what_was_signed_from_its_start_and_after_a_change(tmp_path: Path) -> None:
    package = lung_copy(tmp_path)
    shown = [str(LUNG)]
    made = ModelEngine(load_backend("litert"), WorkerConfig(0, "litert", 1, shown, {}, verdicts={str(LUNG): good(LUNG)}))
    assert [model.state for model in made.ready().models] == ["ready"]
    shutil.copytree(package, tmp_path / "kept" / package.name)
    verdicts = {str(package): good(package)}
    assert [model.state for model in made.configure(ConfigureMessage(1, [str(package)], [], verdicts)).models] == ["ready"]
    edit(package, r"^title = ", 'title = "Knee" # ')
    with pytest.raises(PackageError, match="was changed after its signature was checked"):
        made.configure(ConfigureMessage(2, [str(package)], [], verdicts))
    with pytest.raises(PackageError, match="wasn't checked"):
        made.configure(ConfigureMessage(3, shown, [], verdicts))
    assert ModelEngine(
        load_backend("litert"), WorkerConfig(0, "litert", 1, shown, {}, verdicts={str(LUNG): Verdict(refusal="not signed")})
    ).ready().models[0].state == "refused"
