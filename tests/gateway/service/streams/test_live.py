"""Live streams over a node and real stores: what callers are told when links, nodes, decoders and callers fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_runtime.decoder import Decoder
from edge_runtime.errors import DecoderFailed, NodeLost, Overloaded
from edge_runtime.scheduler import Priority
from gateway.service.archive import Archive
from gateway.service.errors import ErrorCode, ServiceError, translate
from gateway.service.keys import Caller
from gateway.service.streams.events import Dropped, Ended, Event, FrameResult, Started, StreamStart
from gateway.service.streams.live import Stream
from gateway.service.streams.service import StreamPolicy, StreamService
from gateway.service.streams.session import StreamLimits
from gateway.service.trials import Rollouts
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.images import FolderImageStore
from gateway.store.rollouts import SqlRolloutStore
from tests.frame_node import FrameNode
from tests.gateway.service.streams.scripted_decoder import ScriptedDecoder
from tests.scripted_node import until

CLINIC = Caller("k", "clinic", frozenset({"read", "analyze:*"}))
OTHER = Caller("o", "other", frozenset({"read", "analyze:*"}))
START = StreamStart("pathology")
ALL = StreamStart("pathology", policy="all")


@dataclass
class Parts:
    """What a test looks at."""

    node: FrameNode
    streams: StreamService
    analyses: SqlAnalysisStore
    images: FolderImageStore
    decoders: list[ScriptedDecoder]

    async def open(self, start: StreamStart = START, caller: Caller = CLINIC) -> Stream:
        return await self.streams.open(caller, start, request_id="r")


def run(
    test: Callable[[Parts], Awaitable[None]], tmp_path: Path, *, node: FrameNode | None = None,
    policy: StreamPolicy | None = None, breaks_after: int = 1_000_000,
) -> None:
    """Runs a test over a service of its own."""
    @asynccontextmanager
    async def parts() -> AsyncIterator[Parts]:
        database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
        analyses, images = SqlAnalysisStore(database), FolderImageStore(tmp_path / "images")
        used = node or FrameNode()
        rollouts = Rollouts(used, SqlRolloutStore(database))
        await rollouts.restore()
        decoders: list[ScriptedDecoder] = []

        async def open_decoder(codec: str, limits: Mapping[str, int]) -> Decoder:
            del codec, limits
            decoders.append(ScriptedDecoder(breaks_after=breaks_after))
            return decoders[-1]

        archive = Archive(analyses, images, keep_images=True)
        streams = StreamService(used, rollouts, archive, policy or StreamPolicy(), {}, open_decoder=open_decoder)
        try:
            yield Parts(used, streams, analyses, images, decoders)
        finally:
            await streams.close()
            await rollouts.close()
            await archive.close()
            database.close()

    async def main() -> None:
        async with parts() as made, asyncio.timeout(20):
            await test(made)

    asyncio.run(main())


async def heard(stream: Stream) -> list[Event]:
    """All events to the end."""
    return [numbered.event async for numbered in stream.events()]


async def failure(stream: Stream) -> tuple[list[Event], ServiceError]:
    """All events, and the error at their end."""
    events: list[Event] = []
    reading = stream.events()
    while True:
        try:
            events.append((await anext(reading)).event)
        except StopAsyncIteration:
            pytest.fail("the stream did not fail")
        except Exception as error:
            return events, translate(error)


def results(events: list[Event]) -> list[int]:
    return [event.number for event in events if isinstance(event, FrameResult)]


def last(events: list[Event]) -> Ended:
    assert isinstance(events[-1], Ended)
    return events[-1]


def test_frames_are_answered_live_and_the_verdict_is_stored_with_its_key_frames(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        for number in range(1, 6):
            await stream.frame(number, number / 10, bytes([60 + 7 * number]))
            await asyncio.sleep(0.01)
        await stream.end()
        events = await heard(stream)
        assert isinstance(events[0], Started)
        assert results(events) == [1, 2, 3, 4, 5]
        assert {one.priority for one in parts.node.runs} == {Priority.LIVE}
        ended = last(events)
        assert (ended.reason, ended.received, ended.analysed, ended.dropped) == ("finished", 5, 5, 0)
        assert ended.analysis is not None
        stored = parts.analyses.get("clinic", ended.analysis.id)
        assert stored is not None
        assert stored.result["kind"] == "clip_classification"
        assert stored.media["format"] == "stream"
        assert (stored.media["frame_count"], stored.media["size_bytes"]) == (5, 5)
        assert parts.images.get(stored.id, "key_frame_1.png") is not None
        assert parts.images.get(stored.id, "input") is None, "what was streamed isn't kept"
        assert parts.node.drawn[0]["input"] == bytes([95]), "the surest frame is the best key frame"

    run(test, tmp_path)


def test_a_slow_node_answers_the_newest_frame_and_drops_are_told(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        for number in range(1, 31):
            await stream.frame(number, number / 100, b"x")
            await asyncio.sleep(0.01)
        await stream.end()
        events = await heard(stream)
        dropped = sum(event.count for event in events if isinstance(event, Dropped))
        assert len(results(events)) + dropped == 30
        assert results(events)[-1] == 30, "the last one is never dropped"
        assert dropped > 10
        assert parts.node.most == 1, "a live stream never has two frames at the device"

    run(test, tmp_path, node=FrameNode(takes_s=0.05))


def test_where_others_keep_the_device_busy_the_frame_that_it_takes_is_the_newest(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        ahead = [await parts.open(caller=OTHER) for _ in range(3)]
        for stream in ahead:
            await stream.frame(1, 0.0, b"other")
        live = await parts.open()
        for number in range(1, 20):
            await live.frame(number, number / 100, bytes([number]))
            await asyncio.sleep(0.01)
        await live.end()
        events = await heard(live)
        assert results(events)[0] > 10, "it came to the device when the others were done"
        assert results(events)[-1] == 19
        assert last(events).received == 19

    run(test, tmp_path, node=FrameNode(takes_s=0.05, slots=1))


def test_with_all_the_sender_is_held_back_and_nothing_is_dropped(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open(ALL)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for number in range(1, 41):
                await stream.frame(number, number / 30, b"x")
                sent = number
            await stream.end()

        sender = asyncio.create_task(send())
        await asyncio.sleep(0.05)
        assert sent < 20, "it has to wait"
        events = await heard(stream)
        await sender
        assert results(events) == list(range(1, 41))
        assert {one.priority for one in parts.node.runs} == {Priority.INTERACTIVE}

    run(test, tmp_path, node=FrameNode(takes_s=0.02, slots=2))


def test_a_stream_is_taken_up_again_and_no_frame_counts_twice(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open(ALL)
        before: list[Event] = []
        reading = stream.events()
        for number in range(1, 6):
            await stream.frame(number, number / 10, b"x")
        while 5 not in results(before):
            before.append((await anext(reading)).event)
        stream.detach()
        started = before[0]
        assert isinstance(started, Started)
        again = await parts.streams.resume(CLINIC, started.token, 10_000)
        first = await anext(again.events())
        assert isinstance(first.event, Started)
        assert (first.event.resumed, first.event.next_frame) == (True, 6)
        for number in range(3, 9):
            await again.frame(number, number / 10, b"x")
        await again.end()
        events = await heard(again)
        assert results(events) == [6, 7, 8]
        assert last(events).analysed == 8
        assert len(parts.node.runs) == 8

    run(test, tmp_path)


def test_a_second_connection_ends_the_first_one(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        token = (await anext(stream.events())).event
        assert isinstance(token, Started)
        old = asyncio.create_task(failure(stream))
        await asyncio.sleep(0.01)
        again = await parts.streams.resume(CLINIC, token.token, 0)
        _, error = await old
        assert error.code is ErrorCode.CANCELLED
        stream.detach()
        await stream.frame(1, 0.0, b"x")
        await again.frame(2, 0.1, b"x")
        await again.end()
        assert results(await heard(again)) == [2], "the old connection has no say any more"

    run(test, tmp_path)


def test_nobody_else_can_take_a_stream_up(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        started = (await anext(stream.events())).event
        assert isinstance(started, Started)
        for caller, token in ((OTHER, started.token), (CLINIC, "guessed")):
            with pytest.raises(ServiceError, match="no stream of that token") as refused:
                await parts.streams.resume(caller, token, 0)
            assert refused.value.code is ErrorCode.NOT_FOUND

    run(test, tmp_path)


def test_an_abandoned_stream_ends_and_its_verdict_is_stored(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        await stream.frame(1, 0.0, b"x")
        await until(lambda: parts.node.runs)
        stream.detach()
        await until(lambda: parts.streams.open_count == 0)
        pages = parts.analyses.delete_older(_soon(), limit=10)
        assert len(pages) == 1

    run(test, tmp_path, policy=StreamPolicy(limits=StreamLimits(resume_s=0.1)))


def test_a_stream_on_which_nothing_comes_ends(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        events = await heard(stream)
        assert last(events).reason == "idle"
        assert last(events).analysis is None

    run(test, tmp_path, policy=StreamPolicy(limits=StreamLimits(idle_s=0.1)))


def test_too_many_streams_are_refused_and_a_tenant_has_its_own_limit(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        first = await parts.open()
        await parts.open()
        with pytest.raises(Overloaded, match="2 streams of this tenant"):
            await parts.open()
        await parts.open(caller=OTHER)
        with pytest.raises(Overloaded, match="3 streams are open"):
            await parts.open(caller=OTHER)
        await first.end()
        await heard(first)
        await parts.open(caller=OTHER)

    run(test, tmp_path, policy=StreamPolicy(most=3, most_of_tenant=2))


@pytest.mark.parametrize("refusal", [Overloaded("full", retry_after_s=1.0), NodeLost("gone")])
def test_a_busy_node_costs_a_live_stream_frames_and_not_its_life(tmp_path: Path, refusal: Overloaded | NodeLost) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        for number in range(1, 6):
            await stream.frame(number, number / 10, b"x")
            await asyncio.sleep(0.01)
        await stream.end()
        events = await heard(stream)
        assert results(events) == [3, 4, 5]
        assert Dropped(1, 2, 2, "not_answered") in events
        assert last(events).dropped == 2

    run(test, tmp_path, node=FrameNode(busy=2, refusal=refusal))


def test_with_all_a_frame_waits_for_a_busy_node(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open(ALL)
        await stream.frame(1, 0.0, b"x")
        await stream.end()
        assert results(await heard(stream)) == [1]

    run(test, tmp_path, node=FrameNode(busy=2, refusal=NodeLost("gone")))


@pytest.mark.parametrize(("number", "content", "says"), [
    (2, b"", "frame 2 has no bytes"), (0, b"x", "numbered from 1"), (-3, b"x", "numbered from 1"),
])
def test_bad_input_ends_its_stream_with_one_error_and_leaves_the_others_alone(
    tmp_path: Path, number: int, content: bytes, says: str
) -> None:
    async def test(parts: Parts) -> None:
        good, bad = await parts.open(), await parts.open()
        for stream in (good, bad):
            await stream.frame(1, 0.0, b"x")
        await until(lambda: len(parts.node.runs) == 2)
        await asyncio.sleep(0.01)
        await bad.frame(number, 0.1, content)
        await bad.frame(5, 0.5, b"x")
        events, error = await failure(bad)
        assert says in str(error)
        assert last(events).reason == "failed"
        assert last(events).analysis is not None, "what was analysed before isn't lost"
        await good.frame(2, 0.1, b"x")
        await good.end()
        assert results(await heard(good)) == [1, 2]

    run(test, tmp_path)


def test_grey_frames_must_have_as_many_bytes_as_pixels(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        start = StreamStart("pathology", codec="grey8")
        stream = await parts.open(start)
        await stream.frame(1, 0.0, bytes(64 * 48), 64, 48)
        await until(lambda: parts.node.runs)
        assert parts.node.runs[0].payload.startswith(b"P5")
        await stream.frame(2, 0.1, bytes(64 * 48 - 1), 64, 48)
        _, error = await failure(stream)
        assert "3071 bytes, which are not 64x48 grey pixels" in str(error)

    run(test, tmp_path)


def test_chunks_where_frames_belong_are_refused(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        frames, chunks = await parts.open(), await parts.open(StreamStart("pathology", codec="h264"))
        await frames.chunk(0, b"x")
        await chunks.frame(1, 0.0, b"x")
        for stream, says in ((frames, "takes frames, not chunks"), (chunks, "takes chunks, not frames")):
            _, error = await failure(stream)
            assert says in str(error)

    run(test, tmp_path)


def test_an_encoded_stream_is_decoded_dropped_and_ended_with_its_decoder(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open(StreamStart("pathology", codec="h264"))
        for offset in range(0, 30, 3):
            await stream.chunk(offset, bytes(range(offset, offset + 3)))
            await asyncio.sleep(0.002)
        await stream.end()
        events = await heard(stream)
        (decoder,) = parts.decoders
        assert len(results(events)) + sum(event.count for event in events if isinstance(event, Dropped)) == 30
        assert sorted(decoder.taken + decoder.dropped) == list(range(1, 31))
        assert decoder.dropped
        assert decoder.closed

    run(test, tmp_path, node=FrameNode(takes_s=0.01))


def test_bytes_that_came_before_are_left_out_and_a_gap_is_an_error(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open(StreamStart("pathology", codec="h264", policy="all"))
        await stream.chunk(0, b"abc")
        await stream.chunk(1, b"bcde")
        await until(lambda: len(parts.node.runs) == 5)
        assert [one.payload for one in parts.node.runs] == [b"a", b"b", b"c", b"d", b"e"]
        await stream.chunk(7, b"x")
        _, error = await failure(stream)
        assert "the next byte is 5, the chunk begins at 7" in str(error)

    run(test, tmp_path)


def test_a_decoder_that_breaks_ends_its_own_stream_and_no_other(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        encoded, other = await parts.open(StreamStart("pathology", codec="h264", policy="all")), await parts.open()
        await encoded.chunk(0, b"abcdef")
        events, error = await failure(encoded)
        assert error.code is translate(DecoderFailed("")).code
        assert last(events).reason == "failed"
        assert parts.decoders[0].closed
        await other.frame(1, 0.0, b"x")
        await other.end()
        assert results(await heard(other)) == [1]

    run(test, tmp_path, breaks_after=3)


def test_a_reader_that_never_reads_holds_back_only_itself(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stuck, other = await parts.open(), await parts.open()
        for number in range(1, 200):
            for stream in (stuck, other):
                await stream.frame(number, number / 30, b"x")
            await asyncio.sleep(0)
        await other.end()
        assert results(await heard(other))[-1] == 199
        assert parts.node.running == 0
        await stuck.end()
        events = await heard(stuck)
        assert last(events).received == 199

    run(test, tmp_path)


def test_a_gateway_that_stops_tells_its_streams_and_keeps_their_verdicts(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        stream = await parts.open()
        await stream.frame(1, 0.0, b"x")
        await until(lambda: parts.node.runs)
        await asyncio.sleep(0.01)
        await parts.streams.close()
        ended = last(await heard(stream))
        assert (ended.reason, ended.analysed) == ("stopping", 1)
        assert ended.analysis is not None
        with pytest.raises(ServiceError, match="the gateway is stopping"):
            await parts.open()

    run(test, tmp_path)


@pytest.mark.parametrize(("start", "says"), [
    (StreamStart("pathology", policy="sample"), "needs sample_fps"),
    (StreamStart("pathology", policy="sample", sample_fps=-1.0), "needs sample_fps"),
    (StreamStart("pathology", sample_fps=3.0), "goes with the policy 'sample'"),
])
def test_a_start_that_contradicts_itself_is_refused(tmp_path: Path, start: StreamStart, says: str) -> None:
    async def test(parts: Parts) -> None:
        with pytest.raises(ServiceError, match=says):
            await parts.open(start)

    run(test, tmp_path)


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)
