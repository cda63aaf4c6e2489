"""Model packages that were installed while the program ran: each version in a folder of its own, and never changed again.

    FOLDER/NAME/VERSION/NAME/model.toml, int8.tflite, ...       a package's folder bears its model's name

An archive is a stranger's until it was checked: no entry may lead out of its folder or be a link, what it unpacks to is
bounded, and every file must have the SHA-256 that the manifest says. Whether the model computes what it should is found
out where it runs. Nothing here loads an array library, so the gateway's own process may use it.
"""

import errno
import hashlib
import io
import os
import re
import shutil
import stat
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST, SIGNATURE, sync_folder

MAX_FILES = 64
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_MANIFEST_BYTES = 1024 * 1024
LEFTOVER_AGE_S = 3600.0

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_CHUNK_BYTES = 1024 * 1024
_ENTRY_MARK = b"PK\x01\x02"
"""Begins each file's header in the central directory (APPNOTE.TXT 4.3.12)."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP can hold: with it, the same files make the same archive."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a manifest says the package is."""

    name: str
    version: str
    domain: str


class ModelStore:
    """Installed packages below one folder. Methods block; any number of threads and processes may use the same folder."""

    def __init__(self, folder: Path, *, approve: Callable[[Path], object] | None = None) -> None:
        """`approve`: called with the folder of a package that is about to be installed; raises PackageError to refuse it."""
        self._folder = folder.absolute()
        self._approve = approve

    def install(self, archive: bytes) -> tuple[str, str]:
        """Keeps a package (a ZIP of its folder, or of the files in it); gives its name and version.

        Raises PackageError for an archive or a package that can't be trusted, and for other content under a version that
        is there already; then nothing is changed. The same content again is no error; a signature that comes with it takes
        the place of the one before.
        """
        with _opened(archive) as opened:
            entries = _entries(opened)
            manifest = _manifest(opened, entries)
            identity = _identity(manifest)
            incoming = self._incoming()
            draft = Path(tempfile.mkdtemp(dir=incoming))
            try:
                package = draft / identity.name
                package.mkdir(mode=0o700)
                _unpack(opened, entries, package, _digests(manifest))
                if self._approve is not None:
                    self._approve(package)
                self._move_into_place(draft, identity)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return identity.name, identity.version

    def folder(self, name: str, version: str) -> Path:
        """The package's folder. Raises PackageError where that version isn't installed."""
        if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
            raise PackageError("a model's name or version holds what none may hold")
        found = self._folder / name / version / name
        if not (found / MANIFEST).is_file():
            raise PackageError(f"model package {name}: version {version} is not installed")
        return found

    def names(self) -> Sequence[str]:
        """Models of which at least one version is installed."""
        packages = [path.parent for path in self._folder.glob(f"*/*/*/{MANIFEST}")]
        return sorted({package.name for package in packages if package.parents[1].name == package.name})

    def versions(self, name: str) -> Sequence[str]:
        """The installed versions of a model, lower numbers first."""
        if not _NAME.fullmatch(name):
            return []
        found = [path.parents[1].name for path in (self._folder / name).glob(f"*/{name}/{MANIFEST}")]
        return sorted(found, key=_numbers_first)

    def identity(self, name: str, version: str) -> Identity:
        """What the installed package says of itself. Raises PackageError."""
        return identity_in(self.folder(name, version))

    def archive(self, name: str, version: str) -> bytes:
        """The installed package as `install` takes it, for another machine. Raises PackageError."""
        return pack(self.folder(name, version))

    def _incoming(self) -> Path:
        """Where archives are unpacked; also cleared of what killed processes left half written."""
        incoming = self._folder / ".incoming"
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = time.time() - LEFTOVER_AGE_S
        for leftover in incoming.iterdir():
            try:
                abandoned = leftover.stat().st_mtime < oldest
            except FileNotFoundError:
                continue
            if abandoned:
                shutil.rmtree(leftover, ignore_errors=True)
        return incoming

    def _move_into_place(self, draft: Path, identity: Identity) -> None:
        place = self._folder / identity.name / identity.version
        place.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            draft.rename(place)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            package = draft / identity.name
            if _contents(place / identity.name) != _contents(package):
                raise PackageError(
                    f"model package {identity.name}: version {identity.version} is installed already, with other content; "
                    "give this one a version of its own"
                ) from error
            if (package / SIGNATURE).is_file():
                (package / SIGNATURE).replace(place / identity.name / SIGNATURE)
                sync_folder(place / identity.name)
        sync_folder(place.parent)


def read_identity(archive: bytes) -> Identity:
    """What the manifest in an archive says, its files not yet verified. Raises PackageError."""
    with _opened(archive) as opened:
        return _identity(_manifest(opened, _entries(opened)))


def identity_in(folder: Path) -> Identity:
    """What the manifest in a package's folder says, its files not yet verified. Raises PackageError."""
    try:
        return _identity(_parsed((folder / MANIFEST).read_bytes()))
    except OSError as error:
        raise PackageError(f"model package {folder.name}: {MANIFEST} can't be read ({error.strerror})") from error


def shipped_versions(folders: Iterable[Path]) -> Mapping[str, str]:
    """The version of each package in these folders by its model's name; those that can't be read are left out."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            identity = identity_in(folder)
        except PackageError:
            continue  # whoever loads it says what is wrong with it
        found.setdefault(identity.name, identity.version)
    return found


def pack(folder: Path) -> bytes:
    """A package's folder as a ZIP: the same files give the same bytes. Raises PackageError where it is no package."""
    if not (folder / MANIFEST).is_file():
        raise PackageError(f"{folder} is no model package: it holds no {MANIFEST}")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                raise PackageError(f"{folder} is no model package: it holds the folder {path.name}")
            made.writestr(zipfile.ZipInfo(f"{folder.resolve().name}/{path.name}", _EPOCH), path.read_bytes(),
                          zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _opened(archive: bytes) -> zipfile.ZipFile:
    if archive.count(_ENTRY_MARK) > 2 * MAX_FILES:  # counted first: reading a million entries takes seconds and much memory
        raise PackageError(f"the archive holds too many files; a package has at most {MAX_FILES}")
    try:
        return zipfile.ZipFile(io.BytesIO(archive))
    except Exception as error:  # IndexError, struct.error, ...: the library has no one error for damaged archives
        raise PackageError("the archive is no ZIP file, or is cut short") from error


def _entries(opened: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files by name, without the folder around them. Raises PackageError for what no package needs."""
    found: dict[str, zipfile.ZipInfo] = {}
    around = set()
    for entry in opened.infolist():
        *folders, name = entry.filename.split("/")
        is_folder = bool(folders) and not name
        if len(folders) > 1 or not all(map(_FILE.fullmatch, folders)) or not (is_folder or _FILE.fullmatch(name)):
            raise PackageError("the archive holds a path that is no plain file in one folder")
        around.add(tuple(folders))
        if is_folder:
            continue
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in {0, stat.S_IFREG}:
            raise PackageError(f"the archive holds a link or a device: {name}")
        if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
            raise PackageError(f"the archive holds {name} encrypted, or packed by another method than deflate")
        if name in found:
            raise PackageError(f"the archive holds {name} twice")
        found[name] = entry
    if len(around) > 1:
        raise PackageError("the archive holds more than one folder")
    if len(found) > MAX_FILES:
        raise PackageError(f"the archive holds {len(found)} files; a package has at most {MAX_FILES}")
    if sum(entry.file_size for entry in found.values()) > MAX_UNPACKED_BYTES:
        raise PackageError(f"the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes, which is the limit")
    return found


def _manifest(opened: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> dict[str, Any]:
    entry = entries.get(MANIFEST)
    if entry is None:
        raise PackageError(f"the archive is no model package: it holds no {MANIFEST}")
    if entry.file_size > MAX_MANIFEST_BYTES:
        raise PackageError(f"{MANIFEST} is larger than {MAX_MANIFEST_BYTES} bytes, which is the limit")
    return _parsed(b"".join(_chunks(opened, entry)))


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"{MANIFEST} is no valid TOML") from error


def _identity(manifest: Mapping[str, Any]) -> Identity:
    name, version, domain = (manifest.get(key) for key in ("name", "version", "domain"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PackageError(f"{MANIFEST}: name must be 1 to 64 of a-z, 0-9, '_' and '-'")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise PackageError(f"model package {name}: version must be 1 to 64 letters, digits, '.', '+', '_' and '-'")
    if not isinstance(domain, str):
        raise PackageError(f"model package {name}: {MANIFEST} names no domain")
    return Identity(name, version, domain)


def _digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 by file: those of `[files]`, and of every table that names a `file` and its `sha256`."""
    found: dict[str, str] = {}
    listed = manifest.get("files")
    if isinstance(listed, dict):
        found |= {name: str(digest) for name, digest in listed.items()}
    waiting: list[Any] = list(manifest.values())
    while waiting:
        table = waiting.pop()
        if not isinstance(table, dict):
            continue
        if isinstance(table.get("file"), str) and isinstance(table.get("sha256"), str):
            found[table["file"]] = table["sha256"]
        waiting += table.values()
    return found


def _unpack(
    opened: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], folder: Path, expected: Mapping[str, str]
) -> None:
    """Writes the files into `folder`, onto the disk. Raises PackageError where one isn't what the manifest says."""
    missing = sorted(set(expected) - set(entries))
    if missing:
        raise PackageError(f"model package {folder.name}: {missing[0]} is missing")
    for name, entry in entries.items():
        if name not in {MANIFEST, SIGNATURE} and name not in expected:
            raise PackageError(f"model package {folder.name}: {MANIFEST} gives no SHA-256 for {name}")
        digest = hashlib.sha256()
        with (folder / name).open("xb") as file:
            for chunk in _chunks(opened, entry):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if name not in {MANIFEST, SIGNATURE} and digest.hexdigest() != expected[name]:
            raise PackageError(
                f"model package {folder.name}: {name} was changed "
                f"(SHA-256 {digest.hexdigest()[:12]}..., manifest {expected[name][:12]}...)"
            )
    sync_folder(folder)


def _chunks(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterable[bytes]:
    """An entry's bytes, never more than it declares. Raises PackageError where the archive is broken."""
    left = entry.file_size
    try:
        with opened.open(entry) as stream:
            while chunk := stream.read(min(_CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise PackageError(f"the archive's {entry.filename} is longer than it says")
                yield chunk
    except PackageError:
        raise
    except Exception as error:
        raise PackageError(f"the archive is broken at {entry.filename}") from error


def _contents(folder: Path) -> dict[str, str]:
    """SHA-256 by file, without the signature: it says something about the others."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != SIGNATURE}


def _numbers_first(version: str) -> list[tuple[int, int, str]]:
    """So that 1.10.0 comes after 1.9.2."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"[.+_-]", version)]
