"""Records as protobuf messages. Fields bear the names of the JSON documents in domains/core/documents.py."""

import math
from typing import Any

from google.protobuf import json_format

from edge_runtime.wire import DeviceState, DomainDescription, ModelInfo, NodeState
from gateway.service.records import Analysis
from protos.hedgerow.v1 import analysis_pb2 as pb


def analysis_to_proto(analysis: Analysis) -> pb.Analysis:
    """An analysis, whole."""
    message = pb.Analysis(
        id=analysis.id,
        domain=analysis.domain,
        request_id=analysis.request_id,
        media=pb.Media(**analysis.media),
        provenance=_provenance(dict(analysis.provenance)),
    )
    message.created_at.FromDatetime(analysis.created_at)
    message.parameters.update(analysis.parameters)
    result = dict(analysis.result)
    if result["kind"] == "classification":
        message.classification.CopyFrom(_classification(result))
    else:
        message.segmentation.CopyFrom(_segmentation(result))
    return message


def domain_to_proto(domain: DomainDescription) -> pb.Domain:
    """A domain."""
    parameters = [
        pb.Parameter(name=item.name, description=item.description, choices=item.choices) for item in domain.parameters
    ]
    return pb.Domain(name=domain.name, title=domain.title, parameters=parameters, models=domain.models)


def model_to_proto(model: ModelInfo) -> pb.Model:
    """A model package."""
    plain = {name: getattr(model, name) for name in model.__struct_fields__ if name != "metrics"}
    message = pb.Model(**plain)
    json_format.ParseDict(model.metrics, message.metrics)
    return message


def node_to_proto(node: NodeState) -> pb.Node:
    """A node with its devices. `expected_wait_s` is absent where no device serves."""
    plain = {name: getattr(node, name) for name in node.__struct_fields__ if name not in {"devices", "expected_wait_s"}}
    wait_s = node.expected_wait_s if node.ready and math.isfinite(node.expected_wait_s) else None
    return pb.Node(**plain, expected_wait_s=wait_s, devices=map(_device, node.devices))


def _device(device: DeviceState) -> pb.Device:
    return pb.Device(**{name: getattr(device, name) for name in device.__struct_fields__})


def _provenance(document: dict[str, Any]) -> pb.Provenance:
    timings = {f"{stage}_ms": value for stage, value in document.pop("timings_ms").items()}
    model = pb.ModelIdentity(**document.pop("model"))
    return pb.Provenance(model=model, timings=pb.Timings(**timings), **document)


def _classification(document: dict[str, Any]) -> pb.Classification:
    return pb.Classification(
        label=document["label"],
        probability=document["probability"],
        probabilities=[pb.LabelProbability(**row) for row in document["probabilities"]],
        prediction_set=document["prediction_set"] and pb.PredictionSet(**document["prediction_set"]),
        abstention=document["abstention"] and pb.Abstention(**document["abstention"]),
        region=pb.Box(**document["region"]),
        has_evidence=document["evidence"] is not None,
        notices=document["notices"],
    )


def _segmentation(document: dict[str, Any]) -> pb.Segmentation:
    return pb.Segmentation(
        width=document["width"],
        height=document["height"],
        classes=[pb.ClassArea(**row) for row in document["classes"]],
        instances=[_instance(row) for row in document["instances"]],
        abstention=document["abstention"] and pb.Abstention(**document["abstention"]),
        notices=document["notices"],
    )


def _instance(row: dict[str, Any]) -> pb.Instance:
    return pb.Instance(
        label=row["label"],
        score=row["score"],
        box=pb.Box(**row["box"]),
        centroid=pb.Point(**row["centroid"]),
        area_px=row["area_px"],
        mask_counts=row["mask"]["counts"],
    )
