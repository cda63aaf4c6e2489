"""Which sites' pages may call the REST port, as browsers ask for it (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fixed_node import EMBEDDED, FixedNode
from tests.gateway_thread import GatewayThread

WARD, OTHER = "https://ward.example", "https://other.example"
PATHS = ("/v1/models", "/v1/uploads/", "/v1/domains/pathology/analyses", "/hedgerow.v1.AnalysisService/Analyze", "/none")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("gateway")
    with GatewayThread(FixedNode(EMBEDDED), folder, cors_origins=(WARD,)) as gateway, gateway.rest(gateway.key()) as opened:
        yield opened


def preflight(client: httpx.Client, path: str, origin: str, method: str, headers: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options(path, headers={**asked, "Authorization": ""})


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_a_site_that_is_named_may_send_what_it_needs(client: httpx.Client, path: str) -> None:
    for method, headers in (
        ("POST", "authorization,content-type,connect-protocol-version,connect-timeout-ms,x-request-id"),
        ("POST", "authorization,content-type,x-grpc-web,x-user-agent,grpc-timeout"),
        ("PATCH", "authorization,tus-resumable,upload-offset,upload-checksum"),
        ("DELETE", "x-api-key"),
    ):
        response = preflight(client, path, WARD, method, headers)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, WARD)
        assert method in response.headers["access-control-allow-methods"]
        assert response.headers["access-control-allow-headers"] == headers
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", PATHS)
def test_its_answers_and_its_errors_can_be_read_with_all_their_headers(client: httpx.Client, path: str) -> None:
    for headers in ({"Origin": WARD}, {"Origin": WARD, "Authorization": "Bearer none"}):
        response = client.post(path, headers=headers, content=b"")
        assert response.headers["access-control-allow-origin"] == WARD
        assert response.headers["access-control-expose-headers"] == "*"
        assert "Origin" in response.headers["vary"]


def test_the_page_of_any_other_site_may_not(client: httpx.Client) -> None:
    for path in PATHS:
        response = preflight(client, path, OTHER, "POST", "authorization")
        assert (response.status_code, "access-control-allow-origin" in response.headers) == (400, False)
        assert "access-control-allow-origin" not in client.get(path, headers={"Origin": OTHER}).headers


def test_unless_a_setting_says_so_no_page_of_another_site_may_call(tmp_path: Path) -> None:
    with GatewayThread(FixedNode(EMBEDDED), tmp_path) as gateway, gateway.rest(gateway.key()) as client:
        for path in PATHS:
            response = preflight(client, path, WARD, "POST", "authorization")
            assert not [name for name in response.headers if name.startswith("access-control")]
