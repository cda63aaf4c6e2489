"""Whether the evidence map is measured against the lesion that a reader outlined."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from domains.core import Abstention, Box, Classification
from domains.pathology.training.pointing import point
from domains.pathology.training.scoring import Truth, figures, score

SIDE = 64


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """A lesion in the upper left quarter."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[: SIDE // 2, : SIDE // 2] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), picture)
    return tmp_path / "mask.png"


def answer(heatmap: np.ndarray | None, abstention: Abstention | None = None) -> Classification:
    return Classification(("a", "b"), (0.8, 0.2), Box(0, 0, SIDE, SIDE), ("a",), 0.9, abstention, heatmap)


def test_a_map_on_the_lesion_scores_high_and_one_beside_it_nothing(mask: Path) -> None:
    on, beside = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    on[0, 0], beside[3, 3] = 1, 1
    good, bad = point(answer(on), mask), point(answer(beside), mask)
    assert good is not None
    assert bad is not None
    assert good.inside == pytest.approx(1, abs=0.02)
    assert bad.inside == pytest.approx(0, abs=0.02)
    assert (good.hit, bad.hit) == (1, 0)


def test_a_flat_map_gets_the_lesions_area_and_the_centre_blob_as_little_as_it_is_worth(mask: Path) -> None:
    flat = point(answer(np.ones((4, 4), np.float32)), mask)
    assert flat is not None
    assert flat.inside == flat.hit == flat.area == 0.25
    assert flat.centre_inside == pytest.approx(0.25)
    assert flat.centre_hit == 0.25, "four places in the middle are highest, one of them in the lesion"


def test_a_map_that_shows_nothing_points_at_nothing_and_no_map_is_not_counted(mask: Path) -> None:
    empty = point(answer(np.zeros((4, 4), np.float32)), mask)
    assert empty is not None
    assert empty.inside == empty.hit == 0
    assert point(answer(None), mask) is None


def test_evidence_figures_are_of_scans_with_a_lesion_alone(mask: Path) -> None:
    heatmap = np.ones((4, 4), np.float32)
    rows = [score(Truth(0, "x", mask), [answer(heatmap)], ("a", "b")), score(Truth(1, "x"), [answer(heatmap)], ("a", "b"))]
    assert figures(rows, ("a", "b"))["evidence_in_lesion"] == 0.25
    assert "evidence_in_lesion" not in figures(rows[1:], ("a", "b"))
