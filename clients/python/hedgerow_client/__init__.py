"""Hedgerow from Python: pictures, clips and live streams to a gateway, over REST or gRPC.

`Client` blocks, `AsyncClient` doesn't; both have the same methods and give the same objects. Research use only: no answer is a
diagnosis.
"""

from hedgerow_client.client import AsyncClient
from hedgerow_client.errors import (
    AccessDenied,
    Busy,
    HedgerowError,
    InputRefused,
    NotFound,
    TimedOut,
    Unreachable,
)
from hedgerow_client.events import Dropped, Ended, Event, Flow, FrameResult, Interrupted, Started, Verdict
from hedgerow_client.outbox import Limits
from hedgerow_client.pictures import (
    Abstention,
    Box,
    ClassArea,
    Classification,
    Instance,
    LabelProbability,
    Point,
    PredictionSet,
    RunLengths,
    Segmentation,
)
from hedgerow_client.results import (
    Analysis,
    Domain,
    Media,
    Model,
    ModelIdentity,
    Parameter,
    Progress,
    Provenance,
    SecondOpinion,
    Timings,
)
from hedgerow_client.retries import Retries
from hedgerow_client.session import StreamOptions
from hedgerow_client.stream import AsyncStream
from hedgerow_client.sync import Client, Stream
from hedgerow_client.verdicts import (
    ClipClassification,
    ClipTracking,
    FrameCounts,
    KeyFrame,
    ObjectTrack,
    ProbabilityInterval,
    RunningClassification,
    RunningTracking,
    TimelinePoint,
    TrackedClass,
)

__all__ = [
    "Abstention",
    "AccessDenied",
    "Analysis",
    "AsyncClient",
    "AsyncStream",
    "Box",
    "Busy",
    "ClassArea",
    "Classification",
    "Client",
    "ClipClassification",
    "ClipTracking",
    "Domain",
    "Dropped",
    "Ended",
    "Event",
    "Flow",
    "FrameCounts",
    "FrameResult",
    "HedgerowError",
    "InputRefused",
    "Instance",
    "Interrupted",
    "KeyFrame",
    "LabelProbability",
    "Limits",
    "Media",
    "Model",
    "ModelIdentity",
    "NotFound",
    "ObjectTrack",
    "Parameter",
    "Point",
    "PredictionSet",
    "ProbabilityInterval",
    "Progress",
    "Provenance",
    "Retries",
    "RunLengths",
    "RunningClassification",
    "RunningTracking",
    "SecondOpinion",
    "Segmentation",
    "Started",
    "Stream",
    "StreamOptions",
    "TimedOut",
    "TimelinePoint",
    "Timings",
    "TrackedClass",
    "Unreachable",
    "Verdict",
]
