"""What queries hold: on every path parameters that it knows, each once; and the types of those that several paths have."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query
from fastapi.routing import APIRoute
from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import HTTPConnection

from gateway.service.analyses import MAX_PAGE
from gateway.service.errors import ErrorCode, ServiceError

UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}.*")


async def check_query(connection: HTTPConnection) -> None:
    """Raises INVALID_ARGUMENT for a parameter that the path doesn't know, one given twice, and one with a NUL character,
    which PostgreSQL takes in no text.

    A misspelt parameter that were passed over would give an answer to another question. Where a path takes a domain's
    parameters, the domain says which there are.
    """
    route = connection.scope["route"]
    if not isinstance(route, APIRoute):
        return
    declared: list[dict[str, Any]] = (route.openapi_extra or {}).get("parameters", [])
    anything = any(parameter["in"] == "query" and parameter["schema"].get("additionalProperties") for parameter in declared)
    known = {field.alias for field in route.dependant.query_params}
    seen: set[str] = set()
    for name, text in connection.query_params.multi_items():
        if not anything and name not in known:
            knows = f"it knows {', '.join(sorted(known))}" if known else "it takes none"
            raise _refused(f"this path doesn't know the query parameter: {knows}", name)
        if name in seen:
            raise _refused("a query parameter is given twice", name)
        if "\0" in name + text:
            raise _refused("a query parameter holds a NUL character", name)
        seen.add(name)


def _written_time(text: Any) -> Any:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("write the time as RFC 3339 has it, as 2026-01-31T08:30:00Z")
    return text


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999 of UTC") from None


def _refused(why: str, name: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, why, parameter=name)


Moment = Annotated[AwareDatetime, BeforeValidator(_written_time), AfterValidator(_in_utc)] | SkipJsonSchema[None]
"""A moment as RFC 3339 writes it; pydantic alone would take a bare number for one, too."""
Text = Annotated[str | SkipJsonSchema[None], Query(json_schema_extra={"pattern": r"^[^\u0000]*$"})]
"""Text that may be left out, without NUL. A query can't say null, so OpenAPI doesn't either."""
Cursor = Annotated[
    str | SkipJsonSchema[None],
    Query(description="`next_cursor` of the page before.", json_schema_extra={"pattern": UUID_PATTERN}),
]
Limit = Annotated[int, Query(description=f"At most {MAX_PAGE}.", json_schema_extra={"minimum": 1, "maximum": MAX_PAGE})]
"""What the bounds mean is the service's business: here they are only told."""
