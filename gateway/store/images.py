"""Pictures of analyses in a folder.

    ROOT/3f/0198c5f2-...-...3f/mask.png     sharded by the last two digits of the id: they are random, the first are time
    ROOT/.incoming/...                      what is being written or removed; nobody reads from here

A folder comes into its place, and leaves it, by one rename: a reader sees all pictures of an analysis or none, after a
loss of power too. Folders are open to their owner only (0700), and so are files (0600).
"""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from gateway.service.ports import ImageStore
from gateway.store.folders import make_private_folder, sync_folder
from gateway.store.uuid7 import check_id, is_id, lowest_id

LEFTOVER_AGE_S = 3600
"""What has lain in `.incoming` for longer belongs to no running process."""


class FolderImageStore(ImageStore):
    """Pictures in a folder of the local disk; safe for any number of threads and processes.

    Every method raises ValueError where the analysis id is no UUIDv7 or a picture's name is not lower-case letters,
    digits, `-` and `_` with at most one extension, and OSError where the disk fails.
    """

    def __init__(self, root: Path) -> None:
        """Makes the folder where it is missing."""
        self._root = root.absolute()
        self._incoming = self._root / ".incoming"
        make_private_folder(self._incoming)

    def put(self, analysis_id: str, images: Mapping[str, bytes]) -> None:
        """They survive a crash when it returns. Raises FileExistsError where the analysis has pictures already."""
        folder = self._folder(analysis_id)
        for name in images:
            _check_name(name)
        if not images:
            return
        draft = self._new_draft()
        try:
            for name, content in images.items():
                _write(draft / name, content)
            sync_folder(draft)
            make_private_folder(folder.parent)
            _move_into_place(draft, folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(folder.parent)

    def get(self, analysis_id: str, name: str) -> bytes | None:
        """The picture's bytes, or None."""
        try:
            return (self._folder(analysis_id) / _check_name(name)).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, analysis_id: str) -> None:
        """They stay removed after a crash when it returns."""
        folder = self._folder(analysis_id)
        if self._remove(folder):
            sync_folder(folder.parent)

    def delete_older(self, before: datetime, *, limit: int) -> int:
        """Goes by the time in the analysis id. Also clears away what killed processes left half written."""
        self._clear_leftovers()
        count = 0
        for folder in self._folders_below(lowest_id(before)):
            if count >= limit:
                break
            count += self._remove(folder)
        return count

    def _folder(self, analysis_id: str) -> Path:
        return self._root / check_id(analysis_id)[-2:] / analysis_id

    def _new_draft(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._incoming))

    def _remove(self, folder: Path) -> bool:
        grave = self._new_draft()
        try:
            folder.rename(grave)
        except FileNotFoundError:
            return False
        finally:
            shutil.rmtree(grave, ignore_errors=True)
        return True

    def _folders_below(self, bound: str) -> Iterator[Path]:
        for shard in self._root.glob("[0-9a-f][0-9a-f]"):
            yield from (folder for folder in shard.iterdir() if folder.name < bound and is_id(folder.name))

    def _clear_leftovers(self) -> None:
        oldest = time.time() - LEFTOVER_AGE_S
        for leftover in self._incoming.iterdir():
            try:
                abandoned = leftover.stat().st_mtime < oldest
            except FileNotFoundError:
                continue
            if abandoned:
                shutil.rmtree(leftover, ignore_errors=True)


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}(\.[a-z0-9]{1,8})?")


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("a picture's name must be lower-case letters, digits, - and _, with at most one extension")
    return name


def _write(path: Path, content: bytes) -> None:
    path.touch(0o600, exist_ok=False)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _move_into_place(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise FileExistsError("the analysis has pictures already") from error
        raise
