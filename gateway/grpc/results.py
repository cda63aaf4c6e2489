"""Documents of results and verdicts as protobuf messages; fields bear the documents' names.

domains/core/documents.py gives the form of results, domains/sequences.py and the domains' `sequence.py` that of verdicts.
"""

from collections.abc import Callable, Mapping
from typing import Any

from protos.hedgerow.v1 import analysis_pb2 as pb

Document = Mapping[str, Any]


def result_to_proto(document: Document) -> dict[str, Any]:
    """A picture's, clip's or stream's result, as the one field of a message's `result` that it belongs in."""
    kind = document["kind"]
    return {kind: _RESULTS[kind](document)}


def running_to_proto(document: Document) -> pb.StreamVerdict:
    """The verdict on the last moments."""
    if document["kind"] == "running_classification":
        return pb.StreamVerdict(classification=_running_classification(document))
    return pb.StreamVerdict(tracking=_running_tracking(document))


def _classification(document: Document) -> pb.Classification:
    return pb.Classification(
        label=document["label"],
        probability=document["probability"],
        probabilities=_probabilities(document),
        prediction_set=document["prediction_set"] and pb.PredictionSet(**document["prediction_set"]),
        abstention=_abstention(document),
        region=pb.Box(**document["region"]),
        has_evidence=document["evidence"] is not None,
        notices=document["notices"],
    )


def _segmentation(document: Document) -> pb.Segmentation:
    return pb.Segmentation(
        width=document["width"],
        height=document["height"],
        classes=[pb.ClassArea(**row) for row in document["classes"]],
        instances=[_instance(row) for row in document["instances"]],
        abstention=_abstention(document),
        notices=document["notices"],
    )


def _clip_classification(document: Document) -> pb.ClipClassification:
    return pb.ClipClassification(
        label=document["label"],
        probability=document["probability"],
        interval=_interval(document),
        probabilities=_probabilities(document),
        abstention=_abstention(document),
        frames=pb.FrameCounts(**document["frames"]),
        key_frames=[pb.KeyFrame(**row) for row in document["key_frames"]],
        timeline=[pb.TimelinePoint(**row) for row in document["timeline"]],
        aggregation=document["aggregation"],
        notices=document["notices"],
    )


def _clip_tracking(document: Document) -> pb.ClipTracking:
    return pb.ClipTracking(
        classes=[pb.TrackedClass(**row) for row in document["classes"]],
        tracks=[_track(row) for row in document["tracks"]],
        abstention=_abstention(document),
        frames=pb.FrameCounts(**document["frames"]),
        key_frames=[pb.KeyFrame(**row) for row in document["key_frames"]],
        notices=document["notices"],
    )


def _running_classification(document: Document) -> pb.RunningClassification:
    return pb.RunningClassification(
        label=document["label"],
        probability=document["probability"],
        interval=_interval(document),
        probabilities=_probabilities(document),
        usable_share=document["usable_share"],
        frames=pb.FrameCounts(**document["frames"]),
        abstention=_abstention(document),
    )


def _running_tracking(document: Document) -> pb.RunningTracking:
    return pb.RunningTracking(
        classes=[pb.TrackedClass(**row) for row in document["classes"]],
        usable_share=document["usable_share"],
        frames=pb.FrameCounts(**document["frames"]),
        abstention=_abstention(document),
    )


_RESULTS: Mapping[str, Callable[[Document], Any]] = {
    "classification": _classification,
    "segmentation": _segmentation,
    "clip_classification": _clip_classification,
    "clip_tracking": _clip_tracking,
}


def _probabilities(document: Document) -> list[pb.LabelProbability]:
    return [pb.LabelProbability(**row) for row in document["probabilities"]]


def _interval(document: Document) -> pb.ProbabilityInterval | None:
    return pb.ProbabilityInterval(**document["interval"]) if document["interval"] else None


def _abstention(document: Document) -> pb.Abstention | None:
    return pb.Abstention(**document["abstention"]) if document["abstention"] else None


def _instance(row: Document) -> pb.Instance:
    return pb.Instance(
        label=row["label"],
        score=row["score"],
        box=pb.Box(**row["box"]),
        centroid=pb.Point(**row["centroid"]),
        area_px=row["area_px"],
        mask_counts=row["mask"]["counts"],
    )


def _track(row: Document) -> pb.ObjectTrack:
    return pb.ObjectTrack(**{**row, "centroid": pb.Point(**row["centroid"]), "box": pb.Box(**row["box"])})
