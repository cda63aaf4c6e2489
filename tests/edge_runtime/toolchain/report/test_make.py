"""The whole report, on models whose answers are known by hand."""

import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge_runtime.toolchain.report.make import Wish, make
from edge_runtime.toolchain.report.rows import Report
from tests.edge_runtime.toolchain.report.variant_sets import ALWAYS_DARK, DARK, data_set, variants_folder

BRIGHTNESS = [10, 20, 30, 40, 200, 210, 220, 100]
TRUTH = [0, 0, 0, 0, 1, 1, 1, 1]
"""Seven are told apart by their brightness; the last is called bright and is dark."""
QUICK = Wish(runs=5)


WEIGHTS = {"float32": DARK, "int8": DARK, "pruned_80": ALWAYS_DARK}
WHY_NOT = "it has a layer that can't be quantised"


@dataclass(frozen=True)
class Made:
    """A report, and what it was made of."""

    folder: Path
    data: Path
    out: Path
    report: Report
    said: list[str]

    def copy(self, place: Path) -> "Made":
        """What lies in `out`, for tests that change it."""
        return replace(self, out=Path(shutil.copytree(self.out, place)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A report on three variants of which one finds everything dark."""
    place = tmp_path_factory.mktemp("report")
    data = data_set(place / "data.npz", BRIGHTNESS, TRUTH, ["a", "a", "b", "b", "c", "c", "d", "d"])
    folder = variants_folder(place / "variants", WEIGHTS, {"qat_int8": WHY_NOT}, data)
    said: list[str] = []
    return Made(folder, data, place / "out", make(folder, data, place / "out", QUICK, said.append), said)


def test_a_report_says_what_each_variant_gives_and_loses(made: Made) -> None:
    report = made.report
    assert [row.variant for row in report.rows] == ["float32", "int8", "pruned_80"]
    assert (report.cases, report.groups, report.main_figure) == (8, 4, "accuracy")
    whole, int8, pruned = (row.figures for row in report.rows)
    assert whole.main.value == int8.main.value == 0.875
    assert whole.main.low < 0.875 < whole.main.high
    assert (int8.agreement, int8.change.value) == (1.0, 0.0)
    assert pruned.main.value == 0.5
    assert pruned.change.value == -0.375
    assert pruned.agreement == 5 / 8
    assert report.rows[2].worst_class == "bright"
    assert pruned.classes["bright"].change.value == -0.75
    assert pruned.classes["bright"].cases == 4
    assert pruned.classes["dark"].change.value == 0.0
    assert report.skipped == {"qat_int8": WHY_NOT}
    assert "report.md" in made.said[-1]
    assert str(made.out) in made.said[-1]


def test_sizes_are_those_of_the_files_and_what_the_edge_tpu_takes_is_told(made: Made) -> None:
    for row in made.report.rows:
        assert row.size_bytes == (made.folder / row.file).stat().st_size > row.gzip_bytes > 0
        assert row.peak_bytes is None or row.peak_bytes > 0
        assert 0 < row.latency.q1_ms <= row.latency.median_ms <= row.latency.q3_ms
    whole, int8, _ = made.report.rows
    assert whole.latency.speed == 1.0
    assert whole.edgetpu.mapped == 0
    assert whole.edgetpu.fatal
    assert (int8.edgetpu.total, int8.edgetpu.fatal) == (2, "")


def test_table_json_and_plots_are_written(made: Made) -> None:
    assert msgspec.json.decode((made.out / "report.json").read_bytes(), type=Report) == made.report
    page = (made.out / "report.md").read_text()
    for row in made.report.rows:
        assert f"| {row.variant} | {row.size_bytes:,} | {row.gzip_bytes:,} | {row.figures.main.value:.3f} [" in page
    assert f"Not measured: qat_int8: {WHY_NOT}." in page
    assert made.report.plots == ["size_accuracy.png", "latency.png", "per_class.png"]
    for name in made.report.plots:
        assert f"]({name})" in page
        picture = cv2.imread(str(made.out / name))
        assert picture is not None
        assert np.ptp(np.asarray(picture)) > 200


def test_a_second_report_measures_nothing_that_is_known(made: Made, tmp_path: Path) -> None:
    said: list[str] = []
    again = make(made.folder, made.data, made.copy(tmp_path / "out").out, QUICK, said.append)
    assert again.rows == made.report.rows
    assert not any("of 8 pictures" in line or "measuring" in line for line in said)


def test_a_fresh_report_measures_all_again(made: Made, tmp_path: Path) -> None:
    said: list[str] = []
    make(made.folder, made.data, made.copy(tmp_path / "out").out, Wish(["int8"], runs=5, fresh=True), said.append)
    assert sum("of 8 pictures" in line for line in said) == 2
    assert sum("measuring memory" in line for line in said) == 2
    assert sum("measuring latency" in line for line in said) == 1


def test_a_stopped_report_goes_on_with_the_variant_that_it_stopped_at(made: Made, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if "int8" in line:
            raise KeyboardInterrupt

    wish = Wish(["int8"], runs=5)
    with pytest.raises(KeyboardInterrupt):
        make(made.folder, made.data, tmp_path / "out", wish, stop)
    assert not (tmp_path / "out" / "report.md").exists()
    said: list[str] = []
    make(made.folder, made.data, tmp_path / "out", wish, said.append)
    assert "brightness: float32: figures taken from an earlier run" in said
    assert [line for line in said if "pictures" in line] == [
        "brightness: float32: 8 of 8 pictures", "brightness: int8: 8 of 8 pictures",
    ]


def test_parts_that_were_cut_short_are_measured_again(made: Made, tmp_path: Path) -> None:
    out = made.copy(tmp_path / "out").out
    (out / "report.part.json").write_text((out / "report.part.json").read_text()[:-20])
    said: list[str] = []
    assert make(made.folder, made.data, out, Wish(["int8"], runs=5), said.append).rows[0].figures == made.report.rows[0].figures
    assert "brightness: float32: 8 of 8 pictures" in said


def test_other_data_and_another_file_are_measured_anew(made: Made, tmp_path: Path) -> None:
    out = made.copy(tmp_path / "out").out
    other = data_set(tmp_path / "other.npz", BRIGHTNESS, TRUTH[::-1])
    report = make(made.folder, other, out, Wish(["int8"], runs=5), print)
    assert report.rows[0].figures.main.value == 0.125
    assert report.notes[0].startswith("The variants were made with another data set than this one")
    assert not any("another data set" in note for note in made.report.notes)
    changed = variants_folder(tmp_path / "changed", {"float32": DARK, "int8": ALWAYS_DARK})
    report = make(changed, made.data, out, QUICK, print)
    assert [row.figures.main.value for row in report.rows] == [0.875, 0.5]


def test_only_some_variants_can_be_asked_for(made: Made, tmp_path: Path) -> None:
    out = made.copy(tmp_path / "out").out
    report = make(made.folder, made.data, out, Wish(["pruned_80"], runs=5), print)
    assert [row.variant for row in report.rows] == ["float32", "pruned_80"]
    assert report.skipped == {}
    with pytest.raises(ValueError, match=r"no variant 'int4'; there are float32, int8, pruned_80"):
        make(made.folder, made.data, out, Wish(["int4"]), print)


def test_what_cannot_be_compared_is_refused_by_name(made: Made, tmp_path: Path) -> None:
    lone = variants_folder(tmp_path / "lone", {"int8": DARK})
    with pytest.raises(ValueError, match="has no variant 'float32' to compare"):
        make(lone, made.data, tmp_path / "out", QUICK, print)
    with pytest.raises(ValueError, match=r"holds neither variants.json.*nor model.toml"):
        make(tmp_path, made.data, tmp_path / "out", QUICK, print)
    (lone / "int8.tflite").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"int8.tflite was changed"):
        make(lone, made.data, tmp_path / "out", QUICK, print)
    three = variants_folder(tmp_path / "three", {"float32": np.ones((3, 4), np.float32)})
    with pytest.raises(ValueError, match=r"float32.tflite has no output \(1, 2\)"):
        make(three, made.data, tmp_path / "out", QUICK, print)


def test_without_matplotlib_the_report_is_made_and_says_how_to_get_plots(made: Made, tmp_path: Path) -> None:
    out = made.copy(tmp_path / "out").out
    program = (
        "import sys; from pathlib import Path; sys.modules['matplotlib'] = None\n"
        "from edge_runtime.toolchain.report.make import Wish, make\n"
        f"made = make(Path({str(made.folder)!r}), Path({str(made.data)!r}), Path({str(out)!r}), Wish(runs=5), print)\n"
        "assert made.plots == []"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert "no plots: matplotlib is not installed; `pip install matplotlib`" in done.stdout
    assert "![" not in (out / "report.md").read_text()
