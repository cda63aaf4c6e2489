"""The tus protocol on real sockets, over a real store and folder."""

import base64
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from hashlib import sha1, sha256
from pathlib import Path

import httpx
import pytest

from gateway.service.errors import ErrorCode, ServiceError
from tests.upload_gateway import MOST_BYTES, UploadGateway

CONTENT = os.urandom(300_000)
STREAM = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[UploadGateway]:
    with UploadGateway(tmp_path) as running:
        yield running


@pytest.fixture
def client(gateway: UploadGateway) -> Iterator[httpx.Client]:
    with gateway.client() as opened:
        yield opened


def metadata(**values: str) -> str:
    pairs = {"domain": "pathology"} | values
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in pairs.items())


def creation(size: int = len(CONTENT), **more: str) -> dict[str, str]:
    return {"Upload-Length": str(size), "Upload-Metadata": metadata(**more)}


def begin(client: httpx.Client, size: int = len(CONTENT), **more: str) -> str:
    response = client.post("/v1/uploads", headers=creation(size, **more))
    assert response.status_code == 201, response.text
    return str(response.url.join(response.headers["location"]).path)


def patch(client: httpx.Client, path: str, offset: int, content: bytes, **headers: str) -> httpx.Response:
    sent = STREAM | {"Upload-Offset": str(offset)} | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(path, content=content, headers=sent)


def checksum(content: bytes, name: str = "sha256") -> str:
    digest = sha1(content).digest() if name == "sha1" else sha256(content).digest()
    return f"{name} {base64.b64encode(digest).decode()}"


def open_patch(gateway: UploadGateway, path: str, offset: int, content: bytes) -> socket.socket:
    """A connection in the middle of a PATCH: all of `content` was sent, and more was announced."""
    connection = socket.create_connection(("127.0.0.1", gateway.port))
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {gateway.key}\r\nTus-Resumable: 1.0.0\r\n"
        f"Content-Type: {STREAM['Content-Type']}\r\nUpload-Offset: {offset}\r\nContent-Length: {len(CONTENT) - offset}\r\n\r\n"
    )
    connection.sendall(head.encode() + content)
    return connection


def test_a_file_in_two_pieces_becomes_a_job_whose_path_is_told(gateway: UploadGateway, client: httpx.Client) -> None:
    path = begin(client, parameters=json.dumps({"exam": "lung_ultrasound"}), idempotency_key="visit 7")
    assert patch(client, path, 0, CONTENT[:100_000]).headers["upload-offset"] == "100000"
    last = patch(client, path, 100_000, CONTENT[100_000:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(CONTENT)))
    (taken,) = gateway.jobs.taken
    assert taken.content == CONTENT
    assert (taken.key, taken.job.parameters) == ("visit 7", {"exam": "lung_ultrasound"})
    after = client.head(path)
    assert after.headers["hedgerow-job"] == last.headers["hedgerow-job"] == f"/v1/jobs/{taken.job.id}"
    assert "upload-expires" not in after.headers


def test_head_says_how_far_it_is_and_is_kept_in_no_cache(client: httpx.Client) -> None:
    path = begin(client, parameters='{"exam":"lung_ultrasound"}')
    patch(client, path, 0, CONTENT[:1234])
    response = client.head(path)
    assert response.status_code == 200
    assert response.headers["tus-resumable"] == "1.0.0"
    assert (response.headers["upload-offset"], response.headers["upload-length"]) == ("1234", str(len(CONTENT)))
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["upload-metadata"] == metadata(parameters='{"exam":"lung_ultrasound"}')
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.headers["upload-expires"])
    assert "hedgerow-job" not in response.headers


def test_options_say_what_is_offered_to_everybody(gateway: UploadGateway) -> None:
    for path in ("/v1/uploads", "/v1/uploads/", "/v1/uploads/any"):
        response = httpx.options(gateway.url + path, trust_env=False)
        assert response.status_code == 204
        assert response.headers["tus-version"] == "1.0.0"
        assert response.headers["tus-extension"] == "creation,creation-with-upload,checksum,expiration,termination"
        assert response.headers["tus-max-size"] == str(MOST_BYTES)
        assert response.headers["tus-checksum-algorithm"] == "sha1,sha256"


def test_the_location_leads_to_the_upload_below_any_prefix_of_a_proxy(client: httpx.Client) -> None:
    for path in ("/v1/uploads", "/v1/uploads/"):
        location = client.post(path, headers=creation()).headers["location"]
        outside = httpx.URL(f"https://clinic.example/hedgerow{path}").join(location)
        assert re.fullmatch(r"/hedgerow/v1/uploads/[0-9a-f-]{36}", outside.path)
        assert client.head(outside.path.removeprefix("/hedgerow")).status_code == 200


def test_the_first_bytes_may_come_with_the_creation(gateway: UploadGateway, client: httpx.Client) -> None:
    response = client.post("/v1/uploads", headers=creation() | STREAM, content=CONTENT[:100_000])
    assert (response.status_code, response.headers["upload-offset"]) == (201, "100000")
    whole = client.post("/v1/uploads", headers=creation() | STREAM, content=CONTENT)
    assert (whole.status_code, whole.headers["hedgerow-job"]) == (201, f"/v1/jobs/{gateway.jobs.taken[0].job.id}")
    assert gateway.jobs.taken[0].content == CONTENT
    damaged = client.post(
        "/v1/uploads", headers=creation() | STREAM | {"Upload-Checksum": checksum(b"other")}, content=CONTENT
    )
    assert damaged.status_code == 460
    assert len(list(gateway.uploads._parts.stored())) == 1, "nobody knows the damaged one, so it isn't kept"


def test_a_connection_cut_in_the_middle_keeps_what_arrived(gateway: UploadGateway, client: httpx.Client) -> None:
    path = begin(client)
    with open_patch(gateway, path, 0, CONTENT[:200_000]):
        time.sleep(0.3)
    assert wait_for_offset(client, path) == 200_000
    assert patch(client, path, 200_000, CONTENT[200_000:]).status_code == 204
    assert gateway.jobs.taken[0].content == CONTENT


def wait_for_offset(client: httpx.Client, path: str) -> int:
    return int(client.head(path).headers["upload-offset"])


def test_an_old_connection_that_hangs_keeps_nobody_from_going_on(gateway: UploadGateway, client: httpx.Client) -> None:
    path = begin(client)
    with open_patch(gateway, path, 0, CONTENT[:200_000]) as old:
        time.sleep(0.3)
        second = patch(client, path, 0, CONTENT)
        assert (second.status_code, second.json()["code"]) == (423, "CONFLICT")
        assert second.json()["status"] == 423
        assert second.headers["retry-after"] == "1"
        assert wait_for_offset(client, path) == 200_000
        assert old.recv(65536).startswith(b"HTTP/1.1 423 ")
    assert patch(client, path, 200_000, CONTENT[200_000:]).status_code == 204
    assert gateway.jobs.taken[0].content == CONTENT


def test_two_at_once_corrupt_nothing(gateway: UploadGateway, client: httpx.Client) -> None:
    path = begin(client)
    statuses: list[int] = []

    def send() -> None:
        with gateway.client() as own:
            statuses.append(patch(own, path, 0, CONTENT).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses.count(204) == 1
    assert set(statuses) <= {204, 409, 423}
    assert [taken.content for taken in gateway.jobs.taken] == [CONTENT]


def test_checksums_are_checked_and_damaged_bytes_are_not_kept(gateway: UploadGateway, client: httpx.Client) -> None:
    path = begin(client)
    damaged = patch(client, path, 0, CONTENT[:9000], Upload_Checksum=checksum(CONTENT[:8999], "sha1"))
    assert (damaged.status_code, damaged.json()["status"]) == (460, 460)
    assert damaged.headers["content-type"] == "application/problem+json"
    assert wait_for_offset(client, path) == 0
    assert patch(client, path, 0, CONTENT[:9000], Upload_Checksum=checksum(CONTENT[:9000], "sha1")).status_code == 204
    assert patch(client, path, 9000, CONTENT[9000:], Upload_Checksum=checksum(CONTENT[9000:])).status_code == 204
    assert gateway.jobs.taken[0].content == CONTENT
    for wrong in ("md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha1 AAAA", "sha256 !!!", "sha256"):
        assert patch(client, path, 0, b"x", Upload_Checksum=wrong).json()["parameter"] == "Upload-Checksum"


def test_what_does_not_fit_is_refused_with_tus_own_statuses(client: httpx.Client) -> None:
    path = begin(client)
    assert patch(client, path, 5, b"x").status_code == 409
    assert patch(client, path, 0, CONTENT + b"x").status_code == 413
    assert client.patch(path, content=b"x", headers={"Upload-Offset": "0", "Content-Type": "image/png"}).status_code == 415
    for offset in ("", "-1", "x", "1.5"):
        refused = client.patch(path, content=b"x", headers=STREAM | {"Upload-Offset": offset})
        assert (refused.status_code, refused.json()["parameter"]) == (400, "Upload-Offset")
    for version in ("0.2.2", ""):
        wrong = client.patch(path, content=b"x", headers=STREAM | {"Upload-Offset": "0", "Tus-Resumable": version})
        assert (wrong.status_code, wrong.json()["status"], wrong.headers["tus-version"]) == (412, 412, "1.0.0")
    assert wait_for_offset(client, path) == 0
    assert client.head("/v1/uploads/01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10").status_code == 404
    assert client.head("/v1/uploads/none").headers["tus-resumable"] == "1.0.0"


def test_a_creation_that_says_too_little_or_too_much_is_refused(gateway: UploadGateway, client: httpx.Client) -> None:
    good = creation()
    for change, parameter in (
        ({"Upload-Length": "x"}, "Upload-Length"),
        ({"Upload-Defer-Length": "1"}, "Upload-Defer-Length"),
        ({"Upload-Concat": "partial"}, "Upload-Concat"),
        ({"Upload-Metadata": ""}, "Upload-Metadata"),
        ({"Upload-Metadata": metadata(parameters="[1]")}, "Upload-Metadata"),
        ({"Upload-Metadata": metadata(paramters="{}")}, "Upload-Metadata"),
        ({"Upload-Metadata": metadata() + ",domain Zm9v"}, "Upload-Metadata"),
        ({"Upload-Metadata": "domain /"}, "Upload-Metadata"),
        ({"Upload-Metadata": metadata(idempotency_key="ä")}, "Upload-Metadata"),
        ({"Upload-Metadata": metadata(callback_url="http://inside/")}, "callback_url"),
    ):
        refused = client.post("/v1/uploads", headers=good | change)
        assert (refused.status_code, refused.json()["parameter"]) == (400, parameter)
    assert client.post("/v1/uploads", headers=creation(0)).json()["code"] == "EMPTY_BODY"
    assert client.post("/v1/uploads", headers=creation(MOST_BYTES + 1)).status_code == 413
    assert client.post("/v1/uploads", headers=good, content=b"bytes").status_code == 415
    assert client.post("/v1/uploads", headers=good | {"Upload-Metadata": "domain eA=="}).status_code == 404
    assert list(gateway.uploads._parts.stored()) == []


def test_the_name_of_the_file_is_taken_and_found_nowhere_afterwards(
    gateway: UploadGateway, client: httpx.Client, tmp_path: Path
) -> None:
    path = begin(client, filename="DOE_JANE.dcm", filetype="application/dicom", relativePath="DOE/DOE_JANE.dcm")
    assert "filename" not in client.head(path).headers["upload-metadata"]
    for file in (file for file in tmp_path.rglob("*") if file.is_file()):
        assert b"DOE" not in file.read_bytes()
        assert "DOE" not in file.name
    upload = gateway.store.get("clinic", path.rpartition("/")[2])
    assert upload is not None
    assert set(upload.metadata) == {"request_id"}
    assert {line["event"] for line in gateway.log} == {"request"}
    assert "DOE" not in str(gateway.log)


def test_keys_are_asked_for_and_other_tenants_find_nothing(gateway: UploadGateway, client: httpx.Client) -> None:
    path = begin(client)
    with gateway.client(gateway.new_key(tenant="farm")) as farm, gateway.client(gateway.new_key("read")) as reader:
        for other, status in ((farm, 404), (reader, 403)):
            assert other.head(path).status_code == status
            assert patch(other, path, 0, CONTENT).status_code == status
            assert other.delete(path).status_code == status
        assert reader.post("/v1/uploads", headers=creation()).status_code == 403
    nobody = httpx.patch(gateway.url + path, headers={"Tus-Resumable": "1.0.0"}, trust_env=False)
    assert (nobody.status_code, nobody.headers["tus-resumable"]) == (401, "1.0.0")
    assert wait_for_offset(client, path) == 0


def test_an_upload_that_was_ended_is_gone(client: httpx.Client) -> None:
    path = begin(client)
    patch(client, path, 0, CONTENT[:1000])
    assert client.delete(path).status_code == 204
    assert client.head(path).status_code == 404
    assert patch(client, path, 1000, CONTENT[1000:]).status_code == 404
    assert client.delete(path).status_code == 404


def test_callers_that_can_only_post_say_which_method_they_mean(gateway: UploadGateway, client: httpx.Client) -> None:
    path, other = begin(client), begin(client)
    meant = "X-HTTP-Method-Override"
    sent = client.post(path, content=CONTENT, headers=STREAM | {"Upload-Offset": "0", meant: "PATCH"})
    assert (sent.status_code, gateway.jobs.taken[0].content) == (204, CONTENT)
    assert client.post(path, headers={meant: "HEAD"}).headers["upload-offset"] == str(len(CONTENT))
    assert client.post(other, headers={meant: "delete"}).status_code == 204
    assert client.head(other).status_code == 404
    assert client.post(path).status_code == 405


def test_an_upload_that_can_not_become_a_job_yet_says_so_and_does_later(gateway: UploadGateway, client: httpx.Client) -> None:
    path = begin(client)
    gateway.jobs.refuses = ServiceError(ErrorCode.STORAGE_FULL, "no room for a job", retry_after_s=5)
    full = patch(client, path, 0, CONTENT)
    assert (full.status_code, full.headers["retry-after"]) == (507, "5")
    assert full.json()["code"] == "STORAGE_FULL"
    assert client.head(path).headers["hedgerow-job"] == f"/v1/jobs/{gateway.jobs.taken[0].job.id}"


def test_bytes_are_kept_over_a_restart(tmp_path: Path) -> None:
    with UploadGateway(tmp_path) as first, first.client() as client:
        key, path = first.key, begin(client)
        patch(client, path, 0, CONTENT[:123_456])
    with UploadGateway(tmp_path) as second, second.client(key) as client:
        assert wait_for_offset(client, path) == 123_456
        assert patch(client, path, 123_456, CONTENT[123_456:]).status_code == 204
        assert second.jobs.taken[0].content == CONTENT
