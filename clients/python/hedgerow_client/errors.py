"""What can go wrong, the same over both transports.

    HedgerowError            a code of the gateway's (docs/api.md), a sentence, the request's id
      Unreachable            no answer came: nobody listens, or the connection was cut
      Busy                   the gateway says: later
      TimedOut               the time was over, here or there
      AccessDenied           the key isn't known, or may not do this
      NotFound               nothing of that name or id, or no longer
      InputRefused           this file can't be analysed, and sending it again won't help

Codes that the client gives itself: UNREACHABLE, DEADLINE_EXCEEDED, NOT_A_GATEWAY, STREAM_ENDED, NOT_KEPT.
"""

UNREACHABLE = "UNREACHABLE"
STREAM_ENDED = "STREAM_ENDED"
NOT_KEPT = "NOT_KEPT"
NOT_A_GATEWAY = "NOT_A_GATEWAY"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
INTERNAL = "INTERNAL"


class HedgerowError(Exception):
    """`message` is a sentence for people; `code` is for programs; `request_id` finds the request in the gateway's log and
    is empty where no answer came; `parameter` names the one at fault; `retry_after_s` is when the gateway wants to be asked
    again, in seconds.

    `maybe_processed`: whether the request may have been carried out all the same.
    """

    retryable = False
    """Whether the same request may succeed later."""

    def __init__(
        self, code: str, message: str, *, request_id: str = "", parameter: str = "",
        retry_after_s: float | None = None, maybe_processed: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.parameter = parameter
        self.retry_after_s = retry_after_s
        self.maybe_processed = maybe_processed

    def __str__(self) -> str:
        """The sentence, the code, and the request's id where there is one."""
        return f"{self.message} ({self.code}{f', request {self.request_id}' if self.request_id else ''})"


class Unreachable(HedgerowError):
    """No answer came."""

    retryable = True


class Busy(HedgerowError):
    """The gateway can't do it now."""

    retryable = True


class TimedOut(HedgerowError):
    """The time was over."""


class AccessDenied(HedgerowError):
    """The key isn't known, or lacks a scope."""


class NotFound(HedgerowError):
    """There is no such thing, or it is no longer kept."""


class InputRefused(HedgerowError):
    """The file can't be analysed."""


_KINDS: dict[str, type[HedgerowError]] = {
    "OVERLOADED": Busy,
    "UNAVAILABLE": Busy,
    "TOO_MANY_REQUESTS": Busy,
    "DEADLINE_EXCEEDED": TimedOut,
    "UNAUTHENTICATED": AccessDenied,
    "PERMISSION_DENIED": AccessDenied,
    "NOT_FOUND": NotFound,
    "GONE": NotFound,
    "UNKNOWN_DOMAIN": NotFound,
    "EMPTY_BODY": InputRefused,
    "UNSUPPORTED_MEDIA": InputRefused,
    "CORRUPT_MEDIA": InputRefused,
    "MEDIA_TOO_LARGE": InputRefused,
    "PAYLOAD_TOO_LARGE": InputRefused,
    "INPUT_BREAKS_WORKER": InputRefused,
}


def error_of(
    code: str, message: str, *, request_id: str = "", parameter: str = "", retry_after_s: float | None = None
) -> HedgerowError:
    """The error that a gateway's answer stands for."""
    kind = _KINDS.get(code, HedgerowError)
    return kind(code, message, request_id=request_id, parameter=parameter, retry_after_s=retry_after_s)


def unreachable(address: str, cause: str, *, maybe_processed: bool) -> Unreachable:
    """No answer from `address`; `cause` is a word or two."""
    return Unreachable(UNREACHABLE, f"no answer from {address}: {cause}", maybe_processed=maybe_processed)


def timed_out(address: str, timeout_s: float) -> TimedOut:
    """The caller's own time was over before an answer came."""
    return TimedOut(DEADLINE_EXCEEDED, f"no answer from {address} within {timeout_s:.3g} s", maybe_processed=True)
