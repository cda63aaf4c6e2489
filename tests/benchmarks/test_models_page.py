"""The pages on models say what the packages' manifests say."""

import pytest

from benchmarks.models_page import BEGIN, END, between_marks, written


def test_the_pages_say_what_the_shipped_packages_do() -> None:
    for page, text in written().items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name}: run benchmarks/models_page.py"


def test_every_shipped_model_stands_on_both_pages_with_its_interval() -> None:
    for text in written().values():
        for name in ("breast_ultrasound", "lung_ultrasound", "svhn_digits"):
            assert f"`{name}`" in text
        assert " to 0." in text


def test_what_people_wrote_around_the_marks_stays() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_marks(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert between_marks(between_marks(page, "new"), "new") == between_marks(page, "new")
    with pytest.raises(ValueError, match="needs the lines"):
        between_marks("no marks", "new")
