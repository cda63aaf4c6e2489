"""The paths of /v2 on models and inferences: each converts a request, calls the service, and converts what comes back.

They aren't in our OpenAPI: the protocol has one of its own, and clients of its own.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.http import unless_gone
from gateway.rest.calls import as_json, caller_of, context_of, timeout_of
from gateway.rest.consent import consents_of
from gateway.rest.inference import body as bodies
from gateway.rest.inference.errors import InferenceRoute
from gateway.rest.inference.tensors import from_body, to_body
from gateway.service.inference.requests import InferRequest
from gateway.service.inference.service import Asked, InferenceService

router = APIRouter(prefix="/v2", route_class=InferenceRoute, include_in_schema=False)


@router.get("/health/live")
async def server_live() -> Response:
    """Whether the process runs. Needs no key."""
    return as_json({"live": True})


@router.get("/health/ready")
async def server_ready(request: Request) -> Response:
    """Whether any node serves at least one model. Needs no key."""
    ready = _service(request).ready
    return as_json({"ready": ready}, 200 if ready else 503)


@router.get("")
async def server_metadata(request: Request) -> Response:
    """Name, version and the extensions of the protocol that there are."""
    await caller_of(request)
    return as_json(_service(request).server())


@router.get("/models/stats")
async def all_statistics(request: Request) -> Response:
    """Counts and durations of the inferences of all models, since this gateway started: those of the key's tenant, or of all
    tenants with the scope `nodes` or `admin`.
    """
    return as_json(_service(request).statistics(await caller_of(request), "", ""))


@router.get("/models/{model}/ready")
@router.get("/models/{model}/versions/{version}/ready")
async def model_ready(request: Request, model: str, version: str = "") -> Response:
    """Whether a model takes inferences. One that isn't known doesn't."""
    await caller_of(request)
    ready = _service(request).model_ready(model, version)
    told = "" if ready else "the model is not ready, or there is none of that name and version"
    return as_json({"name": model, "ready": ready, **({"error": told} if told else {})}, 200 if ready else 400)


@router.get("/models/{model}")
@router.get("/models/{model}/versions/{version}")
async def model_metadata(request: Request, model: str, version: str = "") -> Response:
    """A model's versions, inputs and outputs. NAME is the whole, from a picture to the answer; NAME.network its network alone."""
    await caller_of(request)
    return as_json(_service(request).metadata(model, version))


@router.get("/models/{model}/config")
@router.get("/models/{model}/versions/{version}/config")
async def model_config(request: Request, model: str, version: str = "") -> Response:
    """A model's configuration, by the names of Triton's model_config.proto."""
    await caller_of(request)
    return as_json(_service(request).config(model, version))


@router.get("/models/{model}/stats")
@router.get("/models/{model}/versions/{version}/stats")
async def model_statistics(request: Request, model: str, version: str = "") -> Response:
    """Counts and durations of one model's inferences."""
    return as_json(_service(request).statistics(await caller_of(request), model, version))


@router.post("/models/{model}/infer")
@router.post("/models/{model}/versions/{version}/infer")
async def infer(request: Request, model: str, version: str = "") -> Response:
    """One inference: tensors as JSON, or behind the JSON where `Inference-Header-Content-Length` says how long that is; 0 where
    the body is the one input and nothing else. The body may be compressed by gzip or deflate, and so may be the answer.
    """
    service, caller = _service(request), await caller_of(request)
    asked = Asked(context_of(request).id, timeout_of(request), consents_of(request))
    json_bytes = bodies.header_length(request)
    body = await bodies.read(request, service.policy)
    wanted: InferRequest
    if json_bytes == 0:
        wanted = service.raw_request(model, version, body)
    else:
        size = len(body) if json_bytes is None else json_bytes
        wanted = await bodies.apart(size, lambda: from_body(model, version, body, json_bytes))
    response = await unless_gone(request, service.infer(caller, wanted, asked))
    size = sum(len(output.content) for output in response.outputs)
    answer = await bodies.apart(size, lambda: to_body(response, wanted))
    return await bodies.respond(request, *answer)


def _service(request: Request) -> InferenceService:
    service: InferenceService = request.app.state.inference
    return service
