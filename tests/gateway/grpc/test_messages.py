"""Messages say what the documents say, nothing left out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from domains import registry
from domains.sequences import Frame, Sequence
from edge_runtime.wire import ModelInfo
from gateway.grpc.events import event_to_proto
from gateway.grpc.messages import analysis_to_proto, model_to_proto, progress_to_proto
from gateway.grpc.results import result_to_proto, running_to_proto
from gateway.service.clips import Progress
from gateway.service.records import Analysis
from gateway.service.streams.events import Dropped, Ended, Flow, FrameResult, Numbered, Started, Verdict
from tests.gateway.grpc.scans import SCAN

PROVENANCE = {
    "model": {"name": "lung_ultrasound", "version": "1", "variant": "int8", "sha256": "ab"},
    "device": "cpu", "backend": "litert", "simulated": False, "node": "here", "tier": "edge", "tier_reason": "the only one",
    "attempts": 2, "software": "hedgerow", "devices": ["cpu on here", "tpu on here"],
    "timings_ms": {"queue": 1.0, "decode": 2.0, "preprocess": 3.0, "infer": 4.0, "postprocess": 5.0, "total": 15.0},
}
PLANTS = {
    "kind": "segmentation", "width": 96, "height": 64, "abstained": False, "abstention": None, "notices": [],
    "classes": [
        {"index": 0, "label": "soil", "area_px": 6044, "area_fraction": 0.98},
        {"index": 1, "label": "crop", "area_px": 0, "area_fraction": 0.0},
        {"index": 2, "label": "weed", "area_px": 100, "area_fraction": 0.02},
    ],
    "instances": [{
        "label": "weed", "score": 0.9, "box": {"x": 10, "y": 10, "width": 10, "height": 10},
        "centroid": {"x": 15.0, "y": 15.0}, "area_px": 100, "mask": {"size": [64, 96], "counts": "0"},
    }],
}
CLIP = Analysis(
    "id", "clinic", "pathology", datetime(2026, 1, 2, tzinfo=UTC), "request", "lung_ultrasound", "normal", abstained=False,
    parameters={"exam": "lung_ultrasound"},
    media={"format": "mp4", "width": 64, "height": 48, "frame": 0, "frame_count": 31, "size_bytes": 900, "sha256": "cd",
           "duration_s": 1.25, "frame_rate": 24.8, "codec": "h264"},
    result={}, provenance=PROVENANCE,
)


def sequence(domain: str, frames: int) -> Sequence:
    """A sequence that was given so many frames, every third of them too blurred to count."""
    opened = registry.open_sequence(domain, {"sharp_from": 0.2})
    result = SCAN if domain == "pathology" else PLANTS
    for number in range(1, frames + 1):
        opened.add(Frame(number, number / 25, result, {"sharpness": number % 3 / 2}))
    return opened


def as_document(message: Message) -> dict[str, Any]:
    """The message as JSON would show it, with the fields that have their default."""
    shown: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return shown


def told(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a message has of a document: `kind` is the field it stands in, and an abstention is there or isn't."""
    return {name: value for name, value in document.items() if name not in {"kind", "abstained"} and value is not None}


REFUSED = {"abstained": True, "abstention": {"code": "foreign", "reason": "This does not look like a breast ultrasound."}}


def test_a_foreign_picture_is_told_without_a_label() -> None:
    document = SCAN | REFUSED | {"label": "", "probability": 0.0, "probabilities": []}
    ((field, message),) = result_to_proto(document).items()
    assert (field, message.label, list(message.probabilities)) == ("classification", "", [])
    assert not message.HasField("prediction_set")
    assert (message.abstention.code, message.has_evidence) == ("foreign", False)


def test_a_clip_of_something_else_is_told_whole() -> None:
    opened = registry.open_sequence("pathology", {"world": "breast ultrasound"})
    for number in range(1, 5):
        opened.add(Frame(number, number / 25, SCAN | REFUSED | {"probabilities": []}, {}))
    document = opened.verdict().document
    ((_, message),) = result_to_proto(document).items()
    assert as_document(message) == told(document)
    assert as_document(running_to_proto(opened.running()).classification) == told(opened.running())
    assert message.abstention.reason == "Not a breast ultrasound: 4 of 4 frames do not look like one."


@pytest.mark.parametrize("frames", [1, 60])
@pytest.mark.parametrize("domain", ["pathology", "crop_weed"])
def test_a_clips_verdict_is_told_whole(domain: str, frames: int) -> None:
    document = sequence(domain, frames).verdict().document
    ((field, message),) = result_to_proto(document).items()
    assert field == document["kind"]
    assert as_document(message) == told(document)


@pytest.mark.parametrize("frames", [0, 1, 60])
@pytest.mark.parametrize("domain", ["pathology", "crop_weed"])
def test_a_running_verdict_is_told_whole(domain: str, frames: int) -> None:
    document = sequence(domain, frames).running()
    message = running_to_proto(document)
    field = message.WhichOneof("verdict")
    assert document["kind"] == f"running_{field}"
    assert as_document(getattr(message, field)) == told(document)


def test_a_clips_analysis_says_what_the_file_was_and_what_answered() -> None:
    verdict = sequence("pathology", 30).verdict().document
    message = analysis_to_proto(replace(CLIP, result=verdict))
    assert message.WhichOneof("result") == "clip_classification"
    media = as_document(message.media)
    assert media | {"size_bytes": int(media["size_bytes"])} == {**CLIP.media, "quality": {}}
    assert message.provenance.attempts == 2
    assert message.provenance.model.name == "lung_ultrasound"
    assert message.provenance.timings.total_ms == 15.0


def test_progress_has_no_verdict_before_the_first_frame() -> None:
    assert not progress_to_proto(Progress(0, 9)).HasField("verdict")
    running = sequence("pathology", 9).running()
    message = progress_to_proto(Progress(3, 9, running))
    assert (message.frames_done, message.frames_total) == (3, 9)
    assert json_format.MessageToDict(message.verdict) == running


def test_a_model_says_what_it_says_of_sequences() -> None:
    options = {"blurred_below": 0.2, "smoothing": {"half_life_s": 2.0}, "organs": ["lung"]}
    message = model_to_proto(ModelInfo("lung", "ready", metrics={"accuracy": 0.9}, sequence=options))
    assert json_format.MessageToDict(message.sequence) == options
    assert json_format.MessageToDict(message.metrics) == {"accuracy": 0.9}


def test_every_event_of_a_stream_is_told_whole() -> None:
    started = event_to_proto(Numbered(0, Started("secret", 4, 900, 60.0, resumed=True, lost_events=2)))
    assert as_document(started.started) == {
        "token": "secret", "next_frame": "4", "next_offset": "900", "resume_within_s": 60.0, "resumed": True, "lost_events": "2",
    }
    frame = event_to_proto(Numbered(7, FrameResult(3, 0.12, PLANTS, "blurred", 40.5, PROVENANCE, {"mask.png": b"png"})))
    assert (frame.event, frame.frame.number, frame.frame.time_s, frame.frame.age_ms) == (7, 3, 0.12, 40.5)
    assert frame.frame.unusable == "blurred"
    assert frame.frame.segmentation.instances[0].label == "weed"
    assert frame.frame.provenance.device == "cpu"
    assert frame.frame.pictures == {"mask.png": b"png"}
    dropped = event_to_proto(Numbered(8, Dropped(4, 9, 5, "superseded"))).dropped
    assert (dropped.first, dropped.last, dropped.count, dropped.reason) == (4, 9, 5, "superseded")
    flow = event_to_proto(Numbered(0, Flow("slower", 9.5, 30.0))).flow
    assert (flow.advice, flow.answered_fps, flow.received_fps) == ("slower", 9.5, 30.0)
    verdict = event_to_proto(Numbered(9, Verdict(sequence("crop_weed", 3).running()))).verdict
    assert verdict.WhichOneof("verdict") == "tracking"
    stored = replace(CLIP, result=sequence("pathology", 3).verdict().document)
    ended = event_to_proto(Numbered(10, Ended("finished", 9, 3, 6, stored))).ended
    assert (ended.reason, ended.received, ended.analysed, ended.dropped, ended.analysis.id) == ("finished", 9, 3, 6, "id")
    assert not event_to_proto(Numbered(10, Ended("idle", 0, 0, 0))).ended.HasField("analysis")
