"""Pictures of analyses in a folder: one file for those of a quarter of a second.

    ROOT/0198c5f/0198c5f2-3a.0     by the first digits of the id, which are time: a folder for 17 minutes, a file for 256 ms

A file is appended to by the process that made it and by nobody else; another one, or the same one later, makes the file of the next
number. So a picture costs a write and a sync, and neither a new file nor a new name, where many come in. What was appended, an entry, is

    MAGIC, the length of the index in 4 bytes, the index: {"id": ..., "pictures": {name: length}}, the pictures in that order

filled up to a multiple of BLOCK bytes. A removed entry has GONE in the place of MAGIC, and nothing in that of its pictures. What a
killed process left unfinished at the end of a file is no entry to any reader. Folders are open to their owner only (0700), and so are
files (0600).
"""

import ctypes
import errno
import fcntl
import itertools
import mmap
import os
import re
import shutil
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from edge_runtime.folders import make_private_folder, sync_folder
from gateway.service.ports import ImageStore
from gateway.store.uuid7 import check_id, is_id, lowest_id

MAGIC, GONE = b"HGP2", b"HGP0"
BLOCK = 4096
"""A multiple of what any disk wants where it is written past the page cache."""
_BUFFER_BYTES = 1024 * 1024
_LENGTH_BYTES = 4
_MAX_INDEX_BYTES = 1024 * 1024
_SHARD_DIGITS = 7
_MOMENT_DIGITS = 11
"""Of the id as text: ten digits and a hyphen."""
_FILE = re.compile(r"([0-9a-f]{8}-[0-9a-f]{2})\.([0-9]{1,6})")
_OLDER_SHARD = "[0-9a-f][0-9a-f]"
_DIRECT: int = getattr(os, "O_DIRECT", 0)
_PUNCH_HOLE, _KEEP_SIZE = 0x02, 0x01
"""Modes of fallocate(2)."""


class FolderImageStore(ImageStore):
    """Pictures in a folder of the local disk; safe for any number of threads and processes.

    Every method raises ValueError where the analysis id is no UUIDv7 or a picture's name is not lower-case letters,
    digits, `-` and `_` with at most one extension, and OSError where the disk fails.
    """

    def __init__(self, root: Path) -> None:
        """Makes the folder where it is missing, and puts the pictures of versions up to 0.5 into files of today's form."""
        self._root = root.absolute()
        self._turn = threading.Lock()
        self._buffer = mmap.mmap(-1, _BUFFER_BYTES)  # begins at a page, as writing past the page cache wants it
        self._open: _Appended | None = None
        make_private_folder(self._root)
        self._take_over_older()

    def put_all(self, many: Mapping[str, Mapping[str, bytes]]) -> None:
        """They survive a crash when it returns. Of an analysis that has pictures already, those stay."""
        wanted = {check_id(analysis_id): {_check_name(name): content for name, content in images.items()}
                  for analysis_id, images in many.items()}
        by_moment: dict[str, list[str]] = {}
        for analysis_id, images in wanted.items():
            if images:
                by_moment.setdefault(analysis_id[:_MOMENT_DIGITS], []).append(analysis_id)
        with self._turn:
            began: list[tuple[_Appended, int]] = []
            try:
                for moment, ids in by_moment.items():
                    file = self._file_for(moment)
                    began.append((file, file.size))
                    file.append(itertools.chain.from_iterable(_entry(one, wanted[one]) for one in ids), self._buffer)
                for file, _ in began:
                    file.sync()
            except BaseException:
                self._open = None  # what can't be taken back either is followed by nothing
                for file, size in began:
                    with suppress(OSError):
                        file.cut(size)
                raise

    def get(self, analysis_id: str, name: str) -> bytes | None:
        """The picture's bytes, or None."""
        check_id(analysis_id)
        _check_name(name)
        for descriptor, entries in self._found(analysis_id, os.O_RDONLY):
            for entry in entries:
                return entry.picture(descriptor, name)
        return None

    def delete(self, analysis_id: str) -> None:
        """They stay removed after a crash when it returns."""
        check_id(analysis_id)
        for descriptor, entries in self._found(analysis_id, os.O_RDWR):
            _erase(descriptor, list(entries))

    def delete_older(self, before: datetime, *, limit: int) -> int:
        """Goes by the time in the analysis id."""
        bound, count = lowest_id(before), 0
        for shard in sorted(self._root.glob("[0-9a-f]" * _SHARD_DIGITS)):
            if shard.name > bound[:_SHARD_DIGITS]:
                break
            for path in _oldest_first(shard):
                if path.name[:_MOMENT_DIGITS] > bound[:_MOMENT_DIGITS]:
                    break
                if count >= limit:
                    return count
                with suppress(FileNotFoundError):
                    count += _clear(path, bound, limit - count)
            if shard.name < bound[:_SHARD_DIGITS]:
                with suppress(OSError):  # somebody's else, or something was put into it meanwhile
                    shard.rmdir()
        return count

    def _file_for(self, moment: str) -> "_Appended":
        """The file that is being appended to, or a new one."""
        if self._open is None or self._open.moment != moment:
            self._open = _Appended(self._root / moment[:_SHARD_DIGITS], moment)
        return self._open

    def _found(self, analysis_id: str, flags: int) -> Iterator[tuple[int, Iterator["_Entry"]]]:
        """A descriptor of each file that it may be in, with its entries there."""
        for number in itertools.count():
            try:
                with _opened(_path(self._root / analysis_id[:_SHARD_DIGITS], analysis_id[:_MOMENT_DIGITS], number), flags) as descriptor:
                    yield descriptor, (entry for entry in _entries(descriptor) if entry.id == analysis_id and not entry.gone)
            except (FileNotFoundError, NotADirectoryError):
                return

    def _take_over_older(self) -> None:
        """Up to 0.5 an analysis was a folder, and shards had two digits. What a stop leaves half done is done again."""
        if not any(self._root.glob(_OLDER_SHARD)):
            return
        with _opened(self._root, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
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


class _Appended:
    """A new file, which this process appends to. For one thread at a time. Closed when nobody holds it any more."""

    def __init__(self, shard: Path, moment: str) -> None:
        self.moment = moment
        self.size = 0
        self._named = False
        self._shard = shard
        self._descriptor = _new_file(shard, moment)
        weakref.finalize(self, os.close, self._descriptor)

    def append(self, pieces: Iterable[bytes], buffer: mmap.mmap) -> None:
        """By way of the buffer, and past the page cache where the file system can: what is written isn't read soon, if ever, and
        pages for it cost more than the write. All pieces together are a multiple of BLOCK.
        """
        filled = 0
        with memoryview(buffer) as view:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    taken = rest[:len(view) - filled]
                    view[filled:filled + len(taken)] = taken
                    filled, rest = filled + len(taken), rest[len(taken):]
                    if filled == len(view):
                        self._write(view)
                        filled = 0
            self._write(view[:filled])

    def sync(self) -> None:
        """What was appended survives a crash when it returns, and the file's name does."""
        os.fdatasync(self._descriptor)
        if not self._named:
            sync_folder(self._shard)
            self._named = True

    def cut(self, size: int) -> None:
        """Takes back what was appended after that size."""
        os.ftruncate(self._descriptor, size)

    def _write(self, rest: memoryview) -> None:
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except OSError as error:
                flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
                if error.errno != errno.EINVAL or not flags & _DIRECT:
                    raise
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~_DIRECT)  # this file system has other wishes
                continue
            self.size += count
            rest = rest[count:]


class _Index(msgspec.Struct):
    """The head of an entry. `pictures`: how many bytes each has, in the order of the file."""

    id: str
    pictures: dict[str, Annotated[int, msgspec.Meta(ge=0)]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """The pictures of an analysis in a file. `start`, `pictures_at` and `end`, without what fills it up: offsets in bytes."""

    id: str
    gone: bool
    lengths: Mapping[str, int]
    start: int
    pictures_at: int

    @property
    def end(self) -> int:
        return self.pictures_at + sum(self.lengths.values())

    def picture(self, descriptor: int, name: str) -> bytes | None:
        """None where it has none of that name, or has gone."""
        offset = self.pictures_at
        for known, length in self.lengths.items():
            if known == name:
                content = _read(descriptor, length, offset)
                there = os.pread(descriptor, len(MAGIC), self.start) == MAGIC  # else it was removed meanwhile, and so was what was read
                return content if there else None
            offset += length
        return None


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}(\.[a-z0-9]{1,8})?")


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("a picture's name must be lower-case letters, digits, - and _, with at most one extension")
    return name


def _path(shard: Path, moment: str, number: int) -> Path:
    return shard / f"{moment}.{number}"


def _oldest_first(shard: Path) -> list[Path]:
    """Its files of pictures; of a moment's the highest number first, since readers look for them from the lowest on. Nothing where
    another process has removed the folder meanwhile.
    """
    try:
        found = [(match[1], -int(match[2]), path) for path in shard.iterdir() if (match := _FILE.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    return [path for _, _, path in sorted(found)]


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _new_file(shard: Path, moment: str) -> int:
    """A descriptor of the first file of that moment which isn't there yet."""
    make_private_folder(shard)
    for number in itertools.count():
        with suppress(FileExistsError):
            descriptor = os.open(_path(shard, moment, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with suppress(OSError):  # where it can't be written past the page cache
                fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | _DIRECT)
            return descriptor
    raise AssertionError("numbers have no end")


def _entry(analysis_id: str, images: Mapping[str, bytes]) -> Iterator[bytes]:
    index = msgspec.json.encode(_Index(analysis_id, {name: len(content) for name, content in images.items()}))
    head = MAGIC + len(index).to_bytes(_LENGTH_BYTES, "big") + index
    yield head
    yield from images.values()
    yield bytes(-(len(head) + sum(map(len, images.values()))) % BLOCK)


def _next_block(offset: int) -> int:
    """Where the first block begins that doesn't lie before it."""
    return offset + -offset % BLOCK


def _entries(descriptor: int) -> Iterator[_Entry]:
    """As far as they are whole."""
    at, size = 0, os.fstat(descriptor).st_size
    while at < size:
        entry = _entry_at(descriptor, at)
        if entry is None or entry.end > size:
            return
        yield entry
        at = _next_block(entry.end)


def _entry_at(descriptor: int, start: int) -> _Entry | None:
    """None where none was finished."""
    begin = len(MAGIC) + _LENGTH_BYTES
    head = os.pread(descriptor, BLOCK, start)
    if head[:len(MAGIC)] not in {MAGIC, GONE}:
        return None
    length = int.from_bytes(head[len(MAGIC):begin], "big")
    if length > _MAX_INDEX_BYTES:
        return None
    text = head[begin:begin + length] if begin + length <= len(head) else os.pread(descriptor, length, start + begin)
    try:
        index = msgspec.json.decode(text, type=_Index)
    except msgspec.DecodeError:
        return None
    return _Entry(index.id, head[:len(MAGIC)] == GONE, index.pictures, start, start + begin + length)


def _read(descriptor: int, length: int, offset: int) -> bytes:
    """Raises OSError where the file is shorter."""
    pieces: list[bytes] = []
    while length:
        piece = os.pread(descriptor, length, offset)
        if not piece:
            raise OSError(errno.EIO, "a file of pictures became shorter")
        pieces.append(piece)
        length, offset = length - len(piece), offset + len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _clear(path: Path, bound: str, most: int) -> int:
    """Removes at most so many entries below that id, and the file where all that it can ever have are. Gives how many."""
    with _opened(path, os.O_RDWR) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # who cleans up at the same time counts what is left
        if not os.fstat(descriptor).st_nlink:
            return 0
        old = [entry for entry in _entries(descriptor) if entry.id < bound and not entry.gone]
        if len(old) <= most and path.name[:_MOMENT_DIGITS] < bound[:_MOMENT_DIGITS]:
            path.unlink()
        else:
            _erase(descriptor, old[:most])
        return min(len(old), most)


def _erase(descriptor: int, entries: Sequence[_Entry]) -> None:
    """For good when it returns. Their file stays, since its process may be appending to it."""
    if not entries:
        return
    for entry in entries:
        os.pwrite(descriptor, GONE, entry.start)
    os.fdatasync(descriptor)  # first: an entry that is there has its pictures
    for entry in entries:
        whole, end = _next_block(entry.pictures_at), _next_block(entry.end)
        _fill(descriptor, entry.pictures_at, whole)
        if whole < end and not _punch(descriptor, whole, end):
            _fill(descriptor, whole, end)
    os.fdatasync(descriptor)


def _fill(descriptor: int, start: int, end: int) -> None:
    """With zeros."""
    while start < end:
        start += os.pwrite(descriptor, bytes(min(end - start, _BUFFER_BYTES)), start)


def _punch(descriptor: int, start: int, end: int) -> bool:
    """Gives the blocks back to the file system, which reads them as zeros. False where it can't."""
    fallocate = getattr(ctypes.CDLL(None), "fallocate64", None)
    if fallocate is None:
        return False
    return bool(fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_int64(start), ctypes.c_int64(end - start)) == 0)
