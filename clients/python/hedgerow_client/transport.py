"""The two ways to a gateway behind one interface. Both give documents as REST sends them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Document = dict[str, Any]
OnDocument = Callable[[Document], None]
PICTURES = ("overlay", "mask", "heatmap", "key_frame")


@dataclass(frozen=True, slots=True)
class AnalyzeRequest:
    """A file to analyse. `idempotency_key` is the same on every repetition. `consents`: what may happen with the file beyond
    its answer.
    """

    domain: str
    content: bytes = field(repr=False)
    parameters: Mapping[str, Any]
    idempotency_key: str
    consents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnalysisFilter:
    """Which stored answers to list; None doesn't filter. Times are aware."""

    domain: str | None = None
    model: str | None = None
    label: str | None = None
    abstained: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def __post_init__(self) -> None:
        for time in (self.created_after, self.created_before):
            if time is not None and time.tzinfo is None:
                raise ValueError("a time to filter by needs its zone, such as datetime.UTC")


@dataclass(frozen=True, slots=True)
class StreamStart:
    """What a stream is opened with. docs/streams.md says what codecs and policies there are."""

    domain: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    codec: str = "pictures"
    policy: str = "latest"
    sample_fps: float = 0.0
    with_pictures: bool = False


@dataclass(frozen=True, slots=True)
class StreamResume:
    """Takes up a stream: its token, and the number of the last event that arrived."""

    domain: str
    token: str = field(repr=False)
    received_events: int


@dataclass(frozen=True, slots=True)
class Part:
    """A frame (`place` is its number) or a chunk (`place` is its offset in bytes)."""

    place: int
    content: bytes = field(repr=False)
    time_s: float = 0.0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it came: its number in the stream (0 for what is told once), its name and its document."""

    number: int
    name: str
    document: Document
    pictures: Mapping[str, bytes] = field(default_factory=dict)


class Link(ABC):
    """One connection of a stream, already opened. Every method raises HedgerowError; Unreachable where the connection is
    lost and the stream may be taken up again.
    """

    @abstractmethod
    async def send_frame(self, part: Part) -> None:
        """Returns when the connection took it: a full one holds the sender back."""

    @abstractmethod
    async def send_chunk(self, part: Part) -> None:
        """The same for bytes of an encoded stream."""

    @abstractmethod
    async def send_ack(self, event: int) -> None:
        """Says which events arrived."""

    @abstractmethod
    async def send_end(self) -> None:
        """Says that nothing more comes."""

    @abstractmethod
    async def receive(self) -> Told | None:
        """The next event; None where the gateway has closed the connection in order."""

    @abstractmethod
    async def close(self) -> None:
        """Cuts the connection. Idempotent."""


class LinkOpener(ABC):
    """What a stream needs of a transport. Every method raises HedgerowError; `timeout_s` is how long it may take."""

    address: str
    """Where it goes, without any secret."""

    @abstractmethod
    async def open_link(self, first: StreamStart | StreamResume, timeout_s: float) -> Link:
        """A new connection on which `first` was sent."""


class Transport(LinkOpener):
    """Requests to one gateway, and streams."""

    @abstractmethod
    async def analyze(self, request: AnalyzeRequest, timeout_s: float, on_progress: OnDocument | None) -> Document:
        """The stored answer; `on_progress` is called with the documents of what comes before."""

    @abstractmethod
    async def get(self, analysis_id: str, timeout_s: float) -> Document:
        """A stored answer."""

    @abstractmethod
    async def page(
        self, chosen: AnalysisFilter, cursor: str, limit: int, timeout_s: float
    ) -> tuple[Sequence[Document], str]:
        """A page of stored answers, newest first, and the cursor of the next one, empty on the last."""

    @abstractmethod
    async def delete(self, analysis_id: str, timeout_s: float) -> None:
        """Removes a stored answer."""

    @abstractmethod
    async def picture(self, analysis_id: str, name: str, key_frame: int, timeout_s: float) -> bytes:
        """One of PICTURES as PNG."""

    @abstractmethod
    async def domains(self, timeout_s: float) -> Sequence[Document]:
        """Every domain."""

    @abstractmethod
    async def models(self, timeout_s: float) -> Sequence[Document]:
        """Every model package."""

    @abstractmethod
    async def ready(self, timeout_s: float) -> bool:
        """Whether the gateway can answer now."""

    @abstractmethod
    async def close(self) -> None:
        """Ends every connection."""
