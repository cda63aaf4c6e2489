"""The package that ships with the domain, on the committed samples, as the gateway runs it."""

from pathlib import Path

import pytest

from domains import media, registry
from domains.core import Segmentation
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow

SAMPLES = Path(__file__).parents[3] / "samples"
DOMAIN = registry.load("crop_weed")


def answer(sample: str, variant: str) -> Segmentation:
    package = load_package(registry.models_folder("crop_weed") / "peanut")
    model = LoadedModel(package, load_backend("litert"), variant=variant)
    payload, limits = (SAMPLES / sample).read_bytes(), media.Limits()
    header = media.read_header(payload, limits)
    plan = DOMAIN.plan(header, {}, [package.spec])
    result, _ = run_flow(DOMAIN.flow(media.decode(payload, header, limits), plan), {package.spec.name: model})
    assert isinstance(result, Segmentation)
    return result


@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_the_field_sample_shows_as_much_crop_and_weed_as_its_source_says(variant: str) -> None:
    result = answer("field.jpg", variant)
    assert result.class_map.shape == (720, 960)
    share = {label: area / result.class_map.size for label, area in result.areas_px().items()}
    assert share["crop"] == pytest.approx(0.18, abs=0.04)
    assert share["weed"] == pytest.approx(0.07, abs=0.04)
    assert {plant.label for plant in result.instances} == {"crop", "weed"}


def test_a_sideways_phone_photo_is_answered_upright_at_its_own_size() -> None:
    result = answer("field_sideways.jpg", "int8")
    assert result.class_map.shape == (1000, 461)


def test_the_package_is_accepted_by_its_domain_and_states_its_terms() -> None:
    folder = registry.models_folder("crop_weed") / "peanut"
    package = load_package(folder)
    DOMAIN.check_model(package.spec)
    assert "CC BY-SA 4.0" in package.manifest.licence.weights
    assert "95 % interval" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
