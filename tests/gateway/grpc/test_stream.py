"""Live streams over gRPC as their callers see them, on a real socket, over a node that answers at once."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from domains.errors import CorruptMedia
from gateway.service.keys import ANALYZE_ALL, READ
from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.gateway.grpc.scans import (
    PATIENCE_S,
    Connection,
    ScanNode,
    end,
    frames,
    kind,
    of_frame,
    resume,
    start,
)
from tests.gateway_thread import GatewayThread

ALL = pb.STREAM_POLICY_ALL


@pytest.fixture
def node() -> ScanNode:
    return ScanNode()


@pytest.fixture
def gateway(node: ScanNode, tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(node, tmp_path, max_streams=32, max_streams_per_tenant=32, stream_idle_s=10, stream_limit_s=60, stream_resume_s=5) as running:
        yield running


@pytest.fixture
def key(gateway: GatewayThread) -> str:
    return gateway.key((ANALYZE_ALL, READ))


@pytest.fixture
def stub(gateway: GatewayThread) -> Iterator[Any]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield gateway.stub(channel)


def told(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    """The ErrorInfo of an error."""
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    return info


def test_each_frame_gets_its_answer_and_the_end_a_verdict_that_is_stored(stub: Any, key: str) -> None:
    with Connection(stub, key, start(policy=ALL), *frames(1, 12), end()) as connection:
        responses = connection.rest()
        metadata = dict(connection.call.initial_metadata())
    assert kind(responses[0]) == "started"
    assert responses[0].started.token
    assert [row.frame.number for row in responses if kind(row) == "frame"] == list(range(1, 13))
    assert {row.frame.classification.label for row in responses if kind(row) == "frame"} == {"normal"}
    assert "verdict" in map(kind, responses)
    numbers = [row.event for row in responses if kind(row) not in {"started", "flow"}]
    assert numbers == list(range(1, len(numbers) + 1))
    ended = responses[-1].ended
    assert (ended.reason, ended.received, ended.analysed, ended.dropped) == ("finished", 12, 12, 0)
    assert ended.analysis.clip_classification.label == "normal"
    assert ended.analysis.media.format == "stream"
    assert ended.analysis.request_id == metadata["x-request-id"]
    request = pb.GetAnalysisRequest(id=ended.analysis.id)
    stored = stub.GetAnalysis(request, metadata=[("authorization", f"Bearer {key}")]).analysis
    assert stored == ended.analysis


@pytest.mark.parametrize(
    ("first", "what"),
    [
        (None, "nothing"),
        (pb.StreamRequest(), "nothing"),
        (frames(1, 1)[0], "'frame'"),
        (end(), "'end'"),
        (pb.StreamRequest(ack=pb.StreamAck(event=1)), "'ack'"),
    ],
)
def test_a_stream_that_doesnt_begin_with_start_is_told_so(stub: Any, key: str, first: Any, what: str) -> None:
    with Connection(stub, key, *([first] if first is not None else [])) as connection:
        connection.close_sending()
        responses, error = connection.error()
    assert not responses
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"'start' or 'resume', not with {what}" in error.details()
    assert told(error).metadata["parameter"] == "message"


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"codec": pb.STREAM_CODEC_UNSPECIFIED}, "codec"),
        ({"codec": 99}, "codec"),
        ({"policy": 99}, "policy"),
        ({"policy": pb.STREAM_POLICY_SAMPLE}, "sample_fps"),
        ({"policy": pb.STREAM_POLICY_SAMPLE, "sample_fps": math.nan}, "sample_fps"),
    ],
)
def test_a_start_that_asks_for_what_there_isnt_names_it(
    stub: Any, key: str, fields: dict[str, Any], parameter: str
) -> None:
    with Connection(stub, key, start(**fields)) as connection:
        responses, error = connection.error()
    assert not responses
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told(error).metadata["parameter"] == parameter


@pytest.mark.parametrize(
    ("requests", "parameter"),
    [
        ([pb.StreamRequest(chunk=pb.StreamChunk(content=b"x"))], "codec"),
        ([start()], "message"),
        ([resume("x")], "message"),
        ([pb.StreamRequest()], "message"),
        (frames(2, 2), "number"),
        (frames(1, 1), "number"),
        ([pb.StreamRequest(frame=pb.StreamFrame(number=3, time_s=math.inf, content=b"x"))], "time_s"),
    ],
)
def test_a_request_out_of_place_ends_its_own_stream_with_what_is_wrong(
    stub: Any, key: str, requests: list[pb.StreamRequest], parameter: str
) -> None:
    with (
        Connection(stub, key, start(policy=ALL), *frames(1, 1)) as neighbour,
        Connection(stub, key, start(policy=ALL), *frames(1, 2)) as connection,
    ):
        connection.until(of_frame(2))
        connection.send(*requests)
        responses, error = connection.error()
        neighbour.send(*frames(2, 3), end())
        assert neighbour.rest()[-1].ended.analysed == 3
    assert responses[-1].ended.reason == "failed"
    assert responses[-1].ended.analysed == 2, "what was answered before counts"
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told(error).reason == "INVALID_ARGUMENT"
    assert told(error).metadata["parameter"] == parameter


def test_a_frame_after_the_end_is_told_so(stub: Any, key: str, node: ScanNode) -> None:
    node.takes_s = 0.5
    with Connection(stub, key, start(policy=ALL), *frames(1, 2), end(), *frames(3, 3)) as connection:
        responses, error = connection.error()
    assert responses[-1].ended.reason == "failed"
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "after 'end'" in error.details()


@pytest.mark.parametrize(("content", "reason"), [(b"", "EMPTY_BODY"), (b"bad", "CORRUPT_MEDIA")])
def test_a_frame_that_cant_be_read_is_named_after_the_verdict_on_those_before(
    stub: Any, key: str, node: ScanNode, content: bytes, reason: str
) -> None:
    node.bad = CorruptMedia("these bytes are no picture")
    with Connection(stub, key, start(policy=ALL), *frames(1, 2)) as connection:
        connection.until(of_frame(2))
        connection.send(*frames(3, 3, content))
        responses, error = connection.error()
    assert responses[-1].ended.reason == "failed"
    assert responses[-1].ended.analysis.clip_classification.frames.analysed == 2
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told(error).reason == reason
    assert "frame 3" in error.details()


def vanish(connection: Connection) -> None:
    """The caller cancels, as its library does where its program drops the call."""
    connection.call.cancel()


def run_out(connection: Connection) -> None:
    """The call's own deadline passes."""
    _, error = connection.error()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("lose", [vanish, run_out])
def test_a_stream_whose_connection_was_lost_goes_on_where_it_was(stub: Any, key: str, node: ScanNode, lose: Any) -> None:
    deadline_s = 2.0 if lose is run_out else PATIENCE_S
    with Connection(stub, key, start(policy=ALL), *frames(1, 5), timeout_s=deadline_s) as connection:
        before = connection.until(of_frame(5))
        lose(connection)
    token, received = before[0].started.token, before[-1].event
    with Connection(stub, key, resume(token, received), *frames(4, 8), end()) as connection:
        after = connection.rest()
    assert after[0].started.resumed
    assert after[0].started.next_frame == 6
    assert after[0].started.lost_events == 0
    events = [row.event for row in (*before, *after) if row.event]
    assert events == list(range(1, len(events) + 1)), "nothing is told twice, nothing is missed"
    numbers = [row.frame.number for row in (*before, *after) if kind(row) == "frame"]
    assert numbers == list(range(1, 9))
    assert len(node.runs) == 8, "frames 4 and 5 came again and were not analysed again"
    assert (after[-1].ended.reason, after[-1].ended.received, after[-1].ended.analysed) == ("finished", 8, 8)
    assert after[-1].ended.analysis.clip_classification.frames.analysed == 8


def test_events_that_were_on_their_way_when_the_connection_was_lost_are_told_again(stub: Any, key: str) -> None:
    with Connection(stub, key, start(policy=ALL), *frames(1, 5)) as connection:
        before = connection.until(of_frame(5))
        vanish(connection)
    with Connection(stub, key, resume(before[0].started.token, 2), end()) as connection:
        after = connection.rest()
    assert [row for row in after if 2 < row.event <= before[-1].event] == [row for row in before if row.event > 2]


def test_a_stream_that_nobody_takes_up_ends_and_its_verdict_is_kept(node: ScanNode, tmp_path: Path) -> None:
    with GatewayThread(node, tmp_path, stream_resume_s=0.5) as gateway, grpc.insecure_channel(gateway.grpc_address) as channel:
        stub, key = gateway.stub(channel), gateway.key((ANALYZE_ALL, READ))
        with Connection(stub, key, start(policy=ALL), *frames(1, 5)) as connection:
            connection.until(of_frame(5))
            vanish(connection)
        deadline = time.monotonic() + PATIENCE_S
        while gateway.services.streams.open_count and time.monotonic() < deadline:
            time.sleep(0.05)
        listed = stub.ListAnalyses(pb.ListAnalysesRequest(), metadata=[("authorization", f"Bearer {key}")])
    assert [row.clip_classification.frames.analysed for row in listed.analyses] == [5]


def test_a_second_connection_takes_the_stream_from_the_first(stub: Any, key: str) -> None:
    with Connection(stub, key, start(policy=ALL), *frames(1, 2)) as first:
        before = first.until(of_frame(2))
        with Connection(stub, key, resume(before[0].started.token, before[-1].event), *frames(3, 3), end()) as second:
            assert second.rest()[-1].ended.analysed == 3
        _, error = first.error()
    assert error.code() is grpc.StatusCode.CANCELLED
    assert "took this stream up" in error.details()


def test_a_token_is_of_use_to_its_own_tenant_only(gateway: GatewayThread, stub: Any, key: str) -> None:
    with Connection(stub, key, start()) as connection:
        token = connection.until(lambda _: True)[0].started.token
        for other, wanted in ((gateway.key((ANALYZE_ALL,), tenant="rival"), token), (key, "guessed")):
            with Connection(stub, other, resume(wanted)) as thief:
                _, error = thief.error()
            assert error.code() is grpc.StatusCode.NOT_FOUND
            assert told(error).metadata["parameter"] == "token"


def test_a_caller_who_closes_its_side_and_stays_gets_the_verdict(stub: Any, key: str) -> None:
    with Connection(stub, key, start(policy=ALL), *frames(1, 3)) as connection:
        connection.close_sending()
        ended = connection.rest()[-1].ended
    assert (ended.reason, ended.analysed) == ("finished", 3)


def test_a_caller_without_a_key_or_its_scope_opens_nothing(gateway: GatewayThread, stub: Any) -> None:
    for key, code in (("hgr_no", grpc.StatusCode.UNAUTHENTICATED), (gateway.key((READ,)), grpc.StatusCode.PERMISSION_DENIED)):
        with Connection(stub, key, start()) as connection:
            responses, error = connection.error()
        assert not responses
        assert error.code() is code
    assert gateway.services.streams.open_count == 0


def test_under_the_policy_all_a_sender_who_is_too_fast_has_to_wait(stub: Any, key: str, node: ScanNode) -> None:
    node.takes_s = 0.3
    sent = frames(1, 150, bytes(500_000))
    with Connection(stub, key, start(policy=ALL), *sent) as connection:
        connection.until(of_frame(2))
        assert connection.taken < 100, "the gateway holds a few, and gRPC's windows some megabytes"
        node.takes_s = 0
        connection.until(of_frame(150))


def test_one_who_doesnt_read_holds_nobody_else_up_and_is_told_in_the_end_what_is_wrong(
    stub: Any, gateway: GatewayThread, key: str, node: ScanNode
) -> None:
    node.pictures = {"mask.png": bytes(300_000)}
    with (
        grpc.insecure_channel(gateway.grpc_address, [("grpc.use_local_subchannel_pool", 1)]) as channel,
        Connection(gateway.stub(channel), key, start(with_pictures=True), *frames(1, 200)) as lazy,
    ):
        with Connection(stub, key, start(policy=ALL), *frames(1, 50), end()) as other:
            assert other.rest()[-1].ended.analysed == 50
        lazy.send(start())
        _, error = lazy.error()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
