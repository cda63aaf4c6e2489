"""Messages of a stream and what the service knows of them: how it starts, and what it tells."""

import math
from typing import Any, assert_never

from google.protobuf import json_format

from gateway.grpc.messages import analysis_to_proto, provenance_to_proto
from gateway.grpc.results import result_to_proto, running_to_proto
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.parameters import from_struct
from gateway.service.streams.events import (
    Codec,
    Dropped,
    Ended,
    Event,
    Flow,
    FrameResult,
    Numbered,
    Policy,
    Started,
    StreamStart,
    Verdict,
)
from protos.hedgerow.v1 import analysis_pb2 as pb

CODECS: dict[int, Codec] = {
    pb.STREAM_CODEC_PICTURES: "pictures",
    pb.STREAM_CODEC_GREY8: "grey8",
    pb.STREAM_CODEC_H264: "h264",
    pb.STREAM_CODEC_HEVC: "hevc",
    pb.STREAM_CODEC_MPEG2: "mpeg2",
    pb.STREAM_CODEC_MPEG_TS: "mpegts",
    pb.STREAM_CODEC_MP4: "mp4",
}
POLICIES: dict[int, Policy] = {
    pb.STREAM_POLICY_UNSPECIFIED: "latest",
    pb.STREAM_POLICY_LATEST: "latest",
    pb.STREAM_POLICY_ALL: "all",
    pb.STREAM_POLICY_SAMPLE: "sample",
}


def start_from_proto(message: pb.StreamStart) -> StreamStart:
    """What the caller asks for. Raises INVALID_ARGUMENT for a codec or a policy that there isn't."""
    codec, policy = CODECS.get(message.codec), POLICIES.get(message.policy)
    if codec is None:
        raise invalid(f"name the codec: {', '.join(CODECS.values())}", "codec")
    if policy is None:
        raise invalid(f"there is no such policy; there are {', '.join(dict.fromkeys(POLICIES.values()))}", "policy")
    if not math.isfinite(message.sample_fps):
        raise invalid("the rate to sample at isn't a number", "sample_fps")
    parameters = from_struct(json_format.MessageToDict(message.parameters))
    return StreamStart(message.domain, parameters, codec, policy, message.sample_fps, message.with_pictures)


def event_to_proto(numbered: Numbered) -> pb.StreamResponse:
    """An event with its number."""
    return pb.StreamResponse(event=numbered.number, **_event(numbered.event))


def invalid(what: str, parameter: str) -> ServiceError:
    """An error that names what is wrong in a message."""
    return ServiceError(ErrorCode.INVALID_ARGUMENT, what, parameter=parameter)


def _event(event: Event) -> dict[str, Any]:
    """The one field of the response that the event belongs in."""
    match event:
        case Started():
            return {"started": pb.StreamStarted(**_fields(event))}
        case FrameResult():
            return {"frame": _frame(event)}
        case Dropped():
            return {"dropped": pb.StreamDropped(**_fields(event))}
        case Verdict():
            return {"verdict": running_to_proto(event.document)}
        case Flow():
            return {"flow": pb.StreamFlow(**_fields(event))}
        case Ended():
            analysis = analysis_to_proto(event.analysis) if event.analysis else None
            return {"ended": pb.StreamEnded(**_fields(event) | {"analysis": analysis})}
        case _:
            assert_never(event)


def _fields(event: Started | Dropped | Flow | Ended) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def _frame(event: FrameResult) -> pb.StreamFrameResult:
    return pb.StreamFrameResult(
        number=event.number,
        time_s=event.time_s,
        unusable=event.unusable,
        age_ms=event.age_ms,
        provenance=provenance_to_proto(event.provenance),
        pictures=event.pictures,
        **result_to_proto(event.result),
    )
