"""Whatever is sent, the caller is told what is wrong with it, and the next good request is answered."""

import json
import random
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.rest.problems import STATUS
from gateway.service.errors import ErrorCode
from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.e2e.bad_input import BadInput, bad_inputs
from tests.gateway_process import SAMPLES, GatewayProcess

LUNG_PATH = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
INPUTS = bad_inputs()


@pytest.fixture(autouse=True)
def _answers_the_next_good_request(gateway: GatewayProcess) -> Iterator[None]:
    yield
    with gateway.rest() as client:
        response = client.post(LUNG_PATH, content=(SAMPLES / "lung_scan.png").read_bytes())
        assert response.status_code == 201, response.text


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    return info


@pytest.mark.parametrize("bad", INPUTS, ids=lambda bad: bad.name)
def test_rest_names_what_is_wrong(gateway: GatewayProcess, bad: BadInput) -> None:
    with gateway.rest() as client:
        response = client.post(
            f"/v1/domains/{bad.domain}/analyses", content=bad.content, params={k: str(v) for k, v in bad.parameters.items()}
        )
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] == bad.code, problem
    assert response.status_code == problem["status"] == STATUS[ErrorCode(bad.code)]
    assert bad.word in problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    assert "SECRET" not in response.text


@pytest.mark.parametrize("bad", INPUTS, ids=lambda bad: bad.name)
def test_grpc_names_what_is_wrong_with_the_same_code(gateway: GatewayProcess, bad: BadInput) -> None:
    request = pb.AnalyzeRequest(domain=bad.domain, content=bad.content)
    request.parameters.update(bad.parameters)
    with gateway.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        gateway.stub(channel).Analyze(request, metadata=gateway.metadata())
    info = error_info(caught.value)
    assert info.reason == bad.code
    assert info.metadata["request_id"] in gateway.log_text
    assert bad.word in caught.value.details()
    assert "SECRET" not in caught.value.details()


def test_a_wrong_key_and_no_key_are_refused_the_same_way_over_both(gateway: GatewayProcess) -> None:
    wrong = "hgr_" + "a" * 8 + "_" + "b" * 43
    for headers in ({}, {"Authorization": f"Bearer {wrong}"}, {"Authorization": "Basic eDp5"}, {"X-API-Key": "x"}):
        response = httpx.post(gateway.url + LUNG_PATH, content=b"x", headers=headers)
        assert response.status_code == 401
        assert response.json()["code"] == "UNAUTHENTICATED"
        assert response.headers["www-authenticate"].startswith("Bearer")
    with gateway.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        gateway.stub(channel).ListDomains(pb.ListDomainsRequest(), metadata=gateway.metadata(wrong))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error_info(caught.value).reason == "UNAUTHENTICATED"


def test_a_key_without_the_scope_is_told_which_one_it_lacks(gateway: GatewayProcess) -> None:
    key = gateway.command("keys", "create", "--scope", "analyze:crop_weed").stdout.strip()
    with gateway.rest(key) as client:
        assert client.post(LUNG_PATH, content=b"x").json()["detail"].endswith("analyze:pathology")
        assert client.get("/v1/analyses").json()["detail"].endswith("read")
        assert client.delete("/v1/analyses/01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10").json()["detail"].endswith("admin")
        assert client.post("/v1/domains/crop_weed/analyses", content=(SAMPLES / "field.jpg").read_bytes()).status_code == 201
    with gateway.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        gateway.stub(channel).Analyze(pb.AnalyzeRequest(domain="pathology", content=b"x"), metadata=gateway.metadata(key))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_revoked_key_ends_within_two_seconds(gateway: GatewayProcess) -> None:
    key = gateway.command("keys", "create", "--scope", "read").stdout.strip()
    with gateway.rest(key) as client:
        assert client.get("/v1/analyses").status_code == 200
        assert gateway.command("keys", "revoke", key.split("_")[1]).returncode == 0
        time.sleep(2.1)
        assert client.get("/v1/analyses").status_code == 401


def half_sent(gateway: GatewayProcess, headers: str, body: bytes) -> bytes:
    """Sends a request whose body never comes to its end; gives what is answered all the same."""
    address = urlsplit(gateway.url)
    head = f"POST {LUNG_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n{headers}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while b"}" not in answer and (more := connection.recv(65536)):
            answer += more
        return answer


def test_an_oversize_upload_is_refused_before_it_is_sent(gateway: GatewayProcess) -> None:
    answer = half_sent(gateway, "Content-Length: 10000000000", b"only the first bytes")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"PAYLOAD_TOO_LARGE" in answer
    assert b"67108864 bytes" in answer


def test_an_oversize_chunked_upload_is_refused_as_soon_as_it_passes_the_limit(gateway: GatewayProcess) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(1024 * 1024)

    with gateway.rest() as client:
        try:
            response = client.post(LUNG_PATH, content=endless())
        except httpx.WriteError:
            return  # the gateway closed the connection while the client was still sending
    assert response.json()["code"] == "PAYLOAD_TOO_LARGE"


def test_an_oversize_grpc_upload_is_refused_at_its_first_message(gateway: GatewayProcess) -> None:
    sent = 0

    def messages() -> Iterator[pb.AnalyzeUploadRequest]:
        nonlocal sent
        yield pb.AnalyzeUploadRequest(start=pb.UploadStart(domain="pathology", size_bytes=10**10))
        for _ in range(1000):
            sent += 1
            time.sleep(0.01)
            yield pb.AnalyzeUploadRequest(chunk=bytes(1024))

    with gateway.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        gateway.stub(channel).AnalyzeUpload(messages(), metadata=gateway.metadata())
    assert error_info(caught.value).reason == "PAYLOAD_TOO_LARGE"
    assert sent < 500


def test_a_grpc_message_over_the_limit_is_refused(gateway: GatewayProcess) -> None:
    request = pb.AnalyzeRequest(domain="pathology", content=bytes(70 * 1024 * 1024))
    with gateway.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        gateway.stub(channel).Analyze(request, metadata=gateway.metadata())
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


MULTIPART = "multipart/form-data; boundary=cut"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, b"this is no multipart body"),
        ("multipart/form-data", b"--cut\r\n\r\nx\r\n--cut--\r\n"),
        (MULTIPART, b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nPNG'),
        (MULTIPART, b'--cut\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--cut--\r\n'),
        (MULTIPART, b'--cut\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file name\r\n--cut--\r\n'),
    ],
    ids=["no parts", "no boundary", "cut", "no file", "field instead of file"],
)
def test_a_malformed_multipart_is_named_so(gateway: GatewayProcess, content_type: str, body: bytes) -> None:
    with gateway.rest() as client:
        response = client.post(LUNG_PATH, content=body, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert "multipart" in response.json()["detail"]


def test_multipart_parameters_that_are_no_json_object_are_named_so(gateway: GatewayProcess) -> None:
    for text in ("{", "[1]", "7"):
        parts = {"file": ("a.png", b"x"), "parameters": (None, text)}
        with gateway.rest() as client:
            problem = client.post(LUNG_PATH, files=parts).json()
        assert problem["code"] == "INVALID_ARGUMENT"
        assert problem["parameter"] == "parameters"


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf"])
def test_a_timeout_that_is_no_positive_number_is_named_so(gateway: GatewayProcess, value: str) -> None:
    with gateway.rest() as client:
        problem = client.post(LUNG_PATH, content=b"x", headers={"Request-Timeout": value}).json()
    assert problem["parameter"] == "Request-Timeout"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=many", "cursor=zzz", "created_after=2026-01-01T00:00:00", "abstained=maybe"]
)
def test_a_listing_argument_of_the_wrong_form_is_named(gateway: GatewayProcess, query: str) -> None:
    with gateway.rest() as client:
        response = client.get(f"/v1/analyses?{query}")
    assert response.status_code == 400
    assert response.json()["parameter"] == query.partition("=")[0]


def test_an_unknown_or_malformed_id_is_not_found(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        for wanted in ("01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10", "x", "%2e%2e%2fhedgerow.db", "a" * 5000):
            assert client.get(f"/v1/analyses/{wanted}").json()["code"] == "NOT_FOUND"


def test_500_random_mutations_of_valid_files_are_each_answered_and_none_with_a_500(gateway: GatewayProcess) -> None:
    draw = random.Random(20260101)
    names = ["lung_scan.png", "breast_scan.jpg", "breast_scan.dcm", "ultrasound_clip.dcm", "field_sideways.jpg"]
    files = {name: (SAMPLES / name).read_bytes() for name in names}
    statuses: dict[int, int] = {}
    with gateway.rest() as client:
        for _ in range(500):
            name = draw.choice(names)
            content = bytearray(files[name])
            for _ in range(draw.choice([1, 3, 30])):
                # Headers are where the damage is done; the rest is mostly pixels.
                content[draw.randrange(draw.choice([64, 2048, len(content)]))] = draw.randrange(256)
            if draw.random() < 0.2:
                del content[draw.randrange(len(content)) :]
            domain = "crop_weed" if name.startswith("field") else "pathology"
            query = {} if domain == "crop_weed" else {"exam": "lung_ultrasound"}
            if name == "ultrasound_clip.dcm" and draw.random() < 0.9:
                query["frame"] = "1"  # all frames of every one would take minutes
            response = client.post(f"/v1/domains/{domain}/analyses", content=bytes(content), params=query)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
            assert response.status_code < 500, json.dumps(response.json())
    assert statuses.keys() >= {201, 415, 422}, statuses
