"""Records as protobuf messages."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from edge_runtime.wire import DeviceState, DomainDescription, ModelInfo, NodeState
from gateway.grpc.results import result_to_proto
from gateway.service.clips import Progress
from gateway.service.records import Analysis
from protos.hedgerow.v1 import analysis_pb2 as pb

_OTHERWISE = {"metrics", "sequence", "statistics", "inputs", "outputs"}
"""What of a model is put into its message in another way, or not at all."""


def analysis_to_proto(analysis: Analysis) -> pb.Analysis:
    """An analysis, whole."""
    message = pb.Analysis(
        id=analysis.id,
        domain=analysis.domain,
        request_id=analysis.request_id,
        media=pb.Media(**analysis.media),
        provenance=provenance_to_proto(analysis.provenance),
        **result_to_proto(analysis.result),
    )
    message.created_at.FromDatetime(analysis.created_at)
    message.parameters.update(analysis.parameters)
    return message


def provenance_to_proto(document: Mapping[str, Any]) -> pb.Provenance:
    """What made an answer."""
    plain = {name: value for name, value in document.items() if name not in {"model", "timings_ms", "second_opinion"}}
    timings = pb.Timings(**{f"{stage}_ms": value for stage, value in document["timings_ms"].items()})
    asked = document.get("second_opinion")
    opinion = None if asked is None else pb.SecondOpinion(job=asked["job"] or "", why=asked["why"], note=asked["note"])
    return pb.Provenance(model=pb.ModelIdentity(**document["model"]), timings=timings, second_opinion=opinion, **plain)


def progress_to_proto(progress: Progress) -> pb.Progress:
    """How far the analysis of a clip is."""
    message = pb.Progress(frames_done=progress.frames_done, frames_total=progress.frames_total)
    if progress.verdict:
        message.verdict.update(progress.verdict)
    return message


def domain_to_proto(domain: DomainDescription) -> pb.Domain:
    """A domain."""
    parameters = [
        pb.Parameter(name=item.name, description=item.description, choices=item.choices) for item in domain.parameters
    ]
    return pb.Domain(name=domain.name, title=domain.title, parameters=parameters, models=domain.models)


def model_to_proto(model: ModelInfo) -> pb.Model:
    """A model package. Of its network's tensors the Open Inference Protocol tells."""
    plain = {name: getattr(model, name) for name in model.__struct_fields__ if name not in _OTHERWISE}
    message = pb.Model(**plain)
    message.metrics.update(model.metrics)
    message.sequence.update(model.sequence)
    return message


def node_to_proto(node: NodeState) -> pb.Node:
    """A node with its devices. `expected_wait_s` is absent where no device serves."""
    own = {"devices", "expected_wait_s", "abandoned"}
    plain = {name: getattr(node, name) for name in node.__struct_fields__ if name not in own}
    wait_s = node.expected_wait_s if node.ready and math.isfinite(node.expected_wait_s) else None
    abandoned = pb.AbandonedWork(**msgspec.structs.asdict(node.abandoned))
    return pb.Node(**plain, expected_wait_s=wait_s, devices=map(_device, node.devices), abandoned=abandoned)


def _device(device: DeviceState) -> pb.Device:
    return pb.Device(**{name: getattr(device, name) for name in device.__struct_fields__})
