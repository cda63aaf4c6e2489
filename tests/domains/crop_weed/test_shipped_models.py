"""The packages that ship with the domain, on the committed samples, as the gateway runs it."""

from pathlib import Path

import pytest

from domains import media, registry
from domains.core import Plan, Segmentation
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow

SAMPLES = Path(__file__).parents[3] / "samples"
DOMAIN = registry.load("crop_weed")


PACKAGES = ("crop_cwfid", "crop_peanut")


def answer(sample: str, variant: str, **parameters: object) -> tuple[Segmentation, Plan]:
    packages = [load_package(registry.models_folder("crop_weed") / name) for name in PACKAGES]
    payload, limits = (SAMPLES / sample).read_bytes(), media.Limits()
    header = media.read_header(payload, limits)
    image = media.decode(payload, header, limits)
    plan = DOMAIN.plan(header, parameters, [package.spec for package in packages]).settled(image)
    models = {package.spec.name: LoadedModel(package, load_backend("litert"), variant=variant)
              for package in packages if package.spec.name == plan.model.name}
    result, _ = run_flow(DOMAIN.flow(image, plan), models)
    assert isinstance(result, Segmentation)
    return result, plan


@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_the_field_sample_shows_as_much_crop_and_weed_as_its_source_says(variant: str) -> None:
    result, plan = answer("field.jpg", variant)
    assert plan.model.name == "crop_peanut"
    assert [words for words in ("in colour", "looks like the fields of peanut") if any(words in told for told in result.notices)] == [
        "in colour", "looks like the fields of peanut"]
    assert result.class_map.shape == (720, 960)
    share = {label: area / result.class_map.size for label, area in result.areas_px().items()}
    assert share["crop"] == pytest.approx(0.18, abs=0.04)
    assert share["weed"] == pytest.approx(0.07, abs=0.04)
    assert {plant.label for plant in result.instances} == {"crop", "weed"}


def test_a_phone_photo_of_another_crop_is_answered_upright_with_its_vegetation_alone() -> None:
    result, _ = answer("field_sideways.jpg", "int8")
    assert result.class_map.shape == (1000, 461)
    assert result.abstention is None
    assert result.labels == ("soil", "vegetation")
    assert 0.02 < result.areas_px()["vegetation"] / result.class_map.size < 0.25


def test_a_scan_is_no_field() -> None:
    result, _ = answer("breast_scan.jpg", "int8")
    assert result.abstention is not None
    assert result.abstention.code == "foreign"


@pytest.mark.parametrize(("name", "terms"), [("crop_peanut", "CC BY-SA 4.0"), ("crop_cwfid", "Non-commercial research")])
def test_the_packages_are_accepted_by_their_domain_and_state_their_terms(name: str, terms: str) -> None:
    folder = registry.models_folder("crop_weed") / name
    package = load_package(folder)
    DOMAIN.check_model(package.spec)
    assert terms in package.manifest.licence.weights
    assert "95 % interval" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
