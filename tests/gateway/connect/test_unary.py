"""Calls with one answer, over Connect and over gRPC-Web alike."""

import asyncio
import base64
import socket
import threading
from typing import Any

import httpx
import pytest
from google.protobuf import json_format

from gateway.service.clips import OnProgress
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.records import Analysis
from protos.hedgerow.v1 import analysis_pb2, jobs_pb2
from tests.gateway.connect.wire_callers import UNARY, WEB, WireCaller
from tests.gateway.rest.scripted_services import MAX_UPLOAD_BYTES, RestThread

ANALYSES, JOBS = "/hedgerow.v1.AnalysisService", "/hedgerow.v1.JobService"
SCAN = analysis_pb2.AnalyzeRequest(domain="pathology", content=b"a scan")
every_wire = pytest.mark.parametrize("wire", [*UNARY, *WEB], ids=lambda wire: wire.content_type)


def analyze(wire: WireCaller, client: httpx.Client, headers: dict[str, str] | None = None, request: Any = SCAN) -> Any:
    return wire.call(client, f"{ANALYSES}/Analyze", request, analysis_pb2.AnalyzeResponse, headers)


@pytest.fixture
def waiting(gateway: RestThread) -> threading.Event:
    """Analyses never end by themselves; set once one has begun."""
    begun = threading.Event()

    async def forever(_: OnProgress) -> Analysis:
        begun.set()
        await asyncio.sleep(60)
        raise AssertionError

    gateway.analyses.script = forever
    return begun


@every_wire
def test_a_call_is_answered_as_over_grpc(gateway: RestThread, client: httpx.Client, wire: WireCaller) -> None:
    reply = wire.call(client, f"{JOBS}/ListJobs", jobs_pb2.ListJobsRequest(page_size=5), jobs_pb2.ListJobsResponse)
    assert reply.messages == [jobs_pb2.ListJobsResponse()]
    assert (reply.code, reply.http.headers["x-request-id"]) == (0, "visit-7")
    (line,) = gateway.lines()
    assert (line["transport"], line["operation"], line["status"]) == (wire.transport, "ListJobs", "OK")
    assert (line["request_id"], line["tenant"]) == ("visit-7", "clinic")


@every_wire
@pytest.mark.parametrize(("error", "status", "http"), [
    (ServiceError(ErrorCode.CORRUPT_MEDIA, "gar kein Bild: 90 % fehlen — ✂", parameter="content"), "INVALID_ARGUMENT", 400),
    (ServiceError(ErrorCode.OVERLOADED, "try again", retry_after_s=2.5), "UNAVAILABLE", 503),
    (ServiceError(ErrorCode.DEADLINE_EXCEEDED, "too late"), "DEADLINE_EXCEEDED", 504),
    (ServiceError(ErrorCode.HELD_BACK, "it has text in it"), "FAILED_PRECONDITION", 400),
])
def test_what_goes_wrong_is_told_with_its_code_its_words_and_the_requests_id(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, error: ServiceError, status: str, http: int
) -> None:
    async def fails(_: OnProgress) -> Analysis:
        raise error

    gateway.analyses.script = fails
    reply = analyze(wire, client)
    assert (reply.status, reply.told, reply.messages) == (status, str(error), [])
    assert (reply.info.reason, reply.info.metadata["request_id"]) == (error.code, "visit-7")
    assert reply.info.metadata["parameter"] == (error.parameter or "")
    assert reply.http.status_code == (200 if wire.grpc_web else http)
    (line,) = gateway.lines()
    assert (line["transport"], line["status"], line["code"]) == (wire.transport, status, error.code)


@every_wire
def test_the_text_of_an_unforeseen_error_is_told_to_nobody(gateway: RestThread, client: httpx.Client, wire: WireCaller) -> None:
    async def fails(_: OnProgress) -> Analysis:
        raise KeyError("DOE^JANE")

    gateway.analyses.script = fails
    reply = analyze(wire, client)
    assert (reply.status, reply.info.reason, reply.info.metadata["request_id"]) == ("INTERNAL", "INTERNAL", "visit-7")
    assert "DOE" not in reply.http.text + str(gateway.log)


@every_wire
@pytest.mark.parametrize(("headers", "status", "reason"), [
    ({"Authorization": ""}, "UNAUTHENTICATED", "UNAUTHENTICATED"),
    ({"Authorization": "Bearer hgr_none"}, "UNAUTHENTICATED", "UNAUTHENTICATED"),
    ({"Connect-Timeout-Ms": "soon", "grpc-timeout": "soon"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ({"Connect-Timeout-Ms": "12345678901", "grpc-timeout": "123456789m"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ({"Connect-Timeout-Ms": "-1", "grpc-timeout": "-1S"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ({"Content-Encoding": "gzip", "grpc-encoding": "gzip"}, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"),
])
def test_a_call_is_refused_for_what_its_headers_say(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, headers: dict[str, str], status: str, reason: str
) -> None:
    reply = analyze(wire, client, headers)
    assert (reply.status, reply.info.reason, reply.info.metadata["request_id"]) == (status, reason, "visit-7")
    assert reply.http.headers["x-request-id"] == "visit-7"
    (line,) = gateway.lines()
    assert (line["transport"], line["operation"], line["status"], line["code"]) == (wire.transport, "Analyze", status, reason)


def test_another_version_of_connects_protocol_is_refused(client: httpx.Client) -> None:
    reply = analyze(UNARY[0], client, {"Connect-Protocol-Version": "2"})
    assert (reply.status, reply.http.status_code) == ("INVALID_ARGUMENT", 400)


@every_wire
@pytest.mark.parametrize("body", [
    b"\xff", b"\x00\x00", b"{", b'{"domain": 5}', b"\x00\x00\x00\x00\x05\xff", b"\x01\x00\x00\x00\x00",
    b"\x02\x00\x00\x00\x00", b"AAAA", b"AAA", b"\x00\x00\x00\x00\x01\xff", b"\x00\x00\x00\x00\x00" * 2, b"[" * 100_000,
])
def test_a_body_that_is_no_message_is_the_callers_fault(client: httpx.Client, wire: WireCaller, body: bytes) -> None:
    if len(body) > MAX_UPLOAD_BYTES:
        body = wire.packed(body)
    reply = analyze(wire, client, request=body)
    assert (reply.status, reply.info.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")


@every_wire
def test_a_file_up_to_the_limit_is_taken_and_a_bigger_one_refused_before_it_is_read(
    gateway: RestThread, client: httpx.Client, wire: WireCaller
) -> None:
    async def fails(_: OnProgress) -> Analysis:
        raise ServiceError(ErrorCode.CORRUPT_MEDIA, "it was read")

    gateway.analyses.script = fails
    fits = analysis_pb2.AnalyzeRequest(domain="pathology", content=b"x" * MAX_UPLOAD_BYTES)
    assert analyze(wire, client, request=fits).told == "it was read"
    host, port = gateway.address.split(":")
    head = (f"POST {ANALYSES}/Analyze HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {gateway.key}",
            f"Content-Type: {wire.content_type}", f"Content-Length: {10 * MAX_UPLOAD_BYTES}", "", "")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join(head).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 200" if wire.grpc_web else b"HTTP/1.1 429")
    assert gateway.lines(count=2)[1]["code"] == "PAYLOAD_TOO_LARGE"
    reply = analyze(wire, client, request=b"x" * (3 * MAX_UPLOAD_BYTES + 256 * 1024))
    assert (reply.status, reply.info.reason) == ("RESOURCE_EXHAUSTED", "PAYLOAD_TOO_LARGE")


@every_wire
def test_the_deadline_ends_the_work(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, waiting: threading.Event
) -> None:
    reply = analyze(wire, client, wire.timeout(150))
    assert (reply.status, reply.info.metadata["request_id"]) == ("DEADLINE_EXCEEDED", "visit-7")
    assert waiting.is_set()
    assert gateway.analyses.cancelled.wait(10)


@every_wire
def test_a_caller_who_hangs_up_ends_the_work(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, waiting: threading.Event
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            f"{ANALYSES}/Analyze", content=wire.body(SCAN), headers={"Content-Type": wire.content_type},
            timeout=httpx.Timeout(10, read=0.2),
        )
    assert waiting.is_set()
    assert gateway.analyses.cancelled.wait(10)
    (line,) = gateway.lines()
    assert (line["status"], line["code"]) == ("CANCELLED", "CANCELLED")


@every_wire
@pytest.mark.parametrize("path", [f"{ANALYSES}/AnalyzeUpload", f"{JOBS}/SubmitJob", "/hedgerow.v1.ModelService/InstallModel"])
def test_calls_that_take_a_stream_say_that_it_isnt_done_here(client: httpx.Client, wire: WireCaller, path: str) -> None:
    reply = wire.call(client, path, analysis_pb2.AnalyzeUploadRequest(), analysis_pb2.AnalyzeUploadResponse)
    assert reply.status == "UNIMPLEMENTED"
    assert "docs/browsers.md" in reply.told


def test_fields_of_a_newer_client_are_passed_over(client: httpx.Client) -> None:
    for wire, body in ((UNARY[0], b'{"pageSize": 5, "newer": [1]}'), (UNARY[1], b"\xf8\x7f\x01")):
        reply = wire.call(client, f"{JOBS}/ListJobs", body, jobs_pb2.ListJobsResponse)
        assert (reply.status, reply.http.status_code) == ("OK", 200)


@pytest.mark.parametrize("encoding", ["json", "proto"])
def test_what_changes_nothing_can_be_asked_with_get(client: httpx.Client, encoding: str) -> None:
    request = jobs_pb2.GetJobRequest(id="none ✂")
    plain = json_format.MessageToJson(request, ensure_ascii=False).encode() if encoding == "json" else request.SerializeToString()
    coded = base64.urlsafe_b64encode(plain)
    quoted = "".join(f"%{byte:02x}" for byte in plain)
    for query in (
        f"message={quoted}", f"base64=1&message={coded.decode()}", f"base64=1&message={coded.rstrip(b'=').decode()}&connect=v1"
    ):
        response = client.get(f"{JOBS}/GetJob?encoding={encoding}&{query}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    listed = client.get(f"{JOBS}/ListJobs?encoding={encoding}&message={'%7b%7d' if encoding == 'json' else ''}")
    assert (listed.status_code, listed.headers["content-type"]) == (200, f"application/{encoding}")
    for wrong in ("base64=1&message=?", "message=%ff", "message=&connect=v2", "compression=gzip&message="):
        response = client.get(f"{JOBS}/GetJob?encoding={encoding}&{wrong}")
        assert (response.status_code, response.json()["code"]) in {(400, "invalid_argument"), (501, "unimplemented")}


@pytest.mark.parametrize(("method", "path", "content_type", "status", "header"), [
    ("GET", f"{ANALYSES}/DeleteAnalysis?encoding=json&message={{}}", "", 405, ("allow", "POST")),
    ("PUT", f"{JOBS}/GetJob", "application/json", 405, ("allow", "GET, POST")),
    ("GET", f"{JOBS}/WatchJob?encoding=json&message={{}}", "", 405, ("allow", "POST")),
    ("GET", f"{JOBS}/GetJob?encoding=grpc-web&message=", "", 415, ("accept-post", "application/json, application/proto, ")),
    ("POST", f"{JOBS}/GetJob", "application/grpc", 415, ("accept-post", "application/json, application/proto, ")),
    ("POST", f"{JOBS}/GetJob", "application/connect+proto", 415, ("accept-post", "application/json, application/proto, ")),
    ("POST", f"{JOBS}/WatchJob", "application/json", 415, ("accept-post", "application/connect+json, ")),
])
def test_what_is_no_form_of_a_call_is_answered_with_what_would_be(
    gateway: RestThread, client: httpx.Client, method: str, path: str, content_type: str, status: int, header: tuple[str, str]
) -> None:
    response = client.request(method, path, headers={"Content-Type": content_type} if content_type else {})
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert response.json()["request_id"] == response.headers["x-request-id"] == "visit-7"
    assert response.headers[header[0]].startswith(header[1])
    assert gateway.lines()[0]["status"] == status


def test_a_call_that_there_isnt_is_answered_as_any_other_path(client: httpx.Client) -> None:
    response = client.post(f"{JOBS}/GetJobs", content=b"{}", headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
