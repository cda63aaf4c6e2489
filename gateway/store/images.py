"""Pictures of analyses in a folder: a file for each analysis, with all of its pictures.

    ROOT/0198c5f/0198c5f2-...-...3f     by the first digits of the id, which are time: a folder for every 17 minutes

A file begins with MAGIC, the length of the index in 4 bytes, and the index, a JSON object of each picture's name and length; the
pictures follow in that order. One file is one thing to put on the disk, and what is written together lies in one folder. A file
that a killed process left unfinished is no picture to any reader. Folders are open to their owner only (0700), and so are files (0600).
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import IO

from gateway.service.ports import ImageStore
from gateway.store.folders import make_private_folder, sync_folder
from gateway.store.uuid7 import check_id, is_id, lowest_id

MAGIC = b"HGP1"
_LENGTH_BYTES = 4
_SHARD_DIGITS = 7
_OLDER_SHARD = "[0-9a-f][0-9a-f]"


class FolderImageStore(ImageStore):
    """Pictures in a folder of the local disk; safe for any number of threads and processes.

    Every method raises ValueError where the analysis id is no UUIDv7 or a picture's name is not lower-case letters,
    digits, `-` and `_` with at most one extension, and OSError where the disk fails.
    """

    def __init__(self, root: Path) -> None:
        """Makes the folder where it is missing, and puts the pictures of versions up to 0.5 into files of today's form."""
        self._root = root.absolute()
        self._folders = ThreadPoolExecutor(1, "folders")
        make_private_folder(self._root)
        self._take_over_older()

    def put_all(self, many: Mapping[str, Mapping[str, bytes]]) -> None:
        """They survive a crash when it returns. Raises FileExistsError where an analysis has pictures already."""
        wanted = {self._path(analysis_id): {_check_name(name): content for name, content in images.items()}
                  for analysis_id, images in many.items()}
        made: list[Path] = []
        try:
            with ExitStack() as open_files:
                files = []
                for path, images in wanted.items():
                    if images:
                        files.append(open_files.enter_context(_new_file(path)))
                        made.append(path)
                        _write(files[-1], images)
                # Names reach the disk while contents do: it is asked for both at once, and waited for once.
                named = [self._folders.submit(sync_folder, shard) for shard in {path.parent for path in made}]
                for file in files:
                    os.fsync(file.fileno())
                for shard in named:
                    shard.result()
        except BaseException:
            for path in made:
                path.unlink(missing_ok=True)
            raise

    def get(self, analysis_id: str, name: str) -> bytes | None:
        """The picture's bytes, or None."""
        path = self._path(analysis_id)
        _check_name(name)
        try:
            with path.open("rb") as file:
                offset, lengths = _index_of(file)
                for known, length in lengths.items():
                    if known == name:
                        file.seek(offset)
                        return file.read(length)
                    offset += length
        except FileNotFoundError:
            pass
        return None

    def delete(self, analysis_id: str) -> None:
        """They stay removed after a crash when it returns."""
        path = self._path(analysis_id)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)

    def delete_older(self, before: datetime, *, limit: int) -> int:
        """Goes by the time in the analysis id."""
        bound, count = lowest_id(before), 0
        for shard in self._shards(bound):
            for path in _names_in(shard):
                if count >= limit:
                    return count
                if path.name < bound and is_id(path.name):
                    with suppress(FileNotFoundError):
                        path.unlink()
                        count += 1
            if shard.name < bound[:_SHARD_DIGITS]:
                with suppress(OSError):  # somebody's else, or something was put into it meanwhile
                    shard.rmdir()
        return count

    def _path(self, analysis_id: str) -> Path:
        return self._root / check_id(analysis_id)[:_SHARD_DIGITS] / analysis_id

    def _shards(self, bound: str) -> Iterator[Path]:
        for shard in sorted(self._root.glob("[0-9a-f]" * _SHARD_DIGITS)):
            if shard.name <= bound[:_SHARD_DIGITS]:
                yield shard

    def _take_over_older(self) -> None:
        """Up to 0.5 an analysis was a folder, and shards had two digits. What a stop leaves half done is done again."""
        if not any(self._root.glob(_OLDER_SHARD)):
            return
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # of several gateways one does it
            done = self._root / ".incoming"
            done.mkdir(mode=0o700, exist_ok=True)
            for shard in self._root.glob(_OLDER_SHARD):
                for folder in shard.iterdir():
                    if is_id(folder.name):
                        self.replace(folder.name, {picture.name: picture.read_bytes() for picture in folder.iterdir()})
                        folder.rename(done / folder.name)  # whole, or not at all
                with suppress(OSError):  # something of others is in it
                    shard.rmdir()
            shutil.rmtree(done, ignore_errors=True)
        finally:
            os.close(descriptor)


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}(\.[a-z0-9]{1,8})?")


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("a picture's name must be lower-case letters, digits, - and _, with at most one extension")
    return name


def _names_in(shard: Path) -> list[Path]:
    """Nothing where another process has removed it meanwhile."""
    try:
        return list(shard.iterdir())
    except FileNotFoundError:
        return []


def _new_file(path: Path) -> FileIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return FileIO(os.open(path, flags, 0o600), "w")
    except FileNotFoundError:
        make_private_folder(path.parent)
        return FileIO(os.open(path, flags, 0o600), "w")


def _write(file: FileIO, images: Mapping[str, bytes]) -> None:
    index = json.dumps({name: len(content) for name, content in images.items()}).encode()
    for content in (MAGIC + len(index).to_bytes(_LENGTH_BYTES, "big") + index, *images.values()):
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest):]


def _index_of(file: IO[bytes]) -> tuple[int, Mapping[str, int]]:
    """Where the pictures begin, and how long each is; nothing where the file isn't whole."""
    if file.read(len(MAGIC)) != MAGIC:
        return 0, {}
    index = file.read(int.from_bytes(file.read(_LENGTH_BYTES), "big"))
    offset = file.tell()
    try:
        lengths: dict[str, int] = json.loads(index)
    except ValueError:
        return 0, {}
    whole = os.fstat(file.fileno()).st_size == offset + sum(lengths.values())
    return offset, lengths if whole else {}
