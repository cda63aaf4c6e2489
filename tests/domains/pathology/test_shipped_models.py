"""The packages that ship with the domain, on the committed samples, as the gateway runs them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from domains import foreign, media, registry
from domains.core import Classification, MediaHeader, Pixels
from edge_runtime.backends import load_backend
from edge_runtime.folders import find_packages
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow

SAMPLES = Path(__file__).parents[3] / "samples"
DOMAIN = registry.load("pathology")


def models(variant: str) -> dict[str, LoadedModel]:
    packages = [load_package(folder) for folder in find_packages([registry.models_folder("pathology")])]
    return {package.spec.name: LoadedModel(package, load_backend("litert"), variant=variant) for package in packages}


def answer(sample: str, variant: str, change: Callable[[Pixels], Pixels] = lambda pixels: pixels, **parameters: object) -> Classification:
    """Of the sample as it was decoded and then changed."""
    loaded = models(variant)
    payload, limits = (SAMPLES / sample).read_bytes(), media.Limits()
    header = media.read_header(payload, limits)
    plan = DOMAIN.plan(header, parameters, [model.spec for model in loaded.values()])
    image = media.decode(payload, header, limits, frame_number=plan.frame_number)
    result, _ = run_flow(DOMAIN.flow(replace(image, pixels=change(image.pixels)), plan), loaded)
    assert isinstance(result, Classification)
    return result


def noisy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 8, pixels.shape[:2])
    return np.asarray(np.clip(pixels + noise[..., None], 0, 255), np.uint8)


def coded(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR), np.uint8)


def warmer(pixels: Pixels) -> Pixels:
    return np.asarray(np.clip(pixels * np.array([1.1, 1, 0.9]), 0, 255), np.uint8)


@pytest.mark.parametrize("variant", ["int8", "float32"])
@pytest.mark.parametrize(("sample", "exam", "label"), [
    ("breast_scan.jpg", "breast_ultrasound", "benign"), ("lung_scan.png", "lung_ultrasound", "normal"),
    ("chest_xray.jpg", "chest_xray", "pneumonia"),
])
def test_each_sample_gets_the_label_of_its_source(sample: str, exam: str, label: str, variant: str) -> None:
    result = answer(sample, variant, exam=exam)
    assert result.label == label
    assert result.heatmap is not None
    assert result.heatmap.shape == (14, 14)


@pytest.mark.parametrize("change", [noisy, coded, warmer])
@pytest.mark.parametrize(("sample", "exam"), [
    ("breast_scan.jpg", "breast_ultrasound"), ("lung_scan.png", "lung_ultrasound"), ("chest_xray.jpg", "chest_xray"),
])
def test_a_picture_that_came_out_worse_is_still_one_of_the_exam(sample: str, exam: str, change: Callable[[Pixels], Pixels]) -> None:
    as_it_is, worse = answer(sample, "int8", exam=exam), answer(sample, "int8", change, exam=exam)
    assert not worse.foreign
    assert worse.label == as_it_is.label


def test_the_dicom_sample_names_its_own_exam_and_is_answered_as_its_jpeg() -> None:
    as_dicom, as_jpeg = answer("breast_scan.dcm", "int8"), answer("breast_scan.jpg", "int8", exam="breast_ultrasound")
    assert as_dicom.label == as_jpeg.label


@pytest.mark.parametrize("exam", ["breast_ultrasound", "lung_ultrasound", "chest_xray", "skin_lesion"])
@pytest.mark.parametrize("sample", ["field.jpg", "house_number.png", "breast_scan.jpg", "lung_scan.png", "chest_xray.jpg"])
def test_what_is_no_picture_of_an_exam_gets_no_label_from_it(sample: str, exam: str) -> None:
    own = {"breast_scan.jpg": "breast_ultrasound", "lung_scan.png": "lung_ultrasound", "chest_xray.jpg": "chest_xray"}
    result = answer(sample, "int8", exam=exam)
    assert result.foreign == (own.get(sample) != exam)


@pytest.mark.parametrize("exam", ["breast_ultrasound", "lung_ultrasound", "chest_xray", "skin_lesion"])
def test_a_cat_is_no_scan(exam: str) -> None:
    cat = Path(foreign.__file__).parent / "everyday" / "cat.jpg"
    result = answer(str(cat), "int8", exam=exam)
    assert result.foreign
    assert result.abstention is not None
    assert "does not look like" in result.abstention.reason


def test_every_package_is_accepted_by_its_domain_and_states_its_terms() -> None:
    folders = list(find_packages([registry.models_folder("pathology")]))
    assert [folder.name for folder in folders] == ["breast_ultrasound", "chest_xray", "lung_ultrasound", "skin_lesion"]
    for folder in folders:
        package = load_package(folder)
        DOMAIN.check_model(package.spec)
        card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
        assert "Research" in card
        assert "95 % interval" in card
        assert package.manifest.metrics


def _sample(name: str) -> tuple[bytes, MediaHeader, media.Limits]:
    payload, limits = (SAMPLES / name).read_bytes(), media.Limits()
    return payload, media.read_header(payload, limits), limits
