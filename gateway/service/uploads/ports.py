"""What uploads need from outside: a store, whose methods block and may be called from any thread and process; and somebody
who takes the finished file.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from gateway.service.jobs.records import Submission
from gateway.service.keys import Caller
from gateway.service.uploads.records import Upload


class UploadStore(ABC):
    """Uploads by tenant."""

    @abstractmethod
    def create(self, upload: Upload) -> None:
        """Stores a new one; when it returns it survives a crash."""

    @abstractmethod
    def get(self, tenant: str, upload_id: str) -> Upload | None:
        """The upload, or None where this tenant has none of that id (or it is no id at all)."""

    @abstractmethod
    def advance(self, tenant: str, upload_id: str, *, offset: int, to: int) -> bool:
        """Moves the offset from `offset` to `to`. False, and nothing moves, where it stands elsewhere (another request
        was quicker), `to` lies before it or behind the upload's end, or the upload isn't open.
        """

    @abstractmethod
    def complete(self, tenant: str, upload_id: str, job_id: str) -> bool:
        """It has all its bytes and became that job. False where bytes are missing or it isn't open."""

    @abstractmethod
    def abort(self, tenant: str, upload_id: str) -> bool:
        """Ends an open one. False where it isn't open."""

    @abstractmethod
    def expired(self, now: datetime, *, limit: int) -> Sequence[Upload]:
        """At most `limit` whose time is over, those over longest first. Open ones among them are aborted first, so that
        no byte comes after. Their rows stay until `remove`: what is on disk goes before.
        """

    @abstractmethod
    def remove(self, upload_ids: Sequence[str]) -> None:
        """Removes the rows; ids that are gone already do no harm."""


class FileTaker(Protocol):
    """The part of JobService that uploads need."""

    async def submit_file(
        self, caller: Caller, domain: str, path: Path, parameters: Mapping[str, Any], *, request_id: str, key: str = "",
        callback: Mapping[str, Any] | None = None, consents: tuple[str, ...] = (),
    ) -> Submission:
        """Takes the file over and gives the new job, or the one that holds the key already. Once it returns, the job and
        its bytes survive a crash.
        """
        ...
