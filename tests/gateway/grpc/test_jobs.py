"""Durable jobs over gRPC as their callers see them, on a real socket, over jobs that do as a test says."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.service.jobs.records import JobState
from gateway.service.keys import ADMIN, ANALYZE_ALL, READ
from protos.hedgerow.v1 import analysis_pb2, analysis_pb2_grpc, jobs_pb2_grpc
from protos.hedgerow.v1 import jobs_pb2 as pb
from tests.gateway.grpc.scans import PATIENCE_S
from tests.gateway.grpc.scripted_server import GrpcThread
from tests.gateway.rest.scripted_services import MAX_UPLOAD_BYTES

LUNG = {"exam": "lung_ultrasound"}
PROGRESS = {"frames_done": 3, "frames_total": 9, "verdict": {"label": "normal"}}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GrpcThread]:
    with GrpcThread(tmp_path) as running:
        yield running


@pytest.fixture
def channel(gateway: GrpcThread) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.address) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return jobs_pb2_grpc.JobServiceStub(channel)  # type: ignore[no-untyped-call] # generated code


@pytest.fixture
def analyses(channel: grpc.Channel) -> Any:
    return analysis_pb2_grpc.AnalysisServiceStub(channel)  # type: ignore[no-untyped-call] # generated code


@pytest.fixture
def metadata(gateway: GrpcThread) -> list[tuple[str, str]]:
    return gateway.metadata()


def upload(content: bytes = b"scan", **fields: Any) -> Iterator[pb.SubmitJobRequest]:
    """A file in chunks of two bytes."""
    start = pb.JobStart(**{"domain": "pathology"} | fields)
    start.parameters.update(LUNG)
    yield pb.SubmitJobRequest(start=start)
    for at in range(0, len(content), 2):
        yield pb.SubmitJobRequest(chunk=content[at : at + 2])


def scan(content: bytes = b"scan", request_id: str = "visit-7") -> analysis_pb2.AnalyzeRequest:
    """A scan under a key."""
    request = analysis_pb2.AnalyzeRequest(domain="pathology", content=content, request_id=request_id)
    request.parameters.update(LUNG)
    return request


def refused(call: Any) -> tuple[grpc.StatusCode, str, str]:
    """Status, code and parameter of the error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    return caught.value.code(), info.reason, info.metadata["parameter"]


def test_a_file_in_chunks_becomes_a_job_with_all_that_was_said_of_it(gateway: GrpcThread, stub: Any, metadata: Any) -> None:
    said = upload(
        size_bytes=4, request_id="visit-7", priority=pb.JOB_PRIORITY_BATCH, expires_s=60, mission="round-1",
        callback_url="https://clinic.example/results",
    )
    response = stub.SubmitJob(said, metadata=metadata, timeout=PATIENCE_S)
    kept, job = gateway.jobs.newest(), response.job
    assert (gateway.jobs.payloads[kept.id], dict(kept.parameters)) == (b"scan", LUNG)
    assert (kept.key, kept.mission, kept.callback) == ("visit-7", "round-1", {"url": "https://clinic.example/results"})
    assert (job.id, job.state, job.domain, job.priority) == (kept.id, pb.JOB_STATE_QUEUED, "pathology", pb.JOB_PRIORITY_BATCH)
    assert job.created_at.ToDatetime(UTC) == kept.created_at
    assert 59 < (job.expires_at.ToDatetime(UTC) - kept.created_at).total_seconds() < 61
    assert not job.HasField("progress")
    assert not job.HasField("error")
    assert not response.replayed
    again = stub.SubmitJob(upload(request_id="visit-7"), metadata=metadata, timeout=PATIENCE_S)
    assert (again.job, again.replayed) == (job, True)
    assert stub.GetJob(pb.GetJobRequest(id=job.id), metadata=metadata).job == job


@pytest.mark.parametrize(
    ("fields", "code", "parameter"),
    [
        ({"request_id": "Brüche"}, "INVALID_ARGUMENT", "request_id"),
        ({"request_id": "k" * 256}, "INVALID_ARGUMENT", "request_id"),
        ({"expires_s": 0}, "INVALID_ARGUMENT", "expires_s"),
        ({"expires_s": float("nan")}, "INVALID_ARGUMENT", "expires_s"),
        ({"expires_s": float("inf")}, "INVALID_ARGUMENT", "expires_s"),
        ({"priority": 9}, "INVALID_ARGUMENT", "priority"),
        ({"mission": "a/b"}, "INVALID_ARGUMENT", "mission"),
        ({"callback_url": "http://clinic.example/"}, "INVALID_ARGUMENT", "callback_url"),
        ({"size_bytes": 5}, "INVALID_ARGUMENT", "size_bytes"),
        ({"size_bytes": MAX_UPLOAD_BYTES + 1}, "PAYLOAD_TOO_LARGE", ""),
        ({"content": b""}, "EMPTY_BODY", ""),
        ({"domain": "none"}, "UNKNOWN_DOMAIN", ""),
    ],
)
def test_what_is_wrong_with_a_job_is_said_before_there_is_one(
    gateway: GrpcThread, stub: Any, metadata: Any, fields: dict[str, Any], code: str, parameter: str
) -> None:
    told = refused(lambda: stub.SubmitJob(upload(**fields), metadata=metadata, timeout=PATIENCE_S))
    assert told[1:] == (code, parameter)
    assert gateway.jobs.kept == {}


def test_without_the_scope_of_the_domain_nothing_is_accepted(gateway: GrpcThread, stub: Any, analyses: Any) -> None:
    for call in (
        lambda: stub.SubmitJob(upload(), metadata=gateway.metadata(READ), timeout=PATIENCE_S),
        lambda: analyses.Analyze(scan(), metadata=gateway.metadata(READ), timeout=PATIENCE_S),
    ):
        assert refused(call)[1] == "PERMISSION_DENIED"
    assert gateway.jobs.kept == {}


def test_a_request_id_gives_the_same_analysis_however_it_is_sent(
    gateway: GrpcThread, analyses: Any, metadata: Any
) -> None:
    gateway.jobs.runs = gateway.done
    first = analyses.Analyze(scan(), metadata=metadata, timeout=PATIENCE_S).analysis
    assert first.id == gateway.jobs.newest().id
    assert first.classification.label == "normal"
    start = analysis_pb2.UploadStart(domain="pathology", request_id="visit-7")
    start.parameters.update(LUNG)
    whole = [analysis_pb2.AnalyzeUploadRequest(start=start), analysis_pb2.AnalyzeUploadRequest(chunk=b"scan")]
    assert analyses.AnalyzeUpload(iter(whole), metadata=metadata, timeout=PATIENCE_S).analysis == first
    assert len(gateway.jobs.kept) == 1
    told = refused(lambda: analyses.Analyze(scan(b"another"), metadata=metadata, timeout=PATIENCE_S))
    assert told[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED")


def test_a_key_alone_suffices_to_get_ones_own_answer(gateway: GrpcThread, stub: Any, analyses: Any) -> None:
    gateway.jobs.runs = gateway.done
    metadata = gateway.metadata("analyze:pathology")
    analysis = analyses.Analyze(scan(), metadata=metadata, timeout=PATIENCE_S).analysis
    assert refused(lambda: stub.GetJob(pb.GetJobRequest(id=analysis.id), metadata=metadata))[1] == "PERMISSION_DENIED"


def test_at_the_deadline_the_caller_is_told_which_job_goes_on(gateway: GrpcThread, analyses: Any, metadata: Any) -> None:
    with pytest.raises(grpc.RpcError, match="goes on") as caught:
        analyses.Analyze(scan(), metadata=metadata, timeout=1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    job = gateway.jobs.newest()
    assert job.id in caught.value.details()
    assert (job.state, job.expires_at) == (JobState.QUEUED, None)
    gateway.finish(job)
    assert analyses.Analyze(scan(), metadata=metadata, timeout=PATIENCE_S).analysis.id == job.id


def test_the_error_of_a_failed_job_is_told_to_whoever_waits(gateway: GrpcThread, analyses: Any, metadata: Any) -> None:
    gateway.jobs.runs = lambda job: replace(
        job, state=JobState.FAILED, error_code="CORRUPT_MEDIA", error_message="the JPEG is cut short"
    )
    with pytest.raises(grpc.RpcError, match="cut short") as caught:
        analyses.Analyze(scan(), metadata=metadata, timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_progress_is_told_of_a_job_too(gateway: GrpcThread, analyses: Any, metadata: Any) -> None:
    start = analysis_pb2.UploadStart(domain="pathology", request_id="visit-7")
    whole = [analysis_pb2.AnalyzeWithProgressRequest(start=start), analysis_pb2.AnalyzeWithProgressRequest(chunk=b"clip")]
    call = analyses.AnalyzeWithProgress(iter(whole), metadata=metadata, timeout=PATIENCE_S)
    job = gateway.jobs.newest()
    gateway.jobs.change(job, state=JobState.RUNNING, progress=PROGRESS)
    assert next(call).progress.frames_done == 3
    gateway.finish(job)
    (last,) = call
    assert last.analysis.id == job.id


def test_a_job_is_watched_to_its_end_and_its_analysis(gateway: GrpcThread, stub: Any, metadata: Any) -> None:
    submitted = stub.SubmitJob(upload(), metadata=metadata, timeout=PATIENCE_S).job
    call = stub.WatchJob(pb.WatchJobRequest(id=submitted.id), metadata=metadata, timeout=PATIENCE_S)
    assert next(call) == pb.WatchJobResponse(job=submitted)
    job = gateway.jobs.newest()
    gateway.jobs.change(job, state=JobState.RUNNING, progress=PROGRESS)
    running = next(call).job
    assert (running.state, running.progress.frames_done) == (pb.JOB_STATE_RUNNING, 3)
    assert not running.HasField("not_before")
    gateway.finish(job)
    (last,) = call
    assert (last.job.state, last.analysis.id) == (pb.JOB_STATE_DONE, job.id)
    gateway.analyses.stored.clear()
    (deleted,) = stub.WatchJob(pb.WatchJobRequest(id=job.id), metadata=metadata, timeout=PATIENCE_S)
    assert deleted.job == last.job
    assert not deleted.HasField("analysis")
    assert refused(lambda: list(stub.WatchJob(pb.WatchJobRequest(id="none"), metadata=metadata)))[1] == "NOT_FOUND"


def test_jobs_are_listed_by_page_state_and_mission(gateway: GrpcThread, stub: Any, metadata: Any) -> None:
    made = []
    for number in range(3):
        content = f"scan {number}".encode()
        made.append(stub.SubmitJob(upload(content, mission="round-1"), metadata=metadata, timeout=PATIENCE_S).job.id)
        time.sleep(0.002)  # ids are in the order of milliseconds
    gateway.jobs.change(
        gateway.jobs.kept[made[1]], state=JobState.FAILED, error_code="EXPIRED", error_message="its time was over"
    )
    page = stub.ListJobs(pb.ListJobsRequest(page_size=2), metadata=metadata)
    assert ([job.id for job in page.jobs], page.next_page_token) == ([made[2], made[1]], made[1])
    last = stub.ListJobs(pb.ListJobsRequest(page_size=2, page_token=page.next_page_token), metadata=metadata)
    assert ([job.id for job in last.jobs], last.next_page_token) == ([made[0]], "")
    (failed,) = stub.ListJobs(pb.ListJobsRequest(state=pb.JOB_STATE_FAILED), metadata=metadata).jobs
    assert (failed.id, failed.error.code, failed.error.message) == (made[1], "EXPIRED", "its time was over")
    unknown = pb.ListJobsRequest(state=77)  # type: ignore[arg-type] # no such state
    assert refused(lambda: stub.ListJobs(unknown, metadata=metadata))[2] == "state"
    mission = stub.GetMission(pb.GetMissionRequest(id="round-1"), metadata=metadata)
    assert dict(mission.states) == {"queued": 2, "running": 0, "done": 0, "failed": 1, "cancelled": 0}
    assert [job.id for job in mission.jobs] == made
    assert list(stub.ListJobs(pb.ListJobsRequest(mission="other"), metadata=metadata).jobs) == []
    assert refused(lambda: stub.GetMission(pb.GetMissionRequest(id="other"), metadata=metadata))[1] == "NOT_FOUND"


def test_jobs_are_cancelled_and_taken_back_by_those_who_may(gateway: GrpcThread, stub: Any, metadata: Any) -> None:
    job = stub.SubmitJob(upload(), metadata=metadata, timeout=PATIENCE_S).job
    cancel, retry = pb.CancelJobRequest(id=job.id), pb.RetryJobRequest(id=job.id)
    stranger = gateway.metadata(ANALYZE_ALL, READ, ADMIN, tenant="other")
    assert refused(lambda: stub.CancelJob(cancel, metadata=stranger))[1] == "NOT_FOUND"
    assert stub.CancelJob(cancel, metadata=metadata).job.state == pb.JOB_STATE_CANCELLED
    assert refused(lambda: stub.RetryJob(retry, metadata=metadata))[1] == "PERMISSION_DENIED"
    admin = gateway.metadata(ADMIN)
    told = refused(lambda: stub.RetryJob(retry, metadata=admin))
    assert told[:2] == (grpc.StatusCode.ABORTED, "CONFLICT")
    gateway.jobs.change(gateway.jobs.newest(), state=JobState.FAILED)
    assert stub.RetryJob(retry, metadata=admin).job.state == pb.JOB_STATE_QUEUED
    gateway.finish(gateway.jobs.newest())
    assert refused(lambda: stub.CancelJob(cancel, metadata=metadata))[1] == "CONFLICT"


def test_a_caller_who_leaves_lets_its_job_go_on(gateway: GrpcThread, analyses: Any, metadata: Any) -> None:
    call = analyses.Analyze.future(scan(), metadata=metadata, timeout=PATIENCE_S)
    job = gateway.jobs.newest()
    call.cancel()
    time.sleep(0.2)
    assert gateway.jobs.kept[job.id].state is JobState.QUEUED
