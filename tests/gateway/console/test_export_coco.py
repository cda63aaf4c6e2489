"""Hard cases exported in COCO's form: what is in the folder, and what stays here."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from pycocotools.coco import COCO

from gateway.console.export_cases import NO_LEAVE, NO_PICTURE, Export
from gateway.console.export_form import ExportRefused
from gateway.service.records import Analysis
from gateway.store.payloads import FolderPayloadStore
from tests.gateway.console.hard_case_site import (
    FIELD_BOX,
    SAMPLES,
    Site,
    field_answer,
    files_in,
    scan_answer,
    with_banner,
    with_place,
)


@dataclass(frozen=True, slots=True)
class Exported:
    """An export of one case of each kind."""

    site: Site
    out: Path
    done: Export
    cases: dict[str, Analysis]

    @property
    def document(self) -> dict[str, Any]:
        """annotations.json."""
        found: dict[str, Any] = json.loads((self.out / "annotations.json").read_text())
        return found

    def image(self, kind: str) -> dict[str, Any]:
        """The entry of that case."""
        name = self.done.exported[self.cases[kind].id]
        (found,) = [image for image in self.document["images"] if image["hedgerow"]["case"] == name]
        return dict(found)

    def file(self, kind: str) -> bytes:
        """Its picture."""
        return (self.out / "images" / str(self.image(kind)["file_name"])).read_bytes()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Read only."""
    folder = tmp_path_factory.mktemp("coco")
    site = Site(folder / "data")
    cases = {
        "photo": field_answer(960, 720), "sideways": field_answer(461, 1000), "dicom": scan_answer(), "named": scan_answer(),
    }
    site.set_aside(
        (cases["photo"], with_place((SAMPLES / "field.jpg").read_bytes())),
        (cases["sideways"], (SAMPLES / "field_sideways.jpg").read_bytes()),
        (cases["dicom"], (SAMPLES / "breast_scan.dcm").read_bytes()),
        (cases["named"], with_banner("JOHN APPLESEED 1959")),
    )
    return Exported(site, folder / "out", site.export(folder / "out"), cases)


def test_pycocotools_loads_it_with_the_models_masks_to_begin_with(exported: Exported) -> None:
    coco = COCO(str(exported.out / "annotations.json"))
    assert sorted((row["supercategory"], row["name"]) for row in coco.loadCats(coco.getCatIds())) == [
        ("breast_ultrasound", "benign"), ("breast_ultrasound", "malignant"), ("breast_ultrasound", "normal"),
        ("crop_peanut", "crop"), ("crop_peanut", "soil"), ("crop_peanut", "weed"),
    ]
    image = exported.image("photo")
    (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
    (category,) = coco.loadCats([annotation["category_id"]])
    assert (category["name"], annotation["proposed"], annotation["score"]) == ("weed", True, 0.75)
    assert annotation["bbox"] == [FIELD_BOX.x, FIELD_BOX.y, FIELD_BOX.width, FIELD_BOX.height]
    mask = coco.annToMask(annotation)
    assert mask.shape == (image["height"], image["width"]) == (720, 960)
    assert mask.sum() == annotation["area"] == FIELD_BOX.width * FIELD_BOX.height
    assert not coco.getAnnIds(imgIds=[exported.image("dicom")["id"]])


def test_every_image_says_why_and_what_was_answered(exported: Exported) -> None:
    told = exported.image("dicom")["hedgerow"]
    assert (told["domain"], told["model"], told["reason"]) == ("pathology", "breast_ultrasound", "unsure")
    assert told["answers"] == [
        {"label": "benign", "abstained": False, "values": {"benign": 0.5, "malignant": 0.4, "normal": 0.1}}
    ]
    assert exported.image("photo")["hedgerow"]["reason"] == "abstained"


def test_pictures_are_upright_and_of_the_size_that_is_stated(exported: Exported) -> None:
    for image in exported.document["images"]:
        with PillowImage.open(exported.out / "images" / image["file_name"]) as opened:
            assert opened.size == (image["width"], image["height"])
            assert dict(opened.getexif()) == {}
    assert (exported.image("sideways")["width"], exported.image("sideways")["height"]) == (461, 1000)


def test_a_photo_leaves_without_its_place_and_a_dicom_as_the_frame_that_the_model_saw(exported: Exported) -> None:
    assert exported.image("photo")["file_name"].endswith(".jpg")
    assert b"Acme" not in exported.file("photo")
    with (
        PillowImage.open(io.BytesIO(exported.file("dicom"))) as frame,
        PillowImage.open(SAMPLES / "breast_scan.jpg") as scan,
    ):
        assert frame.format == "PNG"
        difference = np.abs(np.asarray(frame.convert("L"), int) - np.asarray(scan.convert("L"), int))
    assert difference.mean() < 2  # the object was made from that scan


def test_a_picture_that_shows_a_name_stays_here_and_is_listed_with_the_reason(exported: Exported) -> None:
    named = exported.cases["named"].id
    assert exported.done.held == {named: "text was found in the picture"}
    assert len(exported.document["images"]) == len(list((exported.out / "images").iterdir())) == 3
    assert named not in {entry.analysis_id for entry in exported.site.audit()}


def test_nothing_in_the_folder_says_whose_or_when_it_was(exported: Exported) -> None:
    for name, content in files_in(exported.out).items():
        for analysis in exported.cases.values():
            assert analysis.id not in name
            assert analysis.id.encode() not in content
            assert analysis.id[:8].encode() not in content  # its time
            assert b"farm" not in content
            assert b"clinic" not in content


def test_the_audit_log_has_each_picture_as_it_left(exported: Exported) -> None:
    entries = {entry.analysis_id: entry for entry in exported.site.audit()}
    assert set(entries) == set(exported.done.exported)
    for kind in ("photo", "sideways", "dicom"):
        entry = entries[exported.cases[kind].id]
        assert (entry.why, entry.where_to) == ("learning", "export")
        assert entry.sha256 == hashlib.sha256(exported.file(kind)).hexdigest()
    assert entries[exported.cases["dicom"].id].form.split()[-1] == "rendered-as-png"
    assert "gps-kept" not in entries[exported.cases["photo"].id].form


def test_a_second_run_adds_what_is_new_and_nothing_twice(tmp_path: Path) -> None:
    site, out = Site(tmp_path / "data"), tmp_path / "out"
    first, second = scan_answer(), scan_answer()
    site.set_aside((first, (SAMPLES / "breast_scan.jpg").read_bytes()))
    assert list(site.export(out).exported) == [first.id]
    before = files_in(out)
    again = site.export(out)
    assert (again.exported, again.already_there) == ({}, [first.id])
    assert files_in(out) == before
    site.set_aside((second, (SAMPLES / "lung_scan.png").read_bytes()))
    assert list(site.export(out).exported) == [second.id]
    document = json.loads((out / "annotations.json").read_text())
    assert [image["id"] for image in document["images"]] == [1, 2]
    assert [row["id"] for row in document["categories"]] == [1, 2, 3]
    assert len(site.audit()) == 2


def test_an_export_that_was_killed_before_its_index_was_written_can_be_run_again(tmp_path: Path) -> None:
    site, out = Site(tmp_path / "data"), tmp_path / "out"
    site.set_aside((scan_answer(), (SAMPLES / "breast_scan.jpg").read_bytes()))
    site.export(out)
    whole = files_in(out)
    (out / "annotations.json").unlink()
    (out / "annotations.json.part").write_text('{"info": ')
    (out / "images" / "half.jpg.part").write_bytes(b"half")
    assert len(site.export(out).exported) == 1
    assert files_in(out).items() >= whole.items()


def test_what_was_exported_when_an_export_ends_early_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, out = Site(tmp_path / "data"), tmp_path / "out"
    first, second = sorted((scan_answer(), scan_answer()), key=lambda analysis: analysis.id)
    for analysis in (first, second):
        site.set_aside((analysis, (SAMPLES / "breast_scan.jpg").read_bytes()))
    asked: list[str] = []

    def interrupted(folder: FolderPayloadStore, analysis_id: str) -> bytes | None:
        asked.append(analysis_id)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return taken(folder, analysis_id)

    taken = FolderPayloadStore.get
    with monkeypatch.context() as patched:
        patched.setattr(FolderPayloadStore, "get", interrupted)
        with pytest.raises(KeyboardInterrupt):
            site.export(out)
    done = site.export(out)
    assert (done.already_there, list(done.exported)) == ([first.id], [second.id])


def test_a_tenant_that_takes_its_leave_back_keeps_its_pictures(tmp_path: Path) -> None:
    site = Site(tmp_path / "data")
    kept, lost = scan_answer(), scan_answer()
    site.set_aside((kept, (SAMPLES / "breast_scan.jpg").read_bytes()), (lost, (SAMPLES / "breast_scan.jpg").read_bytes()))
    FolderPayloadStore(site.data / "hard_cases").delete([lost.id])
    refused = site.export(tmp_path / "a", settings=site.settings(routes='[{"tenant": "farm", "to_learning": true}]'))
    assert (refused.exported, set(refused.held.values())) == ({}, {NO_LEAVE})
    done = site.export(tmp_path / "b")
    assert (list(done.exported), done.held) == ([kept.id], {lost.id: NO_PICTURE})


def test_a_file_that_is_no_picture_is_held_with_the_reason(tmp_path: Path) -> None:
    site, broken = Site(tmp_path / "data"), scan_answer()
    site.set_aside((broken, b"\xff\xd8\xff\xe0 half a picture"))
    done = site.export(tmp_path / "out")
    assert list(done.held) == [broken.id]
    assert "picture" in done.held[broken.id]


def test_options_choose_the_cases(tmp_path: Path) -> None:
    site = Site(tmp_path / "data")
    scan, field = scan_answer(), field_answer(370, 370)
    picture = (SAMPLES / "lung_scan.png").read_bytes()
    site.set_aside((scan, picture), (field, picture))
    none = site.export(tmp_path / "none", since="2999-01-01")
    assert (none.exported, none.held) == ({}, {})
    assert list(site.export(tmp_path / "farm", tenant="farm").exported) == [field.id]
    assert list(site.export(tmp_path / "scans", domain="pathology", since="2020-01-31T08:30+01:00").exported) == [scan.id]
    assert list(site.export(tmp_path / "abstained", reason="abstained").exported) == [field.id]


@pytest.mark.parametrize(("options", "said"), [
    ({"form": "yolo"}, "--format is one of coco, dicom"),
    ({"domain": "knees"}, "no domain of that name"),
    ({"reason": "boring"}, "--reason is one of unsure, abstained"),
    ({"since": "yesterday"}, "--since is a date such as 2026-01-31"),
    ({"since": "0001-01-01T00:00+23:59"}, "--since is a date"),
])
def test_an_option_that_means_nothing_is_refused(tmp_path: Path, options: dict[str, str], said: str) -> None:
    site = Site(tmp_path / "data")
    site.set_aside()
    with pytest.raises(ExportRefused, match=said):
        site.export(tmp_path / "out", **options)  # type: ignore[arg-type]  # all are texts
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("secret", "said"), [
    (None, "needs HEDGEROW_PSEUDONYM_SECRET_FILE"), (b"short", "at least 32 bytes"), (b"", "at least 32 bytes"),
])
def test_without_a_secret_nothing_is_exported(tmp_path: Path, secret: bytes | None, said: str) -> None:
    site, file = Site(tmp_path / "data"), tmp_path / "secret"
    site.set_aside()
    if secret is not None:
        file.write_bytes(secret)
    with pytest.raises(ExportRefused, match=said):
        site.export(tmp_path / "out", settings=site.settings(pseudonym_secret_file=None if secret is None else file))
    with pytest.raises(ExportRefused, match="can't be read"):
        site.export(tmp_path / "out", settings=site.settings(pseudonym_secret_file=tmp_path / "nowhere"))


@pytest.mark.parametrize(("files", "said"), [
    ({"holiday.jpg": "x"}, "something else than an earlier export"),
    ({"cases.json": "{}"}, "an export in another form"),
    ({"annotations.json": "{"}, "not written by an earlier export"),
    ({"annotations.json": "[]"}, "not written by an earlier export"),
    ({"annotations.json": '{"info": {"description": "COCO 2017"}, "images": [], "annotations": [], "categories": []}'},
     "not written by an earlier export"),
    ({"annotations.json": json.dumps({
        "info": {"description": "Hard cases of Hedgerow, to be labelled"}, "images": [], "categories": [],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
    })}, "was labelled since the last export"),
])
def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path, files: dict[str, str], said: str) -> None:
    site, out = Site(tmp_path / "data"), tmp_path / "out"
    site.set_aside((scan_answer(), (SAMPLES / "breast_scan.jpg").read_bytes()))
    out.mkdir()
    for name, content in files.items():
        (out / name).write_text(content)
    before = files_in(out)
    with pytest.raises(ExportRefused, match=said):
        site.export(out)
    assert files_in(out) == before
    assert site.audit() == []


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    site = Site(tmp_path / "data")
    site.set_aside()
    (tmp_path / "out").write_text("")
    for folder in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(ExportRefused, match="is no folder"):
            site.export(folder)
