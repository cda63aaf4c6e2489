"""Deadlines as callers write them, in seconds."""

import re
from collections.abc import Mapping

from gateway.service.errors import ErrorCode, ServiceError

CONNECT_TIMEOUT, GRPC_TIMEOUT = "connect-timeout-ms", "grpc-timeout"
_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def connect_timeout_s(headers: Mapping[str, str]) -> float | None:
    """Of at most ten digits of milliseconds. Raises INVALID_ARGUMENT."""
    text = headers.get(CONNECT_TIMEOUT)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise _malformed("Connect-Timeout-Ms", "1 to 10 digits")
    return int(text) / 1000


def grpc_timeout_s(headers: Mapping[str, str]) -> float | None:
    """Of at most eight digits and a unit. Raises INVALID_ARGUMENT."""
    text = headers.get(GRPC_TIMEOUT)
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,8})([HMSmun])", text)
    if not found:
        raise _malformed(GRPC_TIMEOUT, "1 to 8 digits and one of H, M, S, m, u, n")
    return int(found[1]) * _UNITS_S[found[2]]


def _malformed(name: str, form: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, f"{name} is {form}", parameter=name)
