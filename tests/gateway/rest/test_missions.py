"""Missions over REST: many files in one request, over jobs that do as a test says."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.records import Job, JobState
from tests.gateway.rest.job_callers import caller, finish
from tests.gateway.rest.scripted_services import MAX_UPLOAD_BYTES, RestThread

PATH = "/v1/domains/crop_weed/missions"
BOUNDARY = "-----boundary"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RestThread]:
    with RestThread(tmp_path) as running:
        yield running


@pytest.fixture
def client(gateway: RestThread) -> Iterator[httpx.Client]:
    with caller(gateway, gateway.key) as opened:
        yield opened


def photos(count: int, *, first: int = 1) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", ("DOE^JANE.jpg", f"photo {number}".encode())) for number in range(first, first + count)]


def payloads(gateway: RestThread) -> list[bytes]:
    return list(gateway.jobs.payloads.values())


def test_each_file_of_a_mission_becomes_a_job_and_the_mission_counts_them(gateway: RestThread, client: httpx.Client) -> None:
    response = client.post(PATH, files=photos(100), data={"parameters": '{"crop": "maize"}', "expires_s": "60"})
    assert response.status_code == 202, response.text
    made = response.json()
    jobs = list(gateway.jobs.kept.values())
    assert response.headers["location"] == made["links"]["self"] == f"/v1/missions/{made['id']}"
    assert made["states"] == {"queued": 100, "running": 0, "done": 0, "failed": 0, "cancelled": 0}
    assert [row["id"] for row in made["jobs"]] == [job.id for job in jobs]
    assert payloads(gateway) == [f"photo {number}".encode() for number in range(1, 101)]
    assert {(job.mission, job.priority, *job.parameters.items()) for job in jobs} == {(made["id"], "batch", ("crop", "maize"))}
    assert all(job.expires_at for job in jobs)
    assert {row["links"]["mission"] for row in made["jobs"]} == {response.headers["location"]}
    finish(gateway, jobs[7])
    gateway.jobs.change(jobs[8], state=JobState.FAILED, error_code="CORRUPT_MEDIA", error_message="cut")
    later = client.get(response.headers["location"])
    assert later.headers["retry-after"] == "1"
    assert later.json()["states"] == {"queued": 98, "running": 0, "done": 1, "failed": 1, "cancelled": 0}
    assert [row["id"] for row in later.json()["jobs"]] == [job.id for job in jobs], "in the order of the files"
    assert later.json()["jobs"][8]["error"]["code"] == "CORRUPT_MEDIA"
    assert len(client.get(made["links"]["jobs"] + "&limit=200").json()["jobs"]) == 100
    assert "DOE" not in str(gateway.log)


def test_a_mission_that_is_over_says_no_more_when_to_ask(gateway: RestThread, client: httpx.Client) -> None:
    path = client.post(PATH, files=photos(1)).headers["location"]
    finish(gateway, gateway.jobs.newest())
    assert "retry-after" not in client.get(path).headers
    assert client.get("/v1/missions/none").json()["code"] == "NOT_FOUND"


def test_a_mission_sent_twice_under_one_key_is_the_same_mission(gateway: RestThread, client: httpx.Client) -> None:
    first, again = (client.post(PATH, files=photos(3), headers={"Idempotency-Key": "field-9"}) for _ in range(2))
    assert first.json() == again.json()
    assert [job.key for job in gateway.jobs.kept.values()] == ["field-9/1", "field-9/2", "field-9/3"]
    assert [answer.headers.get("idempotent-replayed") for answer in (first, again)] == [None, "true"]
    other = client.post(PATH, files=photos(3, first=2), headers={"Idempotency-Key": "field-9"})
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_mission_that_broke_off_is_completed_when_it_is_sent_again(gateway: RestThread, client: httpx.Client) -> None:
    with half_sent(gateway, headers="Idempotency-Key: field-9\r\n"):
        gateway.jobs.newest(2)
    assert gateway.lines()[0]["code"] == "CANCELLED"
    assert {job.state for job in gateway.jobs.kept.values()} == {JobState.QUEUED}
    response = client.post(PATH, files=photos(3), headers={"Idempotency-Key": "field-9"})
    assert response.status_code == 202
    assert len(gateway.jobs.kept) == len({row["id"] for row in response.json()["jobs"]}) == 3
    assert {job.mission for job in gateway.jobs.kept.values()} == {response.json()["id"]}
    assert "idempotent-replayed" not in response.headers, "one of its files is new"


def test_without_a_key_what_arrived_of_a_broken_mission_is_cancelled(gateway: RestThread) -> None:
    with half_sent(gateway):
        gateway.jobs.newest(2)
        finish(gateway, next(iter(gateway.jobs.kept.values())))
    assert gateway.lines()[0]["code"] == "CANCELLED"
    assert [job.state for job in gateway.jobs.kept.values()] == [JobState.DONE, JobState.CANCELLED]


def test_files_become_jobs_while_others_still_come(gateway: RestThread) -> None:
    with half_sent(gateway):
        gateway.jobs.newest(2)
        assert payloads(gateway) == [b"photo 1", b"photo 2"]


def test_a_mission_larger_than_any_one_file_may_be_is_taken(gateway: RestThread, client: httpx.Client) -> None:
    large = [("file", (f"{number}.jpg", bytes([number]) * MAX_UPLOAD_BYTES)) for number in range(5)]
    assert client.post(PATH, files=large).status_code == 202
    assert [len(payload) for payload in payloads(gateway)] == [MAX_UPLOAD_BYTES] * 5
    too_large = client.post(PATH, files=[("file", ("1.jpg", b"x" * (MAX_UPLOAD_BYTES + 1)))])
    assert (too_large.status_code, too_large.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_full_disk_in_the_midst_refuses_the_mission_and_loses_nothing_that_has_a_key(
    gateway: RestThread, client: httpx.Client
) -> None:
    def fill(job: Job) -> Job:
        if len(gateway.jobs.kept) == 1:
            gateway.jobs.fails = ServiceError(ErrorCode.STORAGE_FULL, "the disk takes no more", retry_after_s=30)
        return job

    gateway.jobs.runs = fill
    for headers, state in (({}, JobState.CANCELLED), ({"Idempotency-Key": "field-9"}, JobState.QUEUED)):
        gateway.jobs.kept.clear()
        gateway.jobs.fails = None
        full = client.post(PATH, files=photos(3), headers=headers)
        assert (full.status_code, full.headers["retry-after"]) == (507, "30")
        assert [job.state for job in gateway.jobs.kept.values()] == [state, state]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "send multipart/form-data"),
        (photos(101), "at most 100 files"),
        ([*photos(1), ("file", ("2.jpg", b""))], "file 2 is empty"),
        ([*photos(1), ("parameters", (None, "{}"))], "come before the files"),
        ([("parameters", (None, "{}"))], "at least one part named 'file'"),
        ([("parameters", (None, "[DOE^JANE]")), *photos(1)], "no JSON object"),
        ([("parameters", (None, "x" * 70_000)), *photos(1)], "at most 65536 bytes"),
        ([("picture", ("1.jpg", b"photo"))], "only the parts"),
        ([("file", (None, "photo"))], "only the parts"),
        ([("callback_url", (None, "http://clinic.example/")), *photos(1)], "https://"),
        ([*([("priority", (None, "batch"))] * 9), *photos(1)], "are few"),
    ],
)
def test_what_is_wrong_with_a_mission_is_said_and_nothing_of_it_runs(
    gateway: RestThread, client: httpx.Client, files: list[tuple[str, tuple[str | None, str | bytes]]], words: str
) -> None:
    response = client.post(PATH, files=files)
    assert response.status_code == 400
    assert words in response.json()["detail"]
    assert "DOE" not in response.text
    assert {job.state for job in gateway.jobs.kept.values()} <= {JobState.CANCELLED}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/jpeg", b"photo"),
        ("multipart/form-data", b"photo"),
        (f"multipart/form-data; boundary={'x' * 400}", b"photo"),
        (f"multipart/form-data; boundary={BOUNDARY}", b"photo"),
        (f"multipart/form-data; boundary={BOUNDARY}", b""),
    ],
)
def test_a_body_that_is_no_multipart_is_refused(client: httpx.Client, content_type: str, body: bytes) -> None:
    response = client.post(PATH, content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_ARGUMENT")


def test_a_body_without_its_end_is_refused(gateway: RestThread, client: httpx.Client) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    response = client.post(PATH, content=part(1) + part(2), headers=headers)
    assert "its end is missing" in response.json()["detail"]
    assert {job.state for job in gateway.jobs.kept.values()} == {JobState.CANCELLED}


def test_a_key_that_a_single_request_used_is_not_taken_for_a_file_of_a_mission(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "field-9/1", "Prefer": "respond-async"}
    assert client.post("/v1/domains/crop_weed/analyses", content=b"photo 1", headers=headers).status_code == 202
    mission = client.post(PATH, files=photos(1), headers={"Idempotency-Key": "field-9"})
    assert mission.json()["code"] == "IDEMPOTENCY_KEY_REUSED"


def part(number: int) -> bytes:
    """A file as it stands in the body, up to the boundary of the next."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{number}.jpg"\r\n\r\n'
    return f"{head}photo {number}\r\n".encode()


def half_sent(gateway: RestThread, headers: str = "") -> socket.socket:
    """A mission of which two files and a bit have come; it breaks off where its `with` block ends."""
    host, port = gateway.address.split(":")
    plain = socket.create_connection((host, int(port)), timeout=10)
    body = part(1) + part(2) + part(3)[:-5]
    plain.sendall(
        f"POST {PATH} HTTP/1.1\r\nHost: {gateway.address}\r\nX-API-Key: {gateway.key}\r\nContent-Length: 100000\r\n"
        f"{headers}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode() + body
    )
    return plain
