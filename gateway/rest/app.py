"""The ASGI application of REST, put together."""

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.rest import drift, jobs, missions, models, routes, schemas, uploads
from gateway.rest.contract import describe_whole, operation_id
from gateway.rest.inference import administration as inference_administration
from gateway.rest.inference import routes as inference_routes
from gateway.rest.middleware import RequestMiddleware, no_route
from gateway.rest.openapi import DESCRIPTION
from gateway.rest.problems import to_response
from gateway.rest.query import check_query
from gateway.rest.status_page import status_page
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.services import Services


def build_app(services: Services, *, version: str) -> FastAPI:
    """The application over services that are already running."""
    app = FastAPIOffline(
        docs_url="/docs", redoc_url=None, static_url="/docs/static",
        title="Hedgerow", version=version, description=DESCRIPTION,
        middleware=[Middleware(RequestMiddleware)], generate_unique_id_function=operation_id,
        exception_handlers={HTTPException: _http_exception, RequestValidationError: _invalid_argument},
        swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True},
    )
    app.state.service = services.analyses
    app.state.deployments = services.deployments
    app.state.desk = services.desk
    app.state.keys = services.keys
    app.state.streams = services.streams
    app.state.uploads = services.uploads
    app.state.drift = services.drift
    app.state.inference = services.inference
    app.state.repository = services.repository
    for module in (routes, jobs, missions, models, drift, uploads):
        app.include_router(module.router, dependencies=[Depends(check_query)])
    app.include_router(inference_routes.router)
    app.include_router(inference_administration.router)
    describe_whole(app)
    app.get("/status", include_in_schema=False)(status_page)
    app.get("/healthz", response_model=schemas.Health, tags=["health"])(_healthz)
    app.get(
        "/readyz", response_model=schemas.Health, tags=["health"],
        responses={503: {"model": schemas.Health, "description": "No node serves a model"}},
    )(_readyz)
    return app


async def _healthz() -> Response:
    """Whether the process runs."""
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> Response:
    """Whether any node serves at least one model."""
    ready = request.app.state.service.ready
    return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)


async def _http_exception(request: Request, error: Any) -> Response:
    """Unknown paths and methods: whatever the framework raises by itself."""
    known = error.status_code == 405
    response = to_response(request.state.context.failed(no_route(known)), request.state.context.id)
    if known:
        response.headers["Allow"] = _allowed(request)
    return response


def _allowed(request: Request) -> str:
    """What the path takes; the framework names the methods of its first route alone."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.fullmatch(request.url.path):
            found |= route.methods
    return ", ".join(sorted(found))


async def _invalid_argument(request: Request, error: Any) -> Response:
    """A parameter or a body of the wrong type."""
    first = error.errors()[0]
    place = [part for part in first["loc"][:2] if isinstance(part, str)]
    if place == ["body"] and not request.headers.get("content-type", "").lower().startswith("application/json"):
        told = ServiceError(ErrorCode.UNSUPPORTED_MEDIA, "send the body with Content-Type: application/json")
    else:
        told = ServiceError(ErrorCode.INVALID_ARGUMENT, f"{place[-1]} has the wrong form: {first['msg']}", parameter=place[-1])
    return to_response(request.state.context.failed(told), request.state.context.id)
