"""Durable jobs over REST as their callers see them, over jobs that do as a test says."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.records import Job, JobState
from gateway.service.records import new_id
from tests.gateway.rest.job_callers import LATER, PATH, PROGRESS, caller, finish, finishing, key_with, sent
from tests.gateway.rest.scripted_services import CLIP, MAX_UPLOAD_BYTES, RestThread
from tests.gateway.scripted_jobs import analysis_of


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RestThread]:
    with RestThread(tmp_path) as running:
        yield running


@pytest.fixture
def client(gateway: RestThread) -> Iterator[httpx.Client]:
    with caller(gateway, gateway.key) as opened:
        yield opened


def test_with_respond_async_the_answer_is_a_job_and_where_it_is(gateway: RestThread, client: httpx.Client) -> None:
    response = sent(client, LATER)
    job = gateway.jobs.newest()
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/jobs/{job.id}"
    assert response.headers["preference-applied"] == "respond-async"
    assert response.headers["retry-after"] == "1"
    assert "idempotent-replayed" not in response.headers
    assert response.json() == client.get(response.headers["location"]).json() == {
        "id": job.id, "state": "queued", "domain": "pathology", "priority": "interactive",
        "created_at": response.json()["created_at"], "updated_at": response.json()["updated_at"], "attempts": 0,
        "not_before": response.json()["not_before"], "expires_at": None, "mission": "", "progress": None, "error": None,
        "tier": "edge", "why": "",
        "links": {"self": f"/v1/jobs/{job.id}", "events": f"/v1/jobs/{job.id}/events"},
    }
    assert (job.parameters, gateway.jobs.payloads[job.id]) == ({"exam": "lung_ultrasound"}, b"scan")
    assert gateway.lines()[0]["analysis_id"] == job.id


def test_with_wait_the_answer_comes_in_time_or_later_as_a_job(gateway: RestThread, client: httpx.Client) -> None:
    began = time.monotonic()
    late = sent(client, {"Prefer": "respond-async, wait=1"})
    assert 1 <= time.monotonic() - began < 10
    assert (late.status_code, late.headers["preference-applied"]) == (202, "respond-async, wait=1")
    gateway.jobs.runs = finishing(gateway)
    in_time = sent(client, {"Prefer": "respond-async, wait=60"})
    assert (in_time.status_code, in_time.headers["preference-applied"]) == (201, "respond-async, wait=60")
    assert in_time.headers["location"] == f"/v1/analyses/{gateway.jobs.newest().id}"
    assert in_time.headers["server-timing"].startswith("queue;dur=")
    assert in_time.json()["id"] == gateway.jobs.newest().id


def test_the_same_key_gives_the_same_analysis_and_says_so(gateway: RestThread, client: httpx.Client) -> None:
    gateway.jobs.runs = finishing(gateway)
    first, again = (sent(client, {"Idempotency-Key": key}) for key in ('"visit-7"', "visit-7"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(gateway.jobs.kept) == 1
    third = sent(client, {"Idempotency-Key": "visit-7", "Prefer": "respond-async"})
    assert (third.status_code, third.headers["idempotent-replayed"], third.json()["state"]) == (202, "true", "done")
    assert third.json()["links"]["analysis"] == f"/v1/analyses/{first.json()['id']}"
    assert "retry-after" not in third.headers


def test_a_repetition_is_noticed_also_where_it_bears_the_same_request_id(gateway: RestThread, client: httpx.Client) -> None:
    gateway.jobs.runs = finishing(gateway)
    headers = {"Idempotency-Key": "visit-7", "X-Request-ID": "mine"}
    assert [sent(client, headers).headers.get("idempotent-replayed") for _ in range(2)] == [None, "true"]


def test_a_repetition_while_the_first_still_runs_waits_for_the_same_answer(gateway: RestThread, client: httpx.Client) -> None:
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(sent(client, {"Idempotency-Key": "visit-7"}))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    job = gateway.jobs.newest()
    time.sleep(0.2)
    finish(gateway, job)
    for thread in threads:
        thread.join(10)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", "true"]


def test_another_file_under_a_used_key_is_refused(client: httpx.Client) -> None:
    assert sent(client, {"Idempotency-Key": "visit-7", **LATER}).status_code == 202
    other = sent(client, {"Idempotency-Key": "visit-7", **LATER}, b"another scan")
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_where_the_deadline_passes_first_the_job_is_the_answer_and_no_error(gateway: RestThread, client: httpx.Client) -> None:
    response = sent(client, {"Idempotency-Key": "visit-7", "Request-Timeout": "0.2"})
    assert response.status_code == 202
    assert "preference-applied" not in response.headers
    job = gateway.jobs.newest()
    assert response.headers["location"] == f"/v1/jobs/{job.id}"
    assert job.expires_at is None, "the caller's deadline isn't the job's"
    finish(gateway, job)
    assert sent(client, {"Idempotency-Key": "visit-7", "Request-Timeout": "0.2"}).status_code == 201


def test_a_key_alone_suffices_to_get_ones_own_answer(gateway: RestThread) -> None:
    gateway.jobs.runs = finishing(gateway)
    with caller(gateway, key_with(gateway, "analyze:pathology")) as client:
        assert sent(client, {"Idempotency-Key": "visit-7"}).status_code == 201
        assert client.get(f"/v1/jobs/{gateway.jobs.newest().id}").status_code == 403


def test_without_the_scope_of_the_domain_nothing_is_accepted(gateway: RestThread) -> None:
    with caller(gateway, key_with(gateway, "read", "analyze:crop_weed")) as client:
        for headers in (LATER, {"Idempotency-Key": "visit-7"}):
            assert sent(client, headers).json()["code"] == "PERMISSION_DENIED"
        response = client.post("/v1/domains/pathology/missions", files=[("file", ("a", b"scan"))])
        assert response.json()["code"] == "PERMISSION_DENIED"
    assert gateway.jobs.kept == {}


@pytest.mark.parametrize(
    ("code", "status"), [("CORRUPT_MEDIA", 422), ("EXPIRED", 410), ("OVERLOADED", 503), ("SOMETHING_NEW", 500)]
)
def test_the_error_of_a_failed_job_is_told_to_whoever_waits_and_stands_in_the_job(
    gateway: RestThread, client: httpx.Client, code: str, status: int
) -> None:
    gateway.jobs.runs = lambda job: replace(job, state=JobState.FAILED, error_code=code, error_message="cut short")
    for headers in ({"Idempotency-Key": "visit-7"}, {"Prefer": "respond-async, wait=5"}):
        response = sent(client, headers)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"] == "cut short"
    later = sent(client, LATER)
    assert later.status_code == 202
    assert later.json()["error"] == {"code": code, "message": "cut short"}


def test_a_cancelled_job_and_an_answer_that_is_gone_are_told_as_such(gateway: RestThread, client: httpx.Client) -> None:
    gateway.jobs.runs = lambda job: replace(job, state=JobState.CANCELLED)
    assert sent(client, {"Idempotency-Key": "a"}).json()["code"] == "CONFLICT"
    gateway.jobs.runs = finishing(gateway)
    assert sent(client, {"Idempotency-Key": "b"}).status_code == 201
    gateway.analyses.stored.clear()
    gone = sent(client, {"Idempotency-Key": "b"})
    assert (gone.status_code, gone.json()["code"]) == (410, "GONE")


def test_what_is_refused_is_refused_before_there_is_a_job(gateway: RestThread, client: httpx.Client) -> None:
    for headers, content, code in (
        (LATER, b"", "EMPTY_BODY"),
        (LATER, b"x" * (MAX_UPLOAD_BYTES + 1), "PAYLOAD_TOO_LARGE"),
        ({"Idempotency-Key": "k" * 256}, b"scan", "INVALID_ARGUMENT"),
        ({"Idempotency-Key": "visit-7", "Request-Timeout": "soon"}, b"scan", "INVALID_ARGUMENT"),
    ):
        assert sent(client, headers, content).json()["code"] == code
    gateway.jobs.fails = ServiceError(ErrorCode.STORAGE_FULL, "the disk takes no more", retry_after_s=30)
    full = sent(client, LATER)
    assert (full.status_code, full.headers["retry-after"], full.json()["code"]) == (507, "30", "STORAGE_FULL")
    assert gateway.jobs.kept == {}


def test_a_caller_who_hangs_up_leaves_its_job_to_go_on(gateway: RestThread, client: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post(PATH, content=b"scan", headers={"Idempotency-Key": "visit-7"}, timeout=0.5)
    assert gateway.lines()[0]["code"] == "CANCELLED"
    assert gateway.jobs.newest().state is JobState.QUEUED


def test_a_key_with_events_tells_progress_and_then_the_analysis(gateway: RestThread, client: httpx.Client) -> None:
    told: list[tuple[str, Any]] = []
    headers = {"Idempotency-Key": "visit-7", "Accept": "text/event-stream"}

    def listen() -> None:
        with connect_sse(client, "POST", PATH, content=b"clip", headers=headers) as source:
            told.extend((event.event, json.loads(event.data)) for event in source.iter_sse())

    thread = threading.Thread(target=listen)
    thread.start()
    job = gateway.jobs.newest()
    gateway.jobs.change(job, state=JobState.RUNNING, progress=PROGRESS)
    time.sleep(0.3)
    finish(gateway, job)
    thread.join(10)
    assert told == [("progress", PROGRESS), ("analysis", sent(client, {"Idempotency-Key": "visit-7"}, b"clip").json())]


def test_a_key_with_events_and_nothing_to_tell_before_the_deadline_gives_the_job(
    gateway: RestThread, client: httpx.Client
) -> None:
    headers = {"Idempotency-Key": "visit-7", "Accept": "text/event-stream", "Request-Timeout": "0.3"}
    response = sent(client, headers)
    assert (response.status_code, response.headers["content-type"]) == (202, "application/json")
    assert response.headers["location"] == f"/v1/jobs/{gateway.jobs.newest().id}"


def test_a_request_without_key_or_preference_makes_no_job(gateway: RestThread, client: httpx.Client) -> None:
    async def still(_: object) -> Any:
        return replace(CLIP, provenance={"timings_ms": analysis_of(_job()).provenance["timings_ms"]})

    gateway.analyses.script = still
    for headers in ({}, {"Prefer": "return=minimal"}, {"Prefer": "wait=5"}):
        assert sent(client, headers).status_code == 201
    assert gateway.jobs.kept == {}


@pytest.mark.parametrize("form", [True, False])
def test_what_becomes_of_a_job_is_said_in_the_query_or_as_parts(
    gateway: RestThread, client: httpx.Client, form: bool
) -> None:
    said = {"callback_url": "https://clinic.example/results?case=7", "expires_s": "60", "priority": "batch"}
    if form:
        response = client.post(PATH, files={"file": ("scan.png", b"scan")}, data=said, headers=LATER)
    else:
        response = client.post(PATH, content=b"scan", params={"exam": "lung_ultrasound", **said}, headers=LATER)
    job = gateway.jobs.newest()
    assert response.status_code == 202, response.text
    assert (job.callback, job.priority) == ({"url": said["callback_url"]}, "batch")
    assert job.expires_at is not None
    assert 55 < (job.expires_at - datetime.now(UTC)).total_seconds() <= 60
    assert dict(job.parameters) == {"exam": "lung_ultrasound"}
    assert response.json()["links"]["deliveries"] == f"/v1/jobs/{job.id}/deliveries"
    assert response.json()["expires_at"] is not None


def test_a_callback_makes_a_job_and_is_checked_first(gateway: RestThread, client: httpx.Client) -> None:
    gateway.jobs.runs = finishing(gateway)
    path = f"{PATH}&callback_url="
    assert sent(client, {}, path=f"{path}https://clinic.example/results").status_code == 201
    assert gateway.jobs.newest().callback == {"url": "https://clinic.example/results"}
    for refused in ("http://clinic.example/results", "https://127.0.0.1/results", "5", "nonsense"):
        response = sent(client, LATER, path=f"{path}{refused}")
        assert (response.json()["code"], response.json()["parameter"]) == ("INVALID_ARGUMENT", "callback_url")
    assert len(gateway.jobs.kept) == 1


@pytest.mark.parametrize(("name", "value"), [
    ("expires_s", "0"), ("expires_s", "-5"), ("expires_s", "soon"), ("expires_s", "1000000000000"), ("priority", "urgent"),
])  # fmt: skip
def test_a_wish_of_another_form_is_refused_by_name(client: httpx.Client, name: str, value: str) -> None:
    response = sent(client, LATER, path=f"{PATH}&{name}={value}")
    assert (response.status_code, response.json()["code"], response.json()["parameter"]) == (400, "INVALID_ARGUMENT", name)


def _job() -> Job:
    now = datetime.now(UTC)
    return Job(new_id(), "clinic", "pathology", {}, "", 1, "", "", now, now, now)


