"""What OpenAPI says of jobs beyond the types."""

from typing import Any

from gateway.rest.openapi import ACCEPTED, BINARY, CONSENT, KEY, KEYED, REPLAYED, SECURITY, events, job_fields, problems
from gateway.service.jobs.orders import MOST_FILES

_RETRY_AFTER = {
    "headers": {"Retry-After": {"description": "When to ask again, while it is open", "schema": {"type": "integer"}}}
}

JOB: dict[str, Any] = KEYED | {"responses": KEYED["responses"] | {200: _RETRY_AFTER}}

MISSION: dict[str, Any] = JOB

CANCEL: dict[str, Any] = {"dependencies": SECURITY, "responses": problems(401, 403, 404, 409)}

RETRY: dict[str, Any] = {
    "dependencies": SECURITY,
    "responses": problems(401, 403, 404, 409, 410) | {
        202: {"headers": {name: ACCEPTED["headers"][name] for name in ("Location", "Retry-After")}}
    },
}

EVENTS: dict[str, Any] = {
    "dependencies": SECURITY,
    "responses": {
        **problems(401, 403, 404),
        200: {
            "description": "Events `job`, each with the job as its data; the last one is final. `error` (a problem "
            "document) takes its place where the gateway can't go on telling",
            "content": events("job", "error"),
        },
    },
}

SUBMIT_MISSION: dict[str, Any] = {
    "dependencies": SECURITY,
    "responses": {
        **problems(400, 401, 403, 404, 413, 422, 503, 507),
        202: {
            "headers": {
                "Location": {"description": "The mission's path", "schema": {"type": "string"}},
                "Idempotent-Replayed": REPLAYED,
            },
        },
    },
    "openapi_extra": {
        "parameters": [
            {
                "name": "parameters", "in": "query", "required": False, "style": "form", "explode": True,
                "schema": {"type": "object", "additionalProperties": True},
                "description": "The domain's parameters, the same for every file",
            },
            KEY,
            CONSENT,
            *job_fields("batch"),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "parameters": {"type": "string", "description": "A JSON object"},
                            "callback_url": {"type": "string", "format": "uri"},
                            "expires_s": {"type": "number"},
                            "priority": {"type": "string", "enum": ["interactive", "batch"]},
                            "file": {"type": "array", "items": BINARY["schema"], "minItems": 1, "maxItems": MOST_FILES},
                        },
                    },
                    "encoding": {"parameters": {"contentType": "application/json"}},
                },
            },
        },
    },
}
