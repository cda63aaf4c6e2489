"""What a client process of benchmarks/streams.py is told to do, and what it writes down.

Times are seconds of the system's monotonic clock, which all processes of a machine share, also those in other network
namespaces: so the age of an answer needs no clock that is set.
"""

from typing import Literal

import msgspec

Role = Literal["steady", "slow_reader", "garbage"]
"""`steady`: sends frames at an even pace and reads what comes. `slow_reader`: sends as much, and reads one message in two
seconds. `garbage`: opens one broken stream a second.
"""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One client process: `streams` senders with `fps` frames a second each, from `begin_at` on.

    `frames_file`: msgpack, a list of JPEG files that are sent in turn. `most_in_flight`: no frame is sent while so many
    wait for their answer, a newer one takes its place at the sender; 0 is no limit. `silence_s`: a stream that heard
    nothing for so long is given up and resumed by its token; 0 never does that.
    """

    address: str
    key: str
    frames_file: str
    begin_at: float
    seconds: float
    fps: float = 30.0
    streams: int = 1
    role: Role = "steady"
    domain: str = "pathology"
    exam: str = "lung_ultrasound"
    with_pictures: bool = False
    most_in_flight: int = 0
    silence_s: float = 0.0
    samples_per_s: float = 50.0


class Answer(msgspec.Struct, array_like=True):
    """One frame's answer, and when it was here. `service_s`: decoding to post-processing, without waiting; `infer_s`: the
    model alone; `queue_s`: the wait for a device; `gateway_age_s`: the age as the gateway tells it.
    """

    number: int
    at: float
    service_s: float
    infer_s: float
    queue_s: float
    gateway_age_s: float


class Drop(msgspec.Struct, array_like=True):
    """A notice of dropped frames."""

    first: int
    last: int
    count: int
    at: float


class Connection(msgspec.Struct, array_like=True):
    """The gateway opened the stream (`resumed` False) or took it up again."""

    at: float
    resumed: bool
    next_frame: int
    lost_events: int


class Ended(msgspec.Struct, array_like=True):
    """The last event, as the gateway told it."""

    reason: str
    received: int
    analysed: int
    dropped: int


class Record(msgspec.Struct):
    """One stream as its sender saw it, from `begin_at` on.

    `sent`: frame number to the time at which the frame was there to be sent. `skipped`: frames that the sender itself left
    out, since the last one had not gone. `undelivered`: frames that were lost with a connection. `sent_again`: frames that
    were sent a second time after a resume. `shown`: at so many moments a second, how old the newest answered frame was.
    `outcomes`: how streams of garbage ended, to their count.
    """

    begin_at: float = 0.0
    sent: dict[int, float] = {}
    answers: list[Answer] = []
    drops: list[Drop] = []
    shown: list[tuple[float, float]] = []
    connections: list[Connection] = []
    undelivered: list[int] = []
    sent_again: list[int] = []
    skipped: int = 0
    events_twice: int = 0
    verdicts: int = 0
    ended: Ended | None = None
    error: str = ""
    devices: dict[str, int] = {}
    outcomes: dict[str, int] = {}
