"""Messages of hedgerow.v1 as the documents that REST sends, and requests as messages."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from hedgerow_client.transport import AnalysisFilter, Document, Part, StreamResume, StreamStart, Told
from protos.hedgerow.v1 import analysis_pb2 as pb

_CODECS = {
    "pictures": pb.STREAM_CODEC_PICTURES, "grey8": pb.STREAM_CODEC_GREY8, "h264": pb.STREAM_CODEC_H264,
    "hevc": pb.STREAM_CODEC_HEVC, "mpeg2": pb.STREAM_CODEC_MPEG2, "mpegts": pb.STREAM_CODEC_MPEG_TS,
    "mp4": pb.STREAM_CODEC_MP4,
}
_POLICIES = {
    "latest": pb.STREAM_POLICY_LATEST, "all": pb.STREAM_POLICY_ALL, "sample": pb.STREAM_POLICY_SAMPLE,
}
_KINDS = ("classification", "segmentation", "clip_classification", "clip_tracking")
_STAGES = ("queue", "decode", "preprocess", "infer", "postprocess", "total")


def struct_of(parameters: Mapping[str, Any]) -> Struct:
    """Parameters as a Struct."""
    return json_format.ParseDict(dict(parameters), Struct())


def analysis_from_proto(message: pb.Analysis) -> Document:
    """An analysis as a document."""
    found = from_proto(message)
    _as_rest_has_it(found["provenance"])
    return found | {"result": _chosen(found, _KINDS), "created_at": _iso(message.created_at)}


def told_from_proto(message: pb.StreamResponse) -> Told:
    """A stream's event."""
    name = message.WhichOneof("message") or ""
    if not name:
        return Told(message.event, "", {})
    body = getattr(message, name)
    found = from_proto(body)
    if name == "verdict":
        chosen = body.WhichOneof("verdict")
        found = {"document": _closed(found[chosen], f"running_{chosen}")} if chosen else {}
    elif name == "frame":
        pictures = found.pop("pictures")
        _as_rest_has_it(found["provenance"])
        return Told(message.event, name, found | {"result": _chosen(found, _KINDS[:2])}, pictures)
    elif name == "ended":
        found["analysis"] = analysis_from_proto(body.analysis) if body.HasField("analysis") else None
    return Told(message.event, name, found)


def progress_from_proto(message: pb.Progress) -> Document:
    """How far a clip is."""
    return from_proto(message)


def first_to_proto(first: StreamStart | StreamResume) -> pb.StreamRequest:
    """The first message of a connection."""
    if isinstance(first, StreamResume):
        return pb.StreamRequest(resume=pb.StreamResume(token=first.token, received_events=first.received_events))
    return pb.StreamRequest(start=pb.StreamStart(
        domain=first.domain, parameters=struct_of(first.parameters), codec=_CODECS[first.codec],
        policy=_POLICIES[first.policy], sample_fps=first.sample_fps, with_pictures=first.with_pictures,
    ))


def frame_to_proto(part: Part) -> pb.StreamRequest:
    """A frame."""
    return pb.StreamRequest(frame=pb.StreamFrame(
        number=part.place, time_s=part.time_s, content=part.content, width=part.width, height=part.height
    ))


def chunk_to_proto(part: Part) -> pb.StreamRequest:
    """Bytes of an encoded stream."""
    return pb.StreamRequest(chunk=pb.StreamChunk(offset=part.place, content=part.content))


def filter_to_proto(chosen: AnalysisFilter, cursor: str, limit: int) -> pb.ListAnalysesRequest:
    """A page that is asked for."""
    message = pb.ListAnalysesRequest(
        page_size=limit, page_token=cursor, domain=chosen.domain or "", model=chosen.model or "", label=chosen.label or ""
    )
    if chosen.abstained is not None:
        message.abstained = chosen.abstained
    if chosen.created_after is not None:
        message.created_after.FromDatetime(chosen.created_after)
    if chosen.created_before is not None:
        message.created_before.FromDatetime(chosen.created_before)
    return message


def from_proto(message: Message) -> Document:
    """Any message as a document under the names of its fields: absent messages are None, a Struct is its object, whole
    numbers in it are integers again.
    """
    if isinstance(message, Struct):
        whole: Document = _whole(json_format.MessageToDict(message))
        return whole
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def _value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [from_proto(one) for one in value] if kind is not None else list(value)
    if field.has_presence and not message.HasField(field.name):
        return None
    return from_proto(value) if kind is not None else value


def _chosen(found: Document, kinds: tuple[str, ...]) -> Document:
    """Takes the result out of the fields of which one is set."""
    given = {kind: found.pop(kind) for kind in kinds}
    result = next((_closed(result, kind) for kind, result in given.items() if result is not None), {})
    for row in result.get("instances", ()):
        row["mask"] = {"size": [result["height"], result["width"]], "counts": row.pop("mask_counts")}
    return result


def _closed(result: Document, kind: str) -> Document:
    return {"kind": kind, **result, "abstained": result["abstention"] is not None}


def _as_rest_has_it(provenance: Document | None) -> None:
    if provenance is None:
        return
    timings = provenance.pop("timings") or {}
    provenance["timings_ms"] = {stage: timings.get(f"{stage}_ms", 0.0) for stage in _STAGES}
    provenance["opinion_on"] = provenance["opinion_on"] or None
    opinion = provenance["second_opinion"]
    if opinion is not None:
        opinion["job"] = opinion["job"] or None


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _iso(stamp: Timestamp) -> str:
    return f"{stamp.ToDatetime().isoformat(timespec='milliseconds')}Z"
