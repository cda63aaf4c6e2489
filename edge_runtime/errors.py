"""What can go wrong below the gateway and above the domains. No transport is known here.

EdgeError
|- PackageError          a model package is incomplete, changed or doesn't fit; says which file or key
|- ModelUnavailable      no installed package answers
|- Overloaded            the queue is full, or too long for the deadline; try again in `retry_after_s`
|- DeadlineExceeded      the task's deadline passed before its answer was there, or is too short for any device
|- NodeStopped           the node is stopping or hasn't started
|- NodeLost              a remote node is gone or doesn't answer; the task can run elsewhere
|- NodeRefused           a remote node doesn't know this gateway: token, certificate or protocol
|- DeviceFault           a device is absent, lost, hung, slow or wrong; the task can run elsewhere
|- DecoderFailed         the decoder of a stream or clip crashed, hung or needed too much memory
|- InputBreaksWorker     this input ended two workers (or hung them), the second time alone
`- TaskFailed            an unforeseen error inside a worker; its text stays in the worker's log
"""

import enum


class EdgeError(Exception):
    """Base of the runtime's own errors. `str(error)` names no content of an input and may be shown to the caller."""


class PackageError(EdgeError):
    """A model package can't be trusted or used; the message names the package and the file or key at fault."""


class ModelUnavailable(EdgeError):
    """No installed model package can answer the request."""


class Overloaded(EdgeError):
    """The bounded queue is full."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(EdgeError):
    """The deadline passed while the task was waiting or running."""


class NodeStopped(EdgeError):
    """The node isn't running."""


class NodeLost(EdgeError):
    """A remote node can't be reached, or went away while it held the task."""


class NodeRefused(EdgeError):
    """A remote node answers, but doesn't take this gateway's token, certificate or protocol."""


class FaultKind(enum.StrEnum):
    """What a device can do wrong. Stable: counted, shown and documented by these names."""

    ABSENT = "absent"
    """No such device is attached."""
    NO_PERMISSION = "no_permission"
    """The device is there, but this account may not open it."""
    LIBRARY_MISSING = "library_missing"
    """The device's library is not installed."""
    LIBRARY_UNFIT = "library_unfit"
    """The library doesn't fit the interpreter, or crashed when it was loaded."""
    LOST = "lost"
    """It was there, and an invocation failed: unplugged, reset, out of power."""
    HUNG = "hung"
    """An invocation or the start didn't come back in time."""
    SLOW = "slow"
    """It takes several times as long as it did when it was taken into service."""
    WRONG_ANSWER = "wrong_answer"
    """The known answer of a model package didn't come out."""
    CRASHED = "crashed"
    """Its process ended by itself."""


class DeviceFault(EdgeError):
    """A device failed, through no fault of the input. The message says what can be done about it."""

    def __init__(self, message: str, *, kind: FaultKind) -> None:
        super().__init__(message)
        self.kind = kind


class DecoderFailed(EdgeError):
    """The process that decoded a stream or a clip is gone; no other stream is touched."""


class InputBreaksWorker(EdgeError):
    """The input crashed or hung a worker, and did it again when it was run alone."""


class TaskFailed(EdgeError):
    """An error in a worker that nobody foresaw; only its class name is kept."""
