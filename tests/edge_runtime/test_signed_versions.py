"""A signature goes with its package through every installation, and a new one takes the place of the old."""

from pathlib import Path

import pytest

from edge_runtime.errors import PackageError
from edge_runtime.signatures import approval
from edge_runtime.signing.sign import sign
from edge_runtime.signing.signers import read_signers
from edge_runtime.signing.verifier import verify
from edge_runtime.versions import ModelStore, identity_in, pack
from tests.model_packages import LUNG, with_changed_byte
from tests.signing_keys import by_key, lung_copy, make_keys, signed_lung

NAME, VERSION = LUNG.name, identity_in(LUNG).version


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def strict(tmp_path: Path, keys: Path) -> ModelStore:
    """One that asks for a signature."""
    return ModelStore(tmp_path / "models", approve=approval([keys / "release.pub"]))


def test_a_signature_is_carried_byte_for_byte_to_any_number_of_machines(tmp_path: Path, keys: Path, store: ModelStore) -> None:
    package = signed_lung(tmp_path, by_key(keys, "release"))
    store.install(pack(package))
    other = ModelStore(tmp_path / "other")
    other.install(store.archive(NAME, VERSION))
    for installed in (store, other):
        folder = installed.folder(NAME, VERSION)
        assert (folder / "model.sig").read_bytes() == (package / "model.sig").read_bytes()
        assert verify(folder, read_signers([keys / "release.pub"]))


def test_a_new_signature_of_the_same_package_takes_the_place_of_the_old_one(
    tmp_path: Path, keys: Path, store: ModelStore
) -> None:
    package = lung_copy(tmp_path)
    unsigned = pack(package)
    store.install(unsigned)
    for name in ("release", "other"):
        sign(package, by_key(keys, name))
        assert store.install(pack(package)) == (NAME, VERSION)
        assert verify(store.folder(NAME, VERSION), read_signers([keys / f"{name}.pub"]))
    store.install(unsigned)
    assert verify(store.folder(NAME, VERSION), read_signers([keys / "other.pub"])), "it isn't taken away"
    assert list((tmp_path / "models" / ".incoming").iterdir()) == []


def test_other_content_is_refused_whether_it_is_signed_or_not(tmp_path: Path, keys: Path, store: ModelStore) -> None:
    store.install(pack(signed_lung(tmp_path, by_key(keys, "release"))))
    other = lung_copy(tmp_path / "other")
    manifest = other / "model.toml"
    manifest.write_text(manifest.read_text() + "\n")
    sign(other, by_key(keys, "release"))
    with pytest.raises(PackageError, match="is installed already, with other content"):
        store.install(pack(other))
    assert verify(store.folder(NAME, VERSION), read_signers([keys / "release.pub"]))


def test_where_signatures_are_asked_for_nothing_else_is_installed(tmp_path: Path, keys: Path, strict: ModelStore) -> None:
    package = lung_copy(tmp_path)
    with pytest.raises(PackageError, match=r"model package lung_ultrasound: it is not signed"):
        strict.install(pack(package))
    sign(package, by_key(keys, "other"))
    with pytest.raises(PackageError, match=r"lung_ultrasound: it is signed by another key"):
        strict.install(pack(package))
    assert strict.versions(NAME) == []
    assert not [path for path in (tmp_path / "models").rglob("*") if path.is_file()]
    sign(package, by_key(keys, "release"))
    assert strict.install(pack(package)) == (NAME, VERSION)
    sign(package, by_key(keys, "other"))
    with pytest.raises(PackageError, match="another key"):
        strict.install(pack(package))
    assert verify(strict.folder(NAME, VERSION), read_signers([keys / "release.pub"])), "the good signature stays"


def test_a_changed_file_is_told_before_the_signature_is_looked_at(tmp_path: Path, keys: Path, strict: ModelStore) -> None:
    package = with_changed_byte(signed_lung(tmp_path, by_key(keys, "release")))
    with pytest.raises(PackageError, match=r"int8\.tflite was changed \(SHA-256"):
        strict.install(pack(package))


def test_a_signers_file_that_is_gone_refuses_every_installation(tmp_path: Path, keys: Path) -> None:
    gone = tmp_path / "gone.pub"
    gone.write_bytes((keys / "release.pub").read_bytes())
    strict = ModelStore(tmp_path / "models", approve=approval([gone]))
    gone.unlink()
    with pytest.raises(PackageError, match=r"lung_ultrasound: its signature can't be checked: .*gone\.pub can't be read"):
        strict.install(pack(signed_lung(tmp_path, by_key(keys, "release"))))
