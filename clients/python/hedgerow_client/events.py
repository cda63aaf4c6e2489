"""What a stream tells, as immutable objects. `raw` is the event as a document, without pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hedgerow_client.pictures import FrameAnswer
from hedgerow_client.results import Analysis, Document, Provenance
from hedgerow_client.verdicts import RunningVerdict

LINK_DOWN = "link_down"


@dataclass(frozen=True, slots=True)
class Started:
    """The stream is open, or was taken up again (`resumed`). `next_frame`, `next_offset`: what the gateway wants next.
    `lost_events`: how many events were missed for good. `token` takes the stream up: keep it secret.
    """

    next_frame: int
    next_offset: int
    resume_within_s: float
    resumed: bool = False
    lost_events: int = 0
    token: str = field(repr=False, default="")
    raw: Document = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrameResult:
    """One frame's answer. `unusable`: why it doesn't count towards the verdict, empty where it does. `age_ms`: from the
    frame's last byte at the gateway to the answer. `pictures`: PNG by name, where they were asked for.
    """

    number: int
    time_s: float
    result: FrameAnswer
    unusable: str
    age_ms: float
    provenance: Provenance
    pictures: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    raw: Document = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Frames `first` to `last`, `count` of them, that are not analysed. `reason`: `superseded`, `not_sampled`,
    `not_answered`, or, said by this client, `link_down`: newer ones came before they could be sent, or they got lost on the way.
    """

    first: int
    last: int
    count: int
    reason: str
    raw: Document = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict as it is now."""

    verdict: RunningVerdict
    raw: Document = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flow:
    """A hint: `slower` where frames are dropped or wait."""

    advice: str
    answered_fps: float
    received_fps: float
    raw: Document = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Said by this client: the connection is lost, and it tries to take the stream up again. `Started` follows, or an error."""

    cause: str
    raw: Document = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event. `reason`: finished, idle, limit, abandoned, failed or stopping. `analysis`: the stored final verdict;
    None where no frame was analysed.
    """

    reason: str
    received: int
    analysed: int
    dropped: int
    analysis: Analysis | None = None
    raw: Document = field(repr=False, compare=False, default_factory=dict)


Event = Started | FrameResult | Dropped | Verdict | Flow | Interrupted | Ended
