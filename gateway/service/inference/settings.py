"""Trace and log settings: what they are can be read. What can't be changed here is refused, not passed over."""

from collections.abc import Mapping
from typing import Any

from gateway.service.errors import ErrorCode, ServiceError

TRACE: Mapping[str, list[str]] = {
    "trace_level": ["OFF"], "trace_rate": ["1000"], "trace_count": ["-1"], "log_frequency": ["0"], "trace_file": [""],
    "trace_mode": ["triton"],
}
"""Nothing is traced; the rest are the protocol's defaults."""

_LEVELS = ("debug", "info", "warning", "error")


def log_settings(level: str) -> dict[str, Any]:
    """The log's, by HEDGEROW_LOG_LEVEL."""
    least = _LEVELS.index(level)
    return {
        "log_file": "", "log_info": least <= 1, "log_warning": least <= 2, "log_error": True,
        "log_verbose_level": int(least == 0), "log_format": "default",
    }


def check_unchanged(wanted: Mapping[str, Any], now: Mapping[str, Any], what: str) -> None:
    """Raises METHOD_NOT_ALLOWED where a setting is to change; None, which stands for the default, changes nothing."""
    for name, value in wanted.items():
        if name not in now:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"there is no {what} setting of that name", parameter=name[:64])
        if value is not None and value != now[name]:
            raise ServiceError(ErrorCode.METHOD_NOT_ALLOWED, f"{what} settings can't be changed while the gateway runs; "
                               f"{name} is {now[name]!r}", parameter=name)
