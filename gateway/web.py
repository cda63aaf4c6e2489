"""All that answers on the REST port: REST, Connect and gRPC-Web, and for which other sites' pages."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gateway.connect.app import ConnectApp
from gateway.rest.app import build_app
from gateway.rest.direct import DirectCalls
from gateway.service.services import Services

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PREFLIGHT_S = 7200
"""A browser asks again after so long whether it may call; Chromium takes no more."""


def build_web(services: Services, *, version: str, cors_origins: Sequence[str] = ()) -> ASGIApp:
    """The application over services that are already running. `cors_origins`: whose pages may call it from elsewhere, and
    read all headers of its answers; `*` is everybody's. No cookie is ever looked at: a page needs a key all the same.
    """
    web: ASGIApp = ConnectApp(services, DirectCalls(build_app(services, version=version)))
    if cors_origins:
        web = CORSMiddleware(
            web, allow_origins=cors_origins, allow_methods=METHODS, allow_headers=("*",), expose_headers=("*",),
            max_age=PREFLIGHT_S,
        )
    return web
