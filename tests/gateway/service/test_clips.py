"""Clips as files, over a scripted node and decoder: which frames are analysed, what is told meanwhile, what is kept."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains.errors import CorruptMedia
from edge_runtime.decoder import ClipHeader, Decoder
from edge_runtime.errors import DeadlineExceeded, DecoderFailed, EdgeError
from edge_runtime.scheduler import Priority
from gateway.service.analyses import AnalysisService, Policy
from gateway.service.answering import Answering
from gateway.service.archive import Archive
from gateway.service.clips import IN_FLIGHT, ClipReader, Progress, spread
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.service import JobPolicy, JobService
from gateway.service.keys import Caller
from gateway.service.records import Analysis, AnalysisFilter
from gateway.service.trials import Rollouts
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.images import FolderImageStore
from gateway.store.jobs import SqlJobStore
from gateway.store.payloads import FolderPayloadStore
from gateway.store.rollouts import SqlRolloutStore
from tests.edge_only import edge_only
from tests.frame_node import FrameNode
from tests.gateway.service.streams.scripted_decoder import ScriptedDecoder

CLINIC = Caller("k", "clinic", frozenset({"read", "analyze:*"}))
GIF = b"GIF89a"
"""What a clip begins with; each byte after it is a frame."""


class ClipsOf:
    """Opens clips whose frames are their bytes."""

    def __init__(self, *, breaks_after: int = 1_000_000) -> None:
        self.opened: list[ScriptedDecoder] = []
        self._breaks_after = breaks_after

    async def __call__(self, payload: bytes, limits: Mapping[str, int]) -> tuple[ClipHeader, Decoder]:
        assert limits == {"max_bytes": 9}
        frames = payload.removeprefix(GIF)
        decoder = ScriptedDecoder(breaks_after=self._breaks_after)
        self.opened.append(decoder)
        await decoder.feed(frames)
        await decoder.finish()
        return ClipHeader("gif", "gif", 64, 48, tuple(number / 10 for number in range(len(frames)))), decoder


def run(
    test: Callable[[AnalysisService], Awaitable[None]], tmp_path: Path, node: FrameNode, opener: ClipsOf, *,
    most_frames: int = 150, keep_images: bool = True,
) -> None:
    """Runs a test over a service of its own."""
    async def main() -> None:
        database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
        analyses, images = SqlAnalysisStore(database), FolderImageStore(tmp_path / "images")
        rollouts = Rollouts(node, SqlRolloutStore(database))
        await rollouts.restore()
        policy = Policy(1024, 5.0, timedelta(hours=keep_images), timedelta(days=1))
        reader = ClipReader({"max_bytes": 9}, most_frames=most_frames, open_clip=opener)
        answering = Answering(node, rollouts.analyse, reader, draws_key_frames=keep_images)
        jobs = JobService(
            SqlJobStore(database), SqlDeliveryStore(database), FolderPayloadStore(tmp_path / "jobs"), JobPolicy(1024), Bell()
        )
        archive = Archive(analyses, images, keep_images=keep_images)
        service = AnalysisService(node, analyses, images, policy, rollouts, archive, answering, edge_only(jobs))
        try:
            async with asyncio.timeout(20):
                await test(service)
        finally:
            await rollouts.close()
            await service.close()
            database.close()

    asyncio.run(main())


async def analyse(service: AnalysisService, payload: bytes, **more: object) -> Analysis:
    return await service.analyse(CLINIC, "pathology", payload, {}, request_id="r", **more)  # type: ignore[arg-type] # keywords


def test_a_clip_gets_one_verdict_with_its_key_frames_kept(tmp_path: Path) -> None:
    node, opener = FrameNode(), ClipsOf()

    async def test(service: AnalysisService) -> None:
        analysis = await analyse(service, GIF + bytes([60, 70, 95, 55]))
        assert analysis.result["kind"] == "clip_classification"
        assert analysis.media["frame_count"] == 4
        assert (analysis.media["format"], analysis.media["codec"], analysis.media["frame"]) == ("gif", "gif", 0)
        assert analysis.media["duration_s"] > 0
        assert analysis.provenance["devices"] == ["a device on scripted"]
        assert analysis.provenance["timings_ms"]["infer"] == pytest.approx(8.0)
        best = await service.artifact(CLINIC, analysis.id, "overlay.png")
        assert best == await service.artifact(CLINIC, analysis.id, "key_frame.png", key_frame=1)
        assert node.drawn[0]["input"] == bytes([95])
        assert await service.artifact(CLINIC, analysis.id, "key_frame.png", key_frame=2) != b""
        for wrong in (0, 4):
            with pytest.raises(ServiceError, match="has 3 key frames") as refused:
                await service.artifact(CLINIC, analysis.id, "key_frame.png", key_frame=wrong)
            assert refused.value.code is ErrorCode.NOT_FOUND
        assert (await service.get(CLINIC, analysis.id)).result == analysis.result

    run(test, tmp_path, node, opener)
    assert {one.priority for one in node.runs} == {Priority.BATCH}, "live frames and single pictures go first"
    assert opener.opened[0].closed


def test_frames_are_analysed_side_by_side_and_count_in_order(tmp_path: Path) -> None:
    node = FrameNode(takes_s=0.01, slots=8)
    told: list[Progress] = []

    async def test(service: AnalysisService) -> None:
        await analyse(service, GIF + b"x" * 12, on_progress=told.append)

    run(test, tmp_path, node, ClipsOf())
    assert 2 <= node.most <= IN_FLIGHT
    assert [(item.frames_done, item.frames_total) for item in told] == [(done, 12) for done in range(13)]
    assert told[0].verdict == {}
    assert told[-1].verdict["kind"] == "running_classification"


def test_of_a_long_clip_frames_spread_over_its_time_are_analysed(tmp_path: Path) -> None:
    node, opener = FrameNode(), ClipsOf()

    async def test(service: AnalysisService) -> None:
        analysis = await analyse(service, GIF + b"x" * 100)
        assert analysis.result["frames"]["analysed"] == 10
        assert analysis.media["frame_count"] == 100

    run(test, tmp_path, node, opener, most_frames=10)
    assert len(opener.opened[0].dropped) == 90


@given(st.lists(st.floats(0.001, 5.0), min_size=1, max_size=400), st.integers(1, 200))
def test_whatever_the_frame_times_the_frames_chosen_are_spread_and_exist(gaps: list[float], most: int) -> None:
    times = [sum(gaps[:index]) for index in range(len(gaps))]
    chosen = spread(times, most)
    assert chosen
    assert len(chosen) <= most
    assert chosen <= set(range(1, len(times) + 1))
    if len(times) <= most:
        assert len(chosen) == len(times)


def test_a_dicom_object_that_turns_out_to_be_a_clip_is_read_as_one(tmp_path: Path) -> None:
    node, opener = FrameNode(clips=True), ClipsOf()

    async def test(service: AnalysisService) -> None:
        analysis = await analyse(service, b"abc")
        assert analysis.result["frames"]["analysed"] == 3
        assert node.runs[1].parameters == {"exam": "lung_ultrasound"}, "what the header said of the exam is kept"

    run(test, tmp_path, node, opener)


def test_a_clip_that_breaks_its_decoder_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    node, opener = FrameNode(takes_s=0.05), ClipsOf(breaks_after=2)

    async def test(service: AnalysisService) -> None:
        with pytest.raises(DecoderFailed):
            await analyse(service, GIF + b"xxxx")
        page = await service.page(CLINIC, AnalysisFilter(), cursor=None, limit=5)
        assert not page.analyses
        assert node.running == 0

    run(test, tmp_path, node, opener)
    assert opener.opened[0].closed


def test_a_clip_without_a_frame_is_an_error(tmp_path: Path) -> None:
    async def test(service: AnalysisService) -> None:
        with pytest.raises(CorruptMedia, match="no frame of the clip could be decoded"):
            await analyse(service, GIF)

    run(test, tmp_path, FrameNode(), ClipsOf())


def test_a_clip_that_takes_longer_than_its_deadline_says_so(tmp_path: Path) -> None:
    opener = ClipsOf()

    async def test(service: AnalysisService) -> None:
        with pytest.raises(DeadlineExceeded, match=r"not analysed within 0\.1 s"):
            await analyse(service, GIF + b"x" * 50, timeout_s=0.1)

    run(test, tmp_path, FrameNode(takes_s=0.03), opener)
    assert opener.opened[0].closed


def test_a_frame_that_no_node_can_answer_is_the_clips_error(tmp_path: Path) -> None:
    async def test(service: AnalysisService) -> None:
        with pytest.raises(EdgeError, match="no device"):
            await analyse(service, GIF + b"xx")

    run(test, tmp_path, FrameNode(busy=1, refusal=DeadlineExceeded("no device")), ClipsOf())


def test_without_kept_pictures_a_clip_draws_none(tmp_path: Path) -> None:
    node = FrameNode()

    async def test(service: AnalysisService) -> None:
        analysis = await analyse(service, GIF + b"xx")
        with pytest.raises(ServiceError) as refused:
            await service.artifact(CLINIC, analysis.id, "overlay.png")
        assert refused.value.code is ErrorCode.GONE

    run(test, tmp_path, node, ClipsOf(), keep_images=False)
    assert not node.drawn
