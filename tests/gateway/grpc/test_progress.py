"""A clip over gRPC, with news of how far it is."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.grpc.progress import Telling
from gateway.service.clips import Progress
from gateway.service.keys import ANALYZE_ALL, READ
from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.clips import moving_scan, mp4
from tests.gateway.grpc.any_call import AnyCall
from tests.gateway.grpc.scans import PATIENCE_S, ScanNode
from tests.gateway_thread import GatewayThread
from tests.scripted_node import LUNG, until

FRAMES = 12


@pytest.fixture(scope="module")
def clip() -> bytes:
    return mp4(moving_scan(FRAMES))


@pytest.fixture
def node() -> ScanNode:
    return ScanNode()


@pytest.fixture
def gateway(node: ScanNode, tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(node, tmp_path) as running:
        yield running


@pytest.fixture
def stub(gateway: GatewayThread) -> Iterator[Any]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield gateway.stub(channel)


@pytest.fixture
def metadata(gateway: GatewayThread) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {gateway.key((ANALYZE_ALL, READ))}")]


def upload(content: bytes, size_bytes: int = 0) -> Iterator[pb.AnalyzeWithProgressRequest]:
    """The messages of an upload in small chunks."""
    start = pb.UploadStart(domain="pathology", size_bytes=size_bytes)
    start.parameters.update({"exam": LUNG})
    yield pb.AnalyzeWithProgressRequest(start=start)
    for at in range(0, len(content), 1000):
        yield pb.AnalyzeWithProgressRequest(chunk=content[at : at + 1000])


def test_a_clip_tells_how_far_it_is_and_then_its_stored_verdict(stub: Any, metadata: Any, clip: bytes) -> None:
    call = stub.AnalyzeWithProgress(upload(clip, len(clip)), metadata=metadata, timeout=PATIENCE_S)
    *progress, last = list(call)
    done = [row.progress.frames_done for row in progress]
    assert done == sorted(done)
    assert done[-1] == FRAMES
    assert {row.progress.frames_total for row in progress} == {FRAMES}
    assert progress[-1].progress.verdict["label"] == "normal"
    assert last.analysis.clip_classification.frames.analysed == FRAMES
    assert (last.analysis.media.format, last.analysis.media.frame, last.analysis.media.frame_count) == ("mp4", 0, FRAMES)
    assert last.analysis.request_id == dict(call.initial_metadata())["x-request-id"]
    assert stub.GetAnalysis(pb.GetAnalysisRequest(id=last.analysis.id), metadata=metadata).analysis == last.analysis


def test_a_picture_has_no_progress_and_its_answer(stub: Any, metadata: Any) -> None:
    (only,) = stub.AnalyzeWithProgress(upload(b"a scan"), metadata=metadata, timeout=PATIENCE_S)
    assert only.analysis.classification.label == "normal"


def test_an_upload_that_is_cut_short_is_noticed(stub: Any, metadata: Any, clip: bytes) -> None:
    with pytest.raises(grpc.RpcError, match="were announced") as caught:
        list(stub.AnalyzeWithProgress(upload(clip, len(clip) + 1), metadata=metadata, timeout=PATIENCE_S))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_caller_who_leaves_stops_the_work(stub: Any, metadata: Any, node: ScanNode, clip: bytes) -> None:
    node.takes_s = PATIENCE_S
    call = stub.AnalyzeWithProgress(upload(clip), metadata=metadata, timeout=PATIENCE_S)
    assert next(call).progress.frames_total == FRAMES
    deadline = time.monotonic() + PATIENCE_S
    while not node.running and time.monotonic() < deadline:
        time.sleep(0.01)
    call.cancel()
    while node.running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert node.cancelled
    assert node.running == 0


class BusyCaller(AnyCall):
    """Takes a message only while it is free."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.begun = 0
        self.taken: list[pb.AnalyzeWithProgressResponse] = []

    async def write(self, response: pb.AnalyzeWithProgressResponse, /) -> None:
        """One message."""
        self.begun += 1
        await self.free.wait()
        self.taken.append(response)


def test_a_caller_who_reads_slowly_misses_old_news_only() -> None:
    async def test() -> list[int]:
        caller = BusyCaller()
        async with Telling(caller) as telling:
            telling.on_progress(Progress(1, 100))
            await until(lambda: caller.begun)
            for done in range(2, 100):
                telling.on_progress(Progress(done, 100))
            asyncio.get_running_loop().call_later(0.05, caller.free.set)
        return [row.progress.frames_done for row in caller.taken]

    assert asyncio.run(test()) == [1, 99]


def test_an_analysis_that_fails_doesnt_wait_for_a_caller_who_reads_nothing() -> None:
    async def test() -> None:
        caller = BusyCaller()
        async with asyncio.timeout(5), Telling(caller) as telling:
            telling.on_progress(Progress(1, 100))
            await until(lambda: caller.begun)
            raise ValueError("it failed")

    with pytest.raises(ValueError, match="it failed"):
        asyncio.run(test())
