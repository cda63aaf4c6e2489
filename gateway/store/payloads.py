"""Jobs' bytes in a folder.

    ROOT/3f/0198c5f2-...-...3f     sharded by the last two digits of the job's id
    ROOT/.incoming/...             what is being written

A file comes into its place by one rename. Folders are open to their owner only (0700), and so are files (0600).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from edge_runtime.folders import make_private_folder, sync_folder
from gateway.service.jobs.payloads import PayloadStore
from gateway.store.uuid7 import check_id, is_id, lowest_id

LEFTOVER_AGE_S = 3600
"""What has lain in `.incoming` for longer belongs to no running process."""


class FolderPayloadStore(PayloadStore):
    """A folder of the local disk, or one that several gateways share; safe for any number of threads and processes.

    Every method raises ValueError for an id that is no UUIDv7.
    """

    def __init__(self, root: Path) -> None:
        """Makes the folder where it is missing."""
        self._root = root.absolute()
        self._incoming = self._root / ".incoming"
        make_private_folder(self._incoming)

    def put(self, job_id: str, payload: bytes) -> None:
        descriptor, draft = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            self._move(Path(draft), job_id)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def take(self, job_id: str, file: Path) -> None:
        with file.open("rb") as written:
            os.fsync(written.fileno())
        try:
            self._move(file, job_id)
        except OSError:
            if not file.exists():
                raise
            draft = self._incoming / f"{job_id}.taken"  # another file system
            shutil.copyfile(file, draft)
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            self._move(draft, job_id)
            file.unlink()

    def get(self, job_id: str) -> bytes | None:
        try:
            return self._path(job_id).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, job_ids: Collection[str]) -> None:
        for job_id in job_ids:
            self._path(job_id).unlink(missing_ok=True)

    def size_bytes(self) -> int:
        total = 0
        for path in self._files():
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total

    def older(self, before: datetime, *, limit: int) -> list[str]:
        """Goes by the time in the id. Also clears away what killed processes left half written."""
        self._clear_leftovers()
        bound = lowest_id(before)
        found: list[str] = []
        for path in self._files():
            if len(found) >= limit:
                break
            if path.name < bound:
                found.append(path.name)
        return found

    def _path(self, job_id: str) -> Path:
        return self._root / check_id(job_id)[-2:] / job_id

    def _move(self, draft: Path, job_id: str) -> None:
        place = self._path(job_id)
        make_private_folder(place.parent)
        draft.chmod(0o600)
        draft.rename(place)
        sync_folder(place.parent)

    def _files(self) -> Iterator[Path]:
        for shard in self._root.glob("[0-9a-f][0-9a-f]"):
            yield from (path for path in shard.iterdir() if is_id(path.name))

    def _clear_leftovers(self) -> None:
        oldest = time.time() - LEFTOVER_AGE_S
        for leftover in self._incoming.iterdir():
            try:
                if leftover.stat().st_mtime < oldest:
                    leftover.unlink()
            except FileNotFoundError:
                continue
