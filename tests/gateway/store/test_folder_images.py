"""Pictures in a folder, many analyses to a file: all of an analysis or none, whatever happens in between."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
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
def say(what, name):
    sys.stdout.write(f"{what} {name}\\n")  # one piece also where Python is unbuffered: a kill leaves no half of a line
    sys.stdout.flush()
store = FolderImageStore(Path(sys.argv[1]))
while True:
    name = new_id()
    say("about to store", name)
    store.put(name, {"input": bytes(3_000_000), "mask.png": bytes(1000), "evidence.png": bytes(1000)})
    say("stored", name)
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
    store.put(ID, {"input": b"other"})
    assert store.get(ID, "input") == PICTURES["input"]


def test_analyses_of_a_moment_share_a_file_and_others_have_theirs(store: FolderImageStore, tmp_path: Path) -> None:
    ids = [id_at(NOON + timedelta(milliseconds=256 * moment), number) for moment in range(3) for number in range(5)]
    for name in ids:
        store.put(name, {"input": name.encode()})
    assert [store.get(name, "input") for name in ids] == [name.encode() for name in ids]
    assert len(files(tmp_path)) == 3


def test_two_processes_never_append_to_the_same_file(store: FolderImageStore, tmp_path: Path) -> None:
    ids = [id_at(NOON, number) for number in range(10)]
    other = FolderImageStore(tmp_path / "images")
    for number, name in enumerate(ids):
        (store, other)[number % 2].put(name, {"input": name.encode()})
    assert [path.name[-2:] for path in sorted(files(tmp_path))] == [".0", ".1"]
    assert [store.get(name, "input") for name in ids] == [name.encode() for name in ids] == [other.get(name, "input") for name in ids]


@pytest.mark.parametrize("size", [1, 4000, 4096, 1024 * 1024 - 120, 1024 * 1024, 3_000_001])
def test_pictures_of_any_size_come_back(store: FolderImageStore, size: int) -> None:
    content = os.urandom(size)
    store.put_all({ID: {"input": content, "mask.png": b"2"}, id_at(NOON, 1): PICTURES})
    assert (store.get(ID, "input"), store.get(ID, "mask.png"), store.get(id_at(NOON, 1), "input")) == (content, b"2", PICTURES["input"])


def test_an_analysis_may_have_more_pictures_than_a_block_can_name(store: FolderImageStore) -> None:
    pictures = {f"key_frame_{number}.png": str(number).encode() for number in range(500)}
    store.put(ID, pictures)
    store.put(id_at(NOON, 1), PICTURES)
    assert {name: store.get(ID, name) for name in pictures} == pictures
    assert store.get(id_at(NOON, 1), "input") == PICTURES["input"]


@pytest.mark.parametrize("refuses", ["the flag", "the write"])
def test_a_file_system_that_wants_its_page_cache_gets_its_way(
    store: FolderImageStore, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    control, write = fcntl.fcntl, os.write

    def without_flag(descriptor: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return int(control(descriptor, command, argument))

    def without_write(descriptor: int, content: memoryview) -> int:
        if control(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(descriptor, content)

    if refuses == "the flag":
        monkeypatch.setattr(fcntl, "fcntl", without_flag)
    else:
        monkeypatch.setattr(os, "write", without_write)
    store.put(ID, PICTURES)
    assert store.get(ID, "input") == PICTURES["input"]


def test_deleted_pictures_are_gone_and_deleting_again_does_nothing(store: FolderImageStore) -> None:
    store.put(ID, PICTURES)
    store.delete(ID)
    store.delete(ID)
    assert store.get(ID, "input") is None


def test_what_is_deleted_while_it_is_read_is_not_given_half(store: FolderImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read = images_module._read
    store.put(ID, {"input": bytes(range(256)) * 100})

    def read_late(descriptor: int, length: int, offset: int) -> bytes:
        FolderImageStore(store._root).delete(ID)
        return read(descriptor, length, offset)

    monkeypatch.setattr(images_module, "_read", read_late)
    assert store.get(ID, "input") is None


@pytest.mark.parametrize("punches", [True, False])
def test_nothing_of_deleted_pictures_is_left_on_the_disk_while_their_file_goes_on(
    store: FolderImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, punches: bool
) -> None:
    if not punches:
        monkeypatch.setattr(images_module, "_punch", lambda *_: False)
    secret, kept = b"a patient's picture " * 20_000, id_at(NOON, 1)
    store.put(ID, {"input": secret, "mask.png": secret[:50]})
    store.put(kept, PICTURES)
    (path,) = files(tmp_path)
    before = path.stat().st_blocks
    FolderImageStore(tmp_path / "images").delete(ID)
    store.put(id_at(NOON, 2), {"input": b"appended afterwards"})
    assert b"patient" not in path.read_bytes()
    assert (path.stat().st_blocks < before) is punches
    assert store.get(kept, "mask.png") == PICTURES["mask.png"]
    assert store.get(id_at(NOON, 2), "input") == b"appended afterwards"
    assert len(files(tmp_path)) == 1


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


def test_many_analyses_are_stored_together(store: FolderImageStore) -> None:
    ids = [id_at(NOON + timedelta(milliseconds=20 * number), number) for number in range(40)]
    store.put_all({name: {"input": name.encode(), "mask.png": b"2"} for name in ids})
    assert [store.get(name, "input") for name in ids] == [name.encode() for name in ids]


@contextmanager
def a_disk_with_room_for(size_bytes: int) -> Iterator[None]:
    """A file can't become longer than that, and a write says so only once half of it is done, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 4096, 8192, 300_000, 1_100_000])
def test_a_full_disk_leaves_no_part_of_any_and_what_was_there_before(store: FolderImageStore, tmp_path: Path, room: int) -> None:
    """Of three analyses that are stored together, two of them of the same moment as one that is there."""
    there, later = id_at(NOON, 0), id_at(NOON + timedelta(seconds=1), 3)
    wanted = {id_at(NOON, 1): PICTURES, later: PICTURES, id_at(NOON, 2): {"input": bytes(1_200_000)}}
    store.put(there, PICTURES)
    with a_disk_with_room_for(4096 + room), pytest.raises(OSError, match="File too large"):
        store.put_all(wanted)
    assert [store.get(name, "input") for name in wanted] == [None] * 3
    assert sum(path.stat().st_size for path in files(tmp_path)) == 4096
    store.put_all(wanted)
    assert [store.get(name, "input") for name in (there, *wanted)] == [PICTURES["input"], *(one["input"] for one in wanted.values())]


@pytest.mark.parametrize("broken", ["fdatasync", "sync_folder"])
def test_what_does_not_reach_the_disk_is_told_and_leaves_nothing(
    store: FolderImageStore, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fails(_: object) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr(os if broken == "fdatasync" else images_module, broken, fails)
        with pytest.raises(OSError, match="the disk is broken"):
            store.put(ID, PICTURES)
    assert store.get(ID, "input") is None
    store.put(ID, PICTURES)
    assert store.get(ID, "input") == PICTURES["input"]


def test_after_a_kill_each_analysis_has_all_its_pictures_or_none(tmp_path: Path) -> None:
    root = tmp_path / "images"
    for delay_s in (0, 0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", PUT_FOREVER, root], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(4)]
        time.sleep(delay_s)  # the kill hits another step of writing each time
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.readlines()
        process.communicate()
        store = FolderImageStore(root)
        for line in said:
            what, name = line.rsplit(maxsplit=1)
            found = sum(store.get(name, picture) is not None for picture in ("input", "mask.png", "evidence.png"))
            assert found == 3 if what == "stored" else found in {0, 3}


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


def test_retention_goes_by_the_id_within_a_file_too(store: FolderImageStore, tmp_path: Path) -> None:
    ids = [id_at(NOON + timedelta(milliseconds=number), number) for number in range(3)]
    store.put_all(dict.fromkeys(ids, PICTURES))
    assert len(files(tmp_path)) == 1
    assert [store.delete_older(NOON + timedelta(milliseconds=2), limit=10) for _ in range(2)] == [2, 0]
    assert [store.get(name, "input") for name in ids] == [None, None, PICTURES["input"]]


@pytest.mark.parametrize("left", [0, 3, 6, 20, 60, 4095])
def test_what_a_killed_process_left_half_written_is_no_picture_and_goes_with_its_time(store: FolderImageStore, tmp_path: Path, left: int) -> None:
    store.put(ID, {"input": b"1" * 4060, "mask.png": b"2"})
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    assert (store.get(ID, "input"), store.get(ID, "mask.png")) == (None, None)
    after = FolderImageStore(tmp_path / "images")
    after.replace(ID, PICTURES)
    assert after.get(ID, "input") == PICTURES["input"]
    assert after.delete_older(NOON + timedelta(days=1), limit=10) == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize("index", [b"{}", b"[]", b'{"id":7,"pictures":{}}', b'{"id":"x","pictures":{"input":-9}}', b"\xff"])
def test_a_damaged_entry_is_no_picture_and_hides_none_before_it(store: FolderImageStore, tmp_path: Path, index: bytes) -> None:
    store.put(ID, PICTURES)
    (path,) = files(tmp_path)
    with path.open("ab") as file:
        file.write(b"HGP2" + len(index).to_bytes(4, "big") + index + bytes(4096))
    assert store.get(ID, "input") == PICTURES["input"]
    assert store.get(id_at(NOON, 0xAC), "input") is None


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
    (root / ids[4][:7] / f"{ids[4][:11]}.0").write_bytes(b"HGP2 a power cut came while it was taken over")
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
