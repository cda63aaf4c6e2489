import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ActivationMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTIVATION_MODE_UNSPECIFIED: _ClassVar[ActivationMode]
    ACTIVATION_MODE_FULL: _ClassVar[ActivationMode]
    ACTIVATION_MODE_SHADOW: _ClassVar[ActivationMode]
    ACTIVATION_MODE_CANARY: _ClassVar[ActivationMode]
ACTIVATION_MODE_UNSPECIFIED: ActivationMode
ACTIVATION_MODE_FULL: ActivationMode
ACTIVATION_MODE_SHADOW: ActivationMode
ACTIVATION_MODE_CANARY: ActivationMode

class InstallModelRequest(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class InstallModelResponse(_message.Message):
    __slots__ = ("model", "version", "domain")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    domain: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., domain: _Optional[str] = ...) -> None: ...

class ActivateModelRequest(_message.Message):
    __slots__ = ("model", "version", "mode", "share", "allowed_disagreement")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_DISAGREEMENT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    mode: ActivationMode
    share: float
    allowed_disagreement: float
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., mode: _Optional[_Union[ActivationMode, str]] = ..., share: _Optional[float] = ..., allowed_disagreement: _Optional[float] = ...) -> None: ...

class ActivateModelResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: ModelStatus
    def __init__(self, status: _Optional[_Union[ModelStatus, _Mapping]] = ...) -> None: ...

class RollBackModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class RollBackModelResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: ModelStatus
    def __init__(self, status: _Optional[_Union[ModelStatus, _Mapping]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: ModelStatus
    def __init__(self, status: _Optional[_Union[ModelStatus, _Mapping]] = ...) -> None: ...

class ListDisagreementsRequest(_message.Message):
    __slots__ = ("model", "page_size", "page_token")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    model: str
    page_size: int
    page_token: str
    def __init__(self, model: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDisagreementsResponse(_message.Message):
    __slots__ = ("disagreements", "next_page_token")
    DISAGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    disagreements: _containers.RepeatedCompositeFieldContainer[Disagreement]
    next_page_token: str
    def __init__(self, disagreements: _Optional[_Iterable[_Union[Disagreement, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ModelStatus(_message.Message):
    __slots__ = ("model", "in_service", "rolls_back_to", "versions", "trial", "last_rollback", "fault")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IN_SERVICE_FIELD_NUMBER: _ClassVar[int]
    ROLLS_BACK_TO_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    LAST_ROLLBACK_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    model: str
    in_service: str
    rolls_back_to: str
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    trial: Trial
    last_rollback: Rollback
    fault: str
    def __init__(self, model: _Optional[str] = ..., in_service: _Optional[str] = ..., rolls_back_to: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., trial: _Optional[_Union[Trial, _Mapping]] = ..., last_rollback: _Optional[_Union[Rollback, _Mapping]] = ..., fault: _Optional[str] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("version", "origin", "state")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    version: str
    origin: str
    state: str
    def __init__(self, version: _Optional[str] = ..., origin: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("version", "mode", "share", "allowed_disagreement", "started_at", "runs", "failed", "compared", "disagreed", "skipped", "disagreement", "median_ms")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_DISAGREEMENT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    DISAGREED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    DISAGREEMENT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_MS_FIELD_NUMBER: _ClassVar[int]
    version: str
    mode: str
    share: float
    allowed_disagreement: float
    started_at: _timestamp_pb2.Timestamp
    runs: int
    failed: int
    compared: int
    disagreed: int
    skipped: int
    disagreement: Interval
    median_ms: Medians
    def __init__(self, version: _Optional[str] = ..., mode: _Optional[str] = ..., share: _Optional[float] = ..., allowed_disagreement: _Optional[float] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., runs: _Optional[int] = ..., failed: _Optional[int] = ..., compared: _Optional[int] = ..., disagreed: _Optional[int] = ..., skipped: _Optional[int] = ..., disagreement: _Optional[_Union[Interval, _Mapping]] = ..., median_ms: _Optional[_Union[Medians, _Mapping]] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("share", "low", "high")
    SHARE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    share: float
    low: float
    high: float
    def __init__(self, share: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class Medians(_message.Message):
    __slots__ = ("in_service", "candidate")
    IN_SERVICE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    in_service: float
    candidate: float
    def __init__(self, in_service: _Optional[float] = ..., candidate: _Optional[float] = ...) -> None: ...

class Rollback(_message.Message):
    __slots__ = ("version", "instead", "at", "cause", "automatic")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTEAD_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    version: str
    instead: str
    at: _timestamp_pb2.Timestamp
    cause: str
    automatic: bool
    def __init__(self, version: _Optional[str] = ..., instead: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cause: _Optional[str] = ..., automatic: _Optional[bool] = ...) -> None: ...

class Disagreement(_message.Message):
    __slots__ = ("analysis_id", "found_at", "mode", "difference", "in_service", "candidate")
    ANALYSIS_ID_FIELD_NUMBER: _ClassVar[int]
    FOUND_AT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    IN_SERVICE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    analysis_id: str
    found_at: _timestamp_pb2.Timestamp
    mode: str
    difference: str
    in_service: DisagreementSide
    candidate: DisagreementSide
    def __init__(self, analysis_id: _Optional[str] = ..., found_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., mode: _Optional[str] = ..., difference: _Optional[str] = ..., in_service: _Optional[_Union[DisagreementSide, _Mapping]] = ..., candidate: _Optional[_Union[DisagreementSide, _Mapping]] = ...) -> None: ...

class DisagreementSide(_message.Message):
    __slots__ = ("version", "label", "abstained", "values")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    version: str
    label: str
    abstained: bool
    values: _containers.ScalarMap[str, float]
    def __init__(self, version: _Optional[str] = ..., label: _Optional[str] = ..., abstained: _Optional[bool] = ..., values: _Optional[_Mapping[str, float]] = ...) -> None: ...
