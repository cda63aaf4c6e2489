"""The bytes that jobs were given, until they are answered."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import datetime
from pathlib import Path


class PayloadStore(ABC):
    """Bytes by job. Every method blocks, and may be called from any thread and process; OSError escapes."""

    @abstractmethod
    def put(self, job_id: str, payload: bytes) -> None:
        """When it returns they survive a crash."""

    @abstractmethod
    def take(self, job_id: str, file: Path) -> None:
        """The same with a file, which is then theirs."""

    @abstractmethod
    def get(self, job_id: str) -> bytes | None:
        """The bytes, or None."""

    @abstractmethod
    def delete(self, job_ids: Collection[str]) -> None:
        """Those that are gone already do no harm."""

    @abstractmethod
    def size_bytes(self) -> int:
        """What all of them take."""

    @abstractmethod
    def older(self, before: datetime, *, limit: int) -> list[str]:
        """At most `limit` ids of those that were made before that time."""
