"""Rules, consents and answers of every kind, for property tests."""

from typing import Any

from hypothesis import strategies as st

from domains.errors import (
    CorruptMedia,
    EmptyMedia,
    InvalidParameter,
    MediaTooLarge,
    UnknownDomain,
    UnknownExam,
    UnsupportedMedia,
)
from edge_runtime.errors import (
    DeadlineExceeded,
    DecoderFailed,
    DeviceFault,
    FaultKind,
    InputBreaksWorker,
    ModelUnavailable,
    NodeLost,
    NodeRefused,
    NodeStopped,
    Overloaded,
    PackageError,
    TaskFailed,
)
from gateway.service.leaving.consent import Leave, Refusal
from gateway.service.routing.rules import Rule, Usage

TENANTS = ("vets", "robots")
DOMAINS = ("pathology", "crop_weed")
GIVEN, NOTHING_USED = Leave(None), Usage(0, 0)

budgets = st.none() | st.integers(0, 50)
rules = st.builds(
    Rule, tenant=st.sampled_from(("*", *TENANTS)), domain=st.sampled_from(("*", *DOMAINS)),
    mode=st.sampled_from(("edge_first", "always_edge", "always_cloud")), to_cloud=st.booleans(), unsure=st.booleans(),
    near_foreign=st.booleans(), audit_share=st.floats(0, 1), when_down=st.booleans(), when_busy=st.booleans(),
    when_missing=st.booleans(), daily_answers=budgets, daily_bytes=budgets,
)
leaves = st.sampled_from((GIVEN, *map(Leave, Refusal)))
usages = st.builds(Usage, st.integers(0, 60), st.integers(0, 60))
sizes = st.integers(1, 60)
draws = st.floats(0, 1, exclude_max=True)

BAD_INPUT = (
    CorruptMedia("cut short"), EmptyMedia("no bytes"), UnsupportedMedia("a PSD"), MediaTooLarge("too many pixels"),
    InvalidParameter("frame", parameter="frame"), UnknownExam("no such exam", parameter="exam"), UnknownDomain("no such domain"),
    InputBreaksWorker("it breaks the worker"), DecoderFailed("it breaks the decoder"),
)
DOWN = (NodeLost("barn is gone"), NodeRefused("barn wants a token"), DeviceFault("unplugged", kind=FaultKind.LOST))
BUSY = (Overloaded("full", retry_after_s=1.0), DeadlineExceeded("no answer within 1 s"))
MISSING = (ModelUnavailable("no device runs it"), PackageError("its hash is wrong"))
NEITHER = (NodeStopped("stopping"), TaskFailed("unforeseen"), RuntimeError("a bug"), OSError("disk full"))
errors = st.sampled_from((*BAD_INPUT, *DOWN, *BUSY, *MISSING, *NEITHER))


def scan(*probable: str, abstained: bool = False) -> dict[str, Any]:
    """A classification whose prediction set holds these labels."""
    return {
        "kind": "classification", "label": "normal", "abstained": abstained,
        "prediction_set": {"labels": list(probable), "coverage": 0.9},
    }


def clip(first: float, second: float, low: float) -> dict[str, Any]:
    """The verdict on a clip: both labels' probabilities, and the lower end of the first one's interval."""
    rows = [{"label": "normal", "probability": first}, {"label": "pneumonia", "probability": second}]
    return {
        "kind": "clip_classification", "abstained": False, "probabilities": rows,
        "interval": {"low": low, "high": 1.0, "confidence": 0.9},
    }


def field(*, abstained: bool) -> dict[str, Any]:
    """The map of a photo, or the count of a clip: neither has a prediction set."""
    return {"kind": "segmentation", "abstained": abstained, "classes": []}


def foreign() -> dict[str, Any]:
    """What is said of a picture that the model was not made for."""
    refused = {"code": "foreign", "reason": "This does not look like a breast ultrasound."}
    return {"kind": "classification", "label": "", "abstained": True, "abstention": refused, "prediction_set": None}


results = st.sampled_from((
    scan("normal"), scan("normal", "benign"), scan("normal", abstained=True), field(abstained=False), field(abstained=True),
    clip(0.9, 0.1, 0.8), clip(0.6, 0.4, 0.1),
))
