"""One error with one code for whatever can go wrong, and the one place where errors of lower layers become it.

Each transport holds a total table from ErrorCode to its own status; a test checks that no code is missing there.
"""

import enum

from domains import errors as domain_errors
from edge_runtime import errors as edge_errors


class ErrorCode(enum.StrEnum):
    """Stable names of errors, the same over REST and gRPC."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    EMPTY_BODY = "EMPTY_BODY"
    UNKNOWN_DOMAIN = "UNKNOWN_DOMAIN"
    UNKNOWN_EXAM = "UNKNOWN_EXAM"
    UNSUPPORTED_MEDIA = "UNSUPPORTED_MEDIA"
    CORRUPT_MEDIA = "CORRUPT_MEDIA"
    MEDIA_TOO_LARGE = "MEDIA_TOO_LARGE"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    INPUT_BREAKS_WORKER = "INPUT_BREAKS_WORKER"
    PACKAGE_REFUSED = "PACKAGE_REFUSED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    GONE = "GONE"
    EXPIRED = "EXPIRED"
    STORAGE_FULL = "STORAGE_FULL"
    OVERLOADED = "OVERLOADED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    UNAVAILABLE = "UNAVAILABLE"
    CLOUD_UNAVAILABLE = "CLOUD_UNAVAILABLE"
    HELD_BACK = "HELD_BACK"
    INTERNAL = "INTERNAL"


class ServiceError(Exception):
    """What a caller is told. `str(error)` is a sentence that is safe to send."""

    def __init__(
        self, code: ErrorCode, message: str, *, parameter: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.parameter = parameter
        self.retry_after_s = retry_after_s


_CODES: dict[type[Exception], ErrorCode] = {
    domain_errors.UnknownExam: ErrorCode.UNKNOWN_EXAM,
    domain_errors.InvalidParameter: ErrorCode.INVALID_ARGUMENT,
    domain_errors.UnknownDomain: ErrorCode.UNKNOWN_DOMAIN,
    domain_errors.EmptyMedia: ErrorCode.EMPTY_BODY,
    domain_errors.UnsupportedMedia: ErrorCode.UNSUPPORTED_MEDIA,
    domain_errors.CorruptMedia: ErrorCode.CORRUPT_MEDIA,
    domain_errors.MediaTooLarge: ErrorCode.MEDIA_TOO_LARGE,
    edge_errors.PackageError: ErrorCode.PACKAGE_REFUSED,
    edge_errors.Overloaded: ErrorCode.OVERLOADED,
    edge_errors.DeadlineExceeded: ErrorCode.DEADLINE_EXCEEDED,
    edge_errors.NodeStopped: ErrorCode.UNAVAILABLE,
    edge_errors.NodeLost: ErrorCode.UNAVAILABLE,
    edge_errors.NodeRefused: ErrorCode.UNAVAILABLE,
    edge_errors.DeviceFault: ErrorCode.UNAVAILABLE,
    edge_errors.ModelUnavailable: ErrorCode.UNAVAILABLE,
    edge_errors.InputBreaksWorker: ErrorCode.INPUT_BREAKS_WORKER,
    edge_errors.DecoderFailed: ErrorCode.INPUT_BREAKS_WORKER,
}


def translate(error: Exception) -> ServiceError:
    """Any error as a ServiceError. One that nobody foresaw becomes INTERNAL, and its text stays behind."""
    if isinstance(error, ServiceError):
        return error
    for kind in type(error).__mro__:
        if kind in _CODES:
            return ServiceError(
                _CODES[kind], str(error),
                parameter=getattr(error, "parameter", ""), retry_after_s=getattr(error, "retry_after_s", None),
            )
    return ServiceError(ErrorCode.INTERNAL, "an internal error; the log has more under this request id")
