"""The package that ships with the domain, on the committed sample, as the gateway runs it."""

from pathlib import Path

import pytest

from domains import media, registry
from domains.core import Classification
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow

SAMPLE = Path(__file__).parents[3] / "samples" / "house_number.png"
FOLDER = registry.models_folder("house_numbers") / "svhn_digits"
DOMAIN = registry.load("house_numbers")


@pytest.mark.parametrize(("box", "digit"), [("16,18,44,62", "2"), ("60,18,56,62", "7")])
def test_the_digits_of_the_sample_are_read(box: str, digit: str) -> None:
    package = load_package(FOLDER)
    payload, limits = SAMPLE.read_bytes(), media.Limits()
    header = media.read_header(payload, limits)
    plan = DOMAIN.plan(header, {"box": box}, [package.spec])
    models = {package.spec.name: LoadedModel(package, load_backend("litert"))}
    result, _ = run_flow(DOMAIN.flow(media.decode(payload, header, limits), plan), models)
    assert isinstance(result, Classification)
    assert result.label == digit
    assert digit in result.prediction_set
    assert result.abstention is None


def test_the_package_is_accepted_by_its_domain_and_states_its_terms_and_its_worth() -> None:
    package = load_package(FOLDER)
    DOMAIN.check_model(package.spec)
    assert "Non-commercial" in package.manifest.licence.weights
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "far worse than the published one" in card
    assert "95 % interval" in card
    assert "Within the release gate's limits" in card
