"""OpenAPI as a whole: what FastAPI derives from the routes, and what holds on every path beside.

FastAPI describes refusals of its own (422, with a body of its own), which the gateway doesn't send; and nobody should have to
write at every route that a request has an id, or that anything can go wrong.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from gateway.rest.middleware import REQUEST_ID
from gateway.rest.openapi import problem

_OWN = {"HTTPValidationError", "ValidationError"}
_ALWAYS = (400, 401, 500)
_ID = {"description": "Finds the request in the log", "schema": {"type": "string"}}
_WHEN = {"description": "When to come back, in seconds", "schema": {"type": "integer", "minimum": 1}}
_CHALLENGE = {"description": "How to say who asks", "schema": {"type": "string"}}
_HEADERS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": _CHALLENGE}, "503": {"Retry-After": _WHEN}, "507": {"Retry-After": _WHEN},
}
_WANTED_ID = {
    "name": REQUEST_ID, "in": "header", "required": False, "schema": {"type": "string"},
    "description": "The caller's own id for the request: letters, digits, `.`, `_` and `-`, at most 64; another is replaced",
}
_LINKS = {
    ("analyze", "201"): ("analysis_id", "$response.body#/id", (
        "get_analysis", "delete_analysis", "get_overlay", "get_mask", "get_heatmap",
    )),
    ("analyze", "202"): ("job_id", "$response.body#/id", ("get_job", "cancel_job", "job_events", "list_deliveries")),
    ("submit_mission", "202"): ("mission_id", "$response.body#/id", ("get_mission",)),
    ("list_models", "200"): ("model", "$response.body#/models/0/name", ("get_model", "list_disagreements", "get_drift")),
}
"""Which answer of which operation leads where: the parameter, where its value stands, and the operations that take it."""


def operation_id(route: APIRoute) -> str:
    """The name by which generated clients call the operation: the endpoint's."""
    return route.name.lstrip("_")


def describe_whole(app: FastAPI) -> None:
    """Has `/openapi.json` say everything. The document is made when it is first asked for."""
    derive = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(derive())
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign] # FastAPI's documented way


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    schemas = document["components"]["schemas"]
    document["components"]["schemas"] = {name: schema for name, schema in schemas.items() if name not in _OWN}
    return document


def _complete(operation: dict[str, Any]) -> None:
    responses = {status: told for status, told in operation["responses"].items() if not _is_fastapis(told)}
    if "security" in operation:
        responses |= {str(status): problem(status) for status in _ALWAYS if str(status) not in responses}
    for status, told in responses.items():
        told["headers"] = {**_HEADERS.get(status, {}), **told.get("headers", {}), REQUEST_ID: _ID}
        if link := _LINKS.get((operation["operationId"], status)):
            parameter, value, targets = link
            told["links"] = {to: {"operationId": to, "parameters": {parameter: value}} for to in targets}
    operation["responses"] = dict(sorted(responses.items()))
    operation.setdefault("parameters", []).append(_WANTED_ID)


def _is_fastapis(told: dict[str, Any]) -> bool:
    schema = told.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2] in _OWN
