import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamCodec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_CODEC_UNSPECIFIED: _ClassVar[StreamCodec]
    STREAM_CODEC_PICTURES: _ClassVar[StreamCodec]
    STREAM_CODEC_GREY8: _ClassVar[StreamCodec]
    STREAM_CODEC_H264: _ClassVar[StreamCodec]
    STREAM_CODEC_HEVC: _ClassVar[StreamCodec]
    STREAM_CODEC_MPEG2: _ClassVar[StreamCodec]
    STREAM_CODEC_MPEG_TS: _ClassVar[StreamCodec]
    STREAM_CODEC_MP4: _ClassVar[StreamCodec]

class StreamPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_POLICY_UNSPECIFIED: _ClassVar[StreamPolicy]
    STREAM_POLICY_LATEST: _ClassVar[StreamPolicy]
    STREAM_POLICY_ALL: _ClassVar[StreamPolicy]
    STREAM_POLICY_SAMPLE: _ClassVar[StreamPolicy]

class Artifact(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARTIFACT_UNSPECIFIED: _ClassVar[Artifact]
    ARTIFACT_OVERLAY: _ClassVar[Artifact]
    ARTIFACT_MASK: _ClassVar[Artifact]
    ARTIFACT_HEATMAP: _ClassVar[Artifact]
    ARTIFACT_KEY_FRAME: _ClassVar[Artifact]
STREAM_CODEC_UNSPECIFIED: StreamCodec
STREAM_CODEC_PICTURES: StreamCodec
STREAM_CODEC_GREY8: StreamCodec
STREAM_CODEC_H264: StreamCodec
STREAM_CODEC_HEVC: StreamCodec
STREAM_CODEC_MPEG2: StreamCodec
STREAM_CODEC_MPEG_TS: StreamCodec
STREAM_CODEC_MP4: StreamCodec
STREAM_POLICY_UNSPECIFIED: StreamPolicy
STREAM_POLICY_LATEST: StreamPolicy
STREAM_POLICY_ALL: StreamPolicy
STREAM_POLICY_SAMPLE: StreamPolicy
ARTIFACT_UNSPECIFIED: Artifact
ARTIFACT_OVERLAY: Artifact
ARTIFACT_MASK: Artifact
ARTIFACT_HEATMAP: Artifact
ARTIFACT_KEY_FRAME: Artifact

class AnalyzeRequest(_message.Message):
    __slots__ = ("domain", "content", "parameters", "request_id", "consents")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    domain: str
    content: bytes
    parameters: _struct_pb2.Struct
    request_id: str
    consents: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, domain: _Optional[str] = ..., content: _Optional[bytes] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ..., consents: _Optional[_Iterable[str]] = ...) -> None: ...

class AnalyzeResponse(_message.Message):
    __slots__ = ("analysis",)
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    analysis: Analysis
    def __init__(self, analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class AnalyzeUploadRequest(_message.Message):
    __slots__ = ("start", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: UploadStart
    chunk: bytes
    def __init__(self, start: _Optional[_Union[UploadStart, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class UploadStart(_message.Message):
    __slots__ = ("domain", "parameters", "size_bytes", "request_id", "consents")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    domain: str
    parameters: _struct_pb2.Struct
    size_bytes: int
    request_id: str
    consents: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, domain: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., size_bytes: _Optional[int] = ..., request_id: _Optional[str] = ..., consents: _Optional[_Iterable[str]] = ...) -> None: ...

class AnalyzeUploadResponse(_message.Message):
    __slots__ = ("analysis",)
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    analysis: Analysis
    def __init__(self, analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class AnalyzeWithProgressRequest(_message.Message):
    __slots__ = ("start", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: UploadStart
    chunk: bytes
    def __init__(self, start: _Optional[_Union[UploadStart, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class AnalyzeWithProgressResponse(_message.Message):
    __slots__ = ("progress", "analysis")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    analysis: Analysis
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("frames_done", "frames_total", "verdict")
    FRAMES_DONE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    frames_done: int
    frames_total: int
    verdict: _struct_pb2.Struct
    def __init__(self, frames_done: _Optional[int] = ..., frames_total: _Optional[int] = ..., verdict: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("start", "resume", "frame", "chunk", "end", "ack")
    START_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    start: StreamStart
    resume: StreamResume
    frame: StreamFrame
    chunk: StreamChunk
    end: StreamEnd
    ack: StreamAck
    def __init__(self, start: _Optional[_Union[StreamStart, _Mapping]] = ..., resume: _Optional[_Union[StreamResume, _Mapping]] = ..., frame: _Optional[_Union[StreamFrame, _Mapping]] = ..., chunk: _Optional[_Union[StreamChunk, _Mapping]] = ..., end: _Optional[_Union[StreamEnd, _Mapping]] = ..., ack: _Optional[_Union[StreamAck, _Mapping]] = ...) -> None: ...

class StreamStart(_message.Message):
    __slots__ = ("domain", "parameters", "codec", "policy", "sample_fps", "with_pictures")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FPS_FIELD_NUMBER: _ClassVar[int]
    WITH_PICTURES_FIELD_NUMBER: _ClassVar[int]
    domain: str
    parameters: _struct_pb2.Struct
    codec: StreamCodec
    policy: StreamPolicy
    sample_fps: float
    with_pictures: bool
    def __init__(self, domain: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., codec: _Optional[_Union[StreamCodec, str]] = ..., policy: _Optional[_Union[StreamPolicy, str]] = ..., sample_fps: _Optional[float] = ..., with_pictures: _Optional[bool] = ...) -> None: ...

class StreamResume(_message.Message):
    __slots__ = ("token", "received_events")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    token: str
    received_events: int
    def __init__(self, token: _Optional[str] = ..., received_events: _Optional[int] = ...) -> None: ...

class StreamFrame(_message.Message):
    __slots__ = ("number", "time_s", "content", "width", "height")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_S_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    number: int
    time_s: float
    content: bytes
    width: int
    height: int
    def __init__(self, number: _Optional[int] = ..., time_s: _Optional[float] = ..., content: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class StreamChunk(_message.Message):
    __slots__ = ("offset", "content")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    offset: int
    content: bytes
    def __init__(self, offset: _Optional[int] = ..., content: _Optional[bytes] = ...) -> None: ...

class StreamEnd(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamAck(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: int
    def __init__(self, event: _Optional[int] = ...) -> None: ...

class StreamResponse(_message.Message):
    __slots__ = ("event", "started", "frame", "dropped", "verdict", "flow", "ended")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    event: int
    started: StreamStarted
    frame: StreamFrameResult
    dropped: StreamDropped
    verdict: StreamVerdict
    flow: StreamFlow
    ended: StreamEnded
    def __init__(self, event: _Optional[int] = ..., started: _Optional[_Union[StreamStarted, _Mapping]] = ..., frame: _Optional[_Union[StreamFrameResult, _Mapping]] = ..., dropped: _Optional[_Union[StreamDropped, _Mapping]] = ..., verdict: _Optional[_Union[StreamVerdict, _Mapping]] = ..., flow: _Optional[_Union[StreamFlow, _Mapping]] = ..., ended: _Optional[_Union[StreamEnded, _Mapping]] = ...) -> None: ...

class StreamStarted(_message.Message):
    __slots__ = ("token", "next_frame", "next_offset", "resume_within_s", "resumed", "lost_events")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEXT_FRAME_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    RESUME_WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    LOST_EVENTS_FIELD_NUMBER: _ClassVar[int]
    token: str
    next_frame: int
    next_offset: int
    resume_within_s: float
    resumed: bool
    lost_events: int
    def __init__(self, token: _Optional[str] = ..., next_frame: _Optional[int] = ..., next_offset: _Optional[int] = ..., resume_within_s: _Optional[float] = ..., resumed: _Optional[bool] = ..., lost_events: _Optional[int] = ...) -> None: ...

class StreamFrameResult(_message.Message):
    __slots__ = ("number", "time_s", "classification", "segmentation", "unusable", "age_ms", "provenance", "pictures")
    class PicturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_S_FIELD_NUMBER: _ClassVar[int]
    CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    SEGMENTATION_FIELD_NUMBER: _ClassVar[int]
    UNUSABLE_FIELD_NUMBER: _ClassVar[int]
    AGE_MS_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    number: int
    time_s: float
    classification: Classification
    segmentation: Segmentation
    unusable: str
    age_ms: float
    provenance: Provenance
    pictures: _containers.ScalarMap[str, bytes]
    def __init__(self, number: _Optional[int] = ..., time_s: _Optional[float] = ..., classification: _Optional[_Union[Classification, _Mapping]] = ..., segmentation: _Optional[_Union[Segmentation, _Mapping]] = ..., unusable: _Optional[str] = ..., age_ms: _Optional[float] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., pictures: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class StreamDropped(_message.Message):
    __slots__ = ("first", "last", "count", "reason")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    count: int
    reason: str
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., count: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class StreamVerdict(_message.Message):
    __slots__ = ("classification", "tracking")
    CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    TRACKING_FIELD_NUMBER: _ClassVar[int]
    classification: RunningClassification
    tracking: RunningTracking
    def __init__(self, classification: _Optional[_Union[RunningClassification, _Mapping]] = ..., tracking: _Optional[_Union[RunningTracking, _Mapping]] = ...) -> None: ...

class StreamFlow(_message.Message):
    __slots__ = ("advice", "answered_fps", "received_fps")
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FPS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FPS_FIELD_NUMBER: _ClassVar[int]
    advice: str
    answered_fps: float
    received_fps: float
    def __init__(self, advice: _Optional[str] = ..., answered_fps: _Optional[float] = ..., received_fps: _Optional[float] = ...) -> None: ...

class StreamEnded(_message.Message):
    __slots__ = ("reason", "received", "analysed", "dropped", "analysis")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    ANALYSED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    received: int
    analysed: int
    dropped: int
    analysis: Analysis
    def __init__(self, reason: _Optional[str] = ..., received: _Optional[int] = ..., analysed: _Optional[int] = ..., dropped: _Optional[int] = ..., analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class RunningClassification(_message.Message):
    __slots__ = ("label", "probability", "interval", "probabilities", "usable_share", "frames", "abstention")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    USABLE_SHARE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    interval: ProbabilityInterval
    probabilities: _containers.RepeatedCompositeFieldContainer[LabelProbability]
    usable_share: float
    frames: FrameCounts
    abstention: Abstention
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ..., interval: _Optional[_Union[ProbabilityInterval, _Mapping]] = ..., probabilities: _Optional[_Iterable[_Union[LabelProbability, _Mapping]]] = ..., usable_share: _Optional[float] = ..., frames: _Optional[_Union[FrameCounts, _Mapping]] = ..., abstention: _Optional[_Union[Abstention, _Mapping]] = ...) -> None: ...

class RunningTracking(_message.Message):
    __slots__ = ("classes", "usable_share", "frames", "abstention")
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    USABLE_SHARE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_FIELD_NUMBER: _ClassVar[int]
    classes: _containers.RepeatedCompositeFieldContainer[TrackedClass]
    usable_share: float
    frames: FrameCounts
    abstention: Abstention
    def __init__(self, classes: _Optional[_Iterable[_Union[TrackedClass, _Mapping]]] = ..., usable_share: _Optional[float] = ..., frames: _Optional[_Union[FrameCounts, _Mapping]] = ..., abstention: _Optional[_Union[Abstention, _Mapping]] = ...) -> None: ...

class ProbabilityInterval(_message.Message):
    __slots__ = ("low", "high", "confidence")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    confidence: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ..., confidence: _Optional[float] = ...) -> None: ...

class FrameCounts(_message.Message):
    __slots__ = ("analysed", "usable", "usable_share", "unusable")
    class UnusableEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ANALYSED_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    USABLE_SHARE_FIELD_NUMBER: _ClassVar[int]
    UNUSABLE_FIELD_NUMBER: _ClassVar[int]
    analysed: int
    usable: int
    usable_share: float
    unusable: _containers.ScalarMap[str, int]
    def __init__(self, analysed: _Optional[int] = ..., usable: _Optional[int] = ..., usable_share: _Optional[float] = ..., unusable: _Optional[_Mapping[str, int]] = ...) -> None: ...

class KeyFrame(_message.Message):
    __slots__ = ("number", "time_s", "label", "probability")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_S_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    number: int
    time_s: float
    label: str
    probability: float
    def __init__(self, number: _Optional[int] = ..., time_s: _Optional[float] = ..., label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class ClipClassification(_message.Message):
    __slots__ = ("label", "probability", "interval", "probabilities", "abstention", "frames", "key_frames", "timeline", "aggregation", "notices")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    KEY_FRAMES_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    interval: ProbabilityInterval
    probabilities: _containers.RepeatedCompositeFieldContainer[LabelProbability]
    abstention: Abstention
    frames: FrameCounts
    key_frames: _containers.RepeatedCompositeFieldContainer[KeyFrame]
    timeline: _containers.RepeatedCompositeFieldContainer[TimelinePoint]
    aggregation: str
    notices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ..., interval: _Optional[_Union[ProbabilityInterval, _Mapping]] = ..., probabilities: _Optional[_Iterable[_Union[LabelProbability, _Mapping]]] = ..., abstention: _Optional[_Union[Abstention, _Mapping]] = ..., frames: _Optional[_Union[FrameCounts, _Mapping]] = ..., key_frames: _Optional[_Iterable[_Union[KeyFrame, _Mapping]]] = ..., timeline: _Optional[_Iterable[_Union[TimelinePoint, _Mapping]]] = ..., aggregation: _Optional[str] = ..., notices: _Optional[_Iterable[str]] = ...) -> None: ...

class TimelinePoint(_message.Message):
    __slots__ = ("time_s", "probability", "usable")
    TIME_S_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    time_s: float
    probability: float
    usable: bool
    def __init__(self, time_s: _Optional[float] = ..., probability: _Optional[float] = ..., usable: _Optional[bool] = ...) -> None: ...

class ClipTracking(_message.Message):
    __slots__ = ("classes", "tracks", "abstention", "frames", "key_frames", "notices")
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    KEY_FRAMES_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    classes: _containers.RepeatedCompositeFieldContainer[TrackedClass]
    tracks: _containers.RepeatedCompositeFieldContainer[ObjectTrack]
    abstention: Abstention
    frames: FrameCounts
    key_frames: _containers.RepeatedCompositeFieldContainer[KeyFrame]
    notices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, classes: _Optional[_Iterable[_Union[TrackedClass, _Mapping]]] = ..., tracks: _Optional[_Iterable[_Union[ObjectTrack, _Mapping]]] = ..., abstention: _Optional[_Union[Abstention, _Mapping]] = ..., frames: _Optional[_Union[FrameCounts, _Mapping]] = ..., key_frames: _Optional[_Iterable[_Union[KeyFrame, _Mapping]]] = ..., notices: _Optional[_Iterable[str]] = ...) -> None: ...

class TrackedClass(_message.Message):
    __slots__ = ("label", "count", "mean_area_fraction", "visible")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_AREA_FRACTION_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_FIELD_NUMBER: _ClassVar[int]
    label: str
    count: int
    mean_area_fraction: float
    visible: int
    def __init__(self, label: _Optional[str] = ..., count: _Optional[int] = ..., mean_area_fraction: _Optional[float] = ..., visible: _Optional[int] = ...) -> None: ...

class ObjectTrack(_message.Message):
    __slots__ = ("id", "label", "score", "first_frame", "last_frame", "seen", "centroid", "box")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    LAST_FRAME_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CENTROID_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    id: int
    label: str
    score: float
    first_frame: int
    last_frame: int
    seen: int
    centroid: Point
    box: Box
    def __init__(self, id: _Optional[int] = ..., label: _Optional[str] = ..., score: _Optional[float] = ..., first_frame: _Optional[int] = ..., last_frame: _Optional[int] = ..., seen: _Optional[int] = ..., centroid: _Optional[_Union[Point, _Mapping]] = ..., box: _Optional[_Union[Box, _Mapping]] = ...) -> None: ...

class GetAnalysisRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetAnalysisResponse(_message.Message):
    __slots__ = ("analysis",)
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    analysis: Analysis
    def __init__(self, analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class ListAnalysesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "domain", "model", "label", "abstained", "created_after", "created_before")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    domain: str
    model: str
    label: str
    abstained: bool
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., domain: _Optional[str] = ..., model: _Optional[str] = ..., label: _Optional[str] = ..., abstained: _Optional[bool] = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListAnalysesResponse(_message.Message):
    __slots__ = ("analyses", "next_page_token")
    ANALYSES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    analyses: _containers.RepeatedCompositeFieldContainer[Analysis]
    next_page_token: str
    def __init__(self, analyses: _Optional[_Iterable[_Union[Analysis, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteAnalysisRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteAnalysisResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetArtifactRequest(_message.Message):
    __slots__ = ("id", "artifact", "key_frame")
    ID_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    KEY_FRAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    artifact: Artifact
    key_frame: int
    def __init__(self, id: _Optional[str] = ..., artifact: _Optional[_Union[Artifact, str]] = ..., key_frame: _Optional[int] = ...) -> None: ...

class GetArtifactResponse(_message.Message):
    __slots__ = ("png",)
    PNG_FIELD_NUMBER: _ClassVar[int]
    png: bytes
    def __init__(self, png: _Optional[bytes] = ...) -> None: ...

class ListDomainsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDomainsResponse(_message.Message):
    __slots__ = ("domains",)
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    domains: _containers.RepeatedCompositeFieldContainer[Domain]
    def __init__(self, domains: _Optional[_Iterable[_Union[Domain, _Mapping]]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class Analysis(_message.Message):
    __slots__ = ("id", "domain", "created_at", "request_id", "parameters", "media", "classification", "segmentation", "clip_classification", "clip_tracking", "provenance")
    ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    SEGMENTATION_FIELD_NUMBER: _ClassVar[int]
    CLIP_CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    CLIP_TRACKING_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    domain: str
    created_at: _timestamp_pb2.Timestamp
    request_id: str
    parameters: _struct_pb2.Struct
    media: Media
    classification: Classification
    segmentation: Segmentation
    clip_classification: ClipClassification
    clip_tracking: ClipTracking
    provenance: Provenance
    def __init__(self, id: _Optional[str] = ..., domain: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., media: _Optional[_Union[Media, _Mapping]] = ..., classification: _Optional[_Union[Classification, _Mapping]] = ..., segmentation: _Optional[_Union[Segmentation, _Mapping]] = ..., clip_classification: _Optional[_Union[ClipClassification, _Mapping]] = ..., clip_tracking: _Optional[_Union[ClipTracking, _Mapping]] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ...) -> None: ...

class Media(_message.Message):
    __slots__ = ("format", "width", "height", "frame", "frame_count", "size_bytes", "sha256", "duration_s", "frame_rate", "codec", "quality")
    class QualityEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    format: str
    width: int
    height: int
    frame: int
    frame_count: int
    size_bytes: int
    sha256: str
    duration_s: float
    frame_rate: float
    codec: str
    quality: _containers.ScalarMap[str, float]
    def __init__(self, format: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., frame: _Optional[int] = ..., frame_count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., duration_s: _Optional[float] = ..., frame_rate: _Optional[float] = ..., codec: _Optional[str] = ..., quality: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Classification(_message.Message):
    __slots__ = ("label", "probability", "probabilities", "prediction_set", "abstention", "region", "has_evidence", "notices")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_SET_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    HAS_EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    probabilities: _containers.RepeatedCompositeFieldContainer[LabelProbability]
    prediction_set: PredictionSet
    abstention: Abstention
    region: Box
    has_evidence: bool
    notices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ..., probabilities: _Optional[_Iterable[_Union[LabelProbability, _Mapping]]] = ..., prediction_set: _Optional[_Union[PredictionSet, _Mapping]] = ..., abstention: _Optional[_Union[Abstention, _Mapping]] = ..., region: _Optional[_Union[Box, _Mapping]] = ..., has_evidence: _Optional[bool] = ..., notices: _Optional[_Iterable[str]] = ...) -> None: ...

class LabelProbability(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class PredictionSet(_message.Message):
    __slots__ = ("labels", "coverage")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    coverage: float
    def __init__(self, labels: _Optional[_Iterable[str]] = ..., coverage: _Optional[float] = ...) -> None: ...

class Abstention(_message.Message):
    __slots__ = ("code", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Segmentation(_message.Message):
    __slots__ = ("width", "height", "classes", "instances", "abstention", "notices")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    classes: _containers.RepeatedCompositeFieldContainer[ClassArea]
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    abstention: Abstention
    notices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., classes: _Optional[_Iterable[_Union[ClassArea, _Mapping]]] = ..., instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ..., abstention: _Optional[_Union[Abstention, _Mapping]] = ..., notices: _Optional[_Iterable[str]] = ...) -> None: ...

class ClassArea(_message.Message):
    __slots__ = ("index", "label", "area_px", "area_fraction")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AREA_PX_FIELD_NUMBER: _ClassVar[int]
    AREA_FRACTION_FIELD_NUMBER: _ClassVar[int]
    index: int
    label: str
    area_px: int
    area_fraction: float
    def __init__(self, index: _Optional[int] = ..., label: _Optional[str] = ..., area_px: _Optional[int] = ..., area_fraction: _Optional[float] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ("label", "score", "box", "centroid", "area_px", "mask_counts")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    CENTROID_FIELD_NUMBER: _ClassVar[int]
    AREA_PX_FIELD_NUMBER: _ClassVar[int]
    MASK_COUNTS_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    box: Box
    centroid: Point
    area_px: int
    mask_counts: str
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., centroid: _Optional[_Union[Point, _Mapping]] = ..., area_px: _Optional[int] = ..., mask_counts: _Optional[str] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    width: int
    height: int
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("model", "device", "backend", "node", "tier", "tier_reason", "attempts", "timings", "software", "simulated", "devices", "provisional", "second_opinion", "opinion_on")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    TIER_REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    PROVISIONAL_FIELD_NUMBER: _ClassVar[int]
    SECOND_OPINION_FIELD_NUMBER: _ClassVar[int]
    OPINION_ON_FIELD_NUMBER: _ClassVar[int]
    model: ModelIdentity
    device: str
    backend: str
    node: str
    tier: str
    tier_reason: str
    attempts: int
    timings: Timings
    software: str
    simulated: bool
    devices: _containers.RepeatedScalarFieldContainer[str]
    provisional: bool
    second_opinion: SecondOpinion
    opinion_on: str
    def __init__(self, model: _Optional[_Union[ModelIdentity, _Mapping]] = ..., device: _Optional[str] = ..., backend: _Optional[str] = ..., node: _Optional[str] = ..., tier: _Optional[str] = ..., tier_reason: _Optional[str] = ..., attempts: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., software: _Optional[str] = ..., simulated: _Optional[bool] = ..., devices: _Optional[_Iterable[str]] = ..., provisional: _Optional[bool] = ..., second_opinion: _Optional[_Union[SecondOpinion, _Mapping]] = ..., opinion_on: _Optional[str] = ...) -> None: ...

class SecondOpinion(_message.Message):
    __slots__ = ("job", "why", "note")
    JOB_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    job: str
    why: str
    note: str
    def __init__(self, job: _Optional[str] = ..., why: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class ModelIdentity(_message.Message):
    __slots__ = ("name", "version", "variant", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    variant: str
    sha256: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., variant: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue_ms", "decode_ms", "preprocess_ms", "infer_ms", "postprocess_ms", "total_ms")
    QUEUE_MS_FIELD_NUMBER: _ClassVar[int]
    DECODE_MS_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_MS_FIELD_NUMBER: _ClassVar[int]
    INFER_MS_FIELD_NUMBER: _ClassVar[int]
    POSTPROCESS_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    queue_ms: float
    decode_ms: float
    preprocess_ms: float
    infer_ms: float
    postprocess_ms: float
    total_ms: float
    def __init__(self, queue_ms: _Optional[float] = ..., decode_ms: _Optional[float] = ..., preprocess_ms: _Optional[float] = ..., infer_ms: _Optional[float] = ..., postprocess_ms: _Optional[float] = ..., total_ms: _Optional[float] = ...) -> None: ...

class Domain(_message.Message):
    __slots__ = ("name", "title", "parameters", "models")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., models: _Optional[_Iterable[str]] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "description", "choices")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    choices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., choices: _Optional[_Iterable[str]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "state", "reason", "version", "domain", "task", "title", "labels", "variant", "sha256", "size_bytes", "intended_use", "licence", "metrics", "selector", "sequence")
    class LicenceEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SelectorEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    INTENDED_USE_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    reason: str
    version: str
    domain: str
    task: str
    title: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    variant: str
    sha256: str
    size_bytes: int
    intended_use: str
    licence: _containers.ScalarMap[str, str]
    metrics: _struct_pb2.Struct
    selector: _containers.ScalarMap[str, str]
    sequence: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., version: _Optional[str] = ..., domain: _Optional[str] = ..., task: _Optional[str] = ..., title: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., variant: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., intended_use: _Optional[str] = ..., licence: _Optional[_Mapping[str, str]] = ..., metrics: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., selector: _Optional[_Mapping[str, str]] = ..., sequence: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("name", "address", "reachable", "ready", "cause", "waiting", "running", "expected_wait_s", "devices", "abandoned")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    ABANDONED_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    reachable: bool
    ready: bool
    cause: str
    waiting: int
    running: int
    expected_wait_s: float
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    abandoned: AbandonedWork
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., reachable: _Optional[bool] = ..., ready: _Optional[bool] = ..., cause: _Optional[str] = ..., waiting: _Optional[int] = ..., running: _Optional[int] = ..., expected_wait_s: _Optional[float] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., abandoned: _Optional[_Union[AbandonedWork, _Mapping]] = ...) -> None: ...

class AbandonedWork(_message.Message):
    __slots__ = ("waiting", "running", "device_s")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    DEVICE_S_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    running: int
    device_s: float
    def __init__(self, waiting: _Optional[int] = ..., running: _Optional[int] = ..., device_s: _Optional[float] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("name", "backend", "state", "description", "accelerator", "simulated", "slots", "running", "answers", "utilisation", "resident", "models", "temperature_c", "temperature", "restarts", "faults", "fault", "last_cause", "retry_in_s", "out_for_s")
    class FaultsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    UTILISATION_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_C_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    LAST_CAUSE_FIELD_NUMBER: _ClassVar[int]
    RETRY_IN_S_FIELD_NUMBER: _ClassVar[int]
    OUT_FOR_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    backend: str
    state: str
    description: str
    accelerator: bool
    simulated: bool
    slots: int
    running: int
    answers: int
    utilisation: float
    resident: str
    models: _containers.RepeatedScalarFieldContainer[str]
    temperature_c: float
    temperature: str
    restarts: int
    faults: _containers.ScalarMap[str, int]
    fault: str
    last_cause: str
    retry_in_s: float
    out_for_s: float
    def __init__(self, name: _Optional[str] = ..., backend: _Optional[str] = ..., state: _Optional[str] = ..., description: _Optional[str] = ..., accelerator: _Optional[bool] = ..., simulated: _Optional[bool] = ..., slots: _Optional[int] = ..., running: _Optional[int] = ..., answers: _Optional[int] = ..., utilisation: _Optional[float] = ..., resident: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., temperature_c: _Optional[float] = ..., temperature: _Optional[str] = ..., restarts: _Optional[int] = ..., faults: _Optional[_Mapping[str, int]] = ..., fault: _Optional[str] = ..., last_cause: _Optional[str] = ..., retry_in_s: _Optional[float] = ..., out_for_s: _Optional[float] = ...) -> None: ...
