"""What nobody should send is refused in the words of the API, and nothing is passed over in silence."""

import socket
from typing import Any

import httpx
import pytest

from tests.gateway_process import SAMPLES, GatewayProcess

ID = "01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10"
TUS = {"Tus-Resumable": "1.0.0"}


def told(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document, checked for what every one has."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/models", "GET, POST"),
        ("PATCH", f"/v1/analyses/{ID}", "DELETE, GET"),
        ("POST", f"/v1/jobs/{ID}", "DELETE, GET"),
        ("TRACE", "/v1/domains/pathology/analyses", "POST"),
        ("QUERY", "/healthz", "GET"),
        ("POST", f"/v1/uploads/{ID}", "DELETE, HEAD, OPTIONS, PATCH"),
        ("GET", "/v1/uploads", "OPTIONS, POST"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_answered_with_all_that_it_takes(
    gateway: GatewayProcess, method: str, path: str, allowed: str
) -> None:
    with gateway.rest() as client:
        response = client.request(method, path, headers=TUS)
    assert told(response, 405)["code"] == "METHOD_NOT_ALLOWED"
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("path", "parameter", "why"),
    [
        ("/v1/analyses?lable=covid", "lable", "doesn't know the query parameter: it knows abstained, "),
        ("/v1/domains?limit=3", "limit", "it takes none"),
        (f"/v1/jobs/{ID}?verbose=1", "verbose", "it takes none"),
        ("/v1/analyses?limit=1&limit=2", "limit", "twice"),
        ("/v1/analyses?label=a%00b", "label", "NUL"),
        ("/v1/jobs?mission=%00", "mission", "NUL"),
        ("/v1/analyses?created_after=0.5", "created_after", "RFC 3339"),
        ("/v1/analyses?created_after=1767225600", "created_after", "RFC 3339"),
        ("/v1/analyses?created_before=2026-01-31T08:30:00", "created_before", "timezone"),
        ("/v1/analyses?created_before=2026-02-30T08:30:00Z", "created_before", "wrong form"),
        ("/v1/analyses?created_before=9999-12-31T23:59:59-01:00", "created_before", "years 1 to 9999"),
        ("/v1/analyses?limit=99999999999999999999999999", "limit", "1 to 200"),
        ("/v1/analyses?limit=1e3", "limit", "wrong form"),
        ("/v1/analyses?cursor=%ED%A0%80", "cursor", "cursor"),
    ],
)
def test_a_query_that_asks_for_nothing_sensible_is_refused_by_the_name_of_its_parameter(
    gateway: GatewayProcess, path: str, parameter: str, why: str
) -> None:
    with gateway.rest() as client:
        problem = told(client.get(path), 400)
    assert (problem["code"], problem["parameter"]) == ("INVALID_ARGUMENT", parameter)
    assert why in problem["detail"]


@pytest.mark.parametrize("path", ["%00", "%ED%A0%80", "a%2Fb", "%F0%9F%92%A9", "9" * 4000, "..%2f..%2fetc", "%0d%0aX: y"])
def test_a_path_that_no_id_has_is_not_found(gateway: GatewayProcess, path: str) -> None:
    with gateway.rest() as client:
        for place in ("analyses", "jobs", "missions", "models"):
            assert told(client.get(f"/v1/{place}/{path}"), 404)["code"] == "NOT_FOUND"


def test_bytes_that_are_no_text_in_a_path_are_not_found(gateway: GatewayProcess) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"GET /v1/analyses/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert int(answer.split()[1]) in {400, 401, 404}, answer


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("text/plain", b'{"version": "1.0.0"}', 415, "UNSUPPORTED_MEDIA"),
        ("application/x-www-form-urlencoded", b"version=1.0.0", 415, "UNSUPPORTED_MEDIA"),
        ("application/json", b'{"version": ', 400, "INVALID_ARGUMENT"),
        ("application/json", b"[]", 400, "INVALID_ARGUMENT"),
        ("application/json", b'{"version": "1.0.0", "mode": "sideways"}', 400, "INVALID_ARGUMENT"),
        ("application/json", b'{"version": "1.0.0", "secret": "DOE"}', 400, "INVALID_ARGUMENT"),
        ("application/json", b"\xff\xfe", 400, "INVALID_ARGUMENT"),
        ("application/json", b"", 400, "INVALID_ARGUMENT"),
    ],
)
def test_a_body_of_another_type_or_form_is_refused_and_not_quoted(
    gateway: GatewayProcess, kind: str, body: bytes, status: int, code: str
) -> None:
    with gateway.rest() as client:
        problem = told(client.post("/v1/models/peanut/activate", content=body, headers={"Content-Type": kind}), status)
    assert problem["code"] == code
    assert "DOE" not in str(problem)
    assert not str(problem.get("parameter", "")).isdigit()


def test_a_misspelt_parameter_changes_nothing_for_a_domain_that_has_its_own(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        url = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
        scan = (SAMPLES / "lung_scan.png").read_bytes()
        assert client.post(url, content=scan).status_code == 201
        assert told(client.post(f"{url}&exma=1", content=scan), 400)["parameter"] == "exma"
        assert told(client.post(f"{url}&exma=%00", content=scan), 400)["parameter"] == "exma"


def test_every_operation_names_each_refusal_that_any_request_may_meet(gateway: GatewayProcess) -> None:
    document = httpx.get(f"{gateway.url}/openapi.json").json()
    assert "HTTPValidationError" not in str(document)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        answers = operation["responses"]
        assert all("X-Request-ID" in answer["headers"] for answer in answers.values()), operation["operationId"]
        if "security" in operation:
            assert operation["security"] == [{"bearer": []}, {"key": []}]
            assert {"400", "401", "500"} <= set(answers), operation["operationId"]
    names = {operation["operationId"] for operation in operations}
    for operation in operations:
        for answer in operation["responses"].values():
            assert {link["operationId"] for link in answer.get("links", {}).values()} <= names
