"""What is sent is what OpenAPI says, and the API page needs no internet."""

import re
from typing import Any

import httpx
import jsonschema
import pytest

from tests.gateway_process import SAMPLES, GatewayProcess


@pytest.fixture(scope="module")
def openapi(gateway: GatewayProcess) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{gateway.url}/openapi.json").json()
    return document


def check(openapi: dict[str, Any], response: httpx.Response, method: str, path: str) -> None:
    """Raises where a response's status or body isn't one that OpenAPI describes."""
    described = openapi["paths"][path][method]["responses"][str(response.status_code)]
    kind = response.headers["content-type"]
    schema = described["content"][kind]["schema"]
    jsonschema.validate(response.json(), {**schema, "components": openapi["components"]})


def test_answers_of_both_kinds_pages_and_lists_are_as_described(gateway: GatewayProcess, openapi: dict[str, Any]) -> None:
    with gateway.rest() as client:
        for file, domain, query in (("lung_scan.png", "pathology", "?exam=lung_ultrasound"), ("field.jpg", "crop_weed", "")):
            made = client.post(f"/v1/domains/{domain}/analyses{query}", content=(SAMPLES / file).read_bytes())
            check(openapi, made, "post", "/v1/domains/{domain}/analyses")
            check(openapi, client.get(made.headers["location"]), "get", "/v1/analyses/{analysis_id}")
        check(openapi, client.get("/v1/analyses"), "get", "/v1/analyses")
        check(openapi, client.get("/v1/domains"), "get", "/v1/domains")
        check(openapi, client.get("/v1/models"), "get", "/v1/models")
        check(openapi, client.get("/v1/nodes"), "get", "/v1/nodes")
        check(openapi, client.get("/healthz"), "get", "/healthz")
        check(openapi, client.get("/readyz"), "get", "/readyz")


def test_problems_are_as_described(gateway: GatewayProcess, openapi: dict[str, Any]) -> None:
    path = "/v1/domains/{domain}/analyses"
    with gateway.rest() as client:
        check(openapi, client.post("/v1/domains/pathology/analyses", content=b""), "post", path)
        check(openapi, client.post("/v1/domains/none/analyses", content=b"x"), "post", path)
        check(openapi, client.post("/v1/domains/pathology/analyses?exam=lung_ultrasound", content=b"x" * 99), "post", path)
        check(openapi, client.get("/v1/analyses/none"), "get", "/v1/analyses/{analysis_id}")
    with gateway.rest("none") as stranger:
        check(openapi, stranger.get("/v1/models"), "get", "/v1/models")


def test_every_local_reference_in_openapi_leads_somewhere(openapi: dict[str, Any]) -> None:
    for reference in set(re.findall(r"'#/components/schemas/(\w+)'", str(openapi))):
        assert reference in openapi["components"]["schemas"]


def test_the_api_page_loads_nothing_from_elsewhere(gateway: GatewayProcess) -> None:
    page = httpx.get(f"{gateway.url}/docs").text
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith("/"), address
        assert httpx.get(gateway.url + address).status_code == 200
    assert "https://" not in page
