"""Pictures in a folder: all of an analysis or none, whatever happens in between."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import FileIO
from pathlib import Path

import pytest

from gateway.store import images as images_module
from gateway.store.images import FolderImageStore
from tests.gateway.store.samples import NOON, id_at

ROOT = Path(__file__).parents[3]
ID = id_at(NOON, 0xAB)
PICTURES = {"input": b"\xff\xd8 upload", "mask.png": b"\x89PNG mask"}

PUT_FOREVER = """
import sys
from pathlib import Path
from gateway.service.records import new_id
from gateway.store.images import FolderImageStore
store = FolderImageStore(Path(sys.argv[1]))
while True:
    name = new_id()
    store.put(name, {"input": bytes(3_000_000), "mask.png": bytes(1000), "evidence.png": bytes(1000)})
    print(name, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> FolderImageStore:
    """An empty store."""
    return FolderImageStore(tmp_path / "images")


def files(root: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in root.rglob("*") if path.is_file()]


def test_pictures_come_back_as_they_went_in(store: FolderImageStore) -> None:
    store.put(ID, PICTURES)
    assert {name: store.get(ID, name) for name in PICTURES} == PICTURES


def test_what_was_never_stored_is_not_found(store: FolderImageStore) -> None:
    store.put(ID, PICTURES)
    assert store.get(ID, "heatmap.png") is None
    assert store.get(id_at(NOON, 1), "input") is None


def test_an_analysis_without_pictures_leaves_nothing(store: FolderImageStore, tmp_path: Path) -> None:
    store.put(ID, {})
    assert list((tmp_path / "images").iterdir()) == []


def test_pictures_are_never_replaced(store: FolderImageStore) -> None:
    store.put(ID, PICTURES)
    with pytest.raises(FileExistsError):
        store.put(ID, {"input": b"other"})
    assert store.get(ID, "input") == PICTURES["input"]


def test_deleted_pictures_are_gone_and_deleting_again_does_nothing(store: FolderImageStore, tmp_path: Path) -> None:
    store.put(ID, PICTURES)
    store.delete(ID)
    store.delete(ID)
    assert store.get(ID, "input") is None
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../input", "a/b", "/etc/passwd", "Mask.png", "a.b.c", ".hidden", "x" * 65, "a\x00", "a\n"]
)
def test_a_name_that_could_leave_the_folder_is_refused(store: FolderImageStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        store.put(ID, {"input": b"1", name: b"2"})
    with pytest.raises(ValueError, match="name"):
        store.get(ID, name)
    assert files(tmp_path) == []


@pytest.mark.parametrize("bad", ["", "..", "../../x", ID.upper(), ID + "/..", ID.replace("-", ""), ID + "\n"])
def test_an_id_that_could_leave_the_folder_is_refused(store: FolderImageStore, tmp_path: Path, bad: str) -> None:
    with pytest.raises(ValueError, match="UUIDv7"):
        store.put(bad, PICTURES)
    with pytest.raises(ValueError, match="UUIDv7"):
        store.get(bad, "input")
    with pytest.raises(ValueError, match="UUIDv7"):
        store.delete(bad)
    assert files(tmp_path) == []


def test_only_the_owner_may_read_pictures(store: FolderImageStore, tmp_path: Path) -> None:
    store.put(ID, PICTURES)
    below = list((tmp_path / "images").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in below if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in below if path.is_dir()} == {0o700}
    assert (tmp_path / "images").stat().st_mode & 0o777 == 0o700


def test_many_analyses_are_stored_together_or_none_of_them_is(store: FolderImageStore, tmp_path: Path) -> None:
    ids = [id_at(NOON, number) for number in range(40)]
    store.put_all({name: {"input": name.encode(), "mask.png": b"2"} for name in ids})
    assert [store.get(name, "input") for name in ids] == [name.encode() for name in ids]
    before = files(tmp_path)
    others = [id_at(NOON, number) for number in range(40, 50)]
    with pytest.raises(FileExistsError):
        store.put_all(dict.fromkeys((*others, ids[3]), PICTURES))
    assert [store.get(name, "input") for name in others] == [None] * 10
    assert store.get(ids[3], "input") == ids[3].encode()
    assert files(tmp_path) == before


def test_names_that_do_not_reach_the_disk_are_told_and_leave_nothing(
    store: FolderImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "the disk is broken", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(images_module, "sync_folder", broken)
        with pytest.raises(OSError, match="the disk is broken"):
            store.put(ID, PICTURES)
    assert files(tmp_path) == []
    store.put(ID, PICTURES)
    assert store.get(ID, "input") == PICTURES["input"]


def test_a_full_disk_leaves_no_part_of_an_analysis(
    store: FolderImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second analysis fails when half of it is written, as it does when the disk is full."""
    write = images_module._write
    written: list[FileIO] = []

    def full(file: FileIO, images: Mapping[str, bytes]) -> None:
        if written:
            file.write(b"HGP1 half")
            raise OSError(28, "No space left on device")
        written.append(file)
        write(file, images)

    monkeypatch.setattr(images_module, "_write", full)
    other = id_at(NOON, 1)
    with pytest.raises(OSError, match="No space"):
        store.put_all({other: PICTURES, ID: PICTURES})
    assert (store.get(ID, "input"), store.get(other, "input")) == (None, None)
    assert files(tmp_path) == []


def test_after_a_kill_each_analysis_has_all_its_pictures_or_none(tmp_path: Path) -> None:
    root = tmp_path / "images"
    for delay_s in (0, 0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", PUT_FOREVER, root], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        confirmed = [process.stdout.readline().strip() for _ in range(2)]
        time.sleep(delay_s)  # the kill hits another step of writing each time
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        store = FolderImageStore(root)
        assert all(store.get(name, "evidence.png") for name in confirmed)
    there = [path.name for path in files(root)]
    assert len(there) >= 16
    assert {sum(store.get(name, picture) is not None for picture in ("input", "mask.png", "evidence.png")) for name in there} <= {0, 3}


def test_a_reader_never_sees_a_part(store: FolderImageStore) -> None:
    ids = [id_at(NOON, number) for number in range(150)]
    done = threading.Event()

    def read() -> list[str]:
        torn: list[str] = []
        while not done.is_set():
            torn += [name for name in ids if store.get(name, "input") and not store.get(name, "mask.png")]
        return torn

    with ThreadPoolExecutor(2) as pool:
        torn = pool.submit(read)
        for name in ids:
            store.put(name, {"input": b"1", "mask.png": b"2"})
        done.set()
    assert torn.result() == []


def test_retention_removes_old_pictures_up_to_its_limit_and_keeps_the_rest(store: FolderImageStore) -> None:
    old = [id_at(NOON - timedelta(hours=1), number) for number in range(5)]
    new = [id_at(NOON + timedelta(milliseconds=number), number) for number in range(5)]
    for name in old + new:
        store.put(name, PICTURES)
    assert [store.delete_older(NOON, limit=3) for _ in range(3)] == [3, 2, 0]
    assert [store.get(name, "input") for name in old] == [None] * 5
    assert [store.get(name, "input") for name in new] == [PICTURES["input"]] * 5


def test_clean_ups_at_once_count_each_analysis_once(store: FolderImageStore) -> None:
    for number in range(200):
        store.put(id_at(NOON + timedelta(minutes=20 * number), number), PICTURES)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: store.delete_older(NOON + timedelta(days=9), limit=500), range(4)))
    assert sum(counts) == 200


@pytest.mark.parametrize("left", [0, 3, 6, 20, 60])
def test_what_a_killed_process_left_half_written_is_no_picture_and_goes_with_its_time(store: FolderImageStore, tmp_path: Path, left: int) -> None:
    store.put(ID, {"input": b"1" * 60, "mask.png": b"2"})
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    assert (store.get(ID, "input"), store.get(ID, "mask.png")) == (None, None)
    store.replace(ID, PICTURES)
    assert store.get(ID, "input") == PICTURES["input"]
    path.write_bytes(path.read_bytes()[:left])
    assert store.delete_older(NOON + timedelta(days=1), limit=10) == 1
    assert files(tmp_path) == []


def test_a_folder_whose_time_is_over_goes_with_its_last_pictures(store: FolderImageStore, tmp_path: Path) -> None:
    ids = [id_at(NOON + timedelta(hours=hour), 1) for hour in range(5)]
    for name in ids:
        store.put(name, PICTURES)
    store.delete_older(NOON + timedelta(hours=2, minutes=30), limit=10)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [name[:7] for name in ids[3:]]


def test_pictures_of_an_older_version_are_still_there(tmp_path: Path) -> None:
    root, ids = tmp_path / "images", [id_at(NOON, number) for number in range(9)]
    for name in ids:
        (root / name[-2:] / name).mkdir(parents=True)
        for picture, content in PICTURES.items():
            (root / name[-2:] / name / picture).write_bytes(name.encode() + content)
    (root / ".incoming" / "half").mkdir(parents=True)
    (root / ids[4][:7]).mkdir()
    (root / ids[4][:7] / ids[4]).write_bytes(b"HGP1 a power cut came while it was taken over")
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: FolderImageStore(root), range(4)))
    assert [stores[3].get(name, "mask.png") for name in ids] == [name.encode() + PICTURES["mask.png"] for name in ids]
    assert [path.name for path in root.iterdir()] == [ids[0][:7]]


def test_files_of_others_in_the_folder_are_left_alone(store: FolderImageStore, tmp_path: Path) -> None:
    store.put(ID, PICTURES)
    notes = [tmp_path / "images" / "README", tmp_path / "images" / ID[:7] / "0-notes"]
    for note in notes:
        note.write_text("mine")
    assert store.delete_older(NOON + timedelta(days=1), limit=10) == 1
    assert all(note.read_text() == "mine" for note in notes)
