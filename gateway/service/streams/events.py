"""What a stream is opened with, and what it tells. Both transports convert these and nothing else."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.service.records import Analysis

Codec = Literal["pictures", "grey8", "h264", "hevc", "mpeg2", "mpegts", "mp4"]
"""How frames come: `pictures` (JPEG, PNG: one a frame), `grey8` (rows of bytes), or an encoded stream in chunks: Annex B
(`h264`, `hevc`), an MPEG-2 elementary stream (`mpeg2`), an MPEG transport stream, or fragmented MP4.
"""

FRAME_CODECS = ("pictures", "grey8")
"""Those in which the caller sends frames; in all others it sends chunks."""

Policy = Literal["latest", "all", "sample"]
"""`latest`: at most one frame waits, a newer one takes its place. `all`: none is dropped, the sender waits. `sample`: as
`latest`, over at most `sample_fps` frames a second of media time.
"""

DropReason = Literal["superseded", "not_sampled", "not_answered"]
"""`superseded`: a newer frame came before its turn. `not_sampled`: more frames came than were asked for. `not_answered`: no
device could answer it in time.
"""

EndReason = Literal["finished", "idle", "limit", "abandoned", "failed", "stopping"]
"""`finished`: the caller said so. `idle`: nothing came for too long. `limit`: the longest time for a stream was over.
`abandoned`: the connection was lost and nobody took the stream up again. `failed`: an input or a decoder ended it.
`stopping`: the gateway was shut down.
"""


class StreamStart(msgspec.Struct, frozen=True):
    """What a caller asks for. `with_pictures`: whether results bring their evidence map or mask as PNG."""

    domain: str
    parameters: Mapping[str, Any] = {}
    codec: Codec = "pictures"
    policy: Policy = "latest"
    sample_fps: float = 0.0
    with_pictures: bool = False


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The stream is open, or taken up again. `next_frame`, `next_offset`: what the gateway wants next; what came before it
    has. `lost_events`: how many events the caller missed for good.
    """

    token: str
    next_frame: int
    next_offset: int
    resume_within_s: float
    resumed: bool = False
    lost_events: int = 0


class FrameResult(msgspec.Struct, frozen=True, tag="frame"):
    """One frame's answer. `result`: a document as in an analysis. `unusable`: why it doesn't count towards the verdict,
    empty where it does. `age_ms`: from the frame's last byte at the gateway to this answer.
    """

    number: int
    time_s: float
    result: Mapping[str, Any]
    unusable: str
    age_ms: float
    provenance: Mapping[str, Any]
    pictures: Mapping[str, bytes] = {}


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """Frames `first` to `last` that are not analysed; `count` of them (a frame between them may have been)."""

    first: int
    last: int
    count: int
    reason: DropReason


class Verdict(msgspec.Struct, frozen=True, tag="verdict"):
    """The verdict as it is now: `document` as domains/sequences.py says."""

    document: Mapping[str, Any]


class Flow(msgspec.Struct, frozen=True, tag="flow"):
    """A hint to the sender: `slower` where frames are dropped or wait. `answered_fps`: what is answered now."""

    advice: Literal["ok", "slower"]
    answered_fps: float
    received_fps: float


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The last event. `analysis`: the stored final verdict; None where no frame was analysed."""

    reason: EndReason
    received: int
    analysed: int
    dropped: int
    analysis: Analysis | None = None


Event = Started | FrameResult | Dropped | Verdict | Flow | Ended


class Numbered(msgspec.Struct, frozen=True):
    """An event with its number in the stream, from 1. `Started` and `Flow` are told once and have the number 0."""

    number: int
    event: Event
