"""What is kept of an answer whose caller leaves at the last moment: all of it, or nothing."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.service.archive import Archive, Made
from gateway.service.records import AnalysisFilter
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.images import FolderImageStore

PROVENANCE: Mapping[str, Any] = {"model": {"name": "lung_ultrasound", "version": "1"}, "node": "n"}
MADE = Made({"kind": "classification", "label": "normal", "abstained": False}, {}, {}, PROVENANCE, {"evidence.png": b"png"})


class SlowDisk(FolderImageStore):
    """Stores pictures only when it is allowed to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.allowed = threading.Event(), threading.Event()

    def put_all(self, many: Mapping[str, Mapping[str, bytes]]) -> None:
        self.asked.set()
        assert self.allowed.wait(20)
        super().put_all(many)


@pytest.mark.parametrize("leaves", [True, False])
def test_a_caller_who_leaves_while_its_pictures_are_stored_leaves_none_behind(tmp_path: Path, leaves: bool) -> None:
    async def main() -> None:
        database, images = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}"), SlowDisk(tmp_path / "images")
        store = SqlAnalysisStore(database)
        archive = Archive(store, images, keep_images=True)
        analysis = MADE.record("clinic", "pathology", "r")
        keeping = asyncio.create_task(archive.keep(analysis, MADE.pictures, b"scan"))
        assert await asyncio.to_thread(images.asked.wait, 20)
        if leaves:
            keeping.cancel()
            await asyncio.sleep(0.05)
        images.allowed.set()
        await asyncio.gather(keeping, return_exceptions=True)
        assert keeping.cancelled() is leaves
        await archive.close()
        assert (images.get(analysis.id, "evidence.png") is None) is leaves
        assert len(store.page("clinic", AnalysisFilter(), before_id=None, limit=9)) == (not leaves)
        database.close()

    asyncio.run(main())
