"""The two data sets of field photos, as small copies: what is read of each pixel and plant."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from domains.core import Pixels
from domains.crop_weed.training.data import UNNAMED, cwfid, peanut, read_photo, scaled
from domains.crop_weed.training.index import vegetation


def write(path: Path, rgb: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))


def canvas(colour: int = 0) -> Pixels:
    return np.full((60, 80, 3), colour, np.uint8)


def test_a_peanut_masks_patches_stand_for_plants_and_its_crumbs_do_not(tmp_path: Path) -> None:
    mask = canvas()
    mask[10:20, 10:30] = (0, 255, 0)
    mask[10:20, 30:40] = (255, 0, 0)
    mask[50:52, 50:52] = (255, 0, 0)
    write(tmp_path / "crop_peanut" / "mask.png", mask)
    write(tmp_path / "crop_peanut" / "photo.png", canvas(90))
    (tmp_path / "crop_peanut" / "manifest.csv").write_text("file,mask,split,overlap_group\nphoto.png,mask.png,val,7\n")
    (photo,) = peanut(tmp_path)
    truth = photo.truth()
    assert (photo.part, photo.group, read_photo(photo.file).shape) == ("val", "7", (60, 80, 3))
    assert (truth.classes[15, 15], truth.classes[15, 35], truth.classes[51, 51], truth.classes[0, 0]) == (1, 2, 2, 0)
    assert sorted(np.unique(truth.plants)) == [0, 1, 2]
    assert truth.plants[51, 51] == 0


def cwfid_folder(folder: Path) -> Path:
    """Two plants in one patch of vegetation, and a patch without an outline."""
    mask = canvas(255)
    mask[10:20, 10:40] = 0
    mask[40:50, 10:20] = 0
    write(folder / "crop_cwfid" / "masks" / "m.png", mask)
    write(folder / "crop_cwfid" / "images" / "1.png", canvas(90))
    (folder / "crop_cwfid" / "manifest.csv").write_text("file,veg_mask,split\nimages/1.png,masks/m.png,val\n")
    loose = {1: [5, 5, 24, 5, 24, 25, 5, 25], 2: [25, 5, 45, 5, 45, 25, 25, 25]}
    (folder / "crop_cwfid" / "instances_coco.json").write_text(json.dumps({
        "images": [{"id": 3, "file_name": "images/1.png"}],
        "categories": [{"id": 1, "name": "crop"}, {"id": 2, "name": "weed"}],
        "annotations": [{"image_id": 3, "category_id": kind, "segmentation": [corners]} for kind, corners in loose.items()],
    }))
    return folder


def test_a_cwfid_plant_is_the_vegetation_in_its_outline_and_vegetation_without_one_has_no_class(tmp_path: Path) -> None:
    (photo,) = cwfid(cwfid_folder(tmp_path))
    truth = photo.truth()
    assert (truth.classes[15, 15], truth.classes[15, 35], truth.classes[45, 15], truth.classes[30, 60]) == (1, 2, UNNAMED, 0)
    assert truth.plants[15, 15] != truth.plants[15, 35] != 0
    assert truth.plants[45, 15] == 0
    assert not truth.classes[22].any(), "the outline is loose, the mask isn't"


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    for read, name in ((peanut, "crop_peanut"), (cwfid, "crop_cwfid")):
        with pytest.raises(FileNotFoundError, match=name):
            read(tmp_path)


def test_a_photo_is_scaled_by_its_long_side() -> None:
    assert scaled(canvas(), 40).shape == (30, 40, 3)
    assert scaled(canvas(), 160).shape == (120, 160, 3)


@pytest.mark.parametrize(("camera", "soil", "plant"), [("rgb", (120, 90, 60), (60, 140, 50)), ("red_nir", (110, 100, 110), (60, 180, 60))])
def test_an_index_finds_vegetation_of_either_camera(camera: str, soil: tuple[int, int, int], plant: tuple[int, int, int]) -> None:
    pixels = canvas()
    pixels[:] = soil
    pixels[20:40, 20:40] = plant
    found = vegetation(pixels, "red_nir" if camera == "red_nir" else "rgb")
    assert found[30, 30]
    assert not found[5, 5]
    assert found.sum() == 400
