"""Foreign pictures, from a small data folder of its own layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from domains.foreign import NEVER_FITTED, kinds
from domains.foreign.kinds import views

SAMPLES = Path(__file__).parents[3] / "samples"
SPLIT_BY = {"crop_peanut": "overlap_group", "crop_cwfid": "file", "breast_busi": "file", "cxr_kermany": "person",
            "skin_ham10000": "lesion_id", "lus_pocus": "group"}
GROUPS = 24


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sets of small grey pictures, half of them held out; numbers, screens and DICOM files as the real folder has them."""
    folder = tmp_path_factory.mktemp("data")
    for name, group in SPLIT_BY.items():
        files = folder / name / ("files" if name == "lus_pocus" else "")
        (files / "images").mkdir(parents=True)
        rows = [f"file,split,{group if group != 'file' else 'note'}"]
        for number in range(GROUPS):
            cv2.imwrite(str(files / "images" / f"{number}.png"), np.full((40, 60), 5 * number, np.uint8))
            rows.append(f"images/{number}.png,{'val' if number % 2 else 'train'},g{number}")
        (folder / name / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    for name in ("svhn_subset/numbers", "pocus_devices/files", "dicom_us/files"):
        (folder / name).mkdir(parents=True)
    for number in range(8):
        cv2.imwrite(str(folder / "svhn_subset" / "numbers" / f"{number}.png"), np.full((900, 400, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "pocus_devices" / "files" / "menu.png"), np.full((80, 90, 3), 20, np.uint8))
    for name in ("us_mf_jpegbaseline_ybr422_30f", "us_palette_8bit", "us_rgb_320x240", "us_mf_rle_palette_2f", "us_j2k_lossless_ybr_rct",
                 "us_mono_jpeglossless", "us_ybr422_uncompressed", "us_pocus_sonoque_phantom_jpeg"):
        (folder / "dicom_us" / "files" / f"{name}.dcm").write_bytes((SAMPLES / "ultrasound_clip.dcm").read_bytes())
    return folder


def test_every_kind_has_pictures_of_the_held_out_part(data: Path) -> None:
    found = kinds(data, "val", most=6)
    assert set(found) >= {"field_photo", "everyday", "document", "blank", "noise", "device_screen", "menu_screen", "other_ultrasound",
                          "breast_ultrasound", "lung_ultrasound", "chest_xray", "skin_photo", "house_number"}
    for kind, pictures in found.items():
        assert 0 < len(pictures) <= 6, kind
        assert all(one.kind == kind and one.pixels.dtype == np.uint8 and one.pixels.shape[2] == 3 for one in pictures)


def test_a_gate_sees_nothing_in_its_fitting_of_the_kinds_that_judge_it(data: Path) -> None:
    assert not NEVER_FITTED & set(kinds(data, "train", most=2))


def test_no_group_is_in_two_parts(data: Path) -> None:
    for kind in ("field_photo", "breast_ultrasound", "lung_ultrasound", "chest_xray", "skin_photo", "house_number"):
        fitted, judged = ({one.group for one in kinds(data, part)[kind]} for part in ("train", "val"))
        assert fitted, kind
        assert judged, kind
        assert not fitted & judged, kind


def test_drawn_pictures_are_the_same_each_time_and_others_for_each_part(data: Path) -> None:
    first, again, other = (kinds(data, part, most=3)["noise"] for part in ("val", "val", "train"))
    assert all(np.array_equal(one.pixels, same.pixels) for one, same in zip(first, again, strict=True))
    assert not any(np.array_equal(one.pixels, another.pixels) for one, another in zip(first, other, strict=True))


def test_the_models_own_kind_is_left_out(data: Path) -> None:
    assert "breast_ultrasound" not in kinds(data, "val", most=1, without={"breast_ultrasound"})


def test_large_pictures_are_made_smaller(data: Path) -> None:
    assert kinds(data, "train", most=1)["house_number"][0].pixels.shape == (640, 284, 3)


def test_views_are_the_picture_and_windows_of_it() -> None:
    picture = np.arange(60 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(60, 80, 3)
    whole, *windows = views(picture, 4, seed=1)
    assert whole is picture
    assert len(windows) == 3
    assert all(30 <= one.shape[0] < 60 and 40 <= one.shape[1] < 80 for one in windows)


def test_the_folder_that_lacks_a_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="crop_peanut"):
        kinds(tmp_path, "val")
