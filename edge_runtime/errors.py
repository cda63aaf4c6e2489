"""What can go wrong below the gateway and above the domains. No transport is known here.

EdgeError
|- PackageError          a model package is incomplete, changed or doesn't fit; says which file or key
|- ModelUnavailable      no installed package answers
|- Overloaded            the queue is full; try again in `retry_after_s`
|- DeadlineExceeded      the task's deadline passed before its answer was there
|- NodeStopped           the node is stopping or hasn't started
|- InputBreaksWorker     this input ended two workers (or hung them), the second time alone
`- TaskFailed            an unforeseen error inside a worker; its text stays in the worker's log
"""


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


class InputBreaksWorker(EdgeError):
    """The input crashed or hung a worker, and did it again when it was run alone."""


class TaskFailed(EdgeError):
    """An error in a worker that nobody foresaw; only its class name is kept."""
