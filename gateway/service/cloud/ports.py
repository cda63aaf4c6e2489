"""What the cloud tier needs from outside: a way to the cloud, and a process that cleans pictures before they go there."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.service.records import JsonObject


class CloudUnreachable(Exception):
    """The object store or the broker can't be reached, or refuses; `str(error)` is a sentence without credentials."""


@dataclass(frozen=True, slots=True)
class CloudTask:
    """What the cloud is told of a job. No tenant, no file name and no request id is in it."""

    id: str
    """The job's, which is that of the analysis that it gives."""
    domain: str
    parameters: JsonObject
    sha256: str
    """Of the cleaned bytes, in hex."""
    size_bytes: int
    """Of the cleaned bytes."""
    timeout_s: float
    """For the answering itself, once a worker has begun."""


@dataclass(frozen=True, slots=True)
class CloudError:
    """Why the cloud has no result. `final`: another try would end in the same way."""

    code: str
    """An ErrorCode's value."""
    message: str
    parameter: str = ""
    """The parameter at fault, where one is."""
    final: bool = False


@dataclass(frozen=True, slots=True)
class CloudAnswer:
    """What the cloud made of a task: a result with its pictures, or an error."""

    id: str
    """The task's."""
    result: JsonObject = field(default_factory=dict)
    media: JsonObject = field(default_factory=dict)
    parameters: JsonObject = field(default_factory=dict)
    """With the defaults filled in."""
    provenance: JsonObject = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    """By their names, such as mask.png."""
    error: CloudError | None = None


class CloudLink(ABC):
    """The way to the cloud and back. Use from one event loop."""

    where: str
    """The object store's address without credentials, for the audit log."""

    @abstractmethod
    async def send(self, task: CloudTask, payload: bytes) -> None:
        """The object first, then the message. Raises CloudUnreachable."""

    @abstractmethod
    async def news(self, ids: Collection[str]) -> frozenset[str]:
        """Those that the result backend says are answered; empty where it knows nothing. Never raises."""

    @abstractmethod
    async def look(self, job_id: str) -> CloudAnswer | None:
        """The answer straight from the object store, or None where none is there. Raises CloudUnreachable."""

    @abstractmethod
    async def forget(self, job_id: str) -> None:
        """Removes the job's objects. Never raises: a leftover is swept by its age."""

    @abstractmethod
    async def close(self) -> None:
        """Gives up connections; nothing is used afterwards."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A picture that may leave."""

    payload: bytes
    format: str
    """Of `payload`, which needn't be that of the upload."""
    rules: tuple[str, ...]
    """What was done, in short names without spaces; docs/leaving.md says what each stands for."""
    parameters: JsonObject
    """The domain's, checked, with the defaults filled in."""


@dataclass(frozen=True, slots=True)
class Held:
    """A picture that must not leave. `reason` is a sentence that quotes nothing of the file."""

    reason: str


class Cleaner(ABC):
    """De-identifies pictures outside of the gateway's own process. Use from one event loop."""

    @abstractmethod
    async def clean(
        self, payload: bytes, domain: str, parameters: JsonObject, *, tenant: str, keep_gps: bool
    ) -> Cleaned | Held:
        """Anything unforeseen is Held. Raises DomainError for parameters that the domain doesn't know."""
