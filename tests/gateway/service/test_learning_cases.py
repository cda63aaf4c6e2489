"""Hard cases as a clinic sees them: which pictures are kept to learn from, and when they go again."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.service.learning.cases import HardCases
from gateway.service.learning.ports import CaseFilter, HardCase
from gateway.service.records import Analysis, new_id
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.hard_cases import SqlHardCaseStore
from gateway.store.payloads import FolderPayloadStore
from tests.gateway.store.samples import sample

SCAN = b"\xff\xd8\xff a scan"
CLIP = b"GIF89a a clip"


def classified(
    label: str = "benign", *, chosen: Sequence[str] = ("benign",), abstained: bool = False, analysis_id: str = ""
) -> Analysis:
    """An analysis with that answer."""
    others = {"benign": "malignant", "malignant": "benign"}
    result: dict[str, Any] = {
        "kind": "classification", "label": label, "abstained": abstained,
        "probabilities": [{"label": label, "probability": 0.7}, {"label": others[label], "probability": 0.3}],
        "prediction_set": {"labels": list(chosen), "coverage": 0.9},
    }
    return replace(sample(analysis_id or new_id(), label=label, abstained=abstained), result=result)


def segmented(*, weed: float, abstained: bool = False) -> Analysis:
    """An analysis of a photo in which weed covers that share."""
    rows = [{"label": "soil", "area_fraction": 1 - weed}, {"label": "weed", "area_fraction": weed}]
    result = {"kind": "segmentation", "classes": rows, "abstained": abstained}
    return replace(sample(domain="crop_weed", model="crop_peanut", label="segmentation", abstained=abstained), result=result)


@dataclass(frozen=True, slots=True)
class Setting:
    """Hard cases over real stores."""

    cases: HardCases
    store: SqlHardCaseStore
    analyses: SqlAnalysisStore
    folder: Path

    def stored(self, *made: Analysis) -> None:
        """These analyses are stored."""
        self.analyses.add(made)

    def all(self) -> Sequence[HardCase]:
        """Every case."""
        return self.store.page(CaseFilter(), after_id=None, limit=99)

    def pictures(self) -> dict[str, bytes]:
        """Every picture that is kept, by analysis."""
        return {path.name: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    """Empty stores."""
    database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
    store, folder = SqlHardCaseStore(database), tmp_path / "hard_cases"
    yield Setting(HardCases(store, FolderPayloadStore(folder)), store, SqlAnalysisStore(database), folder)
    database.close()


def refused(answer: Analysis) -> Analysis:
    """The same picture, which the model takes for a foreign one."""
    reason = {"code": "foreign", "reason": "This does not look like a field photo."}
    return replace(answer, abstained=True, result={**answer.result, "abstained": True, "abstention": reason, "prediction_set": None})


@pytest.mark.parametrize(("answer", "reason"), [
    (classified(), None),
    (classified(chosen=("benign", "malignant")), "unsure"),
    (classified(abstained=True), "abstained"),
    (segmented(weed=0.1), None),
    (segmented(weed=0.1, abstained=True), "abstained"),
    (refused(classified()), "foreign"),
    (refused(segmented(weed=0.1)), "foreign"),
])
def test_what_a_model_is_not_sure_of_is_set_aside(setting: Setting, answer: Analysis, reason: str | None) -> None:
    setting.stored(answer)
    asyncio.run(setting.cases.consider(answer, SCAN))
    assert [case.reason for case in setting.all()] == ([reason] if reason else [])
    assert setting.pictures() == ({answer.id: SCAN} if reason else {})


def test_the_picture_is_kept_as_it_came_and_for_nobody_else_to_read(setting: Setting) -> None:
    answer = classified(chosen=("benign", "malignant"))
    setting.stored(answer)
    asyncio.run(setting.cases.consider(answer, SCAN))
    (case,) = setting.all()
    assert (case.analysis_id, case.tenant, case.model) == (answer.id, "clinic", "breast_ultrasound")
    assert dict(case.answer.values) == {"benign": 0.7, "malignant": 0.3}
    (kept,) = [path for path in setting.folder.rglob("*") if path.is_file()]
    assert kept.stat().st_mode & 0o077 == 0
    assert setting.folder.stat().st_mode & 0o077 == 0


def test_asking_twice_keeps_one(setting: Setting) -> None:
    answer = classified(abstained=True)
    setting.stored(answer)
    for _ in range(2):
        asyncio.run(setting.cases.consider(answer, SCAN))
    assert len(setting.all()) == len(setting.pictures()) == 1


def test_a_video_is_not_kept(setting: Setting) -> None:
    still = classified(abstained=True)
    clip = replace(classified(abstained=True), result={"kind": "clip_classification", "abstained": True})
    setting.stored(still, clip)
    asyncio.run(setting.cases.consider(still, CLIP))
    asyncio.run(setting.cases.consider(clip, SCAN))
    asyncio.run(setting.cases.compare(clip, clip, SCAN))
    assert (setting.all(), setting.pictures()) == ([], {})


@pytest.mark.parametrize(("first", "second"), [
    (classified("benign"), classified("malignant")),
    (classified(), classified(abstained=True)),
    (segmented(weed=0.10), segmented(weed=0.16)),
    (segmented(weed=0.02), segmented(weed=0.009)),
    (segmented(weed=0.1), segmented(weed=0.1, abstained=True)),
])
def test_two_answers_that_disagree_make_a_case(setting: Setting, first: Analysis, second: Analysis) -> None:
    setting.stored(first, second)
    asyncio.run(setting.cases.compare(first, second, SCAN))
    (case,) = setting.all()
    assert (case.reason, case.analysis_id, case.other_analysis_id) == ("disagreement", first.id, second.id)
    assert case.answer != case.other_answer
    assert setting.pictures() == {first.id: SCAN}


@pytest.mark.parametrize(("first", "second"), [
    (classified("benign"), classified("benign", chosen=("benign", "malignant"))),
    (segmented(weed=0.10), segmented(weed=0.14)),
    (segmented(weed=0.009), segmented(weed=0.001)),
])
def test_two_answers_that_agree_make_none(setting: Setting, first: Analysis, second: Analysis) -> None:
    setting.stored(first, second)
    asyncio.run(setting.cases.compare(first, second, SCAN))
    assert (setting.all(), setting.pictures()) == ([], {})


@pytest.mark.parametrize(("other", "reason"), [("benign", "unsure"), ("malignant", "disagreement")])
def test_a_second_opinion_is_noted_with_the_case_that_asked_for_it(setting: Setting, other: str, reason: str) -> None:
    first, second = classified(chosen=("benign", "malignant")), classified(other)
    setting.stored(first, second)
    asyncio.run(setting.cases.consider(first, SCAN))
    asyncio.run(setting.cases.compare(first, second, SCAN))
    (case,) = setting.all()
    assert (case.reason, case.other_analysis_id) == (reason, second.id)
    assert case.other_answer is not None
    assert case.other_answer.label == other
    assert setting.pictures() == {first.id: SCAN}


def test_the_picture_goes_with_its_analysis(setting: Setting) -> None:
    deleted, swept, kept = (classified(abstained=True) for _ in range(3))
    setting.stored(deleted, swept, kept)
    for answer in (deleted, swept, kept):
        asyncio.run(setting.cases.consider(answer, SCAN))
    asyncio.run(setting.cases.forget([deleted.id]))
    assert set(setting.pictures()) == {swept.id, kept.id}
    for answer in (deleted, swept):
        assert setting.analyses.delete("clinic", answer.id)
    assert asyncio.run(setting.cases.sweep()) == 1
    assert set(setting.pictures()) == {kept.id}
    assert asyncio.run(setting.cases.sweep()) == 0


def test_an_analysis_that_is_gone_leaves_no_picture(setting: Setting) -> None:
    asyncio.run(setting.cases.consider(classified(abstained=True), SCAN))
    assert (setting.all(), setting.pictures()) == ([], {})


def test_a_picture_that_a_crash_lost_is_kept_the_next_time(setting: Setting) -> None:
    answer = classified(abstained=True)
    setting.stored(answer)
    asyncio.run(setting.cases.consider(answer, SCAN))
    asyncio.run(setting.cases.forget([answer.id]))
    asyncio.run(setting.cases.consider(answer, SCAN))
    assert setting.pictures() == {answer.id: SCAN}


def test_a_full_folder_keeps_no_more_until_there_is_room(setting: Setting) -> None:
    cases = HardCases(setting.store, FolderPayloadStore(setting.folder), most_bytes=2 * len(SCAN))
    answers = [classified(abstained=True) for _ in range(3)]
    setting.stored(*answers)
    for answer in answers:
        asyncio.run(cases.consider(answer, SCAN))
    assert set(setting.pictures()) == {answers[0].id, answers[1].id}
    assert len(setting.all()) == 2
    setting.analyses.delete("clinic", answers[0].id)
    asyncio.run(cases.sweep())
    asyncio.run(cases.consider(answers[2], SCAN))
    assert set(setting.pictures()) == {answers[1].id, answers[2].id}


def test_a_disk_that_fails_costs_nobody_an_answer(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    earlier, answer = (classified(abstained=True, analysis_id=f"{new_id()[:-2]}{end}") for end in ("0a", "0b"))
    setting.stored(earlier, answer)
    asyncio.run(setting.cases.consider(earlier, SCAN))
    (setting.folder / answer.id[-2:]).write_text("a file where the folder should be")
    asyncio.run(setting.cases.consider(answer, SCAN))
    assert [case.analysis_id for case in setting.all()] == [earlier.id]
    assert "could not be set aside" in capsys.readouterr().out
    (setting.folder / answer.id[-2:]).unlink()
    asyncio.run(setting.cases.consider(answer, SCAN))
    assert setting.pictures() == {earlier.id: SCAN, answer.id: SCAN}


def test_cases_of_long_ago_are_swept_as_those_of_today(setting: Setting) -> None:
    """The folder sorts by the time in the id, and a second opinion may come days after the first."""
    old = replace(classified(abstained=True), created_at=sample().created_at - timedelta(days=20))
    setting.stored(old)
    asyncio.run(setting.cases.consider(old, SCAN))
    assert asyncio.run(setting.cases.sweep()) == 0
    assert set(setting.pictures()) == {old.id}
