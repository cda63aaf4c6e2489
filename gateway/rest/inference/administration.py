"""The paths of /v2 on the repository, shared memory, and trace and log settings; and what any other path of /v2 is told."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from gateway.rest.calls import as_json, caller_of, context_of
from gateway.rest.inference import body as bodies
from gateway.rest.inference import routes
from gateway.rest.inference.errors import InferenceRoute, to_response
from gateway.rest.middleware import no_route
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.arrays import from_base64, invalid
from gateway.service.inference.repository import FILE, Repository
from gateway.service.inference.service import InferenceService
from gateway.service.inference.shared_memory import Region
from gateway.service.keys import ADMIN

router = APIRouter(prefix="/v2", route_class=InferenceRoute, include_in_schema=False)
NO_CUDA = "there is no CUDA device here, so none of its memory can be shared"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@router.post("/repository/index")
async def repository_index(request: Request) -> Response:
    """The models, served or not. With the scope `admin` also versions that aren't in service."""
    caller = await caller_of(request)
    given = await _body(request)
    rows = await _repository(request).index(caller, ready=given.get("ready") is True)
    return Response(msgspec.json.encode(rows), media_type="application/json")


@router.post("/repository/models/{model}/load")
async def load(request: Request, model: str) -> Response:
    """Serves a model: in the version that was in service, in the one that `config` names, or from the package that comes along
    as a file. Needs the scope `admin`.
    """
    caller = await caller_of(request)
    caller.require(ADMIN)
    given = _object((await _body(request)).get("parameters", {}), "parameters")
    parameters = {
        name: from_base64(name, str(value)) if name.startswith(FILE) else value for name, value in given.items()
    }
    await _repository(request).load(caller, model, parameters)
    return as_json({})


@router.post("/repository/models/{model}/unload")
async def unload(request: Request, model: str) -> Response:
    """Serves a model no more, until it is loaded or the gateway starts anew. Needs the scope `admin`."""
    caller = await caller_of(request)
    await _body(request)
    await _repository(request).unload(caller, model)
    return as_json({})


@router.get("/trace/setting")
@router.get("/models/{model}/trace/setting")
async def trace_settings(request: Request, model: str = "") -> Response:
    """What is traced: nothing."""
    await caller_of(request)
    return as_json(_trace(_service(request).trace_settings(model)))


@router.post("/trace/setting")
@router.post("/models/{model}/trace/setting")
async def change_trace_settings(request: Request, model: str = "") -> Response:
    """Refuses what isn't so already. Needs the scope `admin`."""
    caller = await caller_of(request)
    given = await _body(request)
    wanted = {name: [str(value)] if isinstance(value, str | int) else value for name, value in given.items()}
    return as_json(_trace(_service(request).change_trace_settings(caller, model, wanted)))


@router.get("/logging")
async def log_settings(request: Request) -> Response:
    """What is logged."""
    await caller_of(request)
    return as_json(_service(request).log_settings())


@router.post("/logging")
async def change_log_settings(request: Request) -> Response:
    """Refuses what isn't so already. Needs the scope `admin`."""
    caller = await caller_of(request)
    return as_json(_service(request).change_log_settings(caller, await _body(request)))


@router.get("/systemsharedmemory/status")
@router.get("/systemsharedmemory/region/{region}/status")
async def system_memory_status(request: Request, region: str = "") -> Response:
    """The regions of the key's tenant."""
    caller = await caller_of(request)
    rows = [one.document for one in _service(request).memory.status(caller.tenant, region)]
    return Response(msgspec.json.encode(rows), media_type="application/json")


@router.post("/systemsharedmemory/region/{region}/register")
async def register_system_memory(request: Request, region: str) -> Response:
    """Registers memory of this machine for tensors. Off unless the setting HEDGEROW_SHARED_MEMORY_PREFIX allows it."""
    caller = await caller_of(request)
    given = await _body(request)
    key, offset, size = given.get("key"), given.get("offset", 0), given.get("byte_size")
    if not isinstance(key, str) or type(offset) is not int or type(size) is not int:
        raise invalid("a region has a key, an offset and a byte_size")
    _service(request).memory.register(caller.tenant, Region(region, key, offset, size))
    return as_json({})


@router.post("/systemsharedmemory/unregister")
@router.post("/systemsharedmemory/region/{region}/unregister")
async def unregister_system_memory(request: Request, region: str = "") -> Response:
    """Forgets a region, or all of the key's tenant."""
    caller = await caller_of(request)
    _service(request).memory.unregister(caller.tenant, region)
    return as_json({})


@router.get("/cudasharedmemory/status")
async def cuda_memory_status(request: Request) -> Response:
    """None: there is no CUDA device."""
    await caller_of(request)
    return Response(b"[]", media_type="application/json")


@router.get("/cudasharedmemory/region/{region}/status")
async def cuda_region_status(request: Request, region: str) -> Response:
    """Always NOT_FOUND: there is no CUDA device."""
    await caller_of(request)
    raise ServiceError(ErrorCode.NOT_FOUND, "no region of that name is registered", parameter=region[:64])


@router.post("/cudasharedmemory/region/{region}/register")
async def register_cuda_memory(request: Request, region: str) -> Response:
    """Always refused: there is no CUDA device."""
    await caller_of(request)
    await bodies.read(request, _service(request).policy)
    raise ServiceError(ErrorCode.METHOD_NOT_ALLOWED, NO_CUDA, parameter=region[:64])


@router.post("/cudasharedmemory/unregister")
@router.post("/cudasharedmemory/region/{region}/unregister")
async def unregister_cuda_memory(request: Request) -> Response:
    """Nothing happens: none is ever registered."""
    await caller_of(request)
    return as_json({})


@router.api_route("/{path:path}", methods=METHODS)
async def nothing(request: Request) -> Response:
    """Whatever else is asked for below /v2."""
    known = (route for route in (*routes.router.routes, *router.routes[:-1]) if isinstance(route, APIRoute))
    methods = {method for route in known if route.path_regex.fullmatch(request.url.path) for method in route.methods or ()}
    context = context_of(request)
    response = to_response(context.failed(no_route(bool(methods))), context.id)
    if methods:
        response.headers["Allow"] = ", ".join(sorted(methods))
    return response


async def _body(request: Request) -> dict[str, Any]:
    """A JSON object, or nothing, which is an empty one. Raises INVALID_ARGUMENT."""
    body = await bodies.read(request, _service(request).policy)
    if not body:
        return {}
    try:
        return _object(msgspec.json.decode(body), "the body")
    except (msgspec.MsgspecError, RecursionError) as error:
        raise invalid("the body is no JSON") from error


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{what} is no JSON object")
    return value


def _trace(settings: Mapping[str, list[str]]) -> dict[str, Any]:
    """In REST only the levels are a list."""
    return {name: values if name == "trace_level" else values[0] for name, values in settings.items()}


def _service(request: Request) -> InferenceService:
    service: InferenceService = request.app.state.inference
    return service


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository
