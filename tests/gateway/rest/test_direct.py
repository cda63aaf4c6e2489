"""The calls that go past the framework: answered as the framework answers them, to the byte."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.rest.app import build_app
from gateway.rest.direct import DirectCalls
from tests.fixed_node import EMBEDDED, FixedNode
from tests.gateway_thread import GatewayThread

ANALYSES = "/v1/domains/pathology/analyses"
INFER = "/v2/models/none/infer"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayThread]:
    """Over a node that answers everything."""
    with GatewayThread(FixedNode(EMBEDDED), tmp_path) as opened:
        yield opened


def asked(app: Any, method: str, path: str, **request: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer, without what differs each time."""
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            return await client.request(method, path, **request)

    answer = asyncio.run(ask())
    request_id = answer.headers.pop("x-request-id")
    return answer.status_code, dict(answer.headers), answer.content.replace(request_id.encode(), b"ID")


@pytest.mark.parametrize(("path", "request_"), [
    (ANALYSES, {"content": b""}),
    (f"{ANALYSES}?exam=lung_ultrasound&exam=skin_lesion", {"content": b"scan"}),
    (f"{ANALYSES}?exam=%00", {"content": b"scan"}),
    (ANALYSES, {"headers": {"Authorization": "Bearer hgr_nobody"}}),
    (ANALYSES, {"headers": {"Request-Timeout": "never"}}),
    (ANALYSES, {"content": b"x" * 2_000_000}),
    (ANALYSES, {"files": {"wrong": b"scan"}}),
    ("/v1/domains/no%20such/analyses", {"content": b"scan"}),
    (INFER, {"json": {"inputs": []}}),
    (INFER, {"content": b"\1", "headers": {"Inference-Header-Content-Length": "0"}}),
    (INFER, {"content": b"{", "headers": {"Inference-Header-Content-Length": "much"}}),
    ("/v2/models/none/versions/7/infer", {"json": {"inputs": []}}),
])
def test_a_refusal_is_the_frameworks_to_the_byte(gateway: GatewayThread, path: str, request_: dict[str, Any]) -> None:
    key = gateway.key(("analyze:*",))
    request_ = {**request_, "headers": {"Authorization": f"Bearer {key}", **request_.get("headers", {})}}
    app = build_app(gateway.services, version="0")
    if "files" in request_:
        request_["headers"]["Content-Type"] = "multipart/form-data; boundary=b"
        request_ = {"content": b'--b\r\nContent-Disposition: form-data; name="wrong"\r\n\r\nscan\r\n--b--\r\n', "headers": request_["headers"]}
    by_framework = asked(app, "POST", path, **request_)
    assert 400 <= by_framework[0] < 500
    assert asked(DirectCalls(app), "POST", path, **request_) == by_framework


def test_an_analysis_and_an_inference_go_past_the_framework_and_nothing_else_does(gateway: GatewayThread) -> None:
    app = build_app(gateway.services, version="0")
    reached: list[str] = []

    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        reached.append(f"{scope['method']} {scope['path']}")
        await send({"type": "http.response.start", "status": 418, "headers": [(b"x-request-id", b"framework")]})
        await send({"type": "http.response.body", "body": b""})

    app.middleware_stack = framework
    for path in (ANALYSES, INFER, "/v2/models/none/versions/1/infer"):
        assert asked(DirectCalls(app), "POST", path)[0] == 401
    others = [("GET", ANALYSES), ("POST", f"{ANALYSES}/x"), ("POST", "/v1/jobs"), ("GET", INFER), ("POST", f"{INFER}/"), ("GET", "/docs")]
    assert {asked(DirectCalls(app), *other)[0] for other in others} == {418}
    assert reached == [f"{method} {path}" for method, path in others]


def test_an_answer_has_its_id_its_place_and_its_times(gateway: GatewayThread) -> None:
    with gateway.rest(gateway.key(("analyze:*",))) as client:
        answer = client.post(f"{ANALYSES}?exam=lung_ultrasound", content=b"scan", headers={"X-Request-ID": "visit-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (201, "visit-1")
    assert answer.headers["location"] == f"/v1/analyses/{answer.json()['id']}"
    assert re.match(r"queue;dur=[0-9.]+, ", answer.headers["server-timing"])
