"""The two calls that clients repeat, without the framework's steps in between.

An analysis and an inference are FastAPI's routes as all others are, in the OpenAPI and in the tests. But the framework's own way
to them (its middleware, its look through the routes, its dependencies) costs as much as ours from there on, for each picture. So
what fits their paths is given to the same functions here, inside the same middleware.
"""

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.rest import routes
from gateway.rest.inference import routes as inference_routes
from gateway.rest.inference.errors import Handler, telling_errors
from gateway.rest.middleware import RequestMiddleware
from gateway.rest.query import check_query


class DirectCalls:
    """In front of FastAPI's application, to which it leaves all else."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._calls = [
            *((route, _answering(_checked(route))) for route in _routes_to(routes.router, routes.analyze)),
            *((route, _answering(telling_errors(_called(route)))) for route in _routes_to(inference_routes.router, inference_routes.infer)),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            for route, answering in self._calls:
                if match := route.path_regex.match(scope["path"]):
                    scope.update(app=self._app, route=route, endpoint=route.endpoint, path_params=match.groupdict())
                    await answering(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _answering(handler: Handler) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)

    return RequestMiddleware(answer)


def _routes_to(router: APIRouter, endpoint: Callable[..., object]) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute) and route.endpoint is endpoint]


def _called(route: APIRoute) -> Handler:
    endpoint = route.endpoint

    async def call(request: Request) -> Response:
        response: Response = await endpoint(request, **request.path_params)
        return response

    return call


def _checked(route: APIRoute) -> Handler:
    call = _called(route)

    async def check_and_call(request: Request) -> Response:
        await check_query(request)
        return await call(request)

    return check_and_call
