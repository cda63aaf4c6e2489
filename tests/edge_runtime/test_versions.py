"""A package that arrives while the program runs is kept whole and unchanged, or refused with nothing left behind."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domains import registry
from edge_runtime import versions
from edge_runtime.errors import PackageError
from edge_runtime.models import load_package
from edge_runtime.versions import Identity, ModelStore, pack, read_identity, shipped_versions
from tests.model_packages import SHIPPED_VERSION, edit

SHIPPED = registry.models_folder("pathology") / "lung_ultrasound"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return package_of(tmp_path, "1.0.1")


def package_of(folder: Path, version: str) -> Path:
    """A copy of the shipped lung package that says it is `version`."""
    copy = Path(shutil.copytree(SHIPPED, folder / f"package-{version}" / SHIPPED.name))
    edit(copy, r'^version = ".*"$', f'version = "{version}"')
    return copy


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return stream.getvalue()


def contents(package: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in package.iterdir()}


def test_an_installed_package_is_the_one_that_was_sent_and_loads(store: ModelStore, package: Path) -> None:
    assert store.install(pack(package)) == ("lung_ultrasound", "1.0.1")
    folder = store.folder("lung_ultrasound", "1.0.1")
    assert contents(folder) == contents(package)
    loaded = load_package(folder)
    assert (loaded.spec.name, loaded.spec.version) == ("lung_ultrasound", "1.0.1")
    assert store.names() == ["lung_ultrasound"]
    assert store.identity("lung_ultrasound", "1.0.1") == Identity("lung_ultrasound", "1.0.1", "pathology")
    assert folder.stat().st_mode & 0o077 == 0


def test_an_archive_of_the_bare_files_is_taken_too(store: ModelStore, package: Path) -> None:
    assert store.install(zipped(contents(package))) == ("lung_ultrasound", "1.0.1")


def test_what_was_installed_can_be_handed_on_to_another_machine(store: ModelStore, package: Path, tmp_path: Path) -> None:
    store.install(pack(package))
    archive = store.archive("lung_ultrasound", "1.0.1")
    other = ModelStore(tmp_path / "other")
    assert other.install(archive) == ("lung_ultrasound", "1.0.1")
    assert other.archive("lung_ultrasound", "1.0.1") == archive == pack(package)


def test_versions_are_listed_by_their_numbers(store: ModelStore, tmp_path: Path) -> None:
    for version in ("1.10.0", "1.9.2", "1.9.2-rc1"):
        store.install(pack(package_of(tmp_path, version)))
    assert store.versions("lung_ultrasound") == ["1.9.2", "1.9.2-rc1", "1.10.0"]
    assert store.versions("knee") == []
    assert store.versions("../models/lung_ultrasound") == []


def test_the_same_package_again_is_no_error_and_other_content_is_refused(store: ModelStore, package: Path) -> None:
    store.install(pack(package))
    assert store.install(zipped(contents(package))) == ("lung_ultrasound", "1.0.1")
    before = contents(package)
    manifest = package / "model.toml"
    manifest.write_text(manifest.read_text().replace("Lung ultrasound", "Knee ultrasound"))
    with pytest.raises(PackageError, match=r"1\.0\.1 is installed already, with other content"):
        store.install(pack(package))
    assert contents(store.folder("lung_ultrasound", "1.0.1")) == before


def test_many_that_install_the_same_package_at_once_all_succeed(store: ModelStore, package: Path) -> None:
    archive = pack(package)
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: store.install(archive), range(16)))
    assert set(done) == {("lung_ultrasound", "1.0.1")}
    assert contents(store.folder("lung_ultrasound", "1.0.1")) == contents(package)


@pytest.mark.parametrize("file", ["int8.tflite", "float32.tflite", "MODEL_CARD.md"])
def test_one_changed_byte_is_refused_by_name_and_nothing_is_left(
    store: ModelStore, package: Path, tmp_path: Path, file: str
) -> None:
    content = bytearray((package / file).read_bytes())
    content[len(content) // 2] ^= 1
    (package / file).write_bytes(content)
    with pytest.raises(PackageError, match=rf"lung_ultrasound: {file} was changed"):
        store.install(pack(package))
    assert store.versions("lung_ultrasound") == []
    assert files_below(tmp_path / "models") == []
    assert list((tmp_path / "models" / ".incoming").iterdir()) == []


def test_a_file_that_the_manifest_names_and_one_that_it_does_not_name_are_told(store: ModelStore, package: Path) -> None:
    with pytest.raises(PackageError, match=r"MODEL_CARD\.md is missing"):
        store.install(zipped({name: content for name, content in contents(package).items() if name != "MODEL_CARD.md"}))
    with pytest.raises(PackageError, match=r"no SHA-256 for extra\.bin"):
        store.install(zipped({**contents(package), "extra.bin": b"x"}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../lung/model.toml", "no plain file"),
        ("../model.toml", "no plain file"),
        ("/etc/model.toml", "no plain file"),
        ("a/b/model.toml", "no plain file"),
        ("a\\..\\model.toml", "no plain file"),
        (".hidden", "no plain file"),
        ("other/notes.txt", "more than one folder"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(
    store: ModelStore, package: Path, tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(PackageError, match=said):
        store.install(zipped({**contents(package), name: b"x"}))
    assert files_below(tmp_path / "models") == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_link_or_a_device_is_refused(store: ModelStore, package: Path, kind: int) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, content in contents(package).items():
            made.writestr(name, content)
        entry = zipfile.ZipInfo("passwd")
        entry.external_attr = (kind | 0o777) << 16
        made.writestr(entry, "/etc/passwd")
    with pytest.raises(PackageError, match="link or a device: passwd"):
        store.install(stream.getvalue())


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused_before_it_is_unpacked(
    store: ModelStore, package: Path, tmp_path: Path
) -> None:
    bomb = zipped({**contents(package), **{f"zeros{number}": bytes(64 * 1024 * 1024) for number in range(9)}})
    assert len(bomb) < 16 * 1024 * 1024
    started = time.process_time()
    with pytest.raises(PackageError, match="unpacks to more than"):
        store.install(bomb)
    assert time.process_time() - started < 1
    assert files_below(tmp_path / "models") == []


def test_an_entry_that_is_longer_than_it_says_is_refused(store: ModelStore, package: Path) -> None:
    honest = zipped({**contents(package), "model.toml": contents(package)["model.toml"] + b"#" * 100_000})
    at = honest.rindex(b"model.toml") - 46  # its header in the central directory; the size unpacked is at offset 24
    assert honest[at : at + 4] == b"PK\x01\x02"
    lying = honest[: at + 24] + (5000).to_bytes(4, "little") + honest[at + 28 :]
    with pytest.raises(PackageError):
        store.install(lying)


@pytest.mark.parametrize("count", [versions.MAX_FILES + 1, 20_000])
def test_an_archive_of_too_many_files_is_refused_at_once(store: ModelStore, package: Path, count: int) -> None:
    crowded = zipped({**contents(package), **{f"f{number}": b"" for number in range(count)}})
    started = time.process_time()
    with pytest.raises(PackageError, match=f"at most {versions.MAX_FILES}"):
        store.install(crowded)
    assert time.process_time() - started < 0.5


def test_an_entry_packed_by_an_unusual_method_or_twice_is_refused(store: ModelStore, package: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("model.toml", contents(package)["model.toml"])
    with pytest.raises(PackageError, match="another method"):
        store.install(stream.getvalue())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("model.toml", b"")
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("model.toml", b"")
    with pytest.raises(PackageError, match="twice"):
        store.install(stream.getvalue())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "lung_ultrasound"', 'name = "../../etc"', "name must be"),
        ('name = "lung_ultrasound"', "name = 7", "name must be"),
        ('version = "1.0.1"', 'version = "../1"', "version must be"),
        ('version = "1.0.1"', 'version = ".incoming"', "version must be"),
        ('version = "1.0.1"', "version = 1.0", "version must be"),
        ('domain = "pathology"', "", "names no domain"),
        ("format = 1", "format = ", "no valid TOML"),
    ],
)
def test_a_manifest_that_does_not_say_what_it_is_is_refused(
    store: ModelStore, package: Path, old: str, new: str, said: str
) -> None:
    manifest = package / "model.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    with pytest.raises(PackageError, match=said):
        store.install(pack(package))


def test_a_manifest_too_deep_or_too_long_to_read_is_refused(store: ModelStore) -> None:
    with pytest.raises(PackageError, match="no valid TOML"):
        store.install(zipped({"model.toml": b"a = " + b"[" * 100_000}))
    with pytest.raises(PackageError, match="larger than"):
        store.install(zipped({"model.toml": b"#" * (versions.MAX_MANIFEST_BYTES + 1)}))
    with pytest.raises(PackageError, match=r"holds no model\.toml"):
        store.install(zipped({"readme.txt": b""}))


def test_a_cut_archive_is_refused_wherever_it_is_cut(store: ModelStore, package: Path) -> None:
    archive = pack(package)
    for length in (0, 1, 100, len(archive) // 2, len(archive) - 1):
        with pytest.raises(PackageError):
            store.install(archive[:length])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_damage_to_an_archive_is_refused_or_leaves_the_package_unharmed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = b"card"
    manifest = f'name = "m"\nversion = "1"\ndomain = "d"\n[files]\n"card.md" = "{hashlib.sha256(content).hexdigest()}"\n'
    archive = bytearray(zipped({"m/model.toml": manifest.encode(), "m/card.md": content}))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    root = tmp_path_factory.mktemp("damaged")
    store = ModelStore(root / "models")
    try:
        name, version = store.install(bytes(archive))
    except PackageError:
        assert files_below(root) == []
        return
    assert (store.folder(name, version) / "card.md").read_bytes() == content
    assert set(files_below(root)) == {f"models/m/1/m/{file}" for file in ("card.md", "model.toml")}


def test_what_a_killed_installation_left_half_written_goes_after_an_hour(
    store: ModelStore, package: Path, tmp_path: Path
) -> None:
    incoming = tmp_path / "models" / ".incoming"
    for name, age_s in (("old", versions.LEFTOVER_AGE_S + 60), ("new", 60.0)):
        (incoming / name / "lung_ultrasound").mkdir(parents=True)
        (incoming / name / "lung_ultrasound" / "model.toml").write_text("half")
        os.utime(incoming / name, (time.time() - age_s,) * 2)
    assert store.names() == []
    store.install(pack(package))
    assert [left.name for left in incoming.iterdir()] == ["new"]
    assert store.names() == ["lung_ultrasound"]


@pytest.mark.parametrize(("name", "version"), [("lung_ultrasound", "2"), ("..", "1"), ("lung_ultrasound", "../x"), ("", "")])
def test_a_version_that_is_not_installed_is_named(store: ModelStore, package: Path, name: str, version: str) -> None:
    store.install(pack(package))
    with pytest.raises(PackageError):
        store.folder(name, version)


def test_a_folder_that_is_no_package_is_not_packed(tmp_path: Path, package: Path) -> None:
    with pytest.raises(PackageError, match=r"holds no model\.toml"):
        pack(tmp_path)
    (package / ".DS_Store").write_bytes(b"x")
    assert read_identity(pack(package)).version == "1.0.1"
    (package / "more").mkdir()
    with pytest.raises(PackageError, match="holds the folder more"):
        pack(package)


def test_the_versions_that_came_with_the_program_are_known_without_loading_them(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.toml").write_text("no = ")
    assert shipped_versions([SHIPPED, tmp_path / "broken", tmp_path / "absent"]) == {"lung_ultrasound": SHIPPED_VERSION}


def test_no_array_library_is_loaded() -> None:
    code = "import sys, edge_runtime.versions; print([n for n in ('numpy', 'cv2', 'msgspec') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
