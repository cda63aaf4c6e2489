"""Parameters of a domain as callers write them, brought to the JSON values that domains take."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.service.errors import ErrorCode, ServiceError

_INTEGER = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")


def from_query(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Query parameters: text that reads as a number is one. Raises INVALID_ARGUMENT for one given twice."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in found:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "a query parameter is given twice", parameter=name)
        found[name] = _number(text)
    return found


def from_struct(values: Mapping[str, Any]) -> dict[str, Any]:
    """A protobuf Struct, which knows only doubles: whole ones become integers again."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }


def _number(text: str) -> int | float | str:
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
