"""A million stored analyses, as copies of a real one, in a SQLite store that no gateway has open."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

SPREAD_S = 20 * 24 * 3600.0
"""The copies' times lie in so many seconds before now: within what is kept by default."""
LABELS = 50
"""Labels and requests among the copies, in turn."""


def fill(database: Path, count: int) -> None:
    """Adds `count` copies of the newest analysis, older than it and each other. Raises ValueError where there is none."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT * FROM analyses ORDER BY id DESC LIMIT 1")
        names = [column[0] for column in found.description]
        row = found.fetchone()
        if row is None:
            raise ValueError("there is no analysis to copy")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        slots = ", ".join("?" * len(names))
        with connection:
            connection.executemany(f"INSERT INTO analyses ({', '.join(names)}) VALUES ({slots})",
                                   _copies(dict(zip(names, row, strict=True)), count))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copies(row: dict[str, Any], count: int) -> Iterator[list[Any]]:
    now = time.time()
    for number in range(count):
        moment = now - SPREAD_S * (1 - number / count)
        label = f"class {number % LABELS}"
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))
        changed = {
            "id": f"{int(moment * 1000):012x}7{number % 4096:03x}8{number:015x}", "created_at": f"{stamp}.{number % 1_000_000:06}",
            "label": label, "abstained": number % 10 == 0,
        }
        yield list((row | changed).values())
