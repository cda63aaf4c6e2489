"""Scenario of benchmarks/durability.py: the disk is full, and then there is room again."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.durability_books import Letter, in_database, over_rest
from benchmarks.durability_gateway import Bench, Gateway, SkippedError
from benchmarks.durability_kills import outcome_of
from benchmarks.durability_senders import ASYNC, PATH, Senders, photos, wait_until_done
from benchmarks.stream_runs import Outcome, Verdict

MIB = 1024 * 1024
PHOTO_BYTES, SMALL_PHOTO_BYTES = 100_000, 5_000
"""Where the large ones no longer fit, the small ones take what is left, until there is no room for a row either."""
ROOM_AGAIN = 4
"""How many times as large the disk is afterwards."""
FULL = ["STORAGE_FULL"]
LONGEST_FILLING_S = 240.0
AT_ONCE = 4


class SmallDisk:
    """A tmpfs of so many MiB."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def grow(self, mib: int) -> None:
        """Room is made while it is in use."""
        _run("mount", "-o", f"remount,size={mib}m", str(self.place))

    @property
    def free_bytes(self) -> int:
        """What is left."""
        return shutil.disk_usage(self.place).free


@contextmanager
def small_disk(place: Path, mib: int) -> Iterator[SmallDisk]:
    """Raises SkippedError where nothing can be mounted."""
    if os.geteuid() != 0:
        raise SkippedError("mounting a small disk needs root")
    place.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "hedgerow-durability", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        raise SkippedError(f"no small disk can be mounted here: {error}") from error
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def disk_full(bench: Bench) -> Outcome:
    """Photos come in until the disk is full and for some time longer; then it grows, and what was refused is sent again."""
    size_mib = bench.of(48, 24)
    letters = photos(size_mib * MIB // PHOTO_BYTES * 4, bench.chance, sizes_bytes=(PHOTO_BYTES, SMALL_PHOTO_BYTES))
    with TemporaryDirectory(dir=bench.folder) as folder, small_disk(Path(folder) / "disk", size_mib) as disk:
        with Gateway(Path(folder) / "gateway", data=disk.place / "data") as gateway, gateway.rest() as client:
            senders = Senders([gateway.url], gateway.key, bench.chance)
            sent = asyncio.run(_fill(senders, gateway.url, letters, full_for_s=bench.of(30, 8)))
            refused = [letter for letter in sent if letter.refusals]
            free_bytes, accepted_before = disk.free_bytes, sum(bool(letter.job_ids) for letter in sent)
            reads = client.get("/v1/analyses", params={"limit": 1}).status_code
            plain = _without_key(client, letters[-2].payload)
            disk.grow(size_mib * ROOM_AGAIN)
            grown_at = time.monotonic()
            asyncio.run(senders.send([letter for letter in sent if not letter.job_ids]))
            done_at = wait_until_done(client)
            rest = over_rest(client)
        errors = gateway.errors()
        kept = in_database(gateway.database_url)
        whole = _integrity(gateway.data / "hedgerow.db")
    recovery_s = None if done_at is None else done_at - grown_at
    recovered = "never" if recovery_s is None else f"{recovery_s:.1f} s"
    outcome = outcome_of(sent, rest, kept, recovery_s, {
        "disk_mib": size_mib, "free_bytes_when_full": free_bytes, "accepted_until_full": accepted_before,
        "refused_photos": len(refused), "reading_when_full": reads, "integrity_check": whole, "errors": errors,
    })
    codes = sorted({code for letter in sent for code in letter.refusals})
    outcome.verdicts += [
        Verdict("it fills up, and each refusal is 507 with a problem document", ", ".join(codes) or "none", codes == FULL),
        Verdict("a photo without a key is refused in the same way", plain, plain == f"507 {FULL[0]}"),
        Verdict("what is stored can be read meanwhile", f"{reads}", reads == 200),
        Verdict("it goes on without hands once there is room", recovered, recovery_s is not None),
        Verdict("PRAGMA integrity_check", whole, whole == "ok"),
    ]
    return outcome


async def _fill(senders: Senders, url: str, letters: list[Letter], *, full_for_s: float) -> list[Letter]:
    """Each photo once, until photos have been refused for so long; gives those that were sent."""
    began, full_at = time.monotonic(), float("inf")
    waiting, sent = letters[::-1], []
    async with httpx.AsyncClient(timeout=60) as client:
        async def work() -> None:
            nonlocal full_at
            while waiting and time.monotonic() < min(full_at + full_for_s, began + LONGEST_FILLING_S):
                letter = waiting.pop()
                sent.append(letter)
                if await senders.try_once(client, letter, url, ASYNC) is not None:
                    full_at = min(full_at, time.monotonic())
                    await asyncio.sleep(0.2)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return sent


def _without_key(client: httpx.Client, payload: bytes) -> str:
    """The status, and the code of the problem; an analysis that was made all the same is removed."""
    response = client.post(PATH, content=payload, headers={"Content-Type": "image/jpeg"})
    if response.status_code == 201:
        client.delete(f"/v1/analyses/{response.json()['id']}")
    return f"{response.status_code} {response.json().get('code', '')}"


def _integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "; ".join(str(row[0]) for row in connection.execute("PRAGMA integrity_check"))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
