from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Blob(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: bytes
    def __init__(self, name: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("task", "blobs", "priority", "tenant")
    TASK_FIELD_NUMBER: _ClassVar[int]
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    task: bytes
    blobs: _containers.RepeatedCompositeFieldContainer[Blob]
    priority: int
    tenant: str
    def __init__(self, task: _Optional[bytes] = ..., blobs: _Optional[_Iterable[_Union[Blob, _Mapping]]] = ..., priority: _Optional[int] = ..., tenant: _Optional[str] = ...) -> None: ...

class RunResponse(_message.Message):
    __slots__ = ("reply", "pictures", "device", "backend", "simulated", "reason", "attempts")
    REPLY_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    reply: bytes
    pictures: _containers.RepeatedCompositeFieldContainer[Blob]
    device: str
    backend: str
    simulated: bool
    reason: str
    attempts: int
    def __init__(self, reply: _Optional[bytes] = ..., pictures: _Optional[_Iterable[_Union[Blob, _Mapping]]] = ..., device: _Optional[str] = ..., backend: _Optional[str] = ..., simulated: _Optional[bool] = ..., reason: _Optional[str] = ..., attempts: _Optional[int] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("protocol",)
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    def __init__(self, protocol: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("state", "catalogue")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    state: bytes
    catalogue: bytes
    def __init__(self, state: _Optional[bytes] = ..., catalogue: _Optional[bytes] = ...) -> None: ...

class InstallRequest(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class InstallResponse(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ServeRequest(_message.Message):
    __slots__ = ("active", "candidates")
    class ActiveEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class CandidatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    active: _containers.ScalarMap[str, str]
    candidates: _containers.ScalarMap[str, str]
    def __init__(self, active: _Optional[_Mapping[str, str]] = ..., candidates: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ServeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
