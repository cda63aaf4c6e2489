"""The frames between the supervisor and a worker: a checked header and raw bytes, over a Unix socket pair.

    frame = length of header (4 bytes, big endian) | header (msgpack) | blobs, one after the other

The header says how long each blob is. A picture is never pickled, base64-encoded or copied into the header.
"""

import struct
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from domains import errors as domain_errors
from domains.errors import DomainError, InvalidParameter
from edge_runtime import errors as edge_errors
from edge_runtime.errors import DeviceFault, EdgeError, FaultKind, Overloaded, TaskFailed
from edge_runtime.signatures import Verdict
from edge_runtime.training_statistics import Statistics

Track = Literal["active", "candidate"]

PREFIX = struct.Struct(">I")
PROTOCOL = 2
"""Of gateways and nodes: raised when a message changes so that an older side would misread it."""

ERROR_METADATA = "hedgerow-error-bin"
"""Where a node's answer carries a WireError over gRPC."""

MAX_HEADER_BYTES = 64 * 1024 * 1024
"""More than any answer's document; a longer one means that the other side isn't speaking this protocol."""


class WireError(msgspec.Struct, frozen=True):
    """An error on its way from the worker: the name of a class of ours and its message, which is safe to show."""

    kind: str
    message: str
    detail: str = ""
    """The parameter of an InvalidParameter, the FaultKind of a DeviceFault, the seconds of an Overloaded."""


class TensorSpec(msgspec.Struct, frozen=True):
    """A tensor without its content. `datatype`: numpy's name of it."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class TaskMessage(msgspec.Struct, frozen=True, tag="task"):
    """Work for a worker. Blob `input` is the upload; for `render` the result's pictures come along, for `infer` the blobs are
    `tensors`, by name.
    """

    id: int
    action: Literal["analyse", "render", "infer"]
    domain: str
    parameters: dict[str, Any] = {}
    artifact: str = ""
    document: dict[str, Any] = {}
    media: dict[str, Any] = {}
    blobs: dict[str, int] = {}
    track: Track = "active"
    """Which version of the model runs: the one in service, or the one that is being tried beside it."""
    model: str = ""
    """For `infer`: whose network runs, without the domain's flow around it."""
    tensors: list[TensorSpec] = []


class AbandonMessage(msgspec.Struct, frozen=True, tag="abandon"):
    """Nobody waits for that task any more: the worker stops at its next step, and says so, unless it is done before."""

    id: int


class Timings(msgspec.Struct, frozen=True):
    """Seconds that each stage took."""

    queue: float = 0.0
    decode: float = 0.0
    preprocess: float = 0.0
    infer: float = 0.0
    postprocess: float = 0.0
    total: float = 0.0


class ReplyMessage(msgspec.Struct, frozen=True, tag="reply"):
    """A worker's answer: `error`, or the documents and pictures (blobs) of the result.

    `needs_model`: this device has no variant of the model that the input turned out to need; nothing was run.
    `abandoned`: the task was not run to its end, as its supervisor wished.
    `clip`: the input is one with several frames, of which none was asked for: nothing was run, `parameters` are the
    checked ones and `model` names the model that answers. `quality`: what was measured of the pixels.
    `tensors`: what the blobs of an inference are.
    """

    id: int
    error: WireError | None = None
    document: dict[str, Any] = {}
    media: dict[str, Any] = {}
    model: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    timings: Timings = Timings()
    blobs: dict[str, int] = {}
    needs_model: str = ""
    abandoned: bool = False
    clip: bool = False
    quality: dict[str, Any] = {}
    tensors: list[TensorSpec] = []


class ModelInfo(msgspec.Struct, frozen=True):
    """A model package as a node describes it. `state` is `ready` or `refused`, the latter with its reason."""

    name: str
    state: Literal["ready", "refused"]
    reason: str = ""
    version: str = ""
    domain: str = ""
    task: str = ""
    title: str = ""
    labels: list[str] = []
    variant: str = ""
    sha256: str = ""
    size_bytes: int = 0
    intended_use: str = ""
    licence: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    selector: dict[str, str] = {}
    """The parameters by which callers of the domain ask for this model, such as {"exam": "lung_ultrasound"}."""
    sequence: dict[str, Any] = {}
    """What the model says of sequences of frames: thresholds for frames that don't count, smoothing, when to abstain."""
    statistics: Statistics | None = None
    """What the model saw and said where it was made; None where its package doesn't say."""
    inputs: list[TensorSpec] = []
    """What its network takes as it is, and gives: pixels, and real numbers."""
    outputs: list[TensorSpec] = []


class ParameterDescription(msgspec.Struct, frozen=True):
    """A parameter that callers of a domain may give; no choices means a free value."""

    name: str
    description: str
    choices: list[str] = []


class DomainDescription(msgspec.Struct, frozen=True):
    """A domain as a node describes it: what callers may say, and which models answer."""

    name: str
    title: str
    parameters: list[ParameterDescription]
    models: list[str]


class ModelCost(msgspec.Struct, frozen=True):
    """What a model takes on this device, measured when it was warmed. Seconds of one invocation; `load_s` is what the
    first one after another model takes more (0 on a CPU, which keeps all models).
    """

    run_s: float = 0.0
    load_s: float = 0.0


class ReadyMessage(msgspec.Struct, frozen=True, tag="ready"):
    """The worker has loaded, warmed and checked every model that it could trust. `costs`: the models that this device
    serves, by name; `models` also holds those that it refused.
    """

    device: str
    models: list[ModelInfo]
    domains: list[DomainDescription]
    costs: dict[str, ModelCost] = {}
    accelerator: bool = False
    simulated: bool = False
    trusted: list[str] = []
    """Folders of the packages that were verified, also of those that have no variant for this device."""


class FaultMessage(msgspec.Struct, frozen=True, tag="fault"):
    """The device can't be used, or can't any more; the worker ends after it. `kind` is a FaultKind."""

    kind: str
    message: str


class BeatMessage(msgspec.Struct, frozen=True, tag="beat"):
    """Sent several times a second by the worker of an accelerator.

    `invoking_s`: how long the present invocation has been running, 0 where none is. `run_s`: by model the least
    seconds of its last invocations. `checks`: known answers that came out right since the start.
    """

    invoking_s: float = 0.0
    run_s: dict[str, float] = {}
    temperature_c: float | None = None
    checks: int = 0


class ConfigureMessage(msgspec.Struct, frozen=True, tag="configure"):
    """Serve exactly these packages from now on: `packages` in service, `candidates` beside them. What is new is
    verified, warmed and checked before anything changes; where it can't be trusted nothing changes. `verdicts`: on
    signatures, by folder; None where none is asked for.
    """

    id: int
    packages: list[str]
    candidates: list[str] = []
    verdicts: dict[str, Verdict] | None = None


class ConfiguredMessage(msgspec.Struct, frozen=True, tag="configured"):
    """The answer: `error`, or what is served now."""

    id: int
    error: WireError | None = None
    ready: ReadyMessage | None = None


Message = (
    TaskMessage | AbandonMessage | ReplyMessage | ReadyMessage | FaultMessage | BeatMessage | ConfigureMessage
    | ConfiguredMessage
)


class DeviceState(msgspec.Struct, frozen=True):
    """One device of a node, for status pages. Times are seconds; `temperature` is a sentence where there is no number."""

    name: str
    backend: str
    state: Literal["starting", "serving", "faulty"]
    description: str = ""
    accelerator: bool = False
    simulated: bool = False
    slots: int = 0
    running: int = 0
    answers: int = 0
    utilisation: float = 0.0
    """Share of the last minute in which at least one of its slots was at work, 0 to 1."""
    resident: str = ""
    """The model that ran last, whose parameters an accelerator holds."""
    models: list[str] = []
    temperature_c: float | None = None
    temperature: str = ""
    restarts: int = 0
    faults: dict[str, int] = {}
    """How often it failed, by FaultKind, since the node started."""
    fault: str = ""
    """FaultKind of the present fault."""
    last_cause: str = ""
    """The last fault in a sentence, also after the device was taken back."""
    retry_in_s: float = 0.0
    out_for_s: float = 0.0
    """How long it has been out of service."""


class AbandonedWork(msgspec.Struct, frozen=True):
    """Tasks whose caller left, or whose deadline passed, before they were answered; since the node started."""

    waiting: int = 0
    """They waited for a device, and were never run."""
    running: int = 0
    """They ran, and were stopped at their next step."""
    device_s: float = 0.0
    """Seconds for which the latter kept a device's slots."""


class NodeState(msgspec.Struct, frozen=True):
    """A node, for status pages and for whoever chooses between nodes."""

    name: str
    address: str = ""
    """Empty for the embedded one."""
    reachable: bool = True
    ready: bool = False
    cause: str = ""
    """Why it isn't reachable or ready."""
    waiting: int = 0
    running: int = 0
    expected_wait_s: float = 0.0
    """How long a new interactive task would wait for a device."""
    devices: list[DeviceState] = []
    abandoned: AbandonedWork = AbandonedWork()


class Catalogue(msgspec.Struct, frozen=True):
    """What a node serves, as it tells gateways."""

    models: list[ModelInfo]
    domains: list[DomainDescription]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Prefix and header; the blobs follow it."""
    header = _encoder.encode(message)
    return PREFIX.pack(len(header)) + header


def encode_header(message: Message) -> bytes:
    """The header alone: what `decode` takes."""
    return _encoder.encode(message)


def decode(header: bytes) -> Message:
    """A header's bytes, without the prefix. Raises msgspec.ValidationError for anything else."""
    message: Message = _decoder.decode(header)
    return message


def blob_sizes(message: Message) -> Mapping[str, int]:
    """Names and lengths of the blobs that follow, in order."""
    return message.blobs if isinstance(message, TaskMessage | ReplyMessage) else {}


def error_to_wire(error: Exception) -> WireError:
    """Errors of ours keep their class and message; of any other only the class name leaves the worker."""
    if isinstance(error, DomainError | EdgeError):
        return WireError(type(error).__name__, str(error), _detail(error))
    return WireError(TaskFailed.__name__, f"unforeseen {type(error).__name__} in the worker")


def error_from_wire(error: WireError) -> DomainError | EdgeError:
    """The error again; TaskFailed where its class or its detail isn't known here."""
    found = getattr(domain_errors, error.kind, None) or getattr(edge_errors, error.kind, None)
    if not isinstance(found, type) or not issubclass(found, DomainError | EdgeError):
        return TaskFailed(error.message)
    if issubclass(found, InvalidParameter):
        return found(error.message, parameter=error.detail)
    try:
        if issubclass(found, DeviceFault):
            return found(error.message, kind=FaultKind(error.detail))
        if issubclass(found, Overloaded):
            return found(error.message, retry_after_s=float(error.detail))
    except ValueError:
        return TaskFailed(error.message)
    return found(error.message)


def _detail(error: Exception) -> str:
    if isinstance(error, InvalidParameter):
        return error.parameter
    if isinstance(error, DeviceFault):
        return error.kind
    return repr(error.retry_after_s) if isinstance(error, Overloaded) else ""
