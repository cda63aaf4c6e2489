"""The contract of sequences, over every domain: bounded, light, and never taken aback."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domains import registry
from domains.sequences import Frame, Sequence
from edge_runtime.models import load_package

ROOT = Path(__file__).parents[2]
DOCUMENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "house_numbers": lambda number: {
        "kind": "classification",
        "probabilities": [{"label": str(digit), "probability": 0.55 if digit == number % 10 else 0.05} for digit in range(10)],
        "abstained": False, "abstention": None,
    },
    "pathology": lambda number: {
        "kind": "classification",
        "probabilities": [{"label": "normal", "probability": 0.2 + 0.6 * (number % 7 == 0)},
                          {"label": "abnormal", "probability": 0.8 - 0.6 * (number % 7 == 0)}],
        "abstained": False, "abstention": None,
    },
    "crop_weed": lambda number: {
        "kind": "segmentation", "width": 960, "height": 720,
        "classes": [{"index": index, "label": label, "area_px": 10, "area_fraction": 0.1}
                    for index, label in enumerate(("soil", "crop", "weed"))],
        "instances": [{"label": "weed", "score": 0.9, "box": {"x": 100 + number % 400, "y": 100, "width": 30, "height": 30},
                       "centroid": {"x": 115.0 + number % 400, "y": 115.0}, "area_px": 500}],
        "abstained": False, "abstention": None, "notices": [],
    },
}
SHIPPED = [folder for name in registry.names() for folder in sorted(registry.models_folder(name).iterdir())]


def quality(number: int) -> dict[str, Any]:
    return {"sharpness": 0.5, "brightness": 0.3, "contrast": 0.2, "colourfulness": 0.01, "dark_share": 0.1,
            "thumbnail": "ABCD" * 341 + "AB==" if number % 2 else "BBCE" * 341 + "AB=="}


def frames(domain: str, count: int, *, fps: float = 25.0) -> list[Frame]:
    return [Frame(number, number / fps, DOCUMENTS[domain](number), quality(number)) for number in range(1, count + 1)]


@pytest.fixture(params=registry.names())
def domain(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def sequence(domain: str, options: dict[str, Any] | None = None) -> Sequence:
    return registry.open_sequence(domain, options or {})


def test_a_domains_sequence_loads_no_array_library(domain: str) -> None:
    script = (f"import sys; from domains import registry; registry.open_sequence({domain!r}, {{}}).running(); "
              "print(sorted({'numpy', 'cv2', 'PIL', 'av', 'pydicom'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_what_a_shipped_model_says_of_sequences_opens_one_after_a_way_as_json(folder: Path) -> None:
    spec = load_package(folder).spec
    options = dict(registry.load(spec.domain).sequence_options(spec))
    opened = registry.open_sequence(spec.domain, json.loads(json.dumps(options)))
    opened.add(frames(spec.domain, 1)[0])
    assert opened.verdict().document["frames"]["analysed"] == 1


def test_options_of_the_wrong_form_are_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="sequence"):
        sequence(domain, {"sharp_from": "very"})


def test_a_sequence_without_a_frame_has_an_open_verdict(domain: str) -> None:
    empty = sequence(domain)
    document = empty.verdict().document
    assert document["abstained"]
    assert document["frames"] == {"analysed": 0, "usable": 0, "usable_share": 0.0, "unusable": {}}
    assert empty.key_frames() == ()
    assert empty.running()["abstained"]


def test_documents_are_json_and_name_at_most_three_key_frames_that_were_kept(domain: str) -> None:
    made = sequence(domain)
    held: set[int] = set()
    for frame in frames(domain, 150):
        made.add(frame)
        wanted = set(made.key_frames())
        held = (held | ({frame.number} & wanted)) & wanted
        assert held == wanted, "a key frame that was let go came back: whoever keeps the pictures has it no more"
    verdict = made.verdict()
    assert 1 <= len(verdict.key_frames) <= 3
    assert set(verdict.key_frames) <= held
    assert tuple(row["number"] for row in verdict.document["key_frames"]) == verdict.key_frames
    for document in (verdict.document, made.running()):
        assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_frames_that_do_not_count_are_told_by_reason(domain: str) -> None:
    made = sequence(domain, {"sharp_from": 0.3, "bright_from": 0.1, "moved_from": 0.5})
    good = frames(domain, 4)
    blurred = Frame(5, 0.2, good[0].result, quality(1) | {"sharpness": 0.1})
    dark = Frame(6, 0.24, good[0].result, quality(0) | {"brightness": 0.0})
    frozen = Frame(7, 0.28, good[0].result, quality(0))
    assert [made.add(frame) for frame in (*good, blurred, dark, frozen)] == ["", "", "", "", "blurred", "dark", "frozen"]
    told = made.verdict().document["frames"]
    assert told["unusable"] == {"blurred": 1, "dark": 1, "frozen": 1}
    assert (told["analysed"], told["usable"]) == (7, 4)


def foreign(domain: str, number: int) -> Frame:
    said = dict(DOCUMENTS[domain](number))
    said |= {"probabilities": []} if "probabilities" in said else {"instances": []}
    refused = {"code": "foreign", "reason": "This does not look like a field photo."}
    return Frame(number, number / 25, said | {"abstained": True, "abstention": refused}, quality(number))


def test_frames_that_the_model_was_not_made_for_do_not_count_and_spoil_no_verdict(domain: str) -> None:
    made = sequence(domain, {"bright_from": 0.1, "moved_from": 0.5})
    strangers = [foreign(domain, number) for number in (1, 2, 3)]
    dark = Frame(4, 0.16, strangers[0].result, quality(0) | {"brightness": 0.0})
    assert [made.add(frame) for frame in (*strangers, dark)] == ["foreign", "foreign", "foreign", "dark"]
    assert made.verdict().document["abstained"]
    assert made.running()["abstained"]
    assert [made.add(Frame(number, number / 25, DOCUMENTS[domain](number), quality(number))) for number in (5, 6, 7)] == [""] * 3
    document = made.verdict().document
    assert document["frames"]["unusable"] == {"foreign": 3, "dark": 1}
    assert 1 <= len(document["key_frames"]) <= 3
    assert {row["number"] for row in document["key_frames"]} <= {5, 6, 7}


def test_a_frame_of_which_nothing_was_measured_counts(domain: str) -> None:
    made = sequence(domain, {"sharp_from": 0.3, "moved_from": 0.5})
    assert made.add(Frame(1, 0.0, DOCUMENTS[domain](1), {})) == ""
    assert made.add(Frame(2, 0.0, DOCUMENTS[domain](1), {})) == ""


def test_hours_of_frames_take_no_more_memory_than_minutes(domain: str) -> None:
    made = sequence(domain)
    rows = frames(domain, 8000)
    for frame in rows[:2000]:
        made.add(frame)
    tracemalloc.start()
    try:
        for frame in rows[2000:]:
            made.add(frame)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 400_000
    assert len(json.dumps(made.verdict().document)) < 300_000
    assert len(json.dumps(made.running())) < 5_000
