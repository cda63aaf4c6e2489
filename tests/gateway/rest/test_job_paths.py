"""Jobs over REST once they are there: read, listed, followed, cancelled, taken back."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse

from gateway.service.jobs.records import Delivery, DeliveryState, JobState
from gateway.service.records import new_id
from tests.gateway.rest.job_callers import LATER, PATH, PROGRESS, caller, finish, key_with, sent
from tests.gateway.rest.scripted_services import RestThread


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RestThread]:
    with RestThread(tmp_path) as running:
        yield running


@pytest.fixture
def client(gateway: RestThread) -> Iterator[httpx.Client]:
    with caller(gateway, gateway.key) as opened:
        yield opened


def test_an_open_job_says_when_to_ask_again_and_a_final_one_doesnt(gateway: RestThread, client: httpx.Client) -> None:
    path = sent(client, LATER).headers["location"]
    job = gateway.jobs.newest()
    now = datetime.now(UTC)
    gateway.jobs.change(job, not_before=now + timedelta(seconds=120), error_code="UNAVAILABLE", error_message="no node")
    waiting = client.get(path)
    assert 110 < int(waiting.headers["retry-after"]) <= 120
    assert waiting.json()["error"] == {"code": "UNAVAILABLE", "message": "no node"}
    gateway.jobs.change(job, state=JobState.RUNNING, progress=PROGRESS, created_at=now - timedelta(hours=1))
    running = client.get(path)
    assert (running.headers["retry-after"], running.headers["cache-control"]) == ("30", "no-store")
    assert (running.json()["progress"], running.json()["not_before"]) == (PROGRESS, None)
    finish(gateway, job)
    done = client.get(path)
    assert (done.status_code, done.json()["links"]["analysis"]) == (200, f"/v1/analyses/{job.id}")
    assert "retry-after" not in done.headers


def test_jobs_are_listed_newest_first_by_state_and_mission(gateway: RestThread, client: httpx.Client) -> None:
    for number in range(3):
        sent(client, LATER, f"scan {number}".encode())
        time.sleep(0.002)  # ids are in the order of milliseconds
    first, second, third = gateway.jobs.kept.values()
    gateway.jobs.change(second, state=JobState.FAILED, mission="m-1")
    page = client.get("/v1/jobs?limit=2").json()
    assert ([job["id"] for job in page["jobs"]], page["next_cursor"]) == ([third.id, second.id], second.id)
    rest = client.get(f"/v1/jobs?limit=2&cursor={page['next_cursor']}").json()
    assert ([job["id"] for job in rest["jobs"]], rest["next_cursor"]) == ([first.id], None)
    for query in ("state=failed", "mission=m-1"):
        assert [job["id"] for job in client.get(f"/v1/jobs?{query}").json()["jobs"]] == [second.id]
    wrong = client.get("/v1/jobs?state=lost")
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "state")


def test_a_cancelled_job_stays_cancelled_and_a_finished_one_is_not_cancelled(
    gateway: RestThread, client: httpx.Client
) -> None:
    path = sent(client, LATER).headers["location"]
    for _ in range(2):
        response = client.delete(path)
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    finish(gateway, gateway.jobs.newest())
    assert (client.delete(path).status_code, client.delete(path).json()["code"]) == (409, "CONFLICT")
    assert client.delete("/v1/jobs/none").status_code == 404


def test_only_admins_take_a_failed_job_back(gateway: RestThread, client: httpx.Client) -> None:
    path = sent(client, LATER).headers["location"]
    assert client.post(f"{path}/retry").status_code == 403
    with caller(gateway, key_with(gateway, "admin")) as admin:
        gateway.jobs.change(gateway.jobs.newest(), state=JobState.FAILED)
        taken = admin.post(f"{path}/retry")
        assert (taken.status_code, taken.headers["location"], taken.json()["state"]) == (202, path, "queued")
        finish(gateway, gateway.jobs.newest())
        assert admin.post(f"{path}/retry").json()["code"] == "CONFLICT"


def events(client: httpx.Client, path: str, into: list[tuple[str, str]]) -> threading.Thread:
    """Listens until the events end."""
    def listen() -> None:
        with connect_sse(client, "GET", f"{path}/events") as source:
            into.extend((event.event, json.loads(event.data)["state"]) for event in source.iter_sse())

    thread = threading.Thread(target=listen)
    thread.start()
    return thread


def test_events_tell_each_change_and_end_with_the_final_one(gateway: RestThread, client: httpx.Client) -> None:
    path = sent(client, LATER).headers["location"]
    told: list[tuple[str, str]] = []
    listening = events(client, path, told)
    job = gateway.jobs.newest()
    for change in ({"state": JobState.RUNNING}, {"progress": PROGRESS}):
        time.sleep(0.2)
        gateway.jobs.change(job, **change)
    time.sleep(0.2)
    finish(gateway, job)
    listening.join(10)
    assert told == [("job", "queued"), ("job", "running"), ("job", "running"), ("job", "done")]
    again: list[tuple[str, str]] = []
    events(client, path, again).join(10)
    assert again == [("job", "done")]


def test_events_of_no_job_are_not_found_with_a_status(gateway: RestThread, client: httpx.Client) -> None:
    response = client.get("/v1/jobs/none/events")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    path = sent(client, LATER).headers["location"]
    with caller(gateway, key_with(gateway, "read", tenant="other")) as stranger:
        for method, of in (("GET", path), ("GET", f"{path}/events"), ("GET", f"{path}/deliveries")):
            assert stranger.request(method, of).json()["code"] == "NOT_FOUND"


def test_events_that_cannot_go_on_end_with_the_error(gateway: RestThread, client: httpx.Client) -> None:
    path = sent(client, LATER).headers["location"]
    told: list[tuple[str, Any]] = []

    def listen() -> None:
        with connect_sse(client, "GET", f"{path}/events") as source:
            told.extend((event.event, json.loads(event.data)) for event in source.iter_sse())

    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(0.2)
    gateway.jobs.kept.clear()
    thread.join(10)
    assert [name for name, _ in told] == ["job", "error"]
    assert told[1][1]["code"] == "NOT_FOUND"


def test_a_reader_who_leaves_its_events_is_let_go_of(gateway: RestThread, client: httpx.Client) -> None:
    path = sent(client, LATER).headers["location"]
    host, port = gateway.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(f"GET {path}/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {gateway.key}\r\n\r\n".encode())
        assert plain.recv(12) == b"HTTP/1.1 200"
    assert gateway.lines(count=2)[1]["operation"].endswith("/events")


def test_the_deliveries_of_a_job_say_what_became_of_each(gateway: RestThread, client: httpx.Client) -> None:
    path = sent(client, LATER, path=f"{PATH}&callback_url=https://clinic.example/results").headers["location"]
    job, now = gateway.jobs.newest(), datetime.now(UTC)
    gateway.jobs.sent = [
        Delivery(new_id(), job.id, "clinic", "https://clinic.example/results", now, now, now, state, 1, status, error)
        for state, status, error in ((DeliveryState.FAILED, 500, "told 500"), (DeliveryState.PENDING, None, ""))
    ]
    rows = client.get(f"{path}/deliveries").json()["deliveries"]
    assert [(row["state"], row["last_status"], row["last_error"]) for row in rows] == [
        ("failed", 500, "told 500"), ("pending", None, ""),
    ]
    assert [row["not_before"] is None for row in rows] == [True, False]
