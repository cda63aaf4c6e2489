"""Calls with many answers, over Connect and over gRPC-Web alike: following a job."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from gateway.service.jobs.records import Job, JobState
from protos.hedgerow.v1 import jobs_pb2 as pb
from tests.gateway.connect.wire_callers import STREAMS, WEB, Reply, WireCaller
from tests.gateway.rest.scripted_services import RestThread

WATCH = "/hedgerow.v1.JobService/WatchJob"
every_wire = pytest.mark.parametrize("wire", [*STREAMS, *WEB], ids=lambda wire: wire.content_type)


@pytest.fixture
def job(gateway: RestThread, client: httpx.Client) -> Job:
    """One that waits."""
    made = client.post("/v1/domains/pathology/analyses", content=b"scan", headers={"Prefer": "respond-async"})
    assert made.status_code == 202
    gateway.lines()
    gateway.log.clear()
    return gateway.jobs.newest()


def watch(wire: WireCaller, client: httpx.Client, job_id: str, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return wire.call(client, WATCH, pb.WatchJobRequest(id=job_id), pb.WatchJobResponse, sent)


@contextmanager
def watching(wire: WireCaller, client: httpx.Client, job: Job) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
    """A call that goes on, and what comes of its body, piece by piece."""
    headers = {"Content-Type": wire.content_type}
    with client.stream("POST", WATCH, content=wire.body(pb.WatchJobRequest(id=job.id)), headers=headers) as response:
        yield response, response.iter_raw()


@every_wire
def test_each_change_is_told_when_it_happens(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, job: Job
) -> None:
    with watching(wire, client, job) as (response, pieces):
        body = next(pieces)
        assert (response.status_code, response.headers["x-request-id"]) == (200, "visit-7")
        assert response.headers["x-accel-buffering"] == "no"
        assert len(list(wire.parts(body))) == 1, "the first message comes by itself"
        gateway.jobs.change(job, state=JobState.RUNNING)
        body += next(pieces)
        assert len(list(wire.parts(body))) == 2
        gateway.jobs.change(job, state=JobState.FAILED, error_code="EXPIRED", error_message="its time was over")
        body += b"".join(pieces)
    reply = wire.reply(httpx.Response(200, headers=response.headers, content=body), pb.WatchJobResponse)
    assert [message.job.state for message in reply.messages] == [
        pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING, pb.JOB_STATE_FAILED,
    ]
    assert (reply.code, reply.messages[-1].job.error.message) == (0, "its time was over")
    (line,) = gateway.lines()
    assert (line["transport"], line["operation"], line["status"], line["analysis_id"]) == (
        wire.transport, "WatchJob", "OK", job.id,
    )


@every_wire
def test_an_error_is_how_the_answer_ends(gateway: RestThread, client: httpx.Client, wire: WireCaller, job: Job) -> None:
    for job_id, headers, status, reason in (
        ("none", {}, "NOT_FOUND", "NOT_FOUND"),
        (job.id, {"Authorization": "Bearer none"}, "UNAUTHENTICATED", "UNAUTHENTICATED"),
        (job.id, {"connect_content_encoding": "gzip", "grpc_encoding": "gzip"}, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"),
    ):
        reply = watch(wire, client, job_id, **headers)
        assert (reply.status, reply.messages, reply.info.reason) == (status, [], reason)
        assert reply.info.metadata["request_id"] == "visit-7"
    assert [line["code"] for line in gateway.lines(count=3)] == ["NOT_FOUND", "UNAUTHENTICATED", "METHOD_NOT_ALLOWED"]


@every_wire
def test_an_error_under_way_follows_what_was_told_before(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, job: Job
) -> None:
    with watching(wire, client, job) as (response, pieces):
        body = next(pieces)
        del gateway.jobs.kept[job.id]
        body += b"".join(pieces)
    reply = wire.reply(httpx.Response(200, headers=response.headers, content=body), pb.WatchJobResponse)
    assert (len(reply.messages), reply.status) == (1, "NOT_FOUND")


@every_wire
@pytest.mark.parametrize("body", [
    b"", b"\x00\x00", b"\x00\x00\x00\x00\x05\xff", b"\x01\x00\x00\x00\x00", b"\x02\x00\x00\x00\x00", b"AAAA", b"AAA",
    b"\x00\x00\x00\x00\x01\xff", b"\x00\x00\x00\x00\x00" * 2,
])
def test_a_body_that_is_not_one_message_is_the_callers_fault(client: httpx.Client, wire: WireCaller, body: bytes) -> None:
    reply = wire.call(client, WATCH, body, pb.WatchJobResponse)
    assert (reply.status, reply.info.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")


@every_wire
def test_the_deadline_ends_a_stream_after_what_it_has_told(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, job: Job
) -> None:
    reply = watch(wire, client, job.id, **wire.timeout(1500))
    assert (reply.status, len(reply.messages)) == ("DEADLINE_EXCEEDED", 1)
    assert gateway.lines()[0]["status"] == "CANCELLED"


@every_wire
def test_a_browser_that_goes_away_ends_its_stream_and_the_job_goes_on(
    gateway: RestThread, client: httpx.Client, wire: WireCaller, job: Job
) -> None:
    with watching(wire, client, job) as (_, pieces):
        next(pieces)
        assert gateway.log == []
    (line,) = gateway.lines()
    assert (line["operation"], line["status"], line["code"]) == ("WatchJob", "CANCELLED", "CANCELLED")
    assert gateway.jobs.kept[job.id].state is JobState.QUEUED


def test_two_way_streams_say_that_they_arent_done_here(client: httpx.Client) -> None:
    for wire in (*STREAMS, *WEB):
        for call in ("Stream", "AnalyzeWithProgress"):
            reply = wire.call(client, f"/hedgerow.v1.AnalysisService/{call}", pb.WatchJobRequest(), pb.WatchJobResponse)
            assert (reply.status, "docs/browsers.md" in reply.told) == ("UNIMPLEMENTED", True)
