"""The ASGI application of REST, put together."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.rest import drift, jobs, missions, models, schemas, uploads
from gateway.rest.middleware import RequestMiddleware, no_route
from gateway.rest.openapi import DESCRIPTION
from gateway.rest.problems import to_response
from gateway.rest.routes import router
from gateway.rest.status_page import status_page
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.services import Services


def build_app(services: Services, *, version: str) -> FastAPI:
    """The application over services that are already running."""
    app = FastAPIOffline(
        docs_url="/docs", redoc_url=None, static_url="/docs/static",
        title="Hedgerow", version=version, description=DESCRIPTION,
        middleware=[Middleware(RequestMiddleware)],
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
    app.include_router(router)
    app.include_router(jobs.router)
    app.include_router(missions.router)
    app.include_router(models.router)
    app.include_router(drift.router)
    app.include_router(uploads.router)
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
    told = no_route(error.status_code == 405)
    response = to_response(request.state.context.failed(told), request.state.context.id)
    response.headers.update(error.headers or {})
    return response


async def _invalid_argument(request: Request, error: Any) -> Response:
    """A query parameter of the wrong type."""
    name = str(error.errors()[0]["loc"][-1])
    told = ServiceError(ErrorCode.INVALID_ARGUMENT, f"the parameter has the wrong form: {error.errors()[0]['msg']}",
                        parameter=name)
    return to_response(request.state.context.failed(told), request.state.context.id)
