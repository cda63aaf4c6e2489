"""Resumable uploads over gRPC, over a real store and folder."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from protos.hedgerow.v1 import uploads_pb2 as pb
from tests.upload_gateway import UploadGateway

CONTENT = os.urandom(300_000)
STEP = 10_000
MISSING_ID = "01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[UploadGateway]:
    with UploadGateway(tmp_path) as running:
        yield running


class Caller:
    """Whoever has a key."""

    def __init__(self, gateway: UploadGateway, channel: grpc.Channel, key: str) -> None:
        self._stub = gateway.stub(channel)
        self._known = {"metadata": [("authorization", f"Bearer {key}")], "timeout": 20}

    def create(self, size: int = len(CONTENT), **more: Any) -> pb.Upload:
        request = pb.CreateUploadRequest(domain="pathology", size_bytes=size, **more)
        request.parameters.update({"exam": "lung_ultrasound", "frame": 3})
        upload: pb.Upload = self._stub.CreateUpload(request, **self._known).upload
        return upload

    def append(self, requests: Iterator[pb.AppendUploadRequest]) -> Any:
        return self._stub.AppendUpload.future(requests, **self._known)

    def get(self, upload_id: str) -> pb.Upload:
        upload: pb.Upload = self._stub.GetUpload(pb.GetUploadRequest(id=upload_id), **self._known).upload
        return upload

    def delete(self, upload_id: str) -> None:
        self._stub.DeleteUpload(pb.DeleteUploadRequest(id=upload_id), **self._known)


@pytest.fixture
def caller(gateway: UploadGateway) -> Iterator[Caller]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield Caller(gateway, channel, gateway.key)


def pieces(upload_id: str, offset: int, content: bytes) -> Iterator[pb.AppendUploadRequest]:
    yield pb.AppendUploadRequest(start=pb.AppendStart(id=upload_id, offset=offset))
    for begin in range(0, len(content), STEP):
        yield pb.AppendUploadRequest(chunk=content[begin:begin + STEP])


def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    return caught.value.code(), info.reason


def test_a_file_in_two_calls_becomes_a_job(gateway: UploadGateway, caller: Caller) -> None:
    made = caller.create(request_id="visit 7", callback_url="https://example.org/results")
    assert (made.offset, made.size_bytes, made.job_id) == (0, len(CONTENT), "")
    assert made.expires_at.seconds > 0
    half = caller.append(pieces(made.id, 0, CONTENT[:123_456])).result().upload
    assert (half.offset, half.job_id) == (123_456, "")
    whole = caller.append(pieces(made.id, 123_456, CONTENT[123_456:])).result().upload
    (taken,) = gateway.jobs.taken
    assert whole.job_id == caller.get(made.id).job_id == taken.job.id
    assert taken.content == CONTENT
    assert (taken.key, taken.callback) == ("visit 7", {"url": "https://example.org/results"})
    assert taken.job.parameters == {"exam": "lung_ultrasound", "frame": 3}


@pytest.mark.parametrize("way", ["cancelled", "channel closed"])
def test_a_call_that_breaks_off_keeps_what_arrived(gateway: UploadGateway, caller: Caller, way: str) -> None:
    made = caller.create()
    arrived, leave = threading.Event(), threading.Event()

    def broken() -> Iterator[pb.AppendUploadRequest]:
        yield from pieces(made.id, 0, CONTENT[:200_000])
        arrived.set()
        leave.wait(20)

    with grpc.insecure_channel(gateway.grpc_address) as channel:
        call = Caller(gateway, channel, gateway.key).append(broken())
        assert arrived.wait(20)
        threading.Event().wait(0.3)
        if way == "cancelled":
            call.cancel()
    leave.set()
    assert caller.get(made.id).offset == 200_000
    caller.append(pieces(made.id, 200_000, CONTENT[200_000:])).result()
    assert gateway.jobs.taken[0].content == CONTENT


def test_a_call_that_hangs_keeps_nobody_from_going_on(gateway: UploadGateway, caller: Caller) -> None:
    made = caller.create()
    arrived, leave = threading.Event(), threading.Event()

    def hanging() -> Iterator[pb.AppendUploadRequest]:
        yield from pieces(made.id, 0, CONTENT[:50_000])
        arrived.set()
        leave.wait(20)

    call = caller.append(hanging())
    assert arrived.wait(20)
    threading.Event().wait(0.3)
    second = caller.append(pieces(made.id, 0, CONTENT))
    assert refused(second.result) == (grpc.StatusCode.ABORTED, "CONFLICT")
    assert caller.get(made.id).offset == 50_000
    assert refused(call.result) == (grpc.StatusCode.ABORTED, "CONFLICT")
    leave.set()
    caller.append(pieces(made.id, 50_000, CONTENT[50_000:])).result()
    assert gateway.jobs.taken[0].content == CONTENT


def test_what_does_not_fit_is_refused(caller: Caller) -> None:
    made = caller.create()
    start = pb.AppendUploadRequest(start=pb.AppendStart(id=made.id))
    assert refused(caller.append(pieces(made.id, 7, b"x")).result) == (grpc.StatusCode.ABORTED, "CONFLICT")
    assert refused(caller.append(pieces(made.id, 0, CONTENT + b"x")).result)[1] == "PAYLOAD_TOO_LARGE"
    for requests in ([], [pb.AppendUploadRequest(chunk=b"x")], [start, start]):
        assert refused(caller.append(iter(requests)).result)[1] == "INVALID_ARGUMENT"
    assert refused(lambda: caller.create(2**40))[1] == "PAYLOAD_TOO_LARGE"
    assert refused(lambda: caller.create(0))[1] == "EMPTY_BODY"
    assert refused(lambda: caller.create(request_id="ä"))[1] == "INVALID_ARGUMENT"
    assert refused(lambda: caller.get(MISSING_ID)) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


def test_an_upload_belongs_to_its_tenant_and_can_be_ended(gateway: UploadGateway, caller: Caller) -> None:
    made = caller.create()
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        farm = Caller(gateway, channel, gateway.new_key(tenant="farm"))
        assert refused(lambda: farm.get(made.id))[1] == "NOT_FOUND"
        assert refused(lambda: farm.delete(made.id))[1] == "NOT_FOUND"
        assert refused(farm.append(pieces(made.id, 0, b"x")).result)[1] == "NOT_FOUND"
    caller.delete(made.id)
    assert refused(lambda: caller.get(made.id))[1] == "NOT_FOUND"
